"""A resource is explained: what it hangs on, what breaks without it, who made and reaches it."""

import json
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops.conftest import Agent
from tests.aws_devops.test_inventory import furnished as furnished
from tests.denied import DeniedSessions

from opswright_aws_devops.graph.exposure import exposure_of, open_ports
from opswright_aws_devops.graph.graph import Graph
from opswright_aws_devops.graph.relations import ALSO_KNOWN_AS, RELATIONS
from opswright_aws_devops.resource_kinds import KINDS
from opswright_aws_devops.server import create_server
from opswright_aws_devops.tools.explanation import _WORDS
from opswright_core.settings import Settings

LOG_DELIVERY = "http://acs.amazonaws.com/groups/s3/LogDelivery"


def allow(action: str, principal: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": "*"}
    if action.startswith("s3:"):
        statement["Resource"] = "arn:aws:s3:::pictures/*"
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class Without(DeniedSessions):
    """Sessions to which one operation is refused."""

    def __init__(self, operation: str) -> None:
        super().__init__()
        self._operation = operation

    def _refuse(self, model: Any, context: dict[str, Any], **more: Any) -> Any:
        self._denied = {"eu-west-1"} if model.name == self._operation else set()
        return super()._refuse(model, context, **more)


BY_TYPE = {kind.type: kind for kind in KINDS}


@pytest.fixture
async def application(
    agent: Agent,
    network: dict[str, Any],
    groups: dict[str, str],
    balancer: dict[str, str],
    web_arguments: dict[str, Any],
) -> dict[str, Any]:
    """A three-tier application; the ids of its parts."""
    web = (await agent.call("create_web_tier", **web_arguments))["outputs"]
    await agent.call(
        "create_database",
        name="shop-db",
        subnet_ids=network["database_subnet_ids"],
        security_group_ids=[groups["database_sg_id"]],
    )
    return {**network, **groups, **balancer, **web}


def related(links: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(link["relation"], link["type"]) for link in links}


async def test_a_load_balancer_is_explained_down_to_its_servers(
    agent: Agent, application: dict[str, Any], client_of: Any
) -> None:
    zone = client_of("route53").create_hosted_zone(Name="shop.example.com", CallerReference="1")
    found = client_of("elbv2").describe_load_balancers()["LoadBalancers"][0]
    alias = {
        "HostedZoneId": found["CanonicalHostedZoneId"],
        "DNSName": f"dualstack.{found['DNSName']}.",
        "EvaluateTargetHealth": False,
    }
    record = {"Name": "shop.example.com", "Type": "A", "AliasTarget": alias}
    client_of("route53").change_resource_record_sets(
        HostedZoneId=zone["HostedZone"]["Id"],
        ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]},
    )
    told = await agent.call("explain_resource", resource_id=application["load_balancer_arn"])
    assert told["unread"] == []
    assert told["not_found"] == []
    assert related(told["depends_on"]) == {
        ("in", "ec2:vpc"), ("in", "ec2:subnet"), ("guarded by", "ec2:security-group"),
        ("forwards to", "elb:targetgroup"),
    }  # fmt: skip
    behind = {"ec2:instance", "iam:role", "ec2:internet-gateway", "autoscaling:group"}
    assert behind <= set(told["depends_on_in_all"])
    assert [(a["type"], a["relation"]) for a in told["affected"]] == [
        ("route53:hosted-zone", "points to")
    ]
    assert told["public"] == "yes"
    assert "tcp 80" in told["public_because"]
    tag, *journal = told["made_by"]
    assert tag == "opswright (tag managed-by), as part of shop"
    assert any("create_load_balancer" in line for line in journal)


