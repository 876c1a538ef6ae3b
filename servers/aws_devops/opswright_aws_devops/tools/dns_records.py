"""DNS records: what a name answers, changed in sight of what it answered before."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops.dns.aliases import Alias, find_alias
from opswright_aws_devops.dns.records import (
    RECORD,
    answers_of,
    in_words,
    is_kept,
    load_record,
    load_records,
    put_record,
    same_key,
    wait_in_sync,
)
from opswright_aws_devops.dns.values import RecordType, check_name, record_values
from opswright_aws_devops.dns.zones import Zone, load_zones, normal, zones_of
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError, ConflictError, NotFoundError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, Unread, attempt, check


class Routing(BaseModel):
    """One of several answers of a name: by weight, or as primary and secondary."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    set_identifier: str = Field(
        description="Tells it from the others", min_length=1, max_length=128
    )
    weight: int | None = Field(None, ge=0, le=255)
    failover: Literal["PRIMARY", "SECONDARY"] | None = None
    health_check_id: str | None = Field(None, max_length=64)


class DnsRecord(BaseModel):
    """A record as it is now, and what it answered before."""

    name: str
    type: str
    zone_id: str
    zone_name: str
    answers: str
    before: str = Field(description="`nothing` when there was no such record")


@write_tool(toolset="edge")
def set_dns_record(
    name: Annotated[str, Field(description="Full name, like www.example.com", max_length=255)],
    type: Annotated[RecordType, Field(description="Record type")] = "A",
    values: Annotated[
        list[str], Field(description="Addresses, a host, texts, `10 mail.host`", max_length=100)
    ] = [],  # noqa: B006 (never changed)
    alias_to: Annotated[
        str | None,
        Field(description="Instead: load balancer, distribution or S3 website", max_length=400),
    ] = None,
    ttl_seconds: Annotated[int, Field(description="Of values", ge=0, le=604_800)] = 300,
    routing: Annotated[
        Routing | None, Field(description="weight or failover, health check")
    ] = None,
    private: Annotated[bool, Field(description="In a private zone")] = False,
    zone_id: Annotated[
        str | None, Field(description="Where several zones fit", pattern=r"^[0-9A-Z]{1,32}$")
    ] = None,
    target: Target = HERE,
) -> Work[DnsRecord]:
    """Set a DNS record in Route 53, to values or as an alias; the plan shows from → to."""
    a, own = aws(target), normal(name)
    check_name(name)
    if bool(values) == bool(alias_to):
        raise BadInputError("Give either values or alias_to.")
    if alias_to and type not in {"A", "AAAA"}:
        raise BadInputError(f"An alias is of type A or AAAA, not {type}.")
    _check_routing(routing, is_alias=bool(alias_to))
    content = record_values(type, values)

    def wanted() -> tuple[Zone, dict[str, Any], Alias | None]:
        zone = _zone(a, own, zone_id, private=private)
        alias = find_alias(a, alias_to, own) if alias_to else None
        return zone, _record(own, type, content, alias, ttl_seconds, routing), alias

    def existing() -> DnsRecord:
        zone, record, _ = wanted()
        return _described(zone, record, record)

    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, *wanted()),
        apply=lambda rec: _apply(a, rec, *wanted()[:2], target),
        verify=lambda _: _verify(a, *wanted()[:2]),
        existing=existing,
        outputs=DnsRecord,
    )


def _check_routing(routing: Routing | None, *, is_alias: bool) -> None:
    if routing is None:
        return
    if (routing.weight is None) == (routing.failover is None):
        raise BadInputError("routing takes either weight or failover.")
    if routing.failover == "PRIMARY" and not is_alias and routing.health_check_id is None:
        raise BadInputError(
            "A PRIMARY record needs health_check_id: without it Route 53 never fails over. "
            "An alias of a load balancer evaluates its targets' health instead."
        )


def _zone(a: Aws, name: str, zone_id: str | None, *, private: bool) -> Zone:
    """The zone that a name belongs to. Raises NotFoundError or ConflictError."""
    zones = load_zones(a)
    found = zones_of(zones, name, private=private)
    if zone_id:
        named = [z for z in zones if z.id == zone_id and zones_of([z], name, private=z.private)]
        if not named:
            raise NotFoundError(f"Zone {zone_id} is not of this account, or not one for {name}.")
        return named[0]
    kind = "private" if private else "public"
    if not found:
        known = ", ".join(sorted(z.name for z in zones if z.private == private)[:10]) or "none"
        raise NotFoundError(
            f"No {kind} hosted zone of this account is for {name}; there are: {known}. "
            "create_hosted_zone makes one."
        )
    if len(found) > 1:
        ids = ", ".join(zone.id for zone in found)
        raise ConflictError(
            f"{len(found)} {kind} zones are named {found[0].name} ({ids}): say zone_id, the one "
            "whose name servers the registrar has."
        )
    return found[0]


