"""Hosted zones: public, or private for VPCs."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.dns.records import wait_in_sync
from opswright_aws_devops.dns.values import check_name
from opswright_aws_devops.dns.zones import Zone, load_zones, normal
from opswright_aws_devops.lookup import if_exists, must_exist
from opswright_aws_devops.ownership import Request, key, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, ConflictError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, Unread, attempt, check

ZONE = "route53:hostedzone"
VpcId = Annotated[str, Field(pattern=r"^vpc-[0-9a-f]+$")]


class HostedZone(BaseModel):
    """A hosted zone."""

    zone_id: str
    name: str
    name_servers: list[str] = Field(description="For the registrar; empty for a private zone")
    vpc_ids: list[str]


@write_tool(toolset="edge")
def create_hosted_zone(
    name: Annotated[str, Field(description="Domain, like example.com", max_length=255)],
    vpc_ids: Annotated[
        list[VpcId], Field(description="Private, for these VPCs; none: public", max_length=20)
    ] = [],  # noqa: B006 (never changed)
    target: Target = HERE,
) -> Work[HostedZone]:
    """Create a Route 53 hosted zone: public, or private for VPCs."""
    a = aws(target)
    check_name(name)
    if "*" in name:
        raise BadInputError(f"{name}: a zone has a plain name; a wildcard is a record in it.")
    request = Request.of("create_hosted_zone", normal(name), vpcs=sorted(vpc_ids))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, vpc_ids),
        apply=lambda rec: _apply(a, rec, request, vpc_ids, target),
        verify=lambda made: judge_zone(made, attempt(lambda: _load(a, made.zone_id)), vpc_ids),
        outputs=HostedZone,
    )


def _comment(request: Request) -> str:
    """Route 53 takes no tags when a zone is made; what is known from the start is its comment."""
    return f"opswright:request={request.id}"


def _own(a: Aws, request: Request, *, private: bool) -> Zone | None:
    """The zone that the same request made. Raises ConflictError for another of that name."""
    named = [z for z in load_zones(a) if z.name == request.name and z.private == private]
    own = [zone for zone in named if zone.comment == _comment(request)]
    if named and not own:
        raise ConflictError(
            f"There is a {'private' if private else 'public'} zone {request.name} already "
            f"({named[0].id}): set_dns_record uses it; a second one would never be asked."
            if not private
            else f"There is a private zone {request.name} already ({named[0].id}), made otherwise: "
            "associate the VPC with it, or choose another name."
        )
    return own[0] if own else None


def _load(a: Aws, zone_id: str) -> dict[str, Any] | None:
    route53 = a.client("route53")
    return if_exists(lambda: dict(route53.get_hosted_zone(Id=zone_id)))


def _plan(a: Aws, request: Request, vpc_ids: list[str]) -> ChangePlan:
    ec2 = a.client("ec2")
    if vpc_ids:
        must_exist(f"{', '.join(vpc_ids)}", lambda: ec2.describe_vpcs(VpcIds=vpc_ids)["Vpcs"])
    own = _own(a, request, private=bool(vpc_ids))
    detail = f"private, for {', '.join(vpc_ids)}" if vpc_ids else "public"
    wanted = [Action(verb="create", type=ZONE, name=request.name, detail=detail)]
    if vpc_ids:
        warning = (
            "The VPCs need enableDnsSupport and enableDnsHostnames; the public answers for these "
            "names are hidden from them."
        )
    else:
        warning = (
            "Nothing in it resolves until the registrar, or the zone above, has its name servers."
        )
    return ChangePlan(
        summary=f"Create hosted zone {request.name} ({detail})",
        actions=outstanding(wanted, [key(ZONE, request.name)] if own else []),
        warnings=[warning, "Undoing this fails while there are records in the zone."],
        observed={"exists": bool(own)},
    )


def _apply(
    a: Aws, rec: Recorder, request: Request, vpc_ids: list[str], target: AwsTarget
) -> HostedZone:
    route53, name = a.client("route53"), request.name
    vpcs = [{"VPCRegion": a.region, "VPCId": vpc_id} for vpc_id in vpc_ids]

    def find() -> dict[str, str | None] | None:
        own = _own(a, request, private=bool(vpcs))
        return {"zone_id": own.id, "change": None} if own else None

    def make() -> dict[str, str | None]:
        if found := find():
            return found
        made = route53.create_hosted_zone(
            Name=name,
            CallerReference=rec.change_id,
            HostedZoneConfig={"Comment": _comment(request), "PrivateZone": bool(vpcs)},
            **({"VPC": vpcs[0]} if vpcs else {}),
        )
        zone_id = made["HostedZone"]["Id"].rpartition("/")[2]
        return {"zone_id": zone_id, "change": made["ChangeInfo"]["Id"]}

    done: dict[str, str] = rec.step(
        key(ZONE, name),
        make,
        undo=lambda made: [
            aws_undo(
                f"delete hosted zone {name} ({made['zone_id']})", "route53", "delete_hosted_zone",
                {"Id": made["zone_id"]}, target=target, region=a.region,
                gone=("get_hosted_zone", {"Id": made["zone_id"]}, "HostedZone"),
            )
        ],
        resource=lambda made: ResourceRef(type=ZONE, id=made["zone_id"], name=name),
        find=find,
    )  # fmt: skip
    zone_id = done["zone_id"]
    rec.step(
        f"tags of {zone_id}",
        lambda: _tag(route53, zone_id, request),
    )
    changes = [done["change"]]
    for vpc in vpcs[1:]:
        changes.append(
            rec.step(f"{ZONE} {name} for {vpc['VPCId']}", _associating(a, zone_id, vpc))["change"]
        )
    wait_in_sync(a, rec, changes)
    if a.is_emulator:
        rec.gap("The emulator keeps the zone but answers no DNS queries.")
    found = _load(a, zone_id) or {}
    return HostedZone(
        zone_id=zone_id,
        name=name,
        name_servers=[] if vpcs else found.get("DelegationSet", {}).get("NameServers", []),
        vpc_ids=vpc_ids,
    )


def _tag(route53: Any, zone_id: str, request: Request) -> dict[str, bool]:
    route53.change_tags_for_resource(
        ResourceType="hostedzone", ResourceId=zone_id, AddTags=request.tag_list(request.name)
    )
    return {"done": True}


def _associating(a: Aws, zone_id: str, vpc: dict[str, str]) -> Any:
    """Associate a VPC, unless it is; it goes with the zone, so it needs no undo."""

    def send() -> dict[str, str | None]:
        known = {v["VPCId"] for v in (_load(a, zone_id) or {}).get("VPCs", [])}
        if vpc["VPCId"] in known:
            return {"change": None}
        answer = a.client("route53").associate_vpc_with_hosted_zone(HostedZoneId=zone_id, VPC=vpc)
        return {"change": answer["ChangeInfo"]["Id"]}

    return send


def judge_zone(
    made: HostedZone, zone: dict[str, Any] | Unread | None, vpc_ids: list[str]
) -> list[Check]:
    """Whether the zone is there, and for whom it was asked for."""
    if zone is None or isinstance(zone, Unread):
        return [check("Zone exists", zone or False, "Route 53 has none of that id", made.zone_id)]
    private = zone["HostedZone"]["Config"]["PrivateZone"]
    checks = [check("Zone exists", normal(zone["HostedZone"]["Name"]) == made.name)]
    if vpc_ids:
        there = {vpc["VPCId"] for vpc in zone.get("VPCs", [])}
        missing = sorted(set(vpc_ids) - there)
        checks.append(
            check("It is private, for its VPCs", private and not missing, ", ".join(missing))
        )
    else:
        servers = zone.get("DelegationSet", {}).get("NameServers", [])
        evidence = ", ".join(servers)
        checks.append(check("It is public, with name servers", not private and servers, evidence))
    return [c.model_copy(update={"resource": made.zone_id}) for c in checks]
