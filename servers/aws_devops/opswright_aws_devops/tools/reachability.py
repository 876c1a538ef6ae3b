"""Reachability: whether a TCP connection gets through routes, security groups and network ACLs."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.networking.packet_filters import EPHEMERAL_PORTS, acl_allows, group_allows
from opswright_aws_devops.networking.routing import ANYWHERE, is_public, next_hop, table_of
from opswright_core.aws import HERE, Aws, Target
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_core.verdicts import Check, Unread, Verdict, attempt, check, worst


class Endpoint(BaseModel):
    """One end of a connection. `groups` is None where no security group applies (the internet)."""

    model_config = ConfigDict(frozen=True)
    label: str
    vpc_id: str = ""
    subnets: dict[str, str] = Field(default_factory=dict)
    """Address range by subnet id."""
    cidrs: list[str] = Field(default_factory=list)
    groups: list[dict[str, Any]] | None = None
    is_exposed: bool = False
    """Whether it has a public address."""


class Reachability(BaseModel):
    """PASS when a connection gets through, FAIL when something stops it."""

    source: str
    destination: str
    port: int
    verdict: Verdict
    summary: str
    checks: list[Check]


@read_tool(toolset="network")
def check_reachability(
    source: Annotated[
        str, Field(description="internet, or an instance, subnet, database or load balancer")
    ],
    destination: Annotated[str, Field(description="The same, but not internet")],
    port: Annotated[int, Field(description="TCP", ge=1, le=65535)],
    target: Target = HERE,
) -> Reachability:
    """Tell whether TCP gets from one place to another, and what stops it: routes, groups, ACLs."""
    a = aws(target)
    if destination == "internet":
        raise BadInputError("destination: name a resource; only source may be `internet`.")
    begin, end = load_endpoint(a, source), load_endpoint(a, destination)
    checks = judge(begin, end, port, *_load_paths(a, begin, end))
    verdict = worst(c.verdict for c in checks)
    stops = [c.name for c in checks if c.verdict != "PASS"]
    return Reachability(
        source=begin.label,
        destination=end.label,
        port=port,
        verdict=verdict,
        summary=f"{begin.label} → {end.label}:{port}: {verdict}"
        + (f" at: {'; '.join(stops)}" if stops else ""),
        checks=checks,
    )


def load_endpoint(a: Aws, name: str) -> Endpoint:
    """What a name stands for. Raises NotFoundError."""
    ec2 = a.client("ec2")
    if name == "internet":
        return Endpoint(label=name, cidrs=[ANYWHERE], is_exposed=True)
    if name.startswith("i-"):
        found = must_exist(
            f"Instance {name}", lambda: ec2.describe_instances(InstanceIds=[name])["Reservations"]
        )
        instance = found[0]["Instances"][0]
        if "SubnetId" not in instance:
            state = instance["State"]["Name"]
            raise BadInputError(f"Instance {name} is {state}, so nothing can reach it; start it.")
        groups = [group["GroupId"] for group in instance["SecurityGroups"]]
        public = bool(instance.get("PublicIpAddress"))
        private = f"{instance['PrivateIpAddress']}/32"
        return _endpoint(a, name, [instance["SubnetId"]], groups, public, cidr=private)
    if name.startswith("subnet-"):
        return _endpoint(a, name, [name], None, False)
    elb, rds = a.client("elbv2"), a.client("rds")
    refused: list[str] = []
    arn = name.startswith("arn:")
    if not arn or ":loadbalancer/" in name:
        which = {"LoadBalancerArns": [name]} if arn else {"Names": [name]}
        balancers = attempt(lambda: elb.describe_load_balancers(**which)["LoadBalancers"])
        if not isinstance(balancers, Unread) and balancers:
            (found,) = balancers
            subnets = [zone["SubnetId"] for zone in found["AvailabilityZones"]]
            public = found["Scheme"] == "internet-facing"
            return _endpoint(a, name, subnets, found["SecurityGroups"], public)
        refused += _refused(balancers)
    databases = attempt(lambda: rds.describe_db_instances(DBInstanceIdentifier=name)["DBInstances"])
    if not isinstance(databases, Unread) and databases:
        (found,) = databases
        subnets = [subnet["SubnetIdentifier"] for subnet in found["DBSubnetGroup"]["Subnets"]]
        groups = [group["VpcSecurityGroupId"] for group in found["VpcSecurityGroups"]]
        return _endpoint(a, name, subnets, groups, found["PubliclyAccessible"])
    refused += _refused(databases)
    if refused:
        raise NotFoundError(f"{name!r} was not found, and not all could be read: {refused[0]}")
    raise NotFoundError(
        f"{name!r} is no instance, subnet, load balancer or database that can be read here; "
        "list_resources shows what there is."
    )


def _refused(read: Any) -> list[str]:
    """Why something was not read, where a permission was missing; not for what is not there."""
    return [read.reason] if isinstance(read, Unread) and read.permission else []


def _endpoint(
    a: Aws,
    label: str,
    subnet_ids: list[str],
    group_ids: list[str] | None,
    is_exposed: bool,
    *,
    cidr: str | None = None,
) -> Endpoint:
    ec2 = a.client("ec2")
    subnets = must_exist(
        f"Subnet of {label}", lambda: ec2.describe_subnets(SubnetIds=subnet_ids)["Subnets"]
    )
    ranges = {subnet["SubnetId"]: subnet["CidrBlock"] for subnet in subnets}
    return Endpoint(
        label=label,
        vpc_id=subnets[0]["VpcId"],
        subnets=ranges,
        cidrs=[cidr] if cidr else list(ranges.values()),
        groups=ec2.describe_security_groups(GroupIds=group_ids)["SecurityGroups"]
        if group_ids
        else None,
        is_exposed=is_exposed,
    )


Rows = list[dict[str, Any]] | Unread


def _load_paths(a: Aws, begin: Endpoint, end: Endpoint) -> tuple[Rows, Rows]:
    """Route tables and network ACLs of both ends' VPCs."""
    here = [{"Name": "vpc-id", "Values": sorted({begin.vpc_id, end.vpc_id} - {""})}]
    return (
        attempt(lambda: a.pages("ec2", "describe_route_tables", "RouteTables", Filters=here)),
        attempt(lambda: a.pages("ec2", "describe_network_acls", "NetworkAcls", Filters=here)),
    )


