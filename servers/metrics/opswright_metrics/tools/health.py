"""The health of a region at a glance."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws, Target
from opswright_core.runtime import aws
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


class TargetGroupHealth(BaseModel):
    """How many targets of a group are healthy; None when not read."""

    model_config = ConfigDict(frozen=True)
    name: str
    healthy: int | None
    total: int | None


class DatabaseHealth(BaseModel):
    """The state of an RDS instance."""

    model_config = ConfigDict(frozen=True)
    id: str
    status: str
    engine: str


class Health(BaseModel):
    """A region's health; counts are None when they could not be read."""

    verdict: Verdict
    summary: str
    alarms: dict[str, int] | None = Field(description="How many alarms by state")
    firing: list[str]
    target_groups: list[TargetGroupHealth] = Field(description="Unhealthy ones first")
    instances: dict[str, int] | None = Field(description="How many instances by state")
    failed_instances: list[str] = Field(description="Running, but failing status checks")
    databases: list[DatabaseHealth] = Field(description="Those that do not serve first")
    checks: list[Check]


@read_tool
def get_health(target: Target = HERE) -> Health:
    """Is everything healthy? Counts alarms, targets, instances and databases of a region."""
    a = aws(target)
    alarms = attempt(lambda: read_alarms(a, None, None))
    return judge_health(
        alarms if isinstance(alarms, Unread) else [*alarms[0], *alarms[1]],
        attempt(lambda: load_target_groups(a, None)),
        attempt(lambda: a.pages("ec2", "describe_instance_status", "InstanceStatuses",
                                IncludeAllInstances=True)),
        attempt(lambda: _databases(a)),
    )  # fmt: skip


def _databases(a: Aws) -> list[DatabaseHealth]:
    return [
        DatabaseHealth(
            id=db["DBInstanceIdentifier"], status=db["DBInstanceStatus"], engine=db["Engine"]
        )
        for db in a.pages("rds", "describe_db_instances", "DBInstances")
    ]


def judge_health(
    alarms: list[dict[str, Any]] | Unread,
    groups: list[TargetGroup] | Unread,
    statuses: list[dict[str, Any]] | Unread,
    databases: list[DatabaseHealth] | Unread,
) -> Health:
    """Count and judge what was read. Pure."""
    firing = [] if isinstance(alarms, Unread) else [x for x in alarms if x["StateValue"] == "ALARM"]
    failed = [] if isinstance(statuses, Unread) else [s["InstanceId"] for s in statuses if _sick(s)]
    down = [] if isinstance(databases, Unread) else [
        db for db in databases if db.status not in _DATABASE_FINE
    ]  # fmt: skip
    lines = [] if isinstance(groups, Unread) else [_group(group) for group in groups]
    checks = [
        _check("No alarm fires", alarms, [x["AlarmName"] for x in firing]),
        *_group_checks(groups, lines),
        _check("Instances pass their status checks", statuses, failed),
        _check("Databases serve", databases, [f"{db.id} is {db.status}" for db in down]),
    ]
    verdict = worst(c.verdict for c in checks)
    bad = [f"{c.name}: {c.verdict} ({c.evidence})" for c in checks if c.verdict != "PASS"]
    counted = (
        f"{_count(alarms)} alarms, {_count(groups)} target groups, {_count(statuses)} instances, "
        f"{_count(databases)} databases"
    )
    said = "; ".join(bad) if bad else "nothing is wrong with what there is"
    return Health(
        verdict=verdict,
        summary=clean(f"{counted}: {said}.", 1500),
        alarms=None if isinstance(alarms, Unread) else _tally(x["StateValue"] for x in alarms),
        firing=[clean(x["AlarmName"], 255) for x in firing][:MOST_SHOWN],
        target_groups=sorted(lines, key=lambda g: (g.healthy == g.total, g.name))[:MOST_SHOWN],
        instances=None
        if isinstance(statuses, Unread)
        else _tally(s["InstanceState"]["Name"] for s in statuses),
        failed_instances=failed[:MOST_SHOWN],
        databases=(
            []
            if isinstance(databases, Unread)
            else sorted(databases, key=lambda db: (db not in down, db.id))[:MOST_SHOWN]
        ),
        checks=checks,
    )


def _sick(status: dict[str, Any]) -> bool:
    checks = (status["InstanceStatus"]["Status"], status["SystemStatus"]["Status"])
    return "impaired" in checks


def _group(group: TargetGroup) -> TargetGroupHealth:
    if isinstance(group.targets, Unread):
        return TargetGroupHealth(name=group.name, healthy=None, total=None)
    healthy = sum(target.state == "healthy" for target in group.targets)
    return TargetGroupHealth(name=group.name, healthy=healthy, total=len(group.targets))


def _group_checks(
    groups: list[TargetGroup] | Unread, lines: list[TargetGroupHealth]
) -> list[Check]:
    name = "Targets are healthy"
    if isinstance(groups, Unread):
        return [check(name, groups)]
    sick = [f"{g.name} {g.healthy}/{g.total}" for g in lines if g.healthy != g.total]
    unread = next((g.targets for g in groups if isinstance(g.targets, Unread)), None)
    checks = [check(name, unread)] if unread else []
    return [*checks, _check(name, groups, sick)] if sick or not checks else checks


def _check(name: str, read: list[Any] | Unread, wrong: list[str]) -> Check:
    if isinstance(read, Unread):
        return check(name, read)
    shown = ", ".join(wrong[:8]) + ("…" if len(wrong) > 8 else "")
    return check(name, not wrong, f"{len(wrong)} of {len(read)}: {shown}" if wrong else "all")


def _count(read: list[Any] | Unread) -> str:
    return "unread" if isinstance(read, Unread) else str(len(read))


def _tally(states: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    for state in states:
        counts[state] = counts.get(state, 0) + 1
    return counts
