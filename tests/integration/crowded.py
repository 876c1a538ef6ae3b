"""An AWS account with thousands of everything, answered from botocore's own service models.

No backend holds 2,000 of each kind quickly. Real boto3 clients are used, with their parameter
validation, paginators and parsing of models; only the sending is replaced: each operation answers
what its output shape says, every list at the top of it with many items.
"""

import functools
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from opswright_core.aws import HERE, Aws, AwsSessions, AwsTarget

MANY = 2_000
ACCOUNT = "123456789012"
Answers = dict[tuple[str, str, bool], dict[str, Any]]
"""By service, operation, and whether the call is about one thing."""
REGION = "eu-west-1"
_FEW = 2
_VARIANTS = 4
_DEEP = 7
_PAGING = {"nexttoken", "marker", "nextmarker", "nextpagetoken", "continuationtoken", "istruncated"}
_NAMES = re.compile(r"(Ids?|Arns?|ARN|Names?|Bucket|Identifiers?|Keys?|Alarms)$")


class CrowdedSessions(AwsSessions):
    """Sessions on an account with `many` of everything.

    `made` are its answers, which several servers may share.
    """

    def __init__(self, made: Answers, many: int = MANY) -> None:
        super().__init__()
        self._made = made
        self._many = many

    def open(self, target: AwsTarget = HERE) -> Aws:
        """The session of a target, which answers by itself."""
        first = target not in self._opened
        session = super().open(target)
        if first:
            _crowd(session.session, self._made, self._many)
        return session


def _crowd(session: Any, made: Answers, many: int) -> None:
    from botocore.handlers import json_decode_policies

    session.events.unregister("after-call.iam", json_decode_policies)  # they are decoded here
    session.events.register("before-parameter-build", _keep_arguments)
    session.events.register("before-call", functools.partial(_answer, made, many))


def _keep_arguments(params: Any, context: dict[str, Any], **_: Any) -> None:
    context["arguments"] = params


