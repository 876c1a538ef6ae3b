"""Networks: a VPC with public, private and database subnets over several availability zones."""

import functools
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from opswright_aws_devops.networking.checks import (
    Network,
    default_group,
    judge_network,
    load_network,
)
from opswright_aws_devops.networking.layout import SubnetLayout, lay_out, overlapping, parse_cidr
from opswright_aws_devops.networking.parts import Ec2Maker, known_parts
from opswright_aws_devops.networking.routing import ANYWHERE
from opswright_aws_devops.ownership import Request, ResourceName, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo

NatLayout = Literal["per_az", "single", "none"]
NAT_SECONDS = 600.0


@dataclass(frozen=True)
class Design:
    """The network to be: everything that follows from the arguments and the region's zones."""

    request: Request
    cidr: str
    azs: list[str]
    subnets: list[SubnetLayout]
    nat_azs: list[str]
    """The zones that get a NAT gateway."""

    @property
    def name(self) -> str:
        """The name of the network, and the beginning of every part's."""
        return self.request.name

    @property
    def parts(self) -> list[Action]:
        """Every part, in the order it is made."""

        def create(kind: str, part: str, detail: str = "") -> Action:
            return Action(verb="create", type=kind, name=part, detail=detail)

        name = self.name
        return [
            create("ec2:vpc", name, self.cidr),
            create("ec2:internet-gateway", name),
            create("ec2:route-table", f"{name}-public", "to the internet gateway"),
            *(create("ec2:route-table", f"{name}-private-{az}") for az in self.azs),
            create("ec2:route-table", f"{name}-database", "no way to the internet"),
            *(create("ec2:subnet", f"{name}-{s.tier}-{s.az}", s.cidr) for s in self.subnets),
            *(create("ec2:elastic-ip", f"{name}-{az}") for az in self.nat_azs),
            *(create("ec2:natgateway", f"{name}-{az}") for az in self.nat_azs),
        ]

    @property
    def kinds(self) -> list[str]:
        """The kinds of its parts."""
        return list(dict.fromkeys(part.type for part in self.parts))


@write_tool()
def create_network(
    name: ResourceName,
    cidr: Annotated[str, Field(description="Of the VPC", max_length=18)] = "10.0.0.0/16",
    az_count: Annotated[int, Field(description="Zones", ge=2, le=4)] = 2,
    nat: Annotated[NatLayout, Field(description="NAT gateways")] = "per_az",
    target: Target = HERE,
) -> Work[Network]:
    """Create a VPC with public, private and database subnets per AZ, gateways and routes."""
    a = aws(target)
    parse_cidr(cidr)
    azs = usable_zones(a, az_count)
    design = Design(
        Request.of("create_network", name, cidr=cidr, az_count=az_count, nat=nat),
        cidr,
        azs,
        lay_out(cidr, azs),
        {"per_az": azs, "single": azs[:1], "none": []}[nat],
    )
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, design),
        apply=lambda rec: _apply(a, rec, design, target),
        verify=lambda made: judge_network(made, load_network(a, made.vpc_id)),
        outputs=Network,
    )


def usable_zones(a: Aws, count: int) -> list[str]:
    """The first `count` availability zones that the account may use, by name."""
    zones = a.client("ec2").describe_availability_zones()["AvailabilityZones"]
    usable = sorted(
        zone["ZoneName"]
        for zone in zones
        if zone["State"] == "available"
        and zone.get("ZoneType", "availability-zone") == "availability-zone"
    )
    if len(usable) < count:
        raise BadInputError(
            f"az_count is {count}, but {a.region} offers this account only {len(usable)} "
            f"availability zones ({', '.join(usable)})."
        )
    return usable[:count]


