"""What extends a VPC: endpoints, IPv6 and access without a bastion."""

from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.networking.endpoint_checks import lets_in_https, short_name
from opswright_aws_devops.networking.layout import lay_out_ipv6
from opswright_aws_devops.tools.ipv6 import Ipv6Network, State, judge_ipv6
from opswright_aws_devops.tools.session_access import judge_server, lacking_services
from opswright_core.errors import BadInputError
from opswright_core.verdicts import Unread

Clients = Callable[[str], Any]


@pytest.fixture
def extras(client_of: Clients) -> Callable[[str], dict[str, Any]]:
    """What extends a VPC, read anew."""
    ec2 = client_of("ec2")

    def read(vpc_id: str) -> dict[str, Any]:
        here = [{"Name": "vpc-id", "Values": [vpc_id]}]
        (vpc,) = ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"]
        subnets = ec2.describe_subnets(Filters=here)["Subnets"]
        tables = ec2.describe_route_tables(Filters=here)["RouteTables"]
        endpoints = ec2.describe_vpc_endpoints(Filters=here)["VpcEndpoints"]
        groups = ec2.describe_security_groups(Filters=here)["SecurityGroups"]
        gateways = ec2.describe_egress_only_internet_gateways()["EgressOnlyInternetGateways"]
        return {
            "endpoints": sorted(
                short_name(e["ServiceName"]) for e in endpoints if e["State"] == "available"
            ),
            "groups": sorted(group["GroupName"] for group in groups),
            "block": [
                a["Ipv6CidrBlock"]
                for a in vpc.get("Ipv6CidrBlockAssociationSet", [])
                if a["Ipv6CidrBlockState"]["State"] != "disassociated"
            ],
            "subnets": [
                a["Ipv6CidrBlock"]
                for s in subnets
                for a in s.get("Ipv6CidrBlockAssociationSet", [])
                if a["Ipv6CidrBlockState"]["State"] != "disassociated"
            ],
            "assigned": sum(s["AssignIpv6AddressOnCreation"] for s in subnets),
            "routes": sorted(
                (r.get("EgressOnlyInternetGatewayId") or r["GatewayId"]).partition("-")[0]
                for t in tables
                for r in t["Routes"]
                if r.get("DestinationIpv6CidrBlock") == "::/0"
            ),
            "gateways": len(gateways),
        }

    return read


ENDPOINTS = {"name": "shop", "services": ["s3", "ssm", "ecr.api"]}