def _answer(made: Answers, many: int, model: Any, context: dict[str, Any], **_: Any) -> Any:
    from botocore.awsrequest import AWSResponse

    service = model.service_model.service_name
    if service == "sts":
        answer: Any = {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/me", "UserId": "A"}
    elif model.name in _OWN:
        answer = _OWN[model.name](context["arguments"])
    else:
        key = (service, model.name, _is_about_one(model, context["arguments"]))
        if key not in made:
            made[key] = _output(model, _FEW if key[2] else many)
        answer = dict(made[key])
    return AWSResponse("https://crowded.invalid", 200, {}, b""), answer


def _output(model: Any, many: int) -> dict[str, Any]:
    shape = model.output_shape
    if shape is None:
        return {}
    answer: dict[str, Any] = {"ResponseMetadata": {"HTTPStatusCode": 200}}
    for name, member in shape.members.items():
        if name.lower() in _PAGING:
            continue
        if member.type_name == "list":
            answer[name] = list(_items(member.member, name, many))
        elif not member.serialization.get("streaming"):
            answer[name] = _value(member, name, 0, 1)
    return answer


def _is_about_one(model: Any, arguments: dict[str, Any]) -> bool:
    """Whether the call names what it is about, rather than asking for all there is."""
    return any(_NAMES.search(name) for name in arguments.keys() - {"AccountId", "Version"})


def _metric_data(arguments: dict[str, Any]) -> dict[str, Any]:
    """A value for every period of each series; the third of three series is all zero."""
    end, start = arguments["EndTime"], arguments["StartTime"]
    results = []
    for number, query in enumerate(arguments["MetricDataQueries"]):
        period = timedelta(seconds=query["MetricStat"]["Period"])
        times = [end - period * (n + 1) for n in range(int((end - start) / period))]
        values = [0.0 if number % 3 == 2 else float(n * 7919 % 1000) for n in range(len(times))]
        results.append({"Id": query["Id"], "Timestamps": times, "Values": values})
    return {"MetricDataResults": results}


def _log_events(arguments: dict[str, Any]) -> dict[str, Any]:
    """`MANY` long lines of as many kinds, in pages of what was asked for."""
    start = int(arguments.get("nextToken", 0))
    end = min(MANY, start + arguments.get("limit", 10_000))
    events = [
        {
            "timestamp": 1_790_000_000_000 + number,
            "logStreamName": f"web/{number % 7}",
            "message": f"ERROR {_letters(number)} failed in {number} ms: " + "at é.f " * 200,
        }
        for number in range(start, end)
    ]
    more = {"nextToken": str(end)} if end < MANY else {}
    return {"events": events, **more}


def _letters(number: int) -> str:
    return "".join(chr(97 + int(digit)) for digit in f"{number:05}")


def _credential_report(arguments: dict[str, Any]) -> dict[str, Any]:
    keys = [f"access_key_{n}_{what}" for n in (1, 2) for what in ("active", "last_rotated",
                                                                  "last_used_date")]  # fmt: skip
    lines = [",".join(["user", "password_enabled", "mfa_active", *keys])]
    old = "2024-01-01T00:00:00+00:00"
    for number in range(MANY):
        told = ["true", str(bool(number % 2)).lower(), "true", old, "N/A", "false", "N/A", "N/A"]
        lines.append(",".join([_text("UserName", number), *told]))
    return {"Content": "\n".join(lines).encode()}


def _report_made(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"State": "COMPLETE"}


APPLICATIONS, KEPT = 40, 50
"""Applications with a deployment record, and deployments that each remembers: `MANY` in all."""


def _records(arguments: dict[str, Any]) -> dict[str, Any]:
    names = [f"/opswright/app{number:03}/production/deployment" for number in range(APPLICATIONS)]
    return {"Parameters": [{"Name": name, "Value": _record(name, KEPT - 1)} for name in names]}


def _record_history(arguments: dict[str, Any]) -> dict[str, Any]:
    name = arguments["Name"]
    versions = [{"Name": name, "Version": n, "Value": _record(name, n)} for n in range(KEPT)]
    return {"Parameters": versions}


def _record(name: str, number: int) -> str:
    application = name.split("/")[2]
    return json.dumps(
        {
            "application": application,
            "environment": "production",
            "version": f"v1.{number}.0",
            "commit": f"{number:040x}",
            "strategy": "rolling",
            "deployed_at": f"2026-01-01T{number // 60:02}:{number % 60:02}:00Z",
            "repository": f"/srv/{application}",
            "artifact_bucket": "artifacts",
            "artifact_key": f"{application}/{number}.tar.gz",
            "artifact_sha256": "0" * 64,
            "asg_name": application,
            "target_group_arn": _text("TargetGroupArn", number),
            "health_check_path": "/",
        }
    )


CLUSTERS, SERVICES = 20, 100
"""Clusters of containers, and services of each: `MANY` in all."""


def _clusters(arguments: dict[str, Any]) -> dict[str, Any]:
    names = [_text("clusterArn", number) for number in range(CLUSTERS)]
    return {"clusterArns": names, "clusters": names}  # of ECS, and of EKS


def _services(arguments: dict[str, Any]) -> dict[str, Any]:
    cluster = arguments["cluster"].rpartition("/")[2]
    return {"serviceArns": [_text(f"{cluster}servicearn", n) for n in range(SERVICES)]}


def _described_services(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        "services": [{"serviceArn": arn, "serviceName": arn[-9:]} for arn in arguments["services"]]
    }


_OWN = {
    "ListClusters": _clusters,
    "ListServices": _services,
    "DescribeServices": _described_services,
    "GetParametersByPath": _records,
    "GetParameterHistory": _record_history,
    "GenerateCredentialReport": _report_made,
    "GetCredentialReport": _credential_report,
    "GetMetricData": _metric_data,
    "FilterLogEvents": _log_events,
}


def _items(shape: Any, name: str, many: int) -> Iterator[Any]:
    """`many` items: a few kinds of them, each time with its own ids and names."""
    variants = [_value(shape, name, number, 1) for number in range(_VARIANTS)]
    for number in range(many):
        item = variants[number % _VARIANTS]
        if isinstance(item, dict):
            own = {
                key: _text(key, number)
                for key, value in item.items()
                if isinstance(value, str) and key in shape.members and not shape.members[key].enum
            }
            if name == "Reservations":  # one instance each, as most have
                own["Instances"] = [
                    {**item["Instances"][0], "InstanceId": _text("InstanceId", number)}
                ]
            yield {**item, **own}
        else:
            yield _text(name, number) if isinstance(item, str) else item


def _value(shape: Any, name: str, number: int, depth: int) -> Any:
    kind = shape.type_name
    if kind == "structure":
        if depth > _DEEP:
            return {}
        return {n: _value(m, n, number, depth + 1) for n, m in shape.members.items()}
    if kind == "list":
        if depth > _DEEP:
            return []
        return [_value(shape.member, name, number + n, depth + 1) for n in range(_FEW)]
    if kind == "map":
        keys = ["UnblendedCost"] if name == "Metrics" else [f"key{n}" for n in range(_FEW)]
        return {key: _value(shape.value, name, n, depth + 1) for n, key in enumerate(keys)}
    if kind == "string":
        return shape.enum[number % len(shape.enum)] if shape.enum else _text(name, number)
    if kind == "timestamp":
        return datetime(2026, 1 + number % 12, 1, tzinfo=UTC)
    if kind == "boolean":
        return bool(number % 2)
    if kind in {"integer", "long"}:
        return number % 100 + 1
    if kind in {"float", "double"}:
        return float(number % 100 + 1)
    return b""


_PREFIXES = {
    "VpcId": "vpc", "SubnetId": "subnet", "InstanceId": "i", "VolumeId": "vol",
    "SnapshotId": "snap", "GroupId": "sg", "AllocationId": "eipalloc", "ImageId": "ami",
    "NatGatewayId": "nat", "RouteTableId": "rtb", "NetworkAclId": "acl",
}  # fmt: skip
_BALANCING = {
    "LoadBalancerArn": "loadbalancer/app/shop", "LoadBalancerArns": "loadbalancer/app/shop",
    "TargetGroupArn": "targetgroup/shop", "TargetGroupARNs": "targetgroup/shop",
}  # fmt: skip
_FIXED = {
    "State": "available", "Status": "active", "InstanceType": "m7g.large", "AvailabilityZone":
    REGION + "a", "Engine": "postgres", "DBInstanceClass": "db.m7g.large", "VolumeType": "gp3",
    "CidrIp": "0.0.0.0/0", "CidrBlock": "10.0.0.0/16", "DestinationCidrBlock": "0.0.0.0/0",
    "IpProtocol": "tcp", "Protocol": "HTTP", "Region": REGION, "RegionName": REGION,
    "Amount": "12.5", "Value": "12.5", "MeanValue": "12.5", "StorageType": "gp3",
    "PredictionIntervalLowerBound": "1", "PredictionIntervalUpperBound": "99", "Unit": "USD",
    "Start": "2026-01-01", "End": "2026-01-02",
    "BucketRegion": REGION,
    "PublicIp": "203.0.113.7", "PrivateIpAddress": "10.0.0.7", "Principal": "*",
    "Policy": '{"Statement":[]}', "LocationConstraint": REGION,
}  # fmt: skip


def _text(name: str, number: int) -> Any:
    if name.endswith("Document"):
        return {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    if name in _FIXED:
        return _FIXED[name]
    if name in _BALANCING:
        return f"arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:{_BALANCING[name]}-{number}/0a1b2c"
    if name.lower().endswith("arn"):
        return f"arn:aws:thing:{REGION}:{ACCOUNT}:{name.lower()}/crowded-{number:05}-{'x' * 60}"
    if name in _PREFIXES:
        return f"{_PREFIXES[name]}-{number:017x}"
    if name.endswith(("Date", "Time", "Timestamp")):
        return "2026-01-01T00:00:00Z"
    letter = "n" if name == "Name" else "é"  # a bucket's name is checked
    return f"{name.lower()}-{number:05}-{letter * 20}"