def judge(begin: Endpoint, end: Endpoint, port: int, tables: Rows, acls: Rows) -> list[Check]:
    """What a connection passes on its way, in order; several subnets must all let it through."""
    if begin.vpc_id and begin.vpc_id != end.vpc_id:
        said = f"{begin.vpc_id} and {end.vpc_id}: peering and transit gateways are not judged"
        return [Check(name="Both ends are in one VPC", verdict="UNKNOWN", evidence=said)]
    checks = [_route(begin, end, tables)]
    if begin.groups is not None:
        checks.append(_groups("Source's security groups let it out", begin, end, port, egress=True))
    if isinstance(acls, Unread):
        checks.append(check("Network ACLs let it through", acls))
    elif set(begin.subnets) != set(end.subnets) or len(end.subnets) > 1:
        checks += [
            _acl("Source's ACLs let it through", begin, end, port, acls, leaving=True),
            _acl("Destination's ACLs let it through", end, begin, port, acls, leaving=False),
        ]  # fmt: skip
    if end.groups is not None:
        name = "Destination's security groups let it in"
        checks.append(_groups(name, end, begin, port, egress=False))
    return checks


def _route(begin: Endpoint, end: Endpoint, tables: Rows) -> Check:
    name = "There is a route"
    if isinstance(tables, Unread):
        return check(name, tables)
    if not begin.vpc_id:
        stuck = [subnet for subnet in end.subnets if not is_public(subnet, tables)]
        if not end.is_exposed:
            return check(name, False, f"{end.label} has no public address")
        return check(name, not stuck, f"no internet gateway for {stuck}" if stuck else "igw")
    hops = {
        subnet: next_hop(table_of(subnet, tables), cidr)
        for subnet in begin.subnets
        for cidr in end.cidrs
    }
    return check(name, all(hop == "local" for hop in hops.values()), str(hops))


def _groups(name: str, own: Endpoint, peer: Endpoint, port: int, *, egress: bool) -> Check:
    groups = own.groups or []
    peers = [group["GroupId"] for group in peer.groups or []]
    passes = all(
        group_allows(groups, egress=egress, port=port, peer_cidr=cidr, peer_group_ids=peers)
        for cidr in peer.cidrs
    )
    return check(name, passes, ", ".join(group["GroupId"] for group in groups), own.label)


def _acl(
    name: str,
    own: Endpoint,
    peer: Endpoint,
    port: int,
    acls: list[dict[str, Any]],
    *,
    leaving: bool,
) -> Check:
    """The way there on the port, and the way back on ephemeral ports (ACLs keep no state)."""
    entries_of = {
        association["SubnetId"]: acl["Entries"]
        for acl in acls
        for association in acl["Associations"]
    }
    stopping = [
        subnet
        for subnet in own.subnets
        for cidr in peer.cidrs
        if not (
            acl_allows(entries_of.get(subnet, []), egress=leaving, ports=[port], peer_cidr=cidr)
            and acl_allows(
                entries_of.get(subnet, []),
                egress=not leaving,
                ports=EPHEMERAL_PORTS,
                peer_cidr=cidr,
            )
        )
    ]
    return check(name, not stopping, f"stopped at {stopping}" if stopping else "", own.label)
