"""Reads a network back and judges whether it is as it was made."""

from typing import Any

from pydantic import BaseModel

from opswright_aws_devops.networking.routing import next_hop, tables_of
from opswright_core.aws import Aws
from opswright_core.verdicts import Check, check


class Network(BaseModel):
    """A network of three tiers; the subnet lists are in the order of `azs`."""

    name: str
    vpc_id: str
    cidr: str
    azs: list[str]
    public_subnet_ids: list[str]
    private_subnet_ids: list[str]
    database_subnet_ids: list[str]
    internet_gateway_id: str
    nat_gateway_ids: list[str]
    route_table_ids: list[str]


class NetworkState(BaseModel):
    """What was read of a network: EC2's own descriptions."""

    vpcs: list[dict[str, Any]]
    dns_hostnames: bool
    subnets: list[dict[str, Any]]
    tables: list[dict[str, Any]]
    gateways: list[dict[str, Any]]
    nats: list[dict[str, Any]]
    default_group: dict[str, Any] = {}
    """The group that a server gets when none is named."""


def load_network(a: Aws, vpc_id: str) -> NetworkState:
    """Read a network's parts."""
    ec2 = a.client("ec2")
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc_id]}]
    vpcs = ec2.describe_vpcs(Filters=here)["Vpcs"]
    return NetworkState(
        vpcs=vpcs,
        dns_hostnames=bool(vpcs) and _dns_hostnames(ec2, vpc_id),
        subnets=a.pages("ec2", "describe_subnets", "Subnets", Filters=here),
        tables=a.pages("ec2", "describe_route_tables", "RouteTables", Filters=here),
        gateways=ec2.describe_internet_gateways(Filters=attached)["InternetGateways"],
        nats=a.pages("ec2", "describe_nat_gateways", "NatGateways", Filter=here),
        default_group=default_group(ec2, vpc_id) if vpcs else {},
    )


def default_group(ec2: Any, vpc_id: str) -> dict[str, Any]:
    """EC2's description of a VPC's default security group."""
    of = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": ["default"]}]
    (group,) = ec2.describe_security_groups(Filters=of)["SecurityGroups"]
    found: dict[str, Any] = group
    return found


def _dns_hostnames(ec2: Any, vpc_id: str) -> bool:
    answer = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute="enableDnsHostnames")
    return bool(answer["EnableDnsHostnames"]["Value"])


def judge_network(network: Network, state: NetworkState) -> list[Check]:
    """Whether every part of the network is there and routed as it should be."""
    vpc_id = network.vpc_id
    zone_of = {subnet["SubnetId"]: subnet["AvailabilityZone"] for subnet in state.subnets}
    nat_zone = {
        nat["NatGatewayId"]: zone_of.get(nat["SubnetId"])
        for nat in state.nats
        if nat["State"] == "available"
    }
    hops = {
        subnet_id: next_hop(table) or "none"
        for subnet_id, table in tables_of(zone_of, state.tables).items()
    }
    one_nat = len(network.nat_gateway_ids) == 1

    def right_nat(subnet_id: str) -> bool:
        hop = hops.get(subnet_id, "missing")
        if not network.nat_gateway_ids:
            return hop == "none"
        return hop in nat_zone and (one_nat or nat_zone[hop] == zone_of[subnet_id])

    def routed(name: str, subnet_ids: list[str], right: list[bool]) -> Check:
        said = ", ".join(f"{s} → {hops.get(s, 'missing')}" for s in subnet_ids)
        return check(name, all(right), said, vpc_id)

    public, private = network.public_subnet_ids, network.private_subnet_ids
    database = network.database_subnet_ids
    spread = [[zone_of.get(s) for s in tier] == network.azs for tier in (public, private, database)]
    ranges = [vpc["CidrBlock"] for vpc in state.vpcs]
    gateways = [gateway["InternetGatewayId"] for gateway in state.gateways]
    missing = [nat for nat in network.nat_gateway_ids if nat not in nat_zone]
    rules = [
        *state.default_group.get("IpPermissions", []),
        *state.default_group.get("IpPermissionsEgress", []),
    ]
    return [
        check("VPC exists with its range", ranges == [network.cidr], str(ranges), vpc_id),
        check("VPC gives DNS host names", state.dns_hostnames, "", vpc_id),
        check(
            "The default security group lets nothing through",
            not rules,
            f"{len(rules)} rules",
            vpc_id,
        ),
        check("Every tier has a subnet in every zone", all(spread), str(zone_of), vpc_id),
        check(
            "Internet gateway is attached",
            network.internet_gateway_id in gateways,
            str(gateways),
            vpc_id,
        ),
        check("NAT gateways are available", not missing, f"not available: {missing}", vpc_id),
        routed(
            "Public subnets are routed to the internet gateway",
            public,
            [hops.get(s) == network.internet_gateway_id for s in public],
        ),
        routed(
            "Private subnets are routed to their NAT gateway",
            private,
            [right_nat(s) for s in private],
        ),
        routed(
            "Database subnets have no way to the internet",
            database,
            [hops.get(s) == "none" for s in database],
        ),
    ]
