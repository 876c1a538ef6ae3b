"""IPv6 for a VPC: Amazon's /56, a /64 per subnet, and routes that follow those of IPv4."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from opswright_aws_devops.networking.layout import lay_out_ipv6
from opswright_aws_devops.networking.parts import Ec2Maker, known_parts
from opswright_aws_devops.networking.placement import VpcId, must_find_vpc
from opswright_aws_devops.networking.routing import next_hop, table_of
from opswright_aws_devops.ownership import Request
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

EGRESS = "ec2:egress-only-internet-gateway"
ANYWHERE6 = "::/0"
ASSOCIATED_SECONDS = 120.0
_GOING = {"disassociating", "disassociated", "failing", "failed"}
Way = Literal["in and out", "out only", "none"]


class Ipv6Subnet(BaseModel):
    """A subnet, its /64, and which way it has to the internet over IPv6."""

    subnet_id: str
    cidr: str
    internet: Way


class Ipv6Network(BaseModel):
    """The IPv6 side of a VPC."""

    vpc_id: str
    cidr: str
    egress_only_gateway_id: str | None
    subnets: list[Ipv6Subnet]


@dataclass(frozen=True)
class State:
    """What was read of a VPC: EC2's own descriptions."""

    vpc: dict[str, Any]
    subnets: list[dict[str, Any]]
    tables: list[dict[str, Any]]

    @property
    def block(self) -> str | None:
        """The IPv6 block of the VPC."""
        return _cidr(self.vpc)

    def way(self, subnet_id: str) -> Way:
        """As over IPv4: through an internet gateway both ways, through a NAT gateway only out.

        A private subnet of a network that was made without NAT gateways gets a way out too.
        """
        table = table_of(subnet_id, self.tables) or {}
        hop = next_hop(table) or ""
        if hop.startswith("igw-"):
            return "in and out"
        tags = tags_of(table.get("Tags"))
        private = tags.get("managed-by") == "opswright" and "-private-" in tags.get("Name", "")
        return "out only" if hop.startswith("nat-") or private else "none"

    @property
    def internet_gateway(self) -> str | None:
        """The internet gateway that route tables name; it serves IPv6 too."""
        hops = (next_hop(table) or "" for table in self.tables)
        return next((hop for hop in hops if hop.startswith("igw-")), None)

    @property
    def routed(self) -> dict[str, Way]:
        """The route tables that need a route to the internet, by id."""
        tables: dict[str, Way] = {}
        for subnet in self.subnets:
            way, table = self.way(subnet["SubnetId"]), table_of(subnet["SubnetId"], self.tables)
            if table and way != "none":
                tables[table["RouteTableId"]] = way
        return tables


def _cidr(resource: Mapping[str, Any]) -> str | None:
    """The associated IPv6 block of a VPC or subnet."""
    return next((a["Ipv6CidrBlock"] for a in _associations(resource)), None)


def _association(resource: Mapping[str, Any]) -> str | None:
    return next((str(a["AssociationId"]) for a in _associations(resource)), None)


def _is_associated(resource: Mapping[str, Any]) -> bool:
    states = [a["Ipv6CidrBlockState"]["State"] for a in _associations(resource)]
    return "associated" in states


def _associations(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        association
        for association in resource.get("Ipv6CidrBlockAssociationSet", [])
        if association["Ipv6CidrBlockState"]["State"] not in _GOING
    ]


@write_tool(toolset="network")
def enable_ipv6(vpc_id: VpcId, target: Target = HERE) -> Work[Ipv6Network]:
    """Give a VPC and all its subnets IPv6: public ones both ways, private ones only outwards."""
    a = aws(target)
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, vpc_id),
        apply=lambda rec: _apply(a, rec, vpc_id, target),
        verify=lambda made: judge_ipv6(made, load_state(a, vpc_id)),
        outputs=Ipv6Network,
        existing=lambda: _outputs(a, vpc_id),
    )


def load_state(a: Aws, vpc_id: str) -> State:
    """Read a VPC with its subnets and route tables."""
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    subnets = a.pages("ec2", "describe_subnets", "Subnets", Filters=here)
    return State(
        vpc=must_find_vpc(a, vpc_id),
        subnets=sorted(subnets, key=lambda s: str(s["SubnetId"])),
        tables=a.pages("ec2", "describe_route_tables", "RouteTables", Filters=here),
    )


def _route6(table: Mapping[str, Any]) -> str | None:
    """Where a route table sends the whole of IPv6."""
    for route in table.get("Routes", []):
        if route.get("DestinationIpv6CidrBlock") == ANYWHERE6:
            hop = route.get("EgressOnlyInternetGatewayId") or route.get("GatewayId")
            return str(hop or "elsewhere")
    return None


