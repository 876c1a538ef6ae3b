"""VPC endpoints: AWS services reached without leaving the VPC."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any

from pydantic import Field

from opswright_aws_devops.networking.endpoint_checks import (
    HTTPS,
    Endpoint,
    Endpoints,
    EndpointType,
    cidrs_of,
    judge_endpoints,
    lets_in_https,
    load_endpoints,
    short_name,
)
from opswright_aws_devops.networking.parts import Ec2Maker, known_parts
from opswright_aws_devops.networking.placement import VpcId, must_find_vpc
from opswright_aws_devops.networking.routing import next_hop, table_of
from opswright_aws_devops.ownership import Request, ResourceName, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target, error_code, tags_of
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check

ENDPOINT, GROUP = "ec2:vpc-endpoint", "ec2:security-group"
GATEWAYS = frozenset({"s3", "dynamodb"})
"""Reached through a route, free of charge; all others through a network interface per zone."""

AVAILABLE_SECONDS = 600.0
_FAILED = {"failed", "rejected", "expired", "deleted"}
Service = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,60}$")]


@dataclass(frozen=True)
class Layout:
    """What is to be made of what was asked, given what the VPC has."""

    vpc: dict[str, Any]
    offered: dict[str, dict[str, Any]]
    """AWS's details of each service to be made, by short name."""
    kept: list[Endpoint]
    subnet_ids: list[str]
    table_ids: list[str]

    def type_of(self, service: str) -> EndpointType:
        """How a service is reached."""
        return "Gateway" if service in GATEWAYS else "Interface"

    @property
    def interfaces(self) -> list[str]:
        """The services to be made that are reached through an interface."""
        return [s for s in self.offered if self.type_of(s) == "Interface"]


@write_tool(toolset="network")
def create_vpc_endpoints(
    name: ResourceName,
    vpc_id: VpcId,
    services: Annotated[
        list[Service],
        Field(description="Like s3, dynamodb, ssm, ecr.api", min_length=1, max_length=20),
    ],
    subnet_ids: Annotated[
        list[str], Field(description="For interface endpoints, one a zone; default: private ones")
    ] = [],  # noqa: B006 (never changed)
    target: Target = HERE,
) -> Work[Endpoints]:
    """Create endpoints, so that a VPC reaches AWS services without the internet.

    S3 and DynamoDB get free gateway endpoints, the others billed interface endpoints.
    """
    a = aws(target)
    asked = sorted(set(services))
    request = Request.of(
        "create_vpc_endpoints", name, vpc=vpc_id, services=asked, subnets=sorted(subnet_ids)
    )

    def verify(made: Endpoints) -> list[Check]:
        ids = [made.security_group_id] if made.security_group_id else []
        here = [{"Name": "group-id", "Values": ids}]
        groups = a.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=here)
        vpc = must_find_vpc(a, vpc_id)
        return judge_endpoints(made, load_endpoints(a, vpc_id), groups if ids else [], vpc)

    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, _look(a, request, vpc_id, asked, subnet_ids)),
        apply=lambda rec: _apply(
            a, rec, request, _look(a, request, vpc_id, asked, subnet_ids), target
        ),
        verify=verify,
        outputs=Endpoints,
        existing=lambda: Endpoints(
            vpc_id=vpc_id,
            made=[],
            kept=_look(a, request, vpc_id, asked, subnet_ids).kept,
            security_group_id=None,
        ),
    )


