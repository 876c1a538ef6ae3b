"""Networks: made as laid out, found again, resumed, undone."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.aws_devops.conftest import Watched

from opswright_aws_devops.networking.layout import lay_out, overlapping, parse_cidr
from opswright_aws_devops.server import create_server
from opswright_core.errors import BadInputError

ZONES = ["eu-west-1a", "eu-west-1b"]


async def test_a_network_has_three_tiers_in_every_zone(
    network: dict[str, Any], client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    assert network["azs"] == ZONES
    for tier in ("public", "private", "database"):
        ids = network[f"{tier}_subnet_ids"]
        subnets = {s["SubnetId"]: s for s in ec2.describe_subnets(SubnetIds=ids)["Subnets"]}
        assert [subnets[i]["AvailabilityZone"] for i in ids] == ZONES
        assert {s["VpcId"] for s in subnets.values()} == {network["vpc_id"]}
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        answer = ec2.describe_vpc_attribute(VpcId=network["vpc_id"], Attribute=attribute)
        assert answer[attribute[0].upper() + attribute[1:]]["Value"]


async def test_each_private_subnet_goes_out_through_the_nat_of_its_own_zone(
    network: dict[str, Any], client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    nats = {
        n["NatGatewayId"]: n["SubnetId"]
        for n in ec2.describe_nat_gateways(NatGatewayIds=network["nat_gateway_ids"])["NatGateways"]
    }
    tiers = {
        subnet: default_route(ec2, subnet)
        for tier in ("public", "private", "database")
        for subnet in network[f"{tier}_subnet_ids"]
    }
    for zone in range(2):
        assert tiers[network["public_subnet_ids"][zone]] == network["internet_gateway_id"]
        nat = tiers[network["private_subnet_ids"][zone]]
        assert nats[str(nat)] == network["public_subnet_ids"][zone]
        assert tiers[network["database_subnet_ids"][zone]] is None


def default_route(ec2: Any, subnet_id: str) -> str | None:
    which = [{"Name": "association.subnet-id", "Values": [subnet_id]}]
    (table,) = ec2.describe_route_tables(Filters=which)["RouteTables"]
    for route in table["Routes"]:
        if route.get("DestinationCidrBlock") == "0.0.0.0/0":
            hop: str = route.get("NatGatewayId") or route["GatewayId"]
            return hop
    return None


async def test_a_server_that_names_no_group_is_reached_by_nothing(
    agent: Any, network: dict[str, Any], client_of: Callable[[str], Any]
) -> None:
    ec2 = client_of("ec2")
    of = [
        {"Name": "vpc-id", "Values": [network["vpc_id"]]},
        {"Name": "group-name", "Values": ["default"]},
    ]
    (group,) = ec2.describe_security_groups(Filters=of)["SecurityGroups"]
    assert (group["IpPermissions"], group["IpPermissionsEgress"]) == ([], [])
    anyone = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=anyone)
    drift = await agent.call("find_drift")
    assert "The default security group lets nothing through" in str(drift)
    again = await agent.call("create_network", name="shop")
    assert {c["verdict"] for c in again["checks"]} == {"PASS"}
    (group,) = ec2.describe_security_groups(Filters=of)["SecurityGroups"]
    assert group["IpPermissions"] == []


async def test_undoing_a_network_leaves_the_account_as_it_was(
    agent: Any, inventory: Callable[[], dict[str, list[str]]]
) -> None:
    before = inventory()
    change = await agent.call("create_network", name="shop")
    assert inventory() != before
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert inventory() == before


async def test_a_repeat_changes_nothing_and_gives_the_same_network(
    agent: Any, network: dict[str, Any], inventory: Callable[[], dict[str, list[str]]]
) -> None:
    before = inventory()
    again = await agent.call("create_network", name="shop")
    assert again["reused"]
    assert again["outputs"] == network
    assert inventory() == before


async def test_a_dry_run_changes_nothing_and_shows_every_part(
    agent: Any, inventory: Callable[[], dict[str, list[str]]]
) -> None:
    before = inventory()
    planned = await agent.call("create_network", name="shop", dry_run=True)
    assert planned["status"] == "planned"
    kinds = [action["type"] for action in planned["plan"]["actions"]]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "ec2:vpc": 1,
        "ec2:internet-gateway": 1,
        "ec2:route-table": 4,
        "ec2:subnet": 6,
        "ec2:elastic-ip": 2,
        "ec2:natgateway": 2,
    }
    assert inventory() == before


async def test_a_change_that_failed_half_way_is_resumed_without_doubling_anything(
    watched: Watched, inventory: Callable[[], dict[str, list[str]]]
) -> None:
    await watched.cut_off("create_network", "CreateRoute", name="shop")
    assert len(inventory()["Subnets"]) == 6
    change = await watched.call("create_network", name="shop")
    assert not change["reused"]
    counts = {kind: len(ids) for kind, ids in inventory().items() if ids}
    # A VPC brings a main route table and a default security group of its own.
    assert counts == {
        "Vpcs": 1,
        "Subnets": 6,
        "RouteTables": 5,
        "SecurityGroups": 1,
        "InternetGateways": 1,
        "Addresses": 2,
        "NatGateways": 2,
    }
    await watched.call("undo_change", change_id=change["change_id"])
    assert not inventory()["Vpcs"]


async def test_another_journal_takes_up_what_the_same_request_made(
    cloud: Any,
    connect: Any,
    network: dict[str, Any],
    inventory: Callable[[], dict[str, list[str]]],
    settings: Any,
) -> None:
    import dataclasses

    from fastmcp import Client

    before = inventory()
    elsewhere = dataclasses.replace(settings, state_dir=settings.state_dir / "other")
    async with Client(create_server(elsewhere)) as other:
        answer = await other.call_tool("create_network", {"name": "shop"})
    change = answer.structured_content
    assert change["outputs"] == network
    assert not change["reused"]
    assert inventory() == before


async def test_a_deleted_part_is_made_again_by_a_repeat(
    agent: Any, network: dict[str, Any], client_of: Callable[[str], Any]
) -> None:
    ec2, lost = client_of("ec2"), network["database_subnet_ids"][0]
    which = [{"Name": "association.subnet-id", "Values": [lost]}]
    (table,) = ec2.describe_route_tables(Filters=which)["RouteTables"]
    for association in table["Associations"]:
        if association["SubnetId"] == lost:
            ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])
    ec2.delete_subnet(SubnetId=lost)
    again = await agent.call("create_network", name="shop")
    assert not again["reused"]
    made = again["outputs"]
    assert lost not in made["database_subnet_ids"]
    assert {k: v for k, v in made.items() if k != "database_subnet_ids"} == {
        k: v for k, v in network.items() if k != "database_subnet_ids"
    }


async def test_a_route_taken_away_is_put_back_by_a_repeat(
    agent: Any, network: dict[str, Any], client_of: Callable[[str], Any]
) -> None:
    ec2, private = client_of("ec2"), network["private_subnet_ids"][0]
    which = [{"Name": "association.subnet-id", "Values": [private]}]
    (table,) = ec2.describe_route_tables(Filters=which)["RouteTables"]
    ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    again = await agent.call("create_network", name="shop")
    assert (again["reused"], again["outputs"]) == (False, network)
    assert default_route(ec2, private) == network["nat_gateway_ids"][0]


async def test_a_taken_name_is_refused_whoever_made_it(
    agent: Any, network: dict[str, Any], client_of: Callable[[str], Any]
) -> None:
    said = await agent.refused("create_network", name="shop", cidr="10.1.0.0/16")
    assert network["vpc_id"] in said
    assert "other settings" in said
    ec2 = client_of("ec2")
    vpc_id = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    ec2.create_tags(Resources=[vpc_id], Tags=[{"Key": "Name", "Value": "legacy"}])
    assert "outside opswright" in await agent.refused("create_network", name="legacy")


async def test_an_overlap_with_another_network_is_said_in_the_plan(
    agent: Any, network: dict[str, Any]
) -> None:
    planned = await agent.call("create_network", name="blog", cidr="10.0.0.0/18", dry_run=True)
    assert any(network["vpc_id"] in warning for warning in planned["plan"]["warnings"])


@pytest.mark.parametrize(("nat", "gateways"), [("single", 1), ("none", 0)])
async def test_fewer_nat_gateways_can_be_asked_for(
    agent: Any, client_of: Callable[[str], Any], nat: str, gateways: int
) -> None:
    made = (await agent.call("create_network", name="shop", nat=nat, az_count=3))["outputs"]
    assert len(made["nat_gateway_ids"]) == gateways
    hops = {default_route(client_of("ec2"), subnet) for subnet in made["private_subnet_ids"]}
    assert hops == (set(made["nat_gateway_ids"]) or {None})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "shop", "cidr": "10.0.0.1/16"}, "10.0.0.0/16"),
        ({"name": "shop", "cidr": "10.0.0.0/26"}, "too small"),
        ({"name": "shop", "cidr": "10.0.0.0/8"}, "between /16 and /28"),
        ({"name": "shop", "cidr": "banana"}, "not an IPv4 range"),
        ({"name": "shop", "az_count": 4}, "only 3"),
        ({"name": "shop", "az_count": 1}, "greater than or equal to 2"),
        ({"name": "Shop!"}, "pattern"),
        ({"name": "shop", "nat": "many"}, "per_az"),
        ({"cidr": "10.0.0.0/16"}, "name is required"),
    ],
)
async def test_bad_input_is_refused_before_anything_is_sent(
    agent: Any,
    inventory: Callable[[], dict[str, list[str]]],
    arguments: dict[str, Any],
    said: str,
) -> None:
    before = inventory()
    assert said in await agent.refused("create_network", **arguments)
    assert inventory() == before


async def test_both_protocol_eras_make_the_same_network(cloud: Any, connect: Any, era: str) -> None:
    async with connect(create_server, mode=era) as client:
        answer = await client.call_tool("create_network", {"name": "shop"})
    assert answer.structured_content["status"] == "done"
    assert len(answer.structured_content["outputs"]["public_subnet_ids"]) == 2


@pytest.mark.parametrize(
    ("cidr", "zones", "first", "last"),
    [
        ("10.0.0.0/16", 2, "10.0.128.0/20", "10.0.208.0/20"),
        ("10.0.0.0/16", 4, "10.0.128.0/20", "10.0.240.0/20"),
        ("10.0.0.0/23", 3, "10.0.1.0/27", "10.0.1.192/27"),
        ("10.0.0.0/24", 2, "10.0.0.128/27", "10.0.0.224/27"),
    ],
)
def test_subnets_share_the_range_without_overlap(
    cidr: str, zones: int, first: str, last: str
) -> None:
    subnets = lay_out(cidr, [f"z{n}" for n in range(zones)])
    networks = [parse_or_small(subnet.cidr) for subnet in subnets]
    assert len(subnets) == 3 * zones
    assert (subnets[0].cidr, subnets[-1].cidr) == (first, last)
    assert all(not a.overlaps(b) for a in networks for b in networks if a is not b)
    assert all(n.subnet_of(parse_cidr(cidr)) and n.prefixlen <= 27 for n in networks)


def parse_or_small(cidr: str) -> Any:
    from ipaddress import IPv4Network

    return IPv4Network(cidr)


def test_a_zone_can_be_added_later_without_renumbering() -> None:
    two, three = lay_out("10.0.0.0/16", ["a", "b"]), lay_out("10.0.0.0/16", ["a", "b", "c"])
    assert set(two) <= set(three)


@pytest.mark.parametrize(
    ("cidr", "said"),
    [
        ("10.0.0.0", "no prefix length"),
        ("127.0.0.0/16", "reserved"),
        ("224.0.0.0/16", "reserved"),
        ("10.0.0.0/33", "not an IPv4 range"),
        ("fd00::/16", "not an IPv4 range"),
        ("10.0.0.0/29", "between"),
    ],
)
def test_an_unusable_range_is_refused(cidr: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        parse_cidr(cidr)


def test_overlap_is_found_either_way_round() -> None:
    others = {"vpc-a": "10.0.0.0/8", "vpc-b": "10.0.1.0/24", "vpc-c": "10.1.0.0/16"}
    assert overlapping("10.0.0.0/16", others) == ["vpc-a", "vpc-b"]
