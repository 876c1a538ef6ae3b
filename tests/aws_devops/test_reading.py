"""Reading: inventory, high availability, reachability, skills, and the server as a whole."""

import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from fastmcp import Client
from tests.denied import DeniedSessions

from opswright_aws_devops.networking.packet_filters import acl_allows, group_allows
from opswright_aws_devops.networking.routing import next_hop, table_of
from opswright_aws_devops.resource_kinds import INVENTORY
from opswright_aws_devops.resource_kinds.reading import read_all
from opswright_aws_devops.server import create_server
from opswright_aws_devops.tools.availability import VpcState, judge
from opswright_core.aws import Aws
from opswright_core.settings import Settings
from opswright_core.verdicts import Unread

Clients = Callable[[str], Any]
DENIED = Unread(operation="ec2:X", reason="not authorized", permission="ec2:DescribeX")


async def test_resources_are_listed_by_type_tag_and_vpc(
    agent: Any, network: dict[str, Any], groups: dict[str, str]
) -> None:
    vpcs = await agent.call("list_resources", types=["vpc"], tag="opswright:name=shop")
    assert [item["id"] for item in vpcs["items"]] == [network["vpc_id"]]
    assert vpcs["items"][0]["name"] == "shop"
    inside = await agent.call("list_resources", vpc_id=network["vpc_id"])
    kinds = {item["type"] for item in inside["items"]}
    assert {"ec2:subnet", "ec2:natgateway", "ec2:internet-gateway"} <= kinds
    assert {item["vpc_id"] for item in inside["items"]} == {network["vpc_id"]}
    assert inside["unread"] == []


async def test_a_long_list_comes_in_pages_that_miss_nothing(
    agent: Any, network: dict[str, Any]
) -> None:
    first = await agent.call("list_resources")
    seen = [item["id"] for item in first["items"]]
    cursor = first.get("cursor")
    while cursor:
        following = await agent.call("list_resources", cursor=cursor)
        seen += [item["id"] for item in following["items"]]
        cursor = following.get("cursor")
    assert len(seen) == len(set(seen)) == first["total"]


async def test_buckets_are_found_by_tag(agent: Any) -> None:
    await agent.call("create_bucket", name="shop-logs")
    found = await agent.call("list_resources", types=["s3:bucket"], tag="managed-by")
    assert [item["id"] for item in found["items"]] == ["shop-logs"]


async def test_a_resource_is_shown_with_what_it_hangs_together_with(
    agent: Any, network: dict[str, Any], balancer: dict[str, str], groups: dict[str, str]
) -> None:
    subnet = network["public_subnet_ids"][0]
    found = await agent.call("get_resource", resource_id=subnet)
    assert found["resource"]["type"] == "ec2:subnet"
    assert network["vpc_id"] in {link["id"] for link in found["depends_on"]}
    needed_by = {link["id"] for link in found["needed_by"]}
    assert {network["nat_gateway_ids"][0], balancer["load_balancer_arn"]} <= needed_by
    by_name = await agent.call("get_resource", resource_id="shop-lb")
    assert by_name["resource"]["id"] == groups["load_balancer_sg_id"]


async def test_hidden_characters_in_tags_are_taken_out(agent: Any, client_of: Clients) -> None:
    ec2 = client_of("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc_id], Tags=[{"Key": "Name", "Value": "a\u202eb\u200bc"}])
    found = await agent.call("get_resource", resource_id=vpc_id)
    assert found["resource"]["name"] == "abc"


def path(source: str, destination: str, port: int = 80) -> dict[str, Any]:
    return {"source": source, "destination": destination, "port": port}


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("list_resources", {"types": ["lambda"]}, "ec2:vpc"),
        ("list_resources", {"cursor": "nonsense-1"}, "does not fit"),
        ("get_resource", {"resource_id": "vpc-nowhere"}, "list_resources"),
        ("get_resource", {"resource_id": ""}, "at least 1"),
        ("verify_high_availability", {"vpc_id": "vpc-0123456789abcdef0"}, "does not exist"),
        ("check_reachability", path("internet", "nothing"), "list_resources"),
        ("check_reachability", path("internet", "internet"), "resource"),
        ("check_reachability", path("i-0123456789abcdef0", "x"), "does not exist"),
        ("check_reachability", path("internet", "x", 0), "equal to 1"),
    ],
)  # fmt: skip
async def test_bad_questions_are_answered_with_what_to_ask(
    agent: Any, tool: str, arguments: dict[str, Any], said: str
) -> None:
    assert said in await agent.refused(tool, **arguments)