async def test_what_breaks_is_told_by_way_of_what(
    agent: Agent, application: dict[str, Any]
) -> None:
    nat = application["nat_gateway_ids"][0]
    told = await agent.call("explain_resource", resource_id=nat)
    first = [a for a in told["affected"] if a["distance"] == 1]
    assert [(a["type"], a["relation"]) for a in first] == [("ec2:route-table", "routes to")]
    second = [a for a in told["affected"] if a["distance"] == 2]
    assert {(a["type"], a["relation"]) for a in second} == {("ec2:subnet", "routed by")}
    assert {a["via"] for a in second} == {first[0]["name"]}
    assert {"ec2:instance", "autoscaling:group"} <= set(told["affected_in_all"])
    assert "rds:db" not in told["affected_in_all"]


async def test_a_security_group_tells_whom_it_admits_and_whom_it_guards(
    agent: Agent, application: dict[str, Any]
) -> None:
    web, database = application["app_sg_id"], application["database_sg_id"]
    told = await agent.call("get_resource", resource_id=database)
    assert ("admits", web) in {(link["relation"], link["id"]) for link in told["depends_on"]}
    assert ("guarded by", "rds:db") in related(told["needed_by"])
    explained = await agent.call("explain_resource", resource_id=database)
    assert explained["public"] == "no"
    door = await agent.call("explain_resource", resource_id=application["load_balancer_sg_id"])
    assert door["public"] == "yes"


async def test_functions_queues_topics_services_and_roles_hang_together(
    agent: Agent, furnished: dict[str, str]
) -> None:
    told = await agent.call("explain_resource", resource_id=furnished["queue"])
    assert {(a["type"], a["relation"]) for a in told["affected"]} == {
        ("lambda:function", "started by"), ("sns:topic", "delivers to"),
    }  # fmt: skip
    assert told["public"] == "no"
    role = await agent.call("explain_resource", resource_id=furnished["role"])
    assert {(a["type"], a["relation"]) for a in role["affected"]} >= {
        ("lambda:function", "acts as"),
    }  # fmt: skip
    service = await agent.call("explain_resource", resource_id="web")
    assert related(service["depends_on"]) == {("in", "ecs:cluster"), ("acts as", "iam:role")}


async def test_a_queue_tells_where_its_failures_go_and_a_bucket_what_it_tells_and_who_reads_it(
    agent: Agent, client_of: Any
) -> None:
    sqs, s3 = client_of("sqs"), client_of("s3")
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = "arn:aws:sqs:eu-west-1:123456789012:dead"
    redrive = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 3})
    policy = allow("sqs:SendMessage", {"AWS": "arn:aws:iam::210987654321:root"})
    attributes = {"RedrivePolicy": redrive, "Policy": policy}
    orders = sqs.create_queue(QueueName="orders", Attributes=attributes)["QueueUrl"]
    told = await agent.call("explain_resource", resource_id=orders)
    assert ("fails over to", "sqs:queue") in related(told["depends_on"])
    assert told["public"] == "other accounts"
    assert "210987654321" in told["public_because"]
    told = await agent.call("explain_resource", resource_id=dead)
    assert [(a["name"], a["relation"]) for a in told["affected"]] == [("orders", "fails over to")]

    here = {"LocationConstraint": "eu-west-1"}
    for name in ("pictures", "pictures-logs"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration=here)
    s3.put_bucket_policy(Bucket="pictures", Policy=allow("s3:GetObject", "*"))
    logged = {"LoggingEnabled": {"TargetBucket": "pictures-logs", "TargetPrefix": ""}}
    rights = [{"Permission": p, "Grantee": {"Type": "Group", "URI": LOG_DELIVERY}}
              for p in ("WRITE", "READ_ACP")]  # fmt: skip
    owner = s3.get_bucket_acl(Bucket="pictures-logs")["Owner"]
    s3.put_bucket_acl(
        Bucket="pictures-logs", AccessControlPolicy={"Grants": rights, "Owner": owner}
    )
    s3.put_bucket_logging(Bucket="pictures", BucketLoggingStatus=logged)
    told = await agent.call("explain_resource", resource_id="pictures")
    assert related(told["depends_on"]) == {("logs to", "s3:bucket")}
    assert told["public"] == "yes"
    assert "s3:GetObject" in told["public_because"]
    block = {"RestrictPublicBuckets": True, "BlockPublicPolicy": True}
    s3.put_public_access_block(Bucket="pictures", PublicAccessBlockConfiguration=block)
    told = await agent.call("explain_resource", resource_id="pictures")
    assert told["public"] == "no"
    assert "public access block" in told["public_because"]