def _plan(a: Aws, vpc_id: str) -> ChangePlan:
    state = load_state(a, vpc_id)
    if not state.subnets:
        raise BadInputError(f"{vpc_id} has no subnets yet; make them first.")

    def modify(kind: str, name: str, detail: str) -> Action:
        return Action(verb="modify", type=kind, name=name, detail=detail)

    actions = []
    if state.block is None:
        actions.append(modify("ec2:vpc", vpc_id, "a /56 that Amazon provides"))
    for subnet in state.subnets:
        name, way = subnet["SubnetId"], state.way(subnet["SubnetId"])
        if _cidr(subnet) is None:
            actions.append(modify("ec2:subnet", name, f"a /64; internet: {way}"))
    tables = {table["RouteTableId"]: table for table in state.tables}
    unrouted = {t: way for t, way in state.routed.items() if _route6(tables[t]) is None}
    if "out only" in unrouted.values():
        detail = "out to the internet, nothing in"
        actions.append(Action(verb="create", type=EGRESS, name=vpc_id, detail=detail))
    actions += [modify("ec2:route-table", t, f"{ANYWHERE6}, {way}") for t, way in unrouted.items()]
    warnings = [
        "Servers that run already get no IPv6 address by this; new ones do.",
        "Security groups and network ACLs that name IPv4 ranges alone let no IPv6 in.",
    ]
    if "in and out" in state.routed.values():
        warnings.append(
            "New servers in public subnets can be reached over IPv6, as far as their security "
            "groups let it in."
        )
    return ChangePlan(
        summary=f"Enable IPv6 in {vpc_id} and its {len(state.subnets)} subnets",
        actions=actions,
        warnings=warnings,
        observed={"block": state.block, "actions": [action.name for action in actions]},
    )


def _apply(a: Aws, rec: Recorder, vpc_id: str, target: AwsTarget) -> Ipv6Network:
    ec2, undo = a.client("ec2"), functools.partial(aws_undo, target=target, region=a.region)

    def vpc_association() -> str | None:
        return _association(must_find_vpc(a, vpc_id))

    def give_block() -> str:
        made = ec2.associate_vpc_cidr_block(VpcId=vpc_id, AmazonProvidedIpv6CidrBlock=True)
        return str(made["Ipv6CidrBlockAssociation"]["AssociationId"])

    def take_block(association_id: str) -> UndoStep:
        return undo(
            f"take the IPv6 block from {vpc_id}", "ec2", "disassociate_vpc_cidr_block",
            {"AssociationId": association_id},
            gone=("describe_vpcs", {"VpcIds": [vpc_id]}, _held("Vpcs", association_id)),
        )  # fmt: skip

    _once(rec, f"IPv6 block of {vpc_id}", vpc_association, give_block, take_block)
    rec.wait(
        f"IPv6 block of {vpc_id} associated",
        lambda: _is_associated(must_find_vpc(a, vpc_id)),
        timeout_seconds=ASSOCIATED_SECONDS,
    )
    state = load_state(a, vpc_id)
    laid = lay_out_ipv6(str(state.block), {s["SubnetId"]: _cidr(s) for s in state.subnets})
    for subnet_id, cidr in laid.items():
        _number_subnet(ec2, rec, subnet_id, cidr, state.way(subnet_id), undo)
    gateway_id = _egress_gateway(a, rec, state, target)
    for table_id, way in state.routed.items():
        _route_table(ec2, rec, table_id, way, state.internet_gateway, gateway_id, undo)
    return _outputs(a, vpc_id)


def _once(
    rec: Recorder,
    name: str,
    read: Callable[[], str | None],
    make: Callable[[], str],
    undo: Callable[[str], UndoStep],
) -> None:
    """Make what bears no tags, unless it is there."""

    def found() -> dict[str, str] | None:
        there = read()
        return {"id": there} if there else None

    rec.step(
        name,
        lambda: {"id": make()},
        undo=lambda result: [undo(result["id"])],
        find=found,
        if_missing=True,
    )


def _held(items: str, association_id: str) -> str:
    """JMESPath that finds an association until it is gone."""
    return (
        f"{items}[].Ipv6CidrBlockAssociationSet[] | [?AssociationId=='{association_id}' && "
        "Ipv6CidrBlockState.State!='disassociated']"
    )


def _number_subnet(
    ec2: Any, rec: Recorder, subnet_id: str, cidr: str, way: Way, undo: Callable[..., UndoStep]
) -> None:
    """A /64 for a subnet; where there is a way to the internet its new servers get addresses."""
    which = {"SubnetIds": [subnet_id]}

    def subnet() -> dict[str, Any]:
        (found,) = ec2.describe_subnets(**which)["Subnets"]
        described: dict[str, Any] = found
        return described

    def give() -> str:
        made = ec2.associate_subnet_cidr_block(SubnetId=subnet_id, Ipv6CidrBlock=cidr)
        return str(made["Ipv6CidrBlockAssociation"]["AssociationId"])

    def take(association_id: str) -> UndoStep:
        return undo(
            f"take {cidr} from {subnet_id}", "ec2", "disassociate_subnet_cidr_block",
            {"AssociationId": association_id},
            gone=("describe_subnets", which, _held("Subnets", association_id)), wait_gone=True,
        )  # fmt: skip

    _once(rec, f"{cidr} for {subnet_id}", lambda: _association(subnet()), give, take)

    def switch(on: bool) -> dict[str, Any]:
        return {"SubnetId": subnet_id, "AssignIpv6AddressOnCreation": {"Value": on}}

    def switch_on() -> str:
        ec2.modify_subnet_attribute(**switch(True))
        return subnet_id

    def switch_off(_: str) -> UndoStep:
        return undo(
            f"give new servers in {subnet_id} no IPv6 address", "ec2", "modify_subnet_attribute",
            switch(False), gone=("describe_subnets", which, _ASSIGNS),
        )  # fmt: skip

    if way != "none":
        _once(
            rec,
            f"addresses for servers in {subnet_id}",
            lambda: subnet_id if subnet().get("AssignIpv6AddressOnCreation") else None,
            switch_on,
            switch_off,
        )