async def test_what_may_not_be_read_is_named_with_the_permission_to_grant() -> None:
    from botocore.exceptions import ClientError

    class Denied:
        def pages(self, service: str, operation: str, items: str, **_: Any) -> list[Any]:
            if service == "rds":
                error = {"Code": "AccessDenied", "Message": "no"}
                raise ClientError({"Error": error}, "DescribeDBInstances")
            return []

        def client(self, service: str) -> None:
            return None

    reading = read_all(cast("Aws", Denied()), INVENTORY)
    unread = reading.unread
    assert reading.found == []
    assert reading.failed == {"rds:db", "rds:cluster", "rds:subnet-group"}
    assert len(unread) == 3
    assert unread[0].startswith("rds:db by ")
    assert "Grant" in unread[0]
    assert "DescribeDBInstances" in unread[0]


async def test_a_name_that_several_resources_have_is_asked_back(
    agent: Any, network: dict[str, Any]
) -> None:
    said = await agent.refused("get_resource", resource_id="shop")
    assert network["vpc_id"] in said


async def test_the_emulators_placement_makes_availability_unknown_not_passed(
    agent: Any, network: dict[str, Any], web_arguments: dict[str, Any]
) -> None:
    await agent.call("create_web_tier", **web_arguments)
    judged = await agent.call("verify_high_availability", vpc_id=network["vpc_id"])
    assert judged["verdict"] == "UNKNOWN"
    unknown = [c for c in judged["checks"] if c["verdict"] != "PASS"]
    assert {c["verdict"] for c in unknown} == {"UNKNOWN"}
    assert all("emulator" in c["evidence"] for c in unknown)


async def test_a_database_without_standby_fails(
    agent: Any, network: dict[str, Any], groups: dict[str, str]
) -> None:
    await agent.call(
        "create_database",
        name="shop",
        subnet_ids=network["database_subnet_ids"],
        security_group_ids=[groups["database_sg_id"]],
        multi_az=False,
    )
    judged = await agent.call("verify_high_availability", vpc_id=network["vpc_id"])
    assert judged["verdict"] == "FAIL"
    assert "standby" in judged["summary"]


