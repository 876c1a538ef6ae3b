"""What runs in a VPC and how it hangs together, put in the places where it runs."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops.networking.routing import next_hop, tables_of
from opswright_core.aws import Aws, tags_of
from opswright_core.text import clean
from opswright_core.verdicts import Unread, attempt

INTERNET = "internet"
MOST_SHOWN = 6
"""Instances of a subnet that are shown one by one; more, or those of a group, share a box."""

Kind = Literal["internet", "gateway", "nat", "balancer", "group", "instance", "database"]
Exit = Literal["internet gateway", "NAT gateway", "none", "unknown"]
Items = list[dict[str, Any]]

_WORDS: dict[Kind, str] = {
    "internet": "",
    "gateway": "Internet gateway",
    "nat": "NAT gateway",
    "balancer": "Load balancer",
    "group": "Auto-scaling group",
    "instance": "",
    "database": "Database",
}


class Node(BaseModel):
    """A box of the picture. `subnet_ids` are where it runs; none is outside of every subnet."""

    model_config = ConfigDict(frozen=True)
    id: str
    kind: Kind
    name: str
    detail: str = ""
    subnet_ids: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What it is and what it is called."""
        return f"{_WORDS[self.kind]} {self.name}".strip()


class Edge(BaseModel):
    """An arrow: who reaches whom, and by what."""

    model_config = ConfigDict(frozen=True)
    source: str
    target: str
    label: str = ""


class Subnet(BaseModel):
    """A subnet, and how it gets to the internet."""

    model_config = ConfigDict(frozen=True)
    id: str
    name: str
    cidr: str
    zone: str
    exit: Exit
    via: str = Field("", description="The gateway of its default route")


class Topology(BaseModel):
    """A VPC: its subnets, what runs in them, and the arrows between."""

    vpc_id: str
    name: str
    cidr: str
    region: str
    subnets: list[Subnet]
    nodes: list[Node]
    edges: list[Edge]
    unread: list[str] = Field(description="What could not be read, so that it is not shown")

    @property
    def zones(self) -> list[str]:
        """The availability zones that have a subnet, sorted."""
        return sorted({subnet.zone for subnet in self.subnets})


class VpcParts(BaseModel):
    """What was read of a VPC: AWS's own descriptions; a kind that could not be read is empty."""

    vpc: dict[str, Any]
    subnets: Items
    tables: Items
    gateways: Items
    nats: Items
    groups: Items = Field(description="Security groups")
    instances: Items
    scaling: Items = Field(description="Auto-scaling groups")
    balancers: Items
    target_groups: Items
    listeners: Items
    databases: Items
    unread: list[str]