_ASSIGNS = "Subnets[?AssignIpv6AddressOnCreation]"


def _egress_gateway(a: Aws, rec: Recorder, state: State, target: AwsTarget) -> str | None:
    """The gateway for private subnets: the VPC's own, or a new one; None where none is needed."""
    if "out only" not in state.routed.values():
        return None
    vpc_id = state.vpc["VpcId"]
    request = _request(vpc_id)
    known = known_parts(a, request, [EGRESS])
    there = load_egress_gateway(a, vpc_id)
    if there and there not in known.values():
        return there
    return Ec2Maker(a, rec, request, target, known).make(EGRESS, vpc_id, VpcId=vpc_id)


def _request(vpc_id: str) -> Request:
    return Request.of("enable_ipv6", vpc_id)


def load_egress_gateway(a: Aws, vpc_id: str) -> str | None:
    """The egress-only internet gateway of a VPC, which has one at most."""
    words = "describe_egress_only_internet_gateways", "EgressOnlyInternetGateways"
    for gateway in a.pages("ec2", *words):
        if vpc_id in {attached["VpcId"] for attached in gateway.get("Attachments", [])}:
            return str(gateway["EgressOnlyInternetGatewayId"])
    return None


def _route_table(
    ec2: Any,
    rec: Recorder,
    table_id: str,
    way: Way,
    internet_gateway_id: str | None,
    egress_gateway_id: str | None,
    undo: Callable[..., UndoStep],
) -> None:
    which = {"RouteTableIds": [table_id]}
    route = {"RouteTableId": table_id, "DestinationIpv6CidrBlock": ANYWHERE6}
    via = (
        {"GatewayId": internet_gateway_id}
        if way == "in and out"
        else {"EgressOnlyInternetGatewayId": egress_gateway_id}
    )

    def read() -> str | None:
        (table,) = ec2.describe_route_tables(**which)["RouteTables"]
        return _route6(table)

    def make() -> str:
        ec2.create_route(**route, **via)
        return table_id

    def remove(_: str) -> UndoStep:
        there = f"RouteTables[].Routes[] | [?DestinationIpv6CidrBlock=='{ANYWHERE6}']"
        return undo(
            f"remove the route {ANYWHERE6} from {table_id}", "ec2", "delete_route", route,
            gone=("describe_route_tables", which, there),
        )  # fmt: skip

    _once(rec, f"route {ANYWHERE6} in {table_id}", read, make, remove)


def _outputs(a: Aws, vpc_id: str) -> Ipv6Network:
    state = load_state(a, vpc_id)
    return Ipv6Network(
        vpc_id=vpc_id,
        cidr=str(state.block),
        egress_only_gateway_id=load_egress_gateway(a, vpc_id),
        subnets=[
            Ipv6Subnet(
                subnet_id=s["SubnetId"], cidr=str(_cidr(s)), internet=state.way(s["SubnetId"])
            )
            for s in state.subnets
        ],
    )


def judge_ipv6(made: Ipv6Network, state: State) -> list[Check]:
    """Whether the VPC and each subnet have their block, and go where they should over IPv6."""
    blocks = {subnet["SubnetId"]: _cidr(subnet) for subnet in state.subnets}
    lost = [s.subnet_id for s in made.subnets if blocks.get(s.subnet_id) != s.cidr]
    prefix: dict[Way, str] = {"in and out": "igw-", "out only": "eigw-"}
    wrong = []
    for subnet in made.subnets:
        hop = _route6(table_of(subnet.subnet_id, state.tables) or {})
        wanted = prefix.get(subnet.internet)
        if hop is not None if wanted is None else not (hop or "").startswith(wanted):
            wrong.append(f"{subnet.subnet_id} → {hop or 'none'}")
    said = ", ".join(wrong) or "as over IPv4"
    return [
        check("The VPC has its IPv6 block", state.block == made.cidr, made.cidr, made.vpc_id),
        check("Every subnet has its /64", not lost, ", ".join(lost), made.vpc_id),
        check("Each subnet goes where it should over IPv6", not wrong, said, made.vpc_id),
    ]