async def test_an_empty_vpc_is_not_called_highly_available(agent: Any, client_of: Clients) -> None:
    vpc_id = client_of("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    judged = await agent.call("verify_high_availability", vpc_id=vpc_id)
    assert judged["verdict"] == "UNKNOWN"
    assert "nothing in it" in judged["summary"]


def instance(zone: str, group: str = "web") -> dict[str, Any]:
    return {
        "InstanceId": f"i-{zone}",
        "Placement": {"AvailabilityZone": zone},
        "Tags": [{"Key": "aws:autoscaling:groupName", "Value": group}],
    }


def route_table(subnet: str, nat: str) -> dict[str, Any]:
    return {
        "Associations": [{"SubnetId": subnet}],
        "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "NatGatewayId": nat, "State": "active"}],
    }


def scaling(least: int) -> dict[str, Any]:
    return {"AutoScalingGroupName": "g", "MinSize": least, "AvailabilityZones": ["a", "b"]}


ONE_ZONE = {"LoadBalancerArn": "l", "AvailabilityZones": [{"ZoneName": "a"}]}
SUBNETS = [{"SubnetId": f"subnet-{z}", "AvailabilityZone": z} for z in ("a", "b")]
NATS = [{"NatGatewayId": f"nat-{z}", "SubnetId": f"subnet-{z}"} for z in ("a", "b")]
OWN = [route_table("subnet-a", "nat-a"), route_table("subnet-b", "nat-b")]
SHARED = [route_table("subnet-a", "nat-a"), route_table("subnet-b", "nat-a")]
TARGETS = [{"TargetGroupArn": "tg", "HealthCheckEnabled": True}]
SICK = {"tg": [{"TargetHealth": {"State": "unhealthy"}}]}


@pytest.mark.parametrize(
    ("state", "verdicts"),
    [
        ({"instances": [instance("a"), instance("b")]}, ["PASS"]),
        ({"instances": [instance("a"), instance("a")]}, ["FAIL"]),
        ({"instances": [instance("a", "x"), instance("b", "y")]}, ["FAIL", "FAIL"]),
        ({"instances": DENIED}, ["UNKNOWN"]),
        ({"subnets": SUBNETS, "nats": NATS, "tables": OWN}, ["PASS", "PASS"]),
        ({"subnets": SUBNETS, "nats": NATS, "tables": SHARED}, ["PASS", "FAIL"]),
        ({"subnets": SUBNETS, "nats": [], "tables": OWN}, ["FAIL", "FAIL"]),
        ({"subnets": SUBNETS, "nats": DENIED, "tables": OWN}, ["UNKNOWN"]),
        ({"subnets": SUBNETS, "tables": DENIED}, ["UNKNOWN"]),
        ({"subnets": DENIED}, ["UNKNOWN"]),
        ({"groups": [scaling(2)]}, ["PASS"]),
        ({"groups": [scaling(1)]}, ["FAIL"]),
        ({"groups": DENIED}, ["UNKNOWN"]),
        ({"balancers": [ONE_ZONE]}, ["FAIL"]),
        ({"balancers": DENIED}, ["UNKNOWN"]),
        ({"databases": [{"DBInstanceIdentifier": "d", "MultiAZ": True}]}, ["PASS"]),
        ({"databases": DENIED}, ["UNKNOWN"]),
        ({"target_groups": TARGETS, "health": {"tg": []}}, ["PASS"]),
        ({"target_groups": TARGETS, "health": SICK}, ["FAIL"]),
        ({"target_groups": TARGETS, "health": {"tg": DENIED}}, ["UNKNOWN"]),
        ({"target_groups": DENIED}, ["UNKNOWN"]),
        ({}, []),
    ],
)  # fmt: skip
def test_availability_is_judged_from_what_was_read(
    state: dict[str, Any], verdicts: list[str]
) -> None:
    assert [c.verdict for c in judge(VpcState(**state))] == verdicts


async def test_the_internet_reaches_the_load_balancer_and_not_what_is_behind_it(
    agent: Any,
    network: dict[str, Any],
    groups: dict[str, str],
    balancer: dict[str, str],
    web_arguments: dict[str, Any],
) -> None:
    web = (await agent.call("create_web_tier", **web_arguments))["outputs"]
    await agent.call(
        "create_database",
        name="shop-db",
        subnet_ids=network["database_subnet_ids"],
        security_group_ids=[groups["database_sg_id"]],
    )
    server, front = web["instance_ids"][0], balancer["load_balancer_arn"]

    async def verdict(source: str, destination: str, port: int) -> str:
        answer = await agent.call(
            "check_reachability", source=source, destination=destination, port=port
        )
        return str(answer["verdict"])

    assert await verdict("internet", front, 443) == "PASS"
    assert await verdict("internet", front, 22) == "FAIL"
    assert await verdict("internet", server, 8080) == "FAIL"
    assert await verdict(front, server, 8080) == "PASS"
    assert await verdict(server, "shop-db", 5432) == "PASS"
    assert await verdict(front, "shop-db", 5432) == "FAIL"
    assert await verdict(network["public_subnet_ids"][0], "shop-db", 5432) == "FAIL"


def test_the_longest_matching_route_decides_and_blackholes_do_not() -> None:
    routes = [
        {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1", "State": "active"},
        {"DestinationCidrBlock": "10.0.0.0/16", "GatewayId": "local", "State": "active"},
        {"DestinationCidrBlock": "10.0.1.0/24", "NatGatewayId": "nat-1", "State": "blackhole"},
    ]
    table = {"Routes": routes, "Associations": [{"Main": True}]}
    assert next_hop(table, "10.0.1.0/24") == "local"
    assert next_hop(table) == "igw-1"
    assert next_hop(None) is None
    assert table_of("subnet-x", [table]) is table


FROM_GROUP = {
    "IpProtocol": "tcp",
    "FromPort": 80,
    "ToPort": 80,
    "UserIdGroupPairs": [{"GroupId": "sg-1"}],
}
ANY = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
WEB = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 90, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}


@pytest.mark.parametrize(
    ("rule", "port", "peer", "passes"),
    [
        (ANY, 1, "0.0.0.0/0", True),
        (WEB, 85, "10.0.3.0/24", True),
        (WEB, 91, "10.0.3.0/24", False),
        (WEB, 85, "0.0.0.0/0", False),
        ({**WEB, "IpProtocol": "udp"}, 85, "10.0.0.0/24", False),
        (FROM_GROUP, 80, "10.9.0.0/24", True),
    ],
)
def test_security_group_rules_are_matched(
    rule: dict[str, Any], port: int, peer: str, passes: bool
) -> None:
    groups = [{"IpPermissions": [rule]}]
    got = group_allows(groups, egress=False, port=port, peer_cidr=peer, peer_group_ids=["sg-1"])
    assert got is passes


def entry(number: int, action: str, cidr: str, ports: tuple[int, int] | None = None) -> Any:
    return {
        "RuleNumber": number,
        "RuleAction": action,
        "CidrBlock": cidr,
        "Egress": False,
        "Protocol": "6" if ports else "-1",
        **({"PortRange": {"From": ports[0], "To": ports[1]}} if ports else {}),
    }


@pytest.mark.parametrize(
    ("entries", "passes"),
    [
        ([entry(100, "allow", "0.0.0.0/0")], True),
        ([entry(100, "allow", "0.0.0.0/0"), entry(50, "deny", "10.0.0.0/24")], False),
        ([entry(100, "allow", "0.0.0.0/0"), entry(200, "deny", "10.0.0.0/24")], True),
        ([entry(100, "allow", "0.0.0.0/0", (443, 443))], False),
        ([entry(100, "allow", "10.0.0.0/8", (80, 80))], True),
        ([], False),
    ],
)
def test_the_first_matching_acl_rule_decides(entries: list[Any], passes: bool) -> None:
    got = acl_allows(entries, egress=False, ports=[80], peer_cidr="10.0.0.0/24")
    assert got is passes


async def handle(agent: Any, task: str, **facts: Any) -> dict[str, Any]:
    arguments = {"task": task, "context": {"facts": facts}, "wait_seconds": 50}
    report: dict[str, Any] = (
        await agent.client.call_tool("handle_task", arguments, raise_on_error=False)
    ).structured_content
    return report


async def test_a_task_builds_three_tiers_and_hands_over_to_the_next_agent(
    agent: Any, inventory: Callable[[], dict[str, list[str]]]
) -> None:
    report = await handle(
        agent, "Deploy a three-tier web application named shop with high availability"
    )
    assert report["status"] == "completed", report
    assert report["skill"] == "build_three_tier"
    there = inventory()
    assert all(
        there[kind] for kind in ("Vpcs", "DBInstances", "LoadBalancers", "AutoScalingGroups")
    )
    (message,) = [m for m in report["messages"] if m["recipient"] == "cicd"]
    assert message["data"]["asg_name"] == "shop"
    web = report["outputs"]["web_tier"]
    assert web["asg_name"] == "shop"
    assert message["data"]["target_group_arn"].endswith(
        report["outputs"]["load_balancer"]["target_group_arn"].split(":")[-1]
    )
    assert "UNKNOWN" in report["summary"]
    assert "Not real here" in report["summary"]


@pytest.mark.parametrize(
    ("task", "skill"),
    [
        ("create an encrypted S3 bucket named shop-logs", "create_encrypted_bucket"),
        ("build a network called blog for a three-tier application", "build_network"),
        ("list what we have in eu-west-1", "list_infrastructure"),
        ("what is running here", "list_infrastructure"),
    ],
)
async def test_plain_words_find_their_skill(agent: Any, task: str, skill: str) -> None:
    report = await handle(agent, task)
    assert (report["status"], report["skill"]) == ("completed", skill), report


async def test_a_vpc_named_in_the_task_is_judged(agent: Any, network: dict[str, Any]) -> None:
    report = await handle(agent, f"is VPC {network['vpc_id']} highly available?")
    assert report["skill"] == "check_high_availability"
    assert report["outputs"]["verdict"] == "PASS"


async def test_a_missing_name_is_asked_for(agent: Any) -> None:
    report = await handle(agent, "create an encrypted S3 bucket")
    assert report["status"] == "needs_input"
    assert [need["name"] for need in report["needs"]] == ["name"]


async def test_the_default_tools_cost_a_model_no_more_than_3000_tokens(
    settings: Settings,
) -> None:
    import dataclasses

    default = dataclasses.replace(settings, toolsets=frozenset({"default"}))
    async with Client(create_server(default)) as client:
        tools = await client.list_tools()
    read = [
        {"name": t.name, "description": t.description, "inputSchema": t.input_schema} for t in tools
    ]
    assert "check_reachability" not in {t.name for t in tools}
    assert len(json.dumps(read, separators=(",", ":"))) / 4 <= 3000


async def test_a_read_only_server_offers_nothing_that_changes(settings: Settings) -> None:
    import dataclasses

    async with Client(create_server(dataclasses.replace(settings, allow_writes=False))) as client:
        names = {tool.name for tool in await client.list_tools()}
    assert {"list_resources", "get_resource", "verify_high_availability"} <= names
    assert not any(name.startswith(("create_", "undo_")) for name in names)


async def test_resources_of_several_regions_are_listed_at_once(
    connect: Any, cloud: Any, client_of: Any
) -> None:
    import boto3

    client_of("s3").create_bucket(
        Bucket="logs-everywhere",
        CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
    )
    made = set()
    for region in ("eu-west-1", "us-east-1"):
        ec2 = boto3.client("ec2", endpoint_url=cloud.endpoint, region_name=region)
        made.add((region, ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]))
    async with connect(create_server) as client:
        answer = await client.call_tool(
            "list_resources",
            {"types": ["vpc", "bucket"], "target": {"region": "eu-west-1,us-east-1"}},
        )
    content = answer.structured_content
    assert made <= {(r["region"], r["id"]) for r in content["items"]}
    assert [r["id"] for r in content["items"] if r["type"] == "s3:bucket"] == ["logs-everywhere"]
    assert content["summary"].startswith("eu-west-1, us-east-1: ")
    assert content["region"] == "eu-west-1, us-east-1"