def load_parts(a: Aws, vpc: dict[str, Any]) -> VpcParts:
    """Read what a VPC holds; what is refused is named in `unread`."""
    vpc_id, unread = vpc["VpcId"], list[str]()

    def read(service: str, operation: str, items: str, **params: Any) -> Items:
        found = attempt(lambda: a.pages(service, operation, items, **params))
        if isinstance(found, Unread):
            unread.append(
                f"{operation.removeprefix('describe_').replace('_', ' ')}: {found.reason}"
            )
            return []
        return found

    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc_id]}]
    living = {
        "Name": "instance-state-name",
        "Values": ["pending", "running", "stopping", "stopped"],
    }
    subnets = read("ec2", "describe_subnets", "Subnets", Filters=here)
    subnet_ids = {subnet["SubnetId"] for subnet in subnets}
    reservations = read("ec2", "describe_instances", "Reservations", Filters=[*here, living])
    balancers = [
        b for b in read("elbv2", "describe_load_balancers", "LoadBalancers")
        if b.get("VpcId") == vpc_id
    ]  # fmt: skip
    scaling = read("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
    return VpcParts(
        vpc=vpc,
        subnets=subnets,
        tables=read("ec2", "describe_route_tables", "RouteTables", Filters=here),
        gateways=read("ec2", "describe_internet_gateways", "InternetGateways", Filters=attached),
        nats=[
            nat for nat in read("ec2", "describe_nat_gateways", "NatGateways", Filter=here)
            if nat["State"] in {"pending", "available"}
        ],
        groups=read("ec2", "describe_security_groups", "SecurityGroups", Filters=here),
        instances=[i for reservation in reservations for i in reservation["Instances"]],
        scaling=[group for group in scaling if not subnet_ids.isdisjoint(_subnets_of(group))],
        balancers=balancers,
        target_groups=[
            g for g in read("elbv2", "describe_target_groups", "TargetGroups")
            if g.get("VpcId") == vpc_id
        ],
        listeners=[
            listener for b in balancers
            for listener in read(
                "elbv2", "describe_listeners", "Listeners", LoadBalancerArn=b["LoadBalancerArn"]
            )
        ],
        databases=[
            db for db in read("rds", "describe_db_instances", "DBInstances")
            if db.get("DBSubnetGroup", {}).get("VpcId") == vpc_id
        ],
        unread=list(dict.fromkeys(unread)),
    )  # fmt: skip


def lay_out(parts: VpcParts, region: str) -> Topology:
    """Put a VPC's parts in their places and draw the arrows. Pure."""
    tables = tables_of((subnet["SubnetId"] for subnet in parts.subnets), parts.tables)
    subnets = [
        _subnet(subnet, tables[subnet["SubnetId"]], is_read=bool(parts.tables))
        for subnet in parts.subnets
    ]
    nodes = [
        *([Node(id=INTERNET, kind="internet", name="Internet")] if parts.gateways else []),
        *(Node(id=g["InternetGatewayId"], kind="gateway", name=_name(g, g["InternetGatewayId"]))
          for g in parts.gateways),
        *(Node(id=n["NatGatewayId"], kind="nat", name=_name(n, n["NatGatewayId"]),
               detail=_address(n), subnet_ids=(n["SubnetId"],)) for n in parts.nats),
        *map(_balancer, parts.balancers),
        *map(_group, parts.scaling),
        *_instances(parts),
        *(_database(db, subnets) for db in parts.databases),
    ]  # fmt: skip
    edges = [*_ways_in(parts), *_forwarding(parts), *_permitted(parts)]
    known = {node.id for node in nodes}
    return Topology(
        vpc_id=parts.vpc["VpcId"],
        name=_name(parts.vpc, parts.vpc["VpcId"]),
        cidr=parts.vpc["CidrBlock"],
        region=region,
        subnets=sorted(subnets, key=lambda s: (_TIERS.index(s.exit), s.name, s.zone)),
        nodes=nodes,
        edges=[e for e in dict.fromkeys(edges) if {e.source, e.target} <= known],
        unread=parts.unread,
    )


_TIERS: tuple[Exit, ...] = ("internet gateway", "NAT gateway", "none", "unknown")


def _subnet(subnet: dict[str, Any], table: dict[str, Any] | None, *, is_read: bool) -> Subnet:
    via = next_hop(table) or ""
    way: Exit = "none" if is_read else "unknown"
    if via.startswith("igw-"):
        way = "internet gateway"
    elif via:
        way = "NAT gateway" if via.startswith("nat-") else "unknown"
    return Subnet(
        id=subnet["SubnetId"],
        name=_name(subnet, subnet["SubnetId"]),
        cidr=subnet["CidrBlock"],
        zone=subnet["AvailabilityZone"],
        exit=way,
        via=via,
    )


def _name(item: dict[str, Any], otherwise: str) -> str:
    return clean(tags_of(item.get("Tags")).get("Name", ""), 60) or otherwise


def _address(nat: dict[str, Any]) -> str:
    return next((a["PublicIp"] for a in nat.get("NatGatewayAddresses", []) if "PublicIp" in a), "")


def _balancer(balancer: dict[str, Any]) -> Node:
    return Node(
        id=balancer["LoadBalancerArn"],
        kind="balancer",
        name=clean(balancer["LoadBalancerName"], 60),
        detail=f"{balancer.get('Type', 'application')}, {balancer.get('Scheme', '')}",
        subnet_ids=tuple(zone["SubnetId"] for zone in balancer["AvailabilityZones"]),
    )


def _group_id(name: str) -> str:
    return f"autoscaling:{name}"  # a database may have the same name


def _database_id(db: dict[str, Any]) -> str:
    return f"rds:{db['DBInstanceIdentifier']}"


def _subnets_of(group: dict[str, Any]) -> tuple[str, ...]:
    return tuple(filter(None, group.get("VPCZoneIdentifier", "").split(",")))


def _group(group: dict[str, Any]) -> Node:
    least, most, wanted = group["MinSize"], group["MaxSize"], group["DesiredCapacity"]
    return Node(
        id=_group_id(group["AutoScalingGroupName"]),
        kind="group",
        name=clean(group["AutoScalingGroupName"], 60),
        detail=f"{least}-{most} instances, {wanted} wanted",
        subnet_ids=_subnets_of(group),
    )


def _instances(parts: VpcParts) -> list[Node]:
    """Instances by subnet: those of a group in one box, others one by one up to `MOST_SHOWN`."""
    boxes: dict[tuple[str, str], Items] = defaultdict(list)
    for instance in parts.instances:
        if "SubnetId" in instance:
            boxes[instance["SubnetId"], _scaled_by(instance)].append(instance)
    nodes = []
    for (subnet_id, group), members in sorted(boxes.items()):
        if group:
            nodes.append(_crowd(members, subnet_id, f"of {group}"))
            continue
        single, rest = members[:MOST_SHOWN], members[MOST_SHOWN:]
        if len(rest) == 1:
            single, rest = members, []
        nodes += [_instance(member) for member in single]
        nodes += [_crowd(rest, subnet_id, "more")] if rest else []
    return nodes


def _scaled_by(instance: dict[str, Any]) -> str:
    return tags_of(instance.get("Tags")).get("aws:autoscaling:groupName", "")


def _instance(instance: dict[str, Any]) -> Node:
    state = instance["State"]["Name"]
    return Node(
        id=instance["InstanceId"],
        kind="instance",
        name=_name(instance, instance["InstanceId"]),
        detail=instance["InstanceType"] + ("" if state == "running" else f", {state}"),
        subnet_ids=(instance["SubnetId"],),
    )


def _crowd(members: Items, subnet_id: str, what: str) -> Node:
    running = sum(member["State"]["Name"] == "running" for member in members)
    types = ", ".join(sorted({member["InstanceType"] for member in members})[:3])
    count = f"{len(members)} instance{'s' if len(members) > 1 else ''}"
    return Node(
        id=f"{subnet_id} {what}",
        kind="instance",
        name=f"{count} {clean(what, 60)}",
        detail=types if running == len(members) else f"{types}; {running} running",
        subnet_ids=(subnet_id,),
    )


def _database(db: dict[str, Any], subnets: Sequence[Subnet]) -> Node:
    """A database in its zone, and over its standby's; which subnet of a zone it is in is not told.

    Only its subnet group's subnets are candidates.
    """
    zones = {db.get("AvailabilityZone"), db.get("SecondaryAvailabilityZone")}
    own = {subnet["SubnetIdentifier"] for subnet in db["DBSubnetGroup"]["Subnets"]}
    there = [s for s in subnets if s.id in own]
    placed = [s for s in there if db.get("MultiAZ") or s.zone in zones] or there
    return Node(
        id=_database_id(db),
        kind="database",
        name=clean(db["DBInstanceIdentifier"], 60),
        detail=f"{db['Engine']}, {'Multi-AZ' if db.get('MultiAZ') else 'one zone'}",
        subnet_ids=tuple(s.id for s in placed),
    )


def _ways_in(parts: VpcParts) -> list[Edge]:
    """Internet → gateway → what faces the internet."""
    edges = []
    for gateway in (g["InternetGatewayId"] for g in parts.gateways):
        edges.append(Edge(source=INTERNET, target=gateway))
        for balancer in parts.balancers:
            if balancer.get("Scheme") == "internet-facing":
                arn = balancer["LoadBalancerArn"]
                ports = [_port(x) for x in parts.listeners if x["LoadBalancerArn"] == arn]
                edges.append(Edge(source=gateway, target=arn, label=", ".join(ports)))
        edges += [
            Edge(source=gateway, target=i["InstanceId"], label=i["PublicIpAddress"])
            for i in parts.instances if i.get("PublicIpAddress")
        ]  # fmt: skip
    return edges


def _port(listener: dict[str, Any]) -> str:
    return f"{listener.get('Protocol', '')} {listener.get('Port', '')}".strip()


def _forwarding(parts: VpcParts) -> list[Edge]:
    """Load balancer → the group or the boxes behind its target groups."""
    edges = []
    for target_group in parts.target_groups:
        arn = target_group["TargetGroupArn"]
        behind = [
            _group_id(g["AutoScalingGroupName"])
            for g in parts.scaling if arn in g.get("TargetGroupARNs", [])
        ]  # fmt: skip
        label = _port(target_group) + (
            f", checks {clean(target_group['HealthCheckPath'], 40)}"
            if target_group.get("HealthCheckPath") else ""
        )  # fmt: skip
        edges += [
            Edge(source=balancer, target=name, label=label)
            for balancer in target_group.get("LoadBalancerArns", []) for name in behind
        ]  # fmt: skip
    return edges


def _permitted(parts: VpcParts) -> list[Edge]:
    """What security groups let reach a database: who carries a group that its rules name."""
    carriers: dict[str, set[str]] = defaultdict(set)
    for balancer in parts.balancers:
        for group_id in balancer.get("SecurityGroups", []):
            carriers[group_id].add(balancer["LoadBalancerArn"])
    for instance in parts.instances:
        for group in instance.get("SecurityGroups", []):
            scaled_by = _scaled_by(instance)
            carrier = _group_id(scaled_by) if scaled_by else instance["InstanceId"]
            carriers[group["GroupId"]].add(carrier)
    edges = []
    rules = {group["GroupId"]: group["IpPermissions"] for group in parts.groups}
    for db in parts.databases:
        own = [group["VpcSecurityGroupId"] for group in db.get("VpcSecurityGroups", [])]
        for rule in (rule for group_id in own for rule in rules.get(group_id, [])):
            sources = _sources(rule, carriers)
            edges += [
                Edge(source=source, target=_database_id(db), label=_ports(rule))
                for source in sorted(sources)
            ]
    return edges


def _sources(rule: dict[str, Any], carriers: dict[str, set[str]]) -> Iterable[str]:
    named = [pair["GroupId"] for pair in rule.get("UserIdGroupPairs", [])]
    return {carrier for group_id in named for carrier in carriers[group_id]}


def _ports(rule: dict[str, Any]) -> str:
    if rule["IpProtocol"] == "-1":
        return "all traffic"
    first, last = rule.get("FromPort"), rule.get("ToPort")
    return f"{rule['IpProtocol']} {first}" + (f"-{last}" if last != first else "")