async def test_who_may_use_it_is_unknown_where_its_policy_was_refused(
    cloud: Any, client_of: Any, settings: Settings
) -> None:
    client_of("sqs").create_queue(QueueName="orders")
    server: Any = create_server(settings)
    server.opswright_runtime.aws_sessions = Without("GetQueueAttributes")
    async with Client(server) as client:
        answer = await client.call_tool("explain_resource", {"resource_id": "orders"})
    told = answer.structured_content
    assert told["public"] == "unknown"
    assert "sqs:GetQueueAttributes" in told["public_because"]


async def test_what_cloudformation_made_goes_with_its_stack(agent: Agent, client_of: Any) -> None:
    bucket = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "made"}}
    client_of("cloudformation").create_stack(
        StackName="shop", TemplateBody=json.dumps({"Resources": {"Q": bucket}})
    )
    told = await agent.call("explain_resource", resource_id="cloudformation:stack/shop")
    made = {(a["name"], a["relation"]) for a in told["affected"]}
    tagged = await agent.call("list_resources", tag="aws:cloudformation:stack-name=shop")
    assert made == {(item["name"], "made by") for item in tagged["items"]}


async def test_names_that_several_have_are_told_apart_by_type(agent: Agent, client_of: Any) -> None:
    client_of("sqs").create_queue(QueueName="shop")
    client_of("sns").create_topic(Name="shop")
    said = await agent.refused("explain_resource", resource_id="shop")
    asked = next(word.strip(".,") for word in said.split() if word.startswith("sqs:queue/"))
    told = await agent.call("explain_resource", resource_id=asked)
    assert told["resource"]["type"] == "sqs:queue"
    assert "list_resources" in await agent.refused("explain_resource", resource_id="nothing")


async def test_links_that_could_not_be_read_are_named(
    cloud: Any, client_of: Any, settings: Settings
) -> None:
    subnet = client_of("ec2").describe_subnets()["Subnets"][0]["SubnetId"]
    server: Any = create_server(settings)
    server.opswright_runtime.aws_sessions = Without("DescribeRouteTables")
    async with Client(server) as client:
        answer = await client.call_tool("explain_resource", {"resource_id": subnet})
    told = answer.structured_content
    assert told["public"] == "unknown"
    (line,) = told["unread"]
    assert line.startswith("ec2:route-table by ")
    assert "ec2:DescribeRouteTables" in line


def graph(**items: list[dict[str, Any]]) -> Graph:
    """A graph of descriptions by kind, `ec2_vpc` for `ec2:vpc`."""
    types = {kind.replace(":", "_").replace("-", "_"): kind for kind in BY_TYPE}
    read = [(BY_TYPE[types[name]], item) for name, some in items.items() for item in some]
    return Graph(read, "eu-west-1")


def test_a_subnet_without_a_table_of_its_own_is_routed_by_the_main_one_of_its_vpc() -> None:
    def table(name: str, vpc: str, *associations: dict[str, Any]) -> dict[str, Any]:
        return {"RouteTableId": name, "VpcId": vpc, "Associations": list(associations)}

    drawn = graph(
        ec2_subnet=[
            {"SubnetId": "subnet-1", "VpcId": "vpc-1"},
            {"SubnetId": "subnet-2", "VpcId": "vpc-1"},
        ],
        ec2_route_table=[
            table("rtb-main", "vpc-1", {"Main": True}),
            table("rtb-own", "vpc-1", {"SubnetId": "subnet-2"}),
            table("rtb-other", "vpc-2", {"Main": True}),
        ],
    )
    routed = {
        (drawn.resource(e.source).id, drawn.resource(e.target).id)
        for edges in drawn.depends_on.values()
        for e in edges
        if e.relation == "routed by"
    }
    assert routed == {("subnet-1", "rtb-main"), ("subnet-2", "rtb-own")}