def _look(
    a: Aws, request: Request, vpc_id: str, services: Sequence[str], subnet_ids: list[str]
) -> Layout:
    """Read what the VPC has. Raises BadInputError for what AWS would refuse."""
    vpc = must_find_vpc(a, vpc_id)
    kept = []
    for found in load_endpoints(a, vpc_id):
        service = short_name(found["ServiceName"])
        if service in services and not request.made(tags_of(found.get("Tags"))):
            id_, type_ = found["VpcEndpointId"], found["VpcEndpointType"]
            kept.append(Endpoint(service=service, endpoint_id=id_, type=type_))
    missing = [service for service in services if service not in {e.service for e in kept}]
    offered = _offered(a, missing) if missing else {}
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    tables = a.pages("ec2", "describe_route_tables", "RouteTables", Filters=here)
    layout = Layout(vpc, offered, kept, [], [table["RouteTableId"] for table in tables])
    if not layout.interfaces:
        return layout
    ec2 = a.client("ec2")
    for attribute in ("enableDnsSupport", "enableDnsHostnames"):
        read = ec2.describe_vpc_attribute(VpcId=vpc_id, Attribute=attribute)
        if not read[f"{attribute[0].upper()}{attribute[1:]}"]["Value"]:
            raise BadInputError(
                f"{vpc_id} has {attribute} off, without which services do not resolve to "
                "interface endpoints; switch it on first (EC2 ModifyVpcAttribute)."
            )
    subnets = a.pages("ec2", "describe_subnets", "Subnets", Filters=here)
    chosen = _choose(vpc_id, subnets, tables, subnet_ids)
    zones = {subnet["AvailabilityZone"] for subnet in chosen}
    for service in layout.interfaces:
        if lacking := zones - set(offered[service].get("AvailabilityZones", zones)):
            raise BadInputError(
                f"{service} is not offered in {', '.join(sorted(lacking))}; give subnet_ids in "
                f"{', '.join(sorted(offered[service]['AvailabilityZones']))}."
            )
    ids = [subnet["SubnetId"] for subnet in chosen]
    return Layout(vpc, offered, kept, ids, layout.table_ids)


def _offered(a: Aws, services: Sequence[str]) -> dict[str, dict[str, Any]]:
    """AWS's details of services, by short name. Raises BadInputError for one there is not."""
    words = "ec2", "describe_vpc_endpoint_services", "ServiceDetails"
    names = [f"com.amazonaws.{a.region}.{service}" for service in services]
    try:
        found = a.pages(*words, ServiceNames=names)
    except Exception as exc:
        if error_code(exc) != "InvalidServiceName":
            raise
        found = a.pages(*words)  # of all, some of which have other beginnings (China)
    offered = {short_name(detail["ServiceName"]): detail for detail in found}
    for service in services:
        if service not in offered:
            near = ", ".join(get_close_matches(service, offered, 3))
            raise BadInputError(
                f"{a.region} offers no endpoint of {service!r}"
                + (f"; near it: {near}." if near else ".")
            )
    return {service: offered[service] for service in services}


def _choose(
    vpc_id: str,
    subnets: Sequence[dict[str, Any]],
    tables: Sequence[dict[str, Any]],
    wanted: list[str],
) -> list[dict[str, Any]]:
    """The subnets asked for, or a private one per zone (those with a way out first)."""
    if wanted:
        known = {subnet["SubnetId"]: subnet for subnet in subnets}
        if strangers := [s for s in wanted if s not in known]:
            raise BadInputError(f"{', '.join(strangers)}: not in {vpc_id}; give subnets of it.")
        zones = [known[s]["AvailabilityZone"] for s in wanted]
        if len(set(zones)) != len(zones):
            raise BadInputError("subnet_ids has two subnets of one zone; give one a zone.")
        return [known[s] for s in wanted]
    chosen: dict[str, tuple[tuple[bool, str], dict[str, Any]]] = {}
    for subnet in subnets:
        hop = next_hop(table_of(subnet["SubnetId"], tables)) or ""
        if hop.startswith("igw-"):
            continue
        rank = (not hop, subnet["SubnetId"])
        zone = subnet["AvailabilityZone"]
        if zone not in chosen or rank < chosen[zone][0]:
            chosen[zone] = (rank, subnet)
    if not chosen:
        raise BadInputError(f"{vpc_id} has no private subnets; name some in subnet_ids.")
    return [chosen[zone][1] for zone in sorted(chosen)]


