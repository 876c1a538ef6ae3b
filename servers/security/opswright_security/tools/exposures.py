"""Which security groups let in whom, and which nothing uses."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws
from opswright_core.errors import NotFoundError
from opswright_core.pages import page
from opswright_core.regions import WideTarget, over_regions
from opswright_core.runtime import runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, Verdict, attempt
from opswright_security.exposure import ADMIN_PORTS, DATABASE_PORTS, Opening, is_world, openings
from opswright_security.facts.network import load_security_groups
from opswright_security.facts.reachability import load_group_uses
from opswright_security.reading import Fact, Reader
from opswright_security.rules import SEVERITIES, Severity, most, said
from opswright_security.tools.audit import Cursor

_WEB_PORTS = {80, 443}


class Exposure(BaseModel):
    """One rule that lets the internet in."""

    model_config = ConfigDict(frozen=True)
    group_id: str
    name: str
    region: str
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
    unused: dict[str, list[str]] = Field(
        description="By region: groups on nothing and in no rule; 50 at most"
    )
    total_unused: int | None = Field(description="null: unread in some region")
    cursor: str | None = None
    unread: list[str]


@read_tool
def audit_security_groups(
    vpc_id: Annotated[
        str | None, Field(description="Only this VPC", pattern=r"^vpc-[0-9a-f]+$")
    ] = None,
    cursor: Cursor = None,
    target: WideTarget = HERE,
) -> SecurityGroupAudit:
    """Show what is open to the internet, rule by rule, and the unused security groups."""

    def read(a: Aws) -> Groups:
        reader = Reader(a)
        groups = reader.load(load_security_groups)
        groups = [group for group in groups if vpc_id in {None, group.get("VpcId")}]
        return Groups(groups, attempt(lambda: reader.load(load_group_uses)))

    key = ("audit_security_groups", vpc_id, target)
    found = runtime().snapshots.get(cursor, key, lambda: over_regions(target, read))
    unread = found.unread(lambda groups: groups.unread)
    if vpc_id and not unread and not any(part.groups for part in found.read.values()):
        raise NotFoundError(
            f"No VPC {vpc_id} in {found.where}; leave vpc_id out, or set target.region."
        )
    return groups_audit(found.read, unread, found.where, cursor)


@dataclass(frozen=True)
class Groups:
    """The security groups of a region, and what carries them."""

    groups: Sequence[Fact]
    uses: Sequence[Fact] | Unread

    @property
    def unread(self) -> list[str]:
        """What could not be read, in one line."""
        return [said(self.uses)] if isinstance(self.uses, Unread) else []

    @cached_property
    def attached(self) -> Counter[str] | None:
        """On how many things each group is; None when not read."""
        if isinstance(self.uses, Unread):
            return None
        return Counter(group for use in self.uses for group in use["groups"])


def groups_audit(
    found: Mapping[str, Groups], unread: Sequence[str], where: str, cursor: str | None
) -> SecurityGroupAudit:
    """Judge the groups of each region (Unread `uses` leave `attached` and `unused` open)."""
    rows = sorted(
        (
            _exposure(region, group, opening, part.attached)
            for region, part in found.items()
            for group in part.groups
            for opening in openings(group.fields)
            if is_world(opening.source)
        ),
        key=lambda row: (
            SEVERITIES.index(row.severity),
            row.region,
            row.group_id,
            row.ports,
            row.source,
        ),
    )
    severities = Counter(row.severity for row in rows)
    unused = {
        region: _unused(part.groups, part.attached)
        for region, part in found.items()
        if part.attached is not None
    }
    count = sum(map(len, unused.values()))
    groups = sum(len(part.groups) for part in found.values())
    shown = page(rows, cursor=cursor, limit=100)
    bad: list[Severity] = [s for s in SEVERITIES if severities[s] and s != "info"]
    return SecurityGroupAudit(
        verdict="FAIL" if bad else "UNKNOWN" if unread else "PASS",
        summary=f"{where}: {groups} groups, {len(rows)} rules open to the internet"
        f"{' (' + ', '.join(f'{severities[s]} {s}' for s in bad) + ')' if bad else ''}, "
        f"{'at least ' * bool(unread)}{count} unused.",
        groups=groups,
        by_severity={s: severities[s] for s in SEVERITIES},
        exposures=shown.items,
        total_exposures=shown.total,
        unused=_first(unused, 50),
        total_unused=None if unread else count,
        cursor=shown.cursor,
        unread=most(list(unread)),
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


def _exposure(
    region: str, group: Fact, opening: Opening, attached: Mapping[str, int] | None
) -> Exposure:
    return Exposure(
        group_id=group.id,
        name=clean(group["GroupName"], 60),
        region=region,
        vpc_id=group.get("VpcId", ""),
        protocol="all" if opening.protocol == "-1" else opening.protocol,
        ports=opening.ports,
        source=opening.source,
        severity=severity_of(opening),
        attached=attached.get(group.id, 0) if attached is not None else None,
    )


def _first(by_region: Mapping[str, Sequence[str]], count: int) -> dict[str, list[str]]:
    """The first `count` ids over all regions; regions without any are left out."""
    kept: dict[str, list[str]] = {}
    for region, ids in by_region.items():
        if some := list(ids[: count - sum(map(len, kept.values()))]):
            kept[region] = some
    return kept


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
