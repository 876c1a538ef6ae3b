"""Which security groups let in whom, and which nothing uses."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Target
from opswright_core.errors import NotFoundError
from opswright_core.pages import page
from opswright_core.runtime import aws
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, Verdict, attempt
from opswright_security.exposure import ADMIN_PORTS, DATABASE_PORTS, Opening, is_world, openings
from opswright_security.facts.network import load_security_groups
from opswright_security.facts.reachability import load_group_uses
from opswright_security.reading import Fact, Reader
from opswright_security.rules import SEVERITIES, Severity, said
from opswright_security.tools.audit import Cursor

_WEB_PORTS = {80, 443}


class Exposure(BaseModel):
    """One rule that lets the internet in."""

    model_config = ConfigDict(frozen=True)
    group_id: str
    name: str
    vpc_id: str
    protocol: str
    ports: str
    source: str
    severity: Severity
    attached: int | None = Field(
        description="Things with the group; 0 exposes nothing now, null: unread"
    )


class SecurityGroupAudit(BaseModel):
    """What security groups expose, and which are unused."""

    model_config = ConfigDict(frozen=True)
    verdict: Verdict = Field(description="FAIL by any exposure graver than info")
    summary: str
    groups: int
    by_severity: dict[Severity, int]
    exposures: list[Exposure]
    total_exposures: int
    unused: list[str] = Field(description="Groups on nothing and in no rule; at most 50")
    total_unused: int | None
    cursor: str | None = None
    unread: list[str]


@read_tool
def audit_security_groups(
    vpc_id: Annotated[
        str | None, Field(description="Only this VPC", pattern=r"^vpc-[0-9a-f]+$")
    ] = None,
    cursor: Cursor = None,
    target: Target = HERE,
) -> SecurityGroupAudit:
    """Show what is open to the internet, rule by rule, and the unused security groups."""
    reader = Reader(aws(target))
    groups = [
        group for group in reader.load(load_security_groups) if vpc_id in {None, group.get("VpcId")}
    ]
    if vpc_id and not groups:
        raise NotFoundError(
            f"No VPC {vpc_id} in {reader.aws.region}; leave vpc_id out, or set target.region."
        )
    return groups_audit(groups, attempt(lambda: reader.load(load_group_uses)), cursor)


def groups_audit(
    groups: Sequence[Fact], uses: Sequence[Fact] | Unread, cursor: str | None
) -> SecurityGroupAudit:
    """Judge groups and what carries them (Unread `uses` leave `attached` and `unused` open)."""
    attached: Counter[str] | None = None
    if not isinstance(uses, Unread):
        attached = Counter(group for use in uses for group in use["groups"])
    rows = sorted(
        (
            _exposure(group, opening, attached)
            for group in groups
            for opening in openings(group.fields)
            if is_world(opening.source)
        ),
        key=lambda row: (SEVERITIES.index(row.severity), row.group_id, row.ports, row.source),
    )
    severities = Counter(row.severity for row in rows)
    unused = _unused(groups, attached) if attached is not None else []
    shown = page(rows, cursor=cursor, limit=100)
    bad: list[Severity] = [s for s in SEVERITIES if severities[s] and s != "info"]
    unread = [said(uses)] if isinstance(uses, Unread) else []
    return SecurityGroupAudit(
        verdict="FAIL" if bad else "UNKNOWN" if unread else "PASS",
        summary=f"{len(groups)} groups, {len(rows)} rules open to the internet"
        f"{' (' + ', '.join(f'{severities[s]} {s}' for s in bad) + ')' if bad else ''}, "
        f"{len(unused) if attached is not None else 'unknown'} unused.",
        groups=len(groups),
        by_severity={s: severities[s] for s in SEVERITIES},
        exposures=shown.items,
        total_exposures=shown.total,
        unused=unused[:50],
        total_unused=len(unused) if attached is not None else None,
        cursor=shown.cursor,
        unread=unread,
    )


def severity_of(opening: Opening) -> Severity:
    """How grave it is that the internet may use an opening: web ports inform, others weigh."""
    if opening.every_port:
        return "critical"
    if any(opening.allows(port) for port in (*ADMIN_PORTS, *DATABASE_PORTS)):
        return "high"
    if opening.protocol in {"icmp", "icmpv6", "1", "58"}:
        return "low"
    web = opening.first == opening.last and opening.first in _WEB_PORTS
    return "info" if web else "medium"


def _exposure(group: Fact, opening: Opening, attached: Mapping[str, int] | None) -> Exposure:
    return Exposure(
        group_id=group.id,
        name=clean(group["GroupName"], 60),
        vpc_id=group.get("VpcId", ""),
        protocol="all" if opening.protocol == "-1" else opening.protocol,
        ports=opening.ports,
        source=opening.source,
        severity=severity_of(opening),
        attached=attached.get(group.id, 0) if attached is not None else None,
    )


def _unused(groups: Sequence[Fact], attached: Mapping[str, int]) -> list[str]:
    """Groups on nothing that no other group's rule names; AWS's own default groups do not count."""
    named: set[str] = set()
    for group in groups:
        named |= {o.source for o in openings(group.fields)} - {group.id}
    return sorted(
        group.id
        for group in groups
        if group.id not in attached and group.id not in named and group["GroupName"] != "default"
    )