def _record(
    name: str,
    kind: RecordType,
    values: list[str],
    alias: Alias | None,
    ttl_seconds: int,
    routing: Routing | None,
) -> dict[str, Any]:
    """The record set as Route 53 takes it."""
    record: dict[str, Any] = {"Name": f"{name}.", "Type": kind}
    if alias:
        record["AliasTarget"] = alias.target()
    else:
        record["TTL"] = ttl_seconds
        record["ResourceRecords"] = [{"Value": value} for value in values]
    if routing:
        said = {
            "SetIdentifier": routing.set_identifier,
            "Weight": routing.weight,
            "Failover": routing.failover,
            "HealthCheckId": routing.health_check_id,
        }
        record |= {key: value for key, value in said.items() if value is not None}
    return record


def refuse_beside(record: dict[str, Any], there: list[dict[str, Any]], zone: str) -> None:
    """Raise ConflictError for a record that DNS or Route 53 does not take beside those there."""
    name, kind = normal(record["Name"]), record["Type"]
    if kind == "CNAME" and name == zone:
        raise BadInputError(
            f"{name} is the zone's own name, which cannot be a CNAME (RFC 1034, 3.6.2): use "
            "alias_to with type A and AAAA."
        )
    others = sorted({r["Type"] for r in there if r["Type"] != kind})
    if (kind == "CNAME" and others) or "CNAME" in others:
        raise ConflictError(
            f"{name} has {', '.join(others)} records already: a CNAME stands alone (RFC 1034, "
            "3.6.2). Delete them first, or use the same type."
        )
    for one in (r for r in there if r["Type"] == kind and not same_key(r, record)):
        routed = "SetIdentifier" in one and "SetIdentifier" in record
        if not routed or ("Weight" in one) != ("Weight" in record):
            raise ConflictError(
                f"{kind} {name} has a record of another routing already: {in_words(one)}. All "
                "records of a name and type are simple, weighted or failover alike."
            )


def _plan(a: Aws, zone: Zone, record: dict[str, Any], alias: Alias | None) -> ChangePlan:
    there = load_records(a, zone.id, record["Name"])
    refuse_beside(record, there, zone.name)
    before = next((found for found in there if same_key(found, record)), None)
    name = normal(record["Name"])
    said = f"{record['Type']} {name}"
    if answers_of(before) == answers_of(record):
        return ChangePlan(summary=f"{said} is {in_words(record)} already", actions=[])
    detail = f"in zone {zone.name}: from {in_words(before)} → {in_words(record)}"
    warnings = [alias.warning] if alias and alias.warning else []
    if before is not None and before.get("TTL"):
        warnings.append(f"Resolvers may give the old answer for another {before['TTL']} s.")
    kept = is_kept(before)
    if not kept:
        warnings.append(
            "The old value looks like a secret, which the journal does not keep: undo cannot "
            "restore it."
        )
    return ChangePlan(
        summary=f"Set {said} to {in_words(record)}",
        actions=[
            Action(verb="modify" if before else "create", type=RECORD, name=said, detail=detail)
        ],
        warnings=warnings,
        reversible=kept,
        observed={"before": answers_of(before), "zone": zone.id},
    )


def _apply(
    a: Aws, rec: Recorder, zone: Zone, record: dict[str, Any], target: AwsTarget
) -> DnsRecord:
    before = load_record(a, zone.id, record)
    wait_in_sync(a, rec, [put_record(a, rec, zone, record, target)])
    if a.is_emulator:
        rec.gap("The emulator keeps records but answers no DNS queries.")
    return _described(zone, record, before)


def _described(zone: Zone, record: dict[str, Any], before: dict[str, Any] | None) -> DnsRecord:
    return DnsRecord(
        name=normal(record["Name"]),
        type=record["Type"],
        zone_id=zone.id,
        zone_name=zone.name,
        answers=in_words(record),
        before=in_words(before),
    )


def _verify(a: Aws, zone: Zone, record: dict[str, Any]) -> list[Check]:
    now = attempt(lambda: answers_of(load_record(a, zone.id, record)) or {})
    is_so = now if isinstance(now, Unread) else now == answers_of(record)
    evidence = "" if isinstance(now, Unread) else str(now or "no such record")
    return [check("The zone has the record", is_so, evidence, f"{zone.id}/{record['Name']}")]
