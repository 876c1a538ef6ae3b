"""A loopback AWS account of 5,000 resources: the services' own protocols, pages and page sizes.

Each call is answered after a delay, as a near region would. What it prints first is its port.
`GET /bench/calls` answers how many calls there were and how many an ideal pager would have made;
`GET /bench/delay/30` sets the delay in milliseconds and forgets the calls.
"""

import asyncio
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.loaders import create_loader
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

Item = Any
ACCOUNT, REGION = "123456789012", "eu-west-1"
_TAGS = [{"Key": "Name", "Value": "shop"}, {"Key": "team", "Value": "web"}]
_SIGNED_AS = {"elasticloadbalancing": "elbv2", "tagging": "resourcegroupstaggingapi"}


def _id(prefix: str, number: int) -> str:
    return f"{prefix}-{number:017x}"


def _arn(service: str, rest: str, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{region}:{account}:{rest}"


def _ec2(prefix: str, key: str, **more: Any) -> Callable[[int], Item]:
    return lambda n: {key: _id(prefix, n), "VpcId": _id("vpc", n % 20), "Tags": _TAGS, **more}


def _instance(n: int) -> Item:
    groups = [{"GroupId": _id("sg", n % 300), "GroupName": f"sg-{n % 300}"}]
    card = {
        "NetworkInterfaceId": _id("eni", n), "SubnetId": _id("subnet", n % 120), "Groups": groups,
        "PrivateIpAddress": f"10.0.{n // 250}.{n % 250}", "Status": "in-use",
        "Attachment": {"AttachmentId": _id("eni-attach", n), "DeviceIndex": 0},
    }  # fmt: skip
    disk = {"DeviceName": "/dev/xvda", "Ebs": {"VolumeId": _id("vol", n), "Status": "attached"}}
    return {
        "ReservationId": _id("r", n),
        "OwnerId": ACCOUNT,
        "Instances": [
            {
                "InstanceId": _id("i", n), "ImageId": _id("ami", 1), "InstanceType": "m7g.large",
                "State": {"Name": "running", "Code": 16}, "VpcId": _id("vpc", n % 20),
                "SubnetId": _id("subnet", n % 120), "SecurityGroups": groups, "Tags": _TAGS,
                "NetworkInterfaces": [card], "BlockDeviceMappings": [disk],
                "PrivateIpAddress": card["PrivateIpAddress"], "Architecture": "arm64",
                "Placement": {"AvailabilityZone": f"{REGION}a"}, "RootDeviceName": "/dev/xvda",
                "MetadataOptions": {"HttpTokens": "required", "State": "applied"},
            }
        ],
    }  # fmt: skip


def _rules(n: int) -> list[Item]:
    pair = {"GroupId": _id("sg", (n + 1) % 300)}
    return [{"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "UserIdGroupPairs": [pair]}]


def _named(service: str, rest: str, name: str, arn: str, **more: Any) -> Callable[[int], Item]:
    return lambda n: {name: f"shop-{n}", arn: _arn(service, rest.format(f"shop-{n}")), **more}


def _database(n: int) -> Item:
    subnets = [{"SubnetIdentifier": _id("subnet", k)} for k in range(3)]
    group = {"DBSubnetGroupName": "shop", "VpcId": _id("vpc", n % 20), "Subnets": subnets}
    return {
        "DBInstanceIdentifier": f"shop-{n}", "DBInstanceArn": _arn("rds", f"db:shop-{n}"),
        "DBInstanceStatus": "available", "Engine": "postgres", "DBSubnetGroup": group,
        "TagList": _TAGS,
    }  # fmt: skip


# (service, operation): how many there are, one of them, the most of a page, its tagged type.
Listing = tuple[int, Callable[[int], Item], int | None, str]
ACCOUNT_HOLDS: dict[tuple[str, str], Listing] = {
    ("ec2", "DescribeVpcs"): (20, _ec2("vpc", "VpcId", CidrBlock="10.0.0.0/16"), 1000, ""),
    ("ec2", "DescribeSubnets"): (120, _ec2("subnet", "SubnetId"), 1000, ""),
    ("ec2", "DescribeInternetGateways"): (20, _ec2("igw", "InternetGatewayId"), 1000, ""),
    ("ec2", "DescribeNatGateways"): (40, _ec2("nat", "NatGatewayId", State="available"), 1000, ""),
    ("ec2", "DescribeRouteTables"): (80, _ec2("rtb", "RouteTableId"), 100, ""),
    ("ec2", "DescribeSecurityGroups"): (
        300, lambda n: {**_ec2("sg", "GroupId", GroupName=f"sg-{n}")(n),
                        "IpPermissions": _rules(n)}, 1000, ""),
    ("ec2", "DescribeAddresses"): (40, _ec2("eipalloc", "AllocationId"), None, ""),
    ("ec2", "DescribeVpcEndpoints"): (20, _ec2("vpce", "VpcEndpointId"), 1000, ""),
    ("ec2", "DescribeNetworkInterfaces"): (1200, _ec2("eni", "NetworkInterfaceId"), 1000, ""),
    ("ec2", "DescribeFlowLogs"): (
        20, _ec2("fl", "FlowLogId", ResourceId=_id("vpc", 1)), 1000, ""),
    ("ec2", "DescribeInstances"): (1000, _instance, 1000, ""),
    ("ec2", "DescribeLaunchTemplates"): (50, _ec2("lt", "LaunchTemplateId"), 200, ""),
    ("ec2", "DescribeVolumes"): (800, _ec2("vol", "VolumeId", State="in-use"), 500, ""),
    ("autoscaling", "DescribeAutoScalingGroups"): (
        50, _named("autoscaling", "autoScalingGroup:{}", "AutoScalingGroupName",
                   "AutoScalingGroupARN"), 100, ""),
    ("elbv2", "DescribeLoadBalancers"): (
        60, lambda n: {"LoadBalancerArn": _arn("elasticloadbalancing", f"loadbalancer/app/l/{n}"),
                       "LoadBalancerName": f"shop-{n}", "VpcId": _id("vpc", n % 20)},
        400, "elasticloadbalancing:loadbalancer"),
    ("elbv2", "DescribeTargetGroups"): (
        120, lambda n: {"TargetGroupArn": _arn("elasticloadbalancing", f"targetgroup/t/{n}"),
                        "TargetGroupName": f"shop-{n}", "VpcId": _id("vpc", n % 20)},
        400, "elasticloadbalancing:targetgroup"),
    ("route53", "ListHostedZones"): (
        20, lambda n: {"Id": f"/hostedzone/Z{n}", "Name": f"{n}.example.com.",
                       "CallerReference": str(n)}, 100, ""),
    ("acm", "ListCertificates"): (
        40, lambda n: {"CertificateArn": _arn("acm", f"certificate/{n}"),
                       "DomainName": f"{n}.example.com"}, 1000, "acm:certificate"),
    ("lambda", "ListFunctions"): (
        200, _named("lambda", "function:{}", "FunctionName", "FunctionArn",
                    Role=_arn("iam", "role/shop", "")), 50, "lambda:function"),
    ("ecr", "DescribeRepositories"): (
        40, _named("ecr", "repository/{}", "repositoryName", "repositoryArn"), 1000,
        "ecr:repository"),
    ("rds", "DescribeDBInstances"): (40, _database, 100, ""),
    ("rds", "DescribeDBClusters"): (
        5, _named("rds", "cluster:{}", "DBClusterIdentifier", "DBClusterArn"), 100, ""),
    ("rds", "DescribeDBSubnetGroups"): (
        5, _named("rds", "subgrp:{}", "DBSubnetGroupName", "DBSubnetGroupArn"), 100, "rds:subgrp"),
    ("s3", "ListBuckets"): (
        100, lambda n: {"Name": f"shop-{n}", "BucketRegion": REGION}, 10_000, "s3:bucket"),
    ("dynamodb", "ListTables"): (60, lambda n: f"shop-{n}", 100, "dynamodb:table"),
    ("sqs", "ListQueues"): (
        120, lambda n: f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/shop-{n}", 1000, "sqs"),
    ("sns", "ListTopics"): (60, lambda n: {"TopicArn": _arn("sns", f"shop-{n}")}, 100, "sns"),
    ("cloudformation", "DescribeStacks"): (
        60, lambda n: {"StackName": f"shop-{n}", "StackId": _arn("cloudformation", f"stack/s/{n}"),
                       "StackStatus": "CREATE_COMPLETE", "CreationTime": "2026-01-01T00:00:00Z",
                       "Tags": _TAGS}, 100, ""),
    ("iam", "GetAccountAuthorizationDetails"): (
        150, lambda n: {"RoleName": f"shop-{n}", "Arn": _arn("iam", f"role/shop-{n}", ""),
                        "Path": "/", "RoleId": f"AROA{n}", "Tags": _TAGS}, 1000, ""),
    ("secretsmanager", "ListSecrets"): (
        80, lambda n: {"ARN": _arn("secretsmanager", f"secret:shop-{n}"), "Name": f"shop-{n}",
                       "Tags": _TAGS}, 100, ""),
    ("ssm", "DescribeParameters"): (
        200, lambda n: {"Name": f"/shop/{n}", "Type": "String"}, 50, "ssm:parameter"),
    ("kms", "ListAliases"): (
        40, lambda n: {"AliasName": f"alias/shop-{n}", "TargetKeyId": f"key-{n}",
                       "AliasArn": _arn("kms", f"alias/shop-{n}")}, 100, "kms:key"),
    ("ecs", "ListClusters"): (4, lambda n: _arn("ecs", f"cluster/shop-{n}"), 100, ""),
    ("eks", "ListClusters"): (2, lambda n: f"shop-{n}", 100, ""),
}  # fmt: skip
SERVICES_OF_A_CLUSTER = 15
RESOURCES = sum(many for many, *_ in ACCOUNT_HOLDS.values()) + 4 * SERVICES_OF_A_CLUSTER
TAG_PAGE = 100

_TAGGED_ARNS: dict[str, Callable[[int], str]] = {
    "acm:certificate": lambda n: _arn("acm", f"certificate/{n}"),
    "lambda:function": lambda n: _arn("lambda", f"function:shop-{n}"),
    "ecr:repository": lambda n: _arn("ecr", f"repository/shop-{n}"),
    "rds:subgrp": lambda n: _arn("rds", f"subgrp:shop-{n}"),
    "s3:bucket": lambda n: _arn("s3", f"shop-{n}", "", ""),
    "dynamodb:table": lambda n: _arn("dynamodb", f"table/shop-{n}"),
    "sqs": lambda n: _arn("sqs", f"shop-{n}"),
    "sns": lambda n: _arn("sns", f"shop-{n}"),
    "ssm:parameter": lambda n: _arn("ssm", f"parameter/shop/{n}"),
    "kms:key": lambda n: _arn("kms", f"key/key-{n}"),
    "elasticloadbalancing:loadbalancer":
        lambda n: _arn("elasticloadbalancing", f"loadbalancer/app/l/{n}"),
    "elasticloadbalancing:targetgroup":
        lambda n: _arn("elasticloadbalancing", f"targetgroup/t/{n}"),
}  # fmt: skip
_ROUTES = (
    ("s3", "GET", r"/?$", "ListBuckets"),
    ("route53", "GET", r"/2013-04-01/hostedzone$", "ListHostedZones"),
    ("route53", "POST", r"/2013-04-01/tags/hostedzone$", "ListTagsForResources"),
    ("lambda", "GET", r"/2015-03-31/functions/?$", "ListFunctions"),
    ("eks", "GET", r"/clusters$", "ListClusters"),
    ("eks", "GET", r"/clusters/[^/]+$", "DescribeCluster"),
)


def ideal_calls() -> int:
    """The fewest calls that read it all with tags: full pages, and batches of the largest size."""
    lists = sum(math.ceil(many / (most or many)) for many, _, most, _ in ACCOUNT_HOLDS.values())
    tags = sum(math.ceil(many / TAG_PAGE) for many, _, _, kind in ACCOUNT_HOLDS.values() if kind)
    services = 4 * (1 + math.ceil(SERVICES_OF_A_CLUSTER / 10))  # listed, then described in tens
    zones = math.ceil(20 / 10)
    return lists + tags + services + zones + 1 + 2  # ECS clusters in one, EKS clusters one by one


class Account:
    """Answers calls; each answer is made once."""

    def __init__(self) -> None:
        self.loader = create_loader()
        self.answers: dict[tuple[str, str, str], tuple[int, dict[str, str], bytes]] = {}
        self.calls: Counter[str] = Counter()

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([\w-]+)/", headers["authorization"])
        assert scope
        service = _SIGNED_AS.get(scope.group(1), scope.group(1))
        path = urlsplit(target)
        asked = {key: values[0] for key, values in parse_qs(path.query).items()}
        if "x-amz-target" in headers:
            operation = headers["x-amz-target"].rpartition(".")[2]
            asked |= json.loads(body or b"{}")
        elif rest := [o for s, m, p, o in _ROUTES
                      if s == service and m == method and re.match(p, path.path)]:  # fmt: skip
            operation = rest[0]
            asked |= {"path": unquote(path.path), "body": body.decode()}
        else:
            asked |= {key: values[0] for key, values in parse_qs(body.decode()).items()}
            operation = asked.pop("Action")
        self.calls[f"{service}:{operation}"] += 1
        key = (service, operation, json.dumps(asked, sort_keys=True))
        if key not in self.answers:
            self.answers[key] = self._serialize(service, operation, asked)
        return self.answers[key]

    def _serialize(
        self, service: str, operation: str, asked: dict[str, Any]
    ) -> tuple[int, dict[str, str], bytes]:
        models = get_service_model(service)
        model = models.operation_model(operation)
        protocol = models.resolved_protocol
        made = get_serializer_class(service, protocol)(model).serialize(
            self._result(service, operation, asked)
        )
        raw = made["body"]
        encoded = raw if isinstance(raw, bytes) else str(raw).encode()
        return made["status_code"], {k: str(v) for k, v in made["headers"].items()}, encoded

    def _result(self, service: str, operation: str, asked: dict[str, Any]) -> dict[str, Any]:
        if listing := ACCOUNT_HOLDS.get((service, operation)):
            return self._page(service, operation, listing, asked)
        match operation:
            case "GetCallerIdentity":
                return {"Account": ACCOUNT, "Arn": _arn("iam", "user/me", ""), "UserId": "A"}
            case "GetResources":
                return self._tags(asked)
            case "ListTagsForResources":
                ids = re.findall(r"<ResourceId>(\w+)<", asked["body"])
                return {"ResourceTagSets": [{"ResourceId": i, "Tags": _TAGS} for i in ids]}
            case "DescribeClusters":
                found = [{"clusterArn": c, "clusterName": c[-6:]} for c in asked["clusters"]]
                return {"clusters": found}
            case "ListServices":
                name = asked["cluster"].rpartition("/")[2]
                some = range(SERVICES_OF_A_CLUSTER)
                return {"serviceArns": [_arn("ecs", f"service/{name}/web-{n}") for n in some]}
            case "DescribeServices":
                return {"services": [{"serviceArn": s, "serviceName": s[-6:]}
                                     for s in asked["services"]]}  # fmt: skip
            case "DescribeCluster":
                name = asked["path"].rpartition("/")[2]
                return {"cluster": {"name": name, "arn": _arn("eks", f"cluster/{name}")}}
            case "DescribeAvailabilityZones":
                zones = [f"{REGION}{letter}" for letter in "abc"]
                return {"AvailabilityZones": [{"ZoneName": z, "State": "available",
                                               "ZoneType": "availability-zone"}
                                              for z in zones]}  # fmt: skip
        return {}

    def _page(
        self, service: str, operation: str, listing: Listing, asked: dict[str, Any]
    ) -> dict[str, Any]:
        many, make, most, _ = listing
        declared = self.loader.load_service_model(service, "paginators-1")["pagination"]
        paging: dict[str, Any] = declared.get(operation, {})
        key = paging.get("result_key", "Addresses")
        key = "RoleDetailList" if isinstance(key, list) else key
        if most is None:
            return {key: [make(n) for n in range(many)]}
        size = min(int(asked.get(paging.get("limit_key", ""), most)), most)
        start = int(asked.get(paging["input_token"], 0) or 0)
        end = min(many, start + size)
        answer: dict[str, Any] = {key: [make(n) for n in range(start, end)]}
        if end < many:
            answer[paging["output_token"]] = str(end)
        if flag := paging.get("more_results"):
            answer[flag] = end < many
        return answer

    def _tags(self, asked: dict[str, Any]) -> dict[str, Any]:
        kind = asked["ResourceTypeFilters"][0]
        many = next(many for many, _, _, tagged in ACCOUNT_HOLDS.values() if tagged == kind)
        start = int(asked.get("PaginationToken") or 0)
        end = min(many, start + min(int(asked.get("ResourcesPerPage", 50)), TAG_PAGE))
        arns = map(_TAGGED_ARNS[kind], range(start, end))
        return {
            "ResourceTagMappingList": [{"ResourceARN": arn, "Tags": _TAGS} for arn in arns],
            "PaginationToken": str(end) if end < many else "",
        }


async def serve() -> None:
    """Listen on a free port of 127.0.0.1 until killed."""
    account, delay = Account(), 0.03

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal delay
        more: dict[str, str]
        while head := await reader.readuntil(b"\r\n\r\n"):
            begun = asyncio.get_running_loop().time()
            first, *lines = head.decode().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {k.lower(): v for k, _, v in (x.partition(": ") for x in lines if x)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            if target.startswith("/bench/delay/"):
                delay = int(target.rpartition("/")[2]) / 1000
                account.calls.clear()
                status, more, answer = 200, {}, b"{}"
            elif target == "/bench/calls":
                told = {"calls": account.calls.total(), "ideal": ideal_calls(),
                        "resources": RESOURCES, "by_operation": account.calls}  # fmt: skip
                status, more, answer = 200, {}, json.dumps(told).encode()
            else:
                status, more, answer = account.answer(method, target, headers, body)
                left = begun + delay - asyncio.get_running_loop().time()
                await asyncio.sleep(max(0.0, left))
            more = {k: v for k, v in more.items() if k.lower() != "content-length"}
            told_headers = "".join(f"{k}: {v}\r\n" for k, v in more.items())
            writer.write(
                f"HTTP/1.1 {status} OK\r\n{told_headers}Content-Length: {len(answer)}\r\n\r\n"
                .encode() + answer
            )  # fmt: skip
            await writer.drain()

    async def until_closed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(until_closed, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