def _plan(a: Aws, design: Design) -> ChangePlan:
    request, cidr = design.request, design.cidr
    vpcs = a.pages("ec2", "describe_vpcs", "Vpcs")
    for vpc in vpcs:
        tags = tags_of(vpc.get("Tags"))
        if tags.get("Name") == request.name:
            request.claim(f"VPC {vpc['VpcId']}", tags)
    known = known_parts(a, request, design.kinds)
    others = {v["VpcId"]: v["CidrBlock"] for v in vpcs if v["VpcId"] not in known.values()}
    warnings = [
        f"{cidr} overlaps {vpc_id} ({others[vpc_id]}): the two can never be peered."
        for vpc_id in overlapping(cidr, others)
    ]
    if not parse_cidr(cidr).is_private:
        warnings.append(
            f"{cidr} is not a private range: the public hosts in it become unreachable."
        )
    if design.nat_azs:
        warnings.append(f"NAT gateways are billed by the hour; this has {len(design.nat_azs)}.")
    if len(design.nat_azs) == 1:
        warnings.append(f"Private subnets lose the internet when {design.nat_azs[0]} fails.")
    return ChangePlan(
        summary=f"Create network {request.name} ({cidr}) over {', '.join(design.azs)}",
        actions=outstanding(design.parts, known),
        warnings=warnings,
        observed={"azs": design.azs, "known": known, "vpcs": others},
    )


def _apply(a: Aws, rec: Recorder, design: Design, target: AwsTarget) -> Network:
    ec2, name, azs = a.client("ec2"), design.name, design.azs
    maker = Ec2Maker(a, rec, design.request, target, known_parts(a, design.request, design.kinds))
    vpc_id = maker.make("ec2:vpc", name, CidrBlock=design.cidr)
    rec.wait(
        f"VPC {vpc_id} available",
        lambda: ec2.describe_vpcs(VpcIds=[vpc_id])["Vpcs"][0]["State"] == "available",
        timeout_seconds=120,
    )
    for attribute in ("EnableDnsSupport", "EnableDnsHostnames"):
        rec.step(attribute, functools.partial(_switch_on, ec2, vpc_id, attribute))
    rec.step("close the default security group", lambda: _close_default_group(ec2, vpc_id))
    igw_id = maker.make("ec2:internet-gateway", name)
    rec.step(
        "attach internet gateway",
        lambda: _attach(ec2, igw_id, vpc_id),
        undo=[_detach(igw_id, vpc_id, target, a.region)],
    )
    public_table = maker.make("ec2:route-table", f"{name}-public", VpcId=vpc_id)
    private_tables = {
        az: maker.make("ec2:route-table", f"{name}-private-{az}", VpcId=vpc_id) for az in azs
    }
    database_table = maker.make("ec2:route-table", f"{name}-database", VpcId=vpc_id)
    made: dict[str, list[str]] = {"public": [], "private": [], "database": []}
    for subnet in design.subnets:
        part = f"{name}-{subnet.tier}-{subnet.az}"
        subnet_id = maker.make(
            "ec2:subnet", part, VpcId=vpc_id, CidrBlock=subnet.cidr, AvailabilityZone=subnet.az
        )
        made[subnet.tier].append(subnet_id)
        tables = {"public": public_table, "database": database_table}
        table_id = tables.get(subnet.tier) or private_tables[subnet.az]
        rec.step(
            f"associate {part}",
            functools.partial(_associate, ec2, subnet_id, table_id),
            undo=lambda result: [_disassociate(result["id"], target, a.region)],
            find=functools.partial(_association, ec2, subnet_id, table_id),
        )
    # Routes need no undo of their own: they go with their table.
    rec.step("route public", lambda: _route_anywhere(ec2, public_table, GatewayId=igw_id))
    nat_ids = _make_nats(ec2, maker, design, dict(zip(azs, made["public"], strict=True)))
    for az in azs if nat_ids else []:
        nat_id = nat_ids.get(az) or nat_ids[design.nat_azs[0]]
        send = functools.partial(_route_anywhere, ec2, private_tables[az], NatGatewayId=nat_id)
        rec.step(f"route private {az}", send)
    return Network(
        name=name,
        vpc_id=vpc_id,
        cidr=design.cidr,
        azs=azs,
        public_subnet_ids=made["public"],
        private_subnet_ids=made["private"],
        database_subnet_ids=made["database"],
        internet_gateway_id=igw_id,
        nat_gateway_ids=list(nat_ids.values()),
        route_table_ids=[public_table, *private_tables.values(), database_table],
    )


def _make_nats(
    ec2: Any, maker: Ec2Maker, design: Design, public_subnets: dict[str, str]
) -> dict[str, str]:
    """An address and a NAT gateway per zone, all asked for before the first is waited for."""
    nat_ids: dict[str, str] = {}
    for az in design.nat_azs:
        part = f"{design.name}-{az}"
        address_id = maker.make("ec2:elastic-ip", part, Domain="vpc")
        nat_ids[az] = maker.make(
            "ec2:natgateway", part, SubnetId=public_subnets[az], AllocationId=address_id
        )
    if nat_ids:
        maker.rec.wait(
            f"NAT gateways {', '.join(nat_ids.values())} available",
            lambda: _are_available(ec2, list(nat_ids.values())),
            timeout_seconds=NAT_SECONDS,
        )
    return nat_ids