def test_what_is_named_and_not_there_is_missed_and_not_invented() -> None:
    drawn = graph(ec2_instance=[{"InstanceId": "i-1", "SecurityGroups": [{"GroupId": "sg-gone"}]}])
    assert drawn.depends_on == {}
    assert [m.name for m in drawn.missing[0]] == ["sg-gone"]


def test_groups_that_admit_each_other_end_the_walk() -> None:
    def admits(own: str, other: str) -> dict[str, Any]:
        pairs = [{"GroupId": other}]
        return {"GroupId": own, "IpPermissions": [{"UserIdGroupPairs": pairs}]}

    drawn = graph(ec2_security_group=[admits("sg-1", "sg-2"), admits("sg-2", "sg-1")])
    assert [step.node for step in drawn.reached(0, drawn.needed_by)] == [1]


EVERYONE = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "Ipv6Ranges": [{"CidrIpv6": "::/0"}]}

AT_HOME = {"PublicIpAddress": "203.0.113.7"}


@pytest.mark.parametrize(
    ("instance", "rules", "public"),
    [
        (AT_HOME, [EVERYONE], "yes"),
        (AT_HOME, [], "no"),
        ({}, [EVERYONE], "no"),
        ({**AT_HOME, "SecurityGroups": [{"GroupId": "sg-x"}]}, [], "unknown"),
    ],
)  # fmt: skip
def test_a_server_is_public_by_its_address_and_its_groups_together(
    instance: dict[str, Any], rules: list[Any], public: str
) -> None:
    guarded = {"InstanceId": "i-1", "SecurityGroups": [{"GroupId": "sg-1"}], **instance}
    drawn = graph(
        ec2_instance=[guarded], ec2_security_group=[{"GroupId": "sg-1", "IpPermissions": rules}]
    )
    assert exposure_of(drawn, 0)[0] == public


def test_open_ports_are_told_once() -> None:
    assert open_ports([{"IpPermissions": [EVERYONE, EVERYONE]}]) == "tcp 22"


def test_every_kind_has_words_and_every_relation_leads_to_kinds_that_exist() -> None:
    assert set(_WORDS) == set(BY_TYPE)
    assert set(RELATIONS) | set(ALSO_KNOWN_AS) <= set(BY_TYPE)
    targets = {t for rows in RELATIONS.values() for row in rows for t in row.targets}
    assert targets <= set(BY_TYPE)


@pytest.mark.parametrize(
    "task",
    [
        "explain {sg}",
        "what breaks if {sg} goes?",
        "explain the security group named shop-lb",
    ],
)
async def test_plain_words_explain_a_resource(
    agent: Agent, groups: dict[str, str], task: str
) -> None:
    asked = {"task": task.format(sg=groups["load_balancer_sg_id"]), "wait_seconds": 50}
    report = (await agent.client.call_tool("handle_task", asked)).structured_content
    assert (report["status"], report["skill"]) == ("completed", "explain_infrastructure"), report
    assert report["outputs"]["resource"]["id"] == groups["load_balancer_sg_id"]
    assert report["summary"].startswith("shop-lb (ec2:security-group) is a firewall")


async def test_without_the_toolset_the_skill_tells_the_nearest_links(
    connect: Any, cloud: Any, client_of: Any, settings: Settings
) -> None:
    import dataclasses

    vpc = client_of("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    default = dataclasses.replace(settings, toolsets=frozenset({"default"}))
    async with Client(create_server(default)) as client:
        report = await client.call_tool("handle_task", {"task": f"explain {vpc}"})
    assert report.structured_content["status"] == "completed"
    assert "needed by ec2:subnet" in report.structured_content["summary"]
    assert "toolsets" in report.structured_content["next"]