def _plan(a: Aws, request: Request, layout: Layout) -> ChangePlan:
    vpc_id, group = layout.vpc["VpcId"], f"{request.name}-endpoints"
    wanted = []
    if layout.interfaces:
        detail = f"{HTTPS} from {', '.join(cidrs_of(layout.vpc))}"
        wanted.append(Action(verb="create", type=GROUP, name=group, detail=detail))
        here = [{"Name": "vpc-id", "Values": [vpc_id]}, {"Name": "group-name", "Values": [group]}]
        for found in a.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=here):
            what = f"security group {group} ({found['GroupId']})"
            request.claim(what, tags_of(found.get("Tags")))
    for service in layout.offered:
        detail = (
            f"route in {len(layout.table_ids)} route tables"
            if layout.type_of(service) == "Gateway"
            else f"interface in {', '.join(layout.subnet_ids)}"
        )
        part = f"{request.name}-{service}"
        wanted.append(Action(verb="create", type=ENDPOINT, name=part, detail=detail))
    known = known_parts(a, request, [GROUP, ENDPOINT])
    warnings = [
        f"{e.service} has an endpoint already ({e.endpoint_id}), which is left as it is."
        for e in layout.kept
    ]
    if layout.interfaces:
        count = len(layout.interfaces) * len(layout.subnet_ids)
        warnings.append(
            f"Interface endpoints are billed by the hour and zone, and by data: these are {count}."
        )
        warnings.append("Open connections to these services break when the names begin to resolve.")
    return ChangePlan(
        summary=f"Create endpoints of {', '.join(layout.offered) or 'nothing'} in {vpc_id}",
        actions=outstanding(wanted, known) if wanted else [],
        warnings=warnings,
        observed={
            "known": known,
            "kept": [e.endpoint_id for e in layout.kept],
            "subnets": layout.subnet_ids,
            "tables": layout.table_ids,
        },
    )


def _apply(a: Aws, rec: Recorder, request: Request, layout: Layout, target: AwsTarget) -> Endpoints:
    ec2, vpc_id, group = a.client("ec2"), layout.vpc["VpcId"], f"{request.name}-endpoints"
    known = known_parts(a, request, [GROUP, ENDPOINT])
    maker = Ec2Maker(a, rec, request, target, known)
    group_id = None
    if layout.interfaces:
        group_id = maker.make(
            GROUP, group, GroupName=group, Description=f"Endpoints of {request.name}", VpcId=vpc_id
        )
        allowed = group_id
        # The rules go with their group, so they need no undo of their own.
        rec.step("HTTPS from the VPC", lambda: _allow(ec2, allowed, cidrs_of(layout.vpc)))
    made = []
    for service, detail in layout.offered.items():
        type_ = layout.type_of(service)
        where: dict[str, Any] = (
            {"RouteTableIds": layout.table_ids}
            if type_ == "Gateway"
            else {
                "SubnetIds": layout.subnet_ids,
                "SecurityGroupIds": [group_id],
                "PrivateDnsEnabled": True,
            }
        )
        endpoint_id = maker.make(
            ENDPOINT,
            f"{request.name}-{service}",
            VpcId=vpc_id,
            ServiceName=detail["ServiceName"],
            VpcEndpointType=type_,
            ClientToken=f"{rec.change_id}-{service}"[:64],
            **where,
        )
        made.append(Endpoint(service=service, endpoint_id=endpoint_id, type=type_))
    ids = [endpoint.endpoint_id for endpoint in made]

    def ready() -> bool:
        here = [{"Name": "vpc-id", "Values": [vpc_id]}]
        read = a.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=here)
        states = {e["VpcEndpointId"]: e["State"].lower() for e in read}
        if failed := [i for i in ids if states.get(i) in _FAILED]:
            raise OpswrightError(
                f"AWS did not make {', '.join(failed)} ({states[failed[0]]}): undo this change and "
                "call again."
            )
        return all(states.get(i) == "available" for i in ids)

    rec.wait(f"endpoints of {vpc_id} available", ready, timeout_seconds=AVAILABLE_SECONDS)
    if a.is_emulator and layout.interfaces:
        rec.gap("The emulator answers no service at the interface endpoints' addresses.")
    return Endpoints(vpc_id=vpc_id, made=made, kept=layout.kept, security_group_id=group_id)


def _allow(ec2: Any, group_id: str, cidrs: Sequence[str]) -> dict[str, Any]:
    """Let HTTPS in from each range that it is not let in from yet."""
    groups = ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"]
    missing = [cidr for cidr in cidrs if not lets_in_https(groups, cidr)]
    rule = {
        "IpProtocol": "tcp",
        "FromPort": HTTPS,
        "ToPort": HTTPS,
        "IpRanges": [{"CidrIp": c, "Description": "the VPC"} for c in missing if ":" not in c],
        "Ipv6Ranges": [{"CidrIpv6": c, "Description": "the VPC"} for c in missing if ":" in c],
    }
    if missing:
        ec2.authorize_security_group_ingress(GroupId=group_id, IpPermissions=[rule])
    return {"cidrs": list(cidrs)}