def _are_available(ec2: Any, nat_ids: list[str]) -> bool:
    nats = ec2.describe_nat_gateways(NatGatewayIds=nat_ids)["NatGateways"]
    for nat in nats:
        if nat["State"] == "failed":
            raise OpswrightError(
                f"NAT gateway {nat['NatGatewayId']} failed: {nat.get('FailureMessage')}. "
                "Mend the cause and call again with the same arguments."
            )
    return all(nat["State"] == "available" for nat in nats)


def _switch_on(ec2: Any, vpc_id: str, attribute: str) -> dict[str, bool]:
    ec2.modify_vpc_attribute(VpcId=vpc_id, **{attribute: {"Value": True}})
    return {attribute: True}


def _close_default_group(ec2: Any, vpc_id: str) -> dict[str, str]:
    """Take every rule out of the group that a server gets when none is named; it goes with the VPC.

    AWS Foundational Security Best Practices, EC2.2.
    """
    group = default_group(ec2, vpc_id)
    which = {"GroupId": group["GroupId"]}
    if rules := group["IpPermissions"]:
        ec2.revoke_security_group_ingress(**which, IpPermissions=rules)
    if rules := group["IpPermissionsEgress"]:
        ec2.revoke_security_group_egress(**which, IpPermissions=rules)
    return {"security_group_id": group["GroupId"]}


def _attach(ec2: Any, igw_id: str, vpc_id: str) -> dict[str, str]:
    (gateway,) = ec2.describe_internet_gateways(InternetGatewayIds=[igw_id])["InternetGateways"]
    if vpc_id not in {attached["VpcId"] for attached in gateway["Attachments"]}:
        ec2.attach_internet_gateway(InternetGatewayId=igw_id, VpcId=vpc_id)
    return {"internet_gateway_id": igw_id, "vpc_id": vpc_id}


def _detach(igw_id: str, vpc_id: str, target: AwsTarget, region: str) -> UndoStep:
    return aws_undo(
        f"detach internet gateway {igw_id}",
        "ec2",
        "detach_internet_gateway",
        {"InternetGatewayId": igw_id, "VpcId": vpc_id},
        target=target,
        region=region,
        gone=(
            "describe_internet_gateways",
            {"InternetGatewayIds": [igw_id]},
            "InternetGateways[].Attachments[]",
        ),
    )


def _association(ec2: Any, subnet_id: str, table_id: str) -> dict[str, str] | None:
    (table,) = ec2.describe_route_tables(RouteTableIds=[table_id])["RouteTables"]
    for association in table["Associations"]:
        if association.get("SubnetId") == subnet_id:
            return {"id": association["RouteTableAssociationId"]}
    return None


def _associate(ec2: Any, subnet_id: str, table_id: str) -> dict[str, str]:
    if there := _association(ec2, subnet_id, table_id):
        return there
    answer = ec2.associate_route_table(RouteTableId=table_id, SubnetId=subnet_id)
    return {"id": answer["AssociationId"]}


def _disassociate(association_id: str, target: AwsTarget, region: str) -> UndoStep:
    same = {"Name": "association.route-table-association-id", "Values": [association_id]}
    return aws_undo(
        f"disassociate route table ({association_id})",
        "ec2",
        "disassociate_route_table",
        {"AssociationId": association_id},
        target=target,
        region=region,
        gone=("describe_route_tables", {"Filters": [same]}, "RouteTables[]"),
    )


def _route_anywhere(ec2: Any, table_id: str, **via: str) -> dict[str, str]:
    """Send 0.0.0.0/0 to a gateway, in place of where it goes now."""
    (table,) = ec2.describe_route_tables(RouteTableIds=[table_id])["RouteTables"]
    there = any(route.get("DestinationCidrBlock") == ANYWHERE for route in table["Routes"])
    send = ec2.replace_route if there else ec2.create_route
    send(RouteTableId=table_id, DestinationCidrBlock=ANYWHERE, **via)
    return via