async def test_endpoints_let_a_vpc_reach_services_without_the_internet(
    agent: Any, network: dict[str, Any], client_of: Clients
) -> None:
    vpc_id = network["vpc_id"]
    change = await agent.call("create_vpc_endpoints", vpc_id=vpc_id, **ENDPOINTS)
    made = {e["service"]: e for e in change["outputs"]["made"]}
    assert {s: e["type"] for s, e in made.items()} == {
        "s3": "Gateway", "ssm": "Interface", "ecr.api": "Interface",
    }  # fmt: skip
    found = {
        e["VpcEndpointId"]: e for e in client_of("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    }
    gateway, interface = found[made["s3"]["endpoint_id"]], found[made["ssm"]["endpoint_id"]]
    assert set(network["route_table_ids"]) <= set(gateway["RouteTableIds"])
    assert sorted(interface["SubnetIds"]) == sorted(network["private_subnet_ids"])
    assert interface["PrivateDnsEnabled"]
    group_id = change["outputs"]["security_group_id"]
    assert [g["GroupId"] for g in interface["Groups"]] == [group_id]
    (group,) = client_of("ec2").describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"]) == (443, 443)
    assert [r["CidrIp"] for r in rule["IpRanges"]] == [network["cidr"]]
    assert "are 4" in " ".join(change["plan"]["warnings"] if change["plan"] else ["are 4"])
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert (await agent.call("create_vpc_endpoints", vpc_id=vpc_id, **ENDPOINTS))["reused"]


async def test_the_undo_of_endpoints_leaves_the_vpc_as_it_was(
    agent: Any, network: dict[str, Any], extras: Any
) -> None:
    vpc_id = network["vpc_id"]
    before = extras(vpc_id)
    change = await agent.call("create_vpc_endpoints", vpc_id=vpc_id, **ENDPOINTS)
    assert extras(vpc_id) != before
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert extras(vpc_id) == before


async def test_an_endpoint_that_the_vpc_has_already_is_kept_and_said(
    agent: Any, network: dict[str, Any], client_of: Clients, extras: Any
) -> None:
    vpc_id = network["vpc_id"]
    client_of("ec2").create_vpc_endpoint(
        VpcId=vpc_id, ServiceName="com.amazonaws.eu-west-1.s3", VpcEndpointType="Gateway",
        RouteTableIds=network["route_table_ids"],
    )  # fmt: skip
    asked = {"name": "shop", "vpc_id": vpc_id}
    planned = await agent.call(
        "create_vpc_endpoints", services=["s3", "dynamodb"], dry_run=True, **asked
    )
    assert [a["name"] for a in planned["plan"]["actions"]] == ["shop-dynamodb"]
    assert "left as it is" in planned["plan"]["warnings"][0]
    nothing = await agent.call("create_vpc_endpoints", services=["s3"], **asked)
    assert (nothing["reused"], nothing["outputs"]["made"]) == (True, [])
    assert [e["service"] for e in nothing["outputs"]["kept"]] == ["s3"]
    assert extras(vpc_id)["endpoints"] == ["s3"]


async def test_endpoints_that_cannot_be_are_refused_with_what_would_do(
    agent: Any, network: dict[str, Any], client_of: Clients
) -> None:
    asked = {"name": "shop", "vpc_id": network["vpc_id"]}
    said = await agent.refused("create_vpc_endpoints", services=["secretmanager"], **asked)
    assert "near it: secretsmanager" in said
    said = await agent.refused(
        "create_vpc_endpoints", services=["ssm"], subnet_ids=["subnet-0a1b2c3d"], **asked
    )
    assert "not in vpc-" in said
    one, _ = network["public_subnet_ids"]
    said = await agent.refused(
        "create_vpc_endpoints",
        services=["ssm"],
        subnet_ids=[one, network["private_subnet_ids"][0]],
        **asked,
    )
    assert "two subnets of one zone" in said
    client_of("ec2").create_security_group(
        GroupName="shop-endpoints", Description="other", VpcId=network["vpc_id"]
    )
    said = await agent.refused("create_vpc_endpoints", services=["ssm"], **asked)
    assert "outside opswright" in said


async def test_interface_endpoints_need_the_names_of_the_vpc(
    agent: Any, client_of: Clients
) -> None:
    vpc_id = client_of("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    asked = {"name": "shop", "vpc_id": vpc_id, "services": ["ssm"]}
    assert "enableDnsHostnames off" in await agent.refused("create_vpc_endpoints", **asked)


async def test_ipv6_follows_the_ways_of_ipv4(
    agent: Any, network: dict[str, Any], extras: Any
) -> None:
    vpc_id = network["vpc_id"]
    before = extras(vpc_id)
    change = await agent.call("enable_ipv6", vpc_id=vpc_id)
    made = change["outputs"]
    assert made["cidr"].endswith("/56")
    ways = {s["subnet_id"]: s["internet"] for s in made["subnets"]}
    tiers = {"public": "in and out", "private": "out only", "database": "none"}
    for tier, way in tiers.items():
        assert {ways[s] for s in network[f"{tier}_subnet_ids"]} == {way}
    now = extras(vpc_id)
    assert (len(set(now["subnets"])), now["assigned"], now["gateways"]) == (6, 4, 1)
    assert now["routes"] == ["eigw", "eigw", "igw"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert (await agent.call("enable_ipv6", vpc_id=vpc_id))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert extras(vpc_id) == before


async def test_an_ipv6_block_that_was_there_before_outlives_the_undo(
    agent: Any, network: dict[str, Any], client_of: Clients, extras: Any
) -> None:
    vpc_id = network["vpc_id"]
    client_of("ec2").associate_vpc_cidr_block(VpcId=vpc_id, AmazonProvidedIpv6CidrBlock=True)
    before = extras(vpc_id)
    change = await agent.call("enable_ipv6", vpc_id=vpc_id)
    assert [change["outputs"]["cidr"]] == before["block"]
    await agent.call("undo_change", change_id=change["change_id"])
    assert extras(vpc_id) == before


async def test_a_private_subnet_without_nat_gets_a_way_out_over_ipv6(agent: Any) -> None:
    network = (await agent.call("create_network", name="shop", nat="none"))["outputs"]
    made = (await agent.call("enable_ipv6", vpc_id=network["vpc_id"]))["outputs"]
    ways = {s["subnet_id"]: s["internet"] for s in made["subnets"]}
    assert {ways[s] for s in network["private_subnet_ids"]} == {"out only"}
    assert {ways[s] for s in network["database_subnet_ids"]} == {"none"}


async def test_the_plan_of_ipv6_says_what_becomes_of_servers_that_run(
    agent: Any, network: dict[str, Any], extras: Any
) -> None:
    before = extras(network["vpc_id"])
    planned = await agent.call("enable_ipv6", vpc_id=network["vpc_id"], dry_run=True)
    kinds = [action["type"] for action in planned["plan"]["actions"]]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "ec2:vpc": 1, "ec2:subnet": 6, "ec2:egress-only-internet-gateway": 1, "ec2:route-table": 3,
    }  # fmt: skip
    assert "run already get no IPv6 address" in " ".join(planned["plan"]["warnings"])
    assert extras(network["vpc_id"]) == before


def test_each_subnet_without_a_block_gets_the_next_free_one() -> None:
    block = "2600:1f18:0:ab00::/56"
    laid = lay_out_ipv6(block, {"a": None, "b": "2600:1f18:0:ab00::/64", "c": None})
    assert laid == {
        "a": "2600:1f18:0:ab01::/64", "b": "2600:1f18:0:ab00::/64", "c": "2600:1f18:0:ab02::/64",
    }  # fmt: skip
    with pytest.raises(BadInputError, match="no /64 left for c"):
        lay_out_ipv6("2600:1f18::/63", {"a": None, "b": None, "c": None})


def test_ipv6_that_is_gone_fails() -> None:
    made = Ipv6Network.model_validate(
        {
            "vpc_id": "vpc-1", "cidr": "2600:1f18:0:ab00::/56", "egress_only_gateway_id": None,
            "subnets": [
                {"subnet_id": "s", "cidr": "2600:1f18:0:ab00::/64", "internet": "in and out"}
            ],
        }
    )  # fmt: skip
    state = State({"VpcId": "vpc-1"}, [{"SubnetId": "s"}], [])
    assert {c.verdict for c in judge_ipv6(made, state)} == {"FAIL"}


def rule(source: dict[str, Any], first: int = 443, last: int = 443) -> dict[str, Any]:
    return {"IpPermissions": [{"IpProtocol": "tcp", "FromPort": first, "ToPort": last, **source}]}


@pytest.mark.parametrize(
    ("group", "open_"),
    [
        (rule({"IpRanges": [{"CidrIp": "10.0.0.0/16"}]}), True),
        (rule({"IpRanges": [{"CidrIp": "10.0.0.0/8"}]}, 0, 65535), True),
        (rule({"IpRanges": [{"CidrIp": "10.0.0.0/24"}]}), False),
        (rule({"IpRanges": [{"CidrIp": "10.0.0.0/16"}]}, 80, 80), False),
        (rule({"Ipv6Ranges": [{"CidrIpv6": "::/0"}]}), False),
        ({"IpPermissions": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]}, True),
    ],
)
def test_https_is_let_in_by_a_rule_that_covers_range_and_port(
    group: dict[str, Any], open_: bool
) -> None:
    assert lets_in_https([group], "10.0.0.0/16") is open_


TABLES = [
    {
        "Associations": [{"SubnetId": subnet}],
        "Routes": [{"DestinationCidrBlock": "0.0.0.0/0", "State": "active", **via}] if via else [],
    }
    for subnet, via in {
        "public": {"GatewayId": "igw-1"}, "private": {"NatGatewayId": "nat-1"}, "closed": {},
    }.items()
]  # fmt: skip
OPEN = {"GroupId": "sg-1", **rule({"IpRanges": [{"CidrIp": "10.0.0.0/16"}]})}
SHUT = {"GroupId": "sg-1", "IpPermissions": []}
NAMED = {"GroupId": "sg-1", **rule({"UserIdGroupPairs": [{"GroupId": "sg-app"}]})}
ALL = ["ssm", "ssmmessages", "ec2messages"]


@pytest.mark.parametrize(
    ("server", "group", "lacking"),
    [
        ({"SubnetId": "private"}, None, []),
        ({"SubnetId": "public", "PublicIpAddress": "203.0.113.9"}, None, []),
        ({"SubnetId": "public"}, None, ALL),
        ({"SubnetId": "closed"}, None, ALL),
        ({"SubnetId": "closed"}, OPEN, []),
        ({"SubnetId": "closed"}, SHUT, ALL),
        ({"SubnetId": "private"}, SHUT, ALL),
        ({"SubnetId": "closed", "SecurityGroups": [{"GroupId": "sg-app"}]}, NAMED, []),
        ({"SubnetId": "closed", "SecurityGroups": [{"GroupId": "sg-other"}]}, NAMED, ALL),
    ],
)
def test_a_server_needs_a_way_to_systems_manager(
    server: dict[str, Any], group: dict[str, Any] | None, lacking: list[str]
) -> None:
    endpoints = {s: {"Groups": [{"GroupId": "sg-1"}]} for s in ALL} if group else {}
    groups = [group] if group else []
    assert lacking_services(server, TABLES, endpoints, groups, "10.0.0.0/16") == lacking


def test_what_could_not_be_read_of_a_server_is_unknown() -> None:
    unread = Unread(operation="ssm:DescribeInstanceInformation", reason="not allowed")
    verdicts = [c.verdict for c in judge_server("i-1", True, [], unread)]
    assert verdicts == ["PASS", "PASS", "UNKNOWN"]
    verdicts = [c.verdict for c in judge_server("i-1", None, ALL, set())]
    assert verdicts == ["FAIL", "FAIL", "FAIL"]
    assert {c.verdict for c in judge_server("i-1", True, [], {"i-1"})} == {"PASS"}


@pytest.fixture
def server_in(client_of: Clients) -> Callable[[str], str]:
    def run(subnet_id: str) -> str:
        made = client_of("ec2").run_instances(
            ImageId="ami-12c6146b", MinCount=1, MaxCount=1, SubnetId=subnet_id
        )
        instance_id: str = made["Instances"][0]["InstanceId"]
        return instance_id

    return run


async def test_access_without_a_bastion_makes_the_endpoints_and_says_what_else_is_missing(
    agent: Any, server_in: Callable[[str], str], extras: Any
) -> None:
    network = (await agent.call("create_network", name="shop", nat="none"))["outputs"]
    vpc_id = network["vpc_id"]
    task = f"bastion-less access to the servers in {vpc_id}"
    empty = await agent.call("handle_task", task=task)
    assert "No server runs" in empty["summary"]
    server = server_in(network["private_subnet_ids"][0])
    report = await agent.call("handle_task", task=task)
    assert report["status"] == "partial"
    assert "Endpoints of ec2messages, ssm, ssmmessages were made" in report["summary"]
    assert f"{server}: it has no instance profile" in report["summary"]
    assert extras(vpc_id)["endpoints"] == ["ec2messages", "ssm", "ssmmessages"]
    (found,) = report["outputs"]["servers"]
    assert "It has a way to Systems Manager" not in {c["name"] for c in found["checks"]}


async def test_servers_behind_nat_need_no_endpoints(
    agent: Any, network: dict[str, Any], server_in: Callable[[str], str]
) -> None:
    server_in(network["private_subnet_ids"][0])
    found = await agent.call("check_session_access", vpc_id=network["vpc_id"])
    assert (found["missing_endpoints"], found["verdict"]) == ([], "FAIL")
