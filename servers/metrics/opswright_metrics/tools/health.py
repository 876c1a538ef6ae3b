"""The health of one or several regions at a glance."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws
from opswright_core.parallel import each
from opswright_core.regions import WideTarget, over_regions
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Check, Unread, Verdict, attempt, check, worst
from opswright_metrics.tools.firing import read_alarms
from opswright_metrics.tools.tier_facts import TargetGroup
from opswright_metrics.tools.web_tier import load_target_groups

MOST_SHOWN = 25
_DATABASE_FINE = frozenset(
    [
        "available", "backing-up", "configuring-enhanced-monitoring", "maintenance", "modifying",
        "storage-optimization", "storage-config-upgrade", "upgrading", "configuring-log-exports",
    ]
)  # fmt: skip
"""States in which an RDS instance serves, planned work included.

Source: RDS User Guide, "Viewing DB instance status"."""


class Placed(BaseModel):
    """One thing by its id or name, and where it is."""

    model_config = ConfigDict(frozen=True)
    id: str
    region: str


class TargetGroupHealth(BaseModel):
    """How many targets of a group are healthy; None when not read."""

    model_config = ConfigDict(frozen=True)
    name: str
    region: str
    healthy: int | None
    total: int | None


class DatabaseHealth(BaseModel):
    """The state of an RDS instance."""

    model_config = ConfigDict(frozen=True)
    id: str
    region: str
    status: str
    engine: str


class Health(BaseModel):
    """The health of the regions asked for; counts are of what was read, None where nothing was."""

    verdict: Verdict
    summary: str
    alarms: dict[str, int] | None = Field(description="How many alarms by state")
    firing: list[Placed]
    target_groups: list[TargetGroupHealth] = Field(description="Unhealthy ones first")
    instances: dict[str, int] | None = Field(description="How many instances by state")
    failed_instances: list[Placed] = Field(description="Running, but failing status checks")
    databases: list[DatabaseHealth] = Field(description="Those that do not serve first")
    checks: list[Check]


@dataclass(frozen=True, kw_only=True)
class RegionState:
    """What was read of one region; alarms, statuses and databases as AWS describes them."""

    alarms: list[dict[str, Any]] | Unread
    groups: list[TargetGroup] | Unread
    statuses: list[dict[str, Any]] | Unread
    databases: list[dict[str, Any]] | Unread


@read_tool
def get_health(target: WideTarget = HERE) -> Health:
    """Is everything healthy? Counts alarms, targets, instances and databases."""
    return judge_health(over_regions(target, _load).answers)


def _load(a: Aws) -> RegionState:
    reads: list[Callable[[], Any]] = [
        lambda: [alarm for kind in read_alarms(a, None, None) for alarm in kind],
        lambda: load_target_groups(a, None),
        lambda: a.pages(
            "ec2", "describe_instance_status", "InstanceStatuses", IncludeAllInstances=True
        ),
        lambda: a.pages("rds", "describe_db_instances", "DBInstances"),
    ]
    alarms, groups, statuses, databases = each(reads, attempt, len(reads))
    return RegionState(alarms=alarms, groups=groups, statuses=statuses, databases=databases)


def judge_health(states: Mapping[str, RegionState | Unread]) -> Health:
    """Count and judge what was read, by region. Pure."""
    alarms = _Kind.of(states, lambda s: s.alarms)
    groups = _Kind.of(states, lambda s: s.groups)
    statuses = _Kind.of(states, lambda s: s.statuses)
    found = _Kind.of(states, lambda s: s.databases)
    firing = [
        Placed(id=clean(x["AlarmName"], 255), region=region)
        for region, x in alarms.items
        if x["StateValue"] == "ALARM"
    ]
    failed = [Placed(id=s["InstanceId"], region=r) for r, s in statuses.items if _sick(s)]
    lines = [_group(region, group) for region, group in groups.items]
    databases = [_database(region, db) for region, db in found.items]
    down = [db for db in databases if db.status not in _DATABASE_FINE]
    sick = [f"{g.name} {g.healthy}/{g.total}" for g in lines if g.healthy != g.total]
    unseen = [g.targets for _, g in groups.items if isinstance(g.targets, Unread)]
    checks = [
        *alarms.checks("No alarm fires", [x.id for x in firing]),
        *groups.checks("Targets are healthy", sick, unseen[:1]),
        *statuses.checks("Instances pass their status checks", [x.id for x in failed]),
        *found.checks("Databases serve", [f"{db.id} is {db.status}" for db in down]),
    ]
    bad = [f"{c.name}: {c.verdict} ({c.evidence})" for c in checks if c.verdict != "PASS"]
    said = "; ".join(bad) if bad else "nothing is wrong with what there is"
    counted = (
        f"{alarms.said} alarms, {groups.said} target groups, {statuses.said} instances, "
        f"{found.said} databases"
    )
    return Health(
        verdict=worst(c.verdict for c in checks),
        summary=clean(f"{counted}: {said}.", 1500),
        alarms=alarms.tally(lambda x: x["StateValue"]),
        firing=firing[:MOST_SHOWN],
        target_groups=sorted(lines, key=lambda g: (g.healthy == g.total, g.region, g.name))[
            :MOST_SHOWN
        ],
        instances=statuses.tally(lambda s: s["InstanceState"]["Name"]),
        failed_instances=failed[:MOST_SHOWN],
        databases=sorted(databases, key=lambda db: (db.status in _DATABASE_FINE, db.region, db.id))[
            :MOST_SHOWN
        ],
        checks=checks,
    )


@dataclass(frozen=True)
class _Kind:
    """One kind of thing over all regions: what was read, and where it was not."""

    items: list[tuple[str, Any]]
    unread: dict[str, Unread]
    regions: int

    @classmethod
    def of(
        cls,
        states: Mapping[str, RegionState | Unread],
        part: Callable[[RegionState], list[Any] | Unread],
    ) -> "_Kind":
        parts = {r: s if isinstance(s, Unread) else part(s) for r, s in states.items()}
        items = [(r, x) for r, found in parts.items() if isinstance(found, list) for x in found]
        unread = {r: found for r, found in parts.items() if isinstance(found, Unread)}
        return cls(items, unread, len(states))

    @property
    def said(self) -> str:
        """How many there are; `unread` where nothing was read."""
        if len(self.unread) == self.regions:
            return "unread"
        return f"{'at least ' if self.unread else ''}{len(self.items)}"

    def tally(self, state: Callable[[Any], str]) -> dict[str, int] | None:
        """How many by state; None where nothing was read."""
        if len(self.unread) == self.regions:
            return None
        return dict(Counter(state(item) for _, item in self.items))

    def checks(self, name: str, wrong: Sequence[str], unseen: Sequence[Unread] = ()) -> list[Check]:
        """One that tells what is wrong, one per call that could not be made; or one PASS."""
        regions: dict[str, list[str]] = {}
        for region, why in self.unread.items():
            regions.setdefault(why.operation, []).append(region)
        unknown = [check(name, why) for why in unseen]
        for where in regions.values():
            named = _first(where) if self.regions > 1 else ""
            unknown.append(check(name, self.unread[where[0]], resource=named))
        if unknown and not wrong:
            return unknown
        evidence = f"{len(wrong)} of {len(self.items)}: {_first(wrong)}" if wrong else "all"
        return [*unknown, check(name, not wrong, evidence)]


def _sick(status: dict[str, Any]) -> bool:
    checks = (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"])
    return "impaired" in checks


def _group(region: str, group: TargetGroup) -> TargetGroupHealth:
    if isinstance(group.targets, Unread):
        return TargetGroupHealth(name=group.name, region=region, healthy=None, total=None)
    healthy = sum(target.state == "healthy" for target in group.targets)
    total = len(group.targets)
    return TargetGroupHealth(name=group.name, region=region, healthy=healthy, total=total)


def _database(region: str, db: dict[str, Any]) -> DatabaseHealth:
    return DatabaseHealth(
        id=db["DBInstanceIdentifier"],
        region=region,
        status=db["DBInstanceStatus"],
        engine=db["Engine"],
    )


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + ("…" if len(names) > 8 else "")