async def test_a_refused_region_is_named_in_one_line_and_the_others_are_listed(
    cloud: Any, client_of: Any, settings: Settings
) -> None:
    client_of("ec2").create_vpc(CidrBlock="10.9.0.0/16")
    server: Any = create_server(settings)
    server.opswright_runtime.aws_sessions = DeniedSessions("us-west-2")
    async with Client(server) as client:
        answer = await client.call_tool(
            "list_resources", {"target": {"region": "eu-west-1,us-west-2"}}
        )
    content = answer.structured_content
    assert {r["region"] for r in content["items"]} == {"eu-west-1"}
    (line,) = content["unread"]
    assert line.startswith("us-west-2: nothing could be read")


async def test_what_is_there_is_listed_everywhere_when_the_task_says_so(
    connect: Any, cloud: Any
) -> None:
    import boto3

    ids = {
        boto3.client("ec2", endpoint_url=cloud.endpoint, region_name=region).create_vpc(
            CidrBlock="10.9.0.0/16"
        )["Vpc"]["VpcId"]
        for region in ("eu-west-1", "us-east-1", "ap-south-1")
    }
    async with connect(create_server) as client:
        report = await client.call_tool(
            "handle_task", {"task": "list all AWS resources across the account"}
        )
        seen, cursor = set(), None
        while True:
            listed = await client.call_tool(
                "list_resources", {"types": ["vpc"], "target": {"region": "all"}, "cursor": cursor}
            )
            seen |= {r["id"] for r in listed.structured_content["items"]}
            if not (cursor := listed.structured_content["cursor"]):
                break
    assert "regions (" in report.structured_content["summary"]
    assert ids <= seen
    assert len(seen) == listed.structured_content["total"]
