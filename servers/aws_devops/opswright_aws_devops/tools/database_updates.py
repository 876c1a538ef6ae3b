"""Changes a database that is there: size, storage, standby, backups, windows."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.databases.parts import (
    BROKEN,
    INSTANCE,
    READY_SECONDS,
    InstanceClass,
    Window,
    load_database,
    maintenance,
)
from opswright_aws_devops.differences import Difference, Planned, differences, is_not, literal
from opswright_aws_devops.steps import send
from opswright_aws_devops.tools.restore import DatabaseId
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, NotFoundError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

CLASS, STORAGE, STANDBY = "DBInstanceClass", "AllocatedStorage", "MultiAZ"
BACKUP_DAYS, BACKUP_WINDOW = "BackupRetentionPeriod", "PreferredBackupWindow"
MAINTENANCE_WINDOW = "PreferredMaintenanceWindow"
SETTINGS = (CLASS, STORAGE, STANDBY, BACKUP_DAYS, BACKUP_WINDOW, MAINTENANCE_WINDOW)
OF_CLUSTER = {STORAGE, STANDBY, BACKUP_DAYS, BACKUP_WINDOW}
"""What an instance of an Aurora cluster shares with it."""

SERVING = ("available", "storage-optimization")
"""States in which a database serves and has taken its settings over."""

FULL = "storage-full"

LEAST_GROWTH_PERCENT = 10
"""RDS grows storage by 10 % at least (RDS user guide, "Increasing DB instance storage")."""


class DatabaseSettings(BaseModel):
    """A database's settings as they are now; `pending`: what its maintenance window brings."""

    db_instance_id: str
    instance_class: str
    storage_gb: int
    multi_az: bool
    backup_days: int
    backup_window: str
    maintenance_window: str
    pending: dict[str, Any]


@dataclass(frozen=True)
class Now:
    """What was read of a database, in RDS's words."""

    settings: dict[str, Any]
    pending: dict[str, Any]
    status: str
    cluster: str = ""

    def expected(self, at_once: bool) -> dict[str, Any]:
        """The settings, with those that wait for the window where waiting is asked for."""
        return self.settings if at_once else self.settings | self.pending


@write_tool(toolset="databases")
def update_database(
    db_instance_id: Annotated[DatabaseId, Field(description="DB instance to change")],
    instance_class: InstanceClass | None = None,
    storage_gb: Annotated[int | None, Field(description="Larger disk", ge=20, le=65536)] = None,
    multi_az: Annotated[bool | None, Field(description="Standby in another zone")] = None,
    backup_days: Annotated[int | None, Field(description="Kept for", ge=1, le=35)] = None,
    backup_window: Annotated[
        str | None, Field(description="Daily, like 02:00-02:30 UTC", max_length=15)
    ] = None,
    maintenance_window: Window | None = None,
    apply_immediately: Annotated[bool, Field(description="Else in the maintenance window")] = True,
    target: Target = HERE,
) -> Work[DatabaseSettings]:
    """Change an RDS instance's class, storage, standby, backups or windows; the rest stays.

    The plan says what restarts it and what cannot be taken back.
    """
    wanted = {
        CLASS: instance_class,
        STORAGE: storage_gb,
        STANDBY: multi_az,
        BACKUP_DAYS: backup_days,
        BACKUP_WINDOW: _daily(backup_window),
        MAINTENANCE_WINDOW: maintenance(maintenance_window).get(MAINTENANCE_WINDOW),
    }
    if all(value is None for value in wanted.values()):
        raise BadInputError(
            "Nothing to change: give instance_class, storage_gb, multi_az, backup_days, "
            "backup_window or maintenance_window."
        )
    a = aws(target)
    planned = Planned(f"Database {db_instance_id}", lambda: _load(a, db_instance_id))
    at_once = apply_immediately
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(db_instance_id, planned.read(), wanted, at_once),
        apply=lambda rec: _apply(
            a, rec, db_instance_id, planned.confirm(), wanted, at_once, target
        ),
        verify=lambda made: judge_settings(
            db_instance_id, _load(a, db_instance_id), wanted, at_once=at_once
        ),
        outputs=DatabaseSettings,
        existing=lambda: _outputs(db_instance_id, _load(a, db_instance_id)),
    )


def _daily(window: str | None) -> str | None:
    """A daily window of half an hour or more, as RDS has it. Raises BadInputError."""
    if window is None:
        return None
    one = r"([01]\d|2[0-3]):([0-5]\d)"
    match = re.fullmatch(f"{one}-{one}", window)
    if match is None:
        raise BadInputError(f"backup_window {window!r}: give it in UTC as 02:00-02:30.")
    begin, end = (int(match[i]) * 60 + int(match[i + 1]) for i in (1, 3))
    if (end - begin) % 1440 < 30:
        raise BadInputError(f"backup_window {window!r} is shorter than 30 minutes.")
    return window


def _load(a: Aws, name: str) -> Now:
    found = load_database(a, name)
    if found is None:
        raise NotFoundError(
            f"There is no DB instance {name!r} in {a.region}; list_resources shows what there is."
        )
    pending = found.get("PendingModifiedValues") or {}
    return Now(
        settings={word: found.get(word) for word in SETTINGS},
        pending={word: value for word, value in pending.items() if word in SETTINGS},
        status=found["DBInstanceStatus"],
        cluster=found.get("DBClusterIdentifier") or "",
    )


def _plan(name: str, now: Now, wanted: dict[str, Any], at_once: bool) -> ChangePlan:
    found = differences(now.expected(at_once), wanted)
    _require_possible(name, now, found)
    when = "now" if at_once else f"from {now.settings[MAINTENANCE_WINDOW]} UTC"
    return ChangePlan(
        summary=f"Change database {name} {when}: {'; '.join(map(str, found.values()))}",
        actions=[
            Action(verb="modify", type=INSTANCE, name=name, detail=str(one))
            for one in found.values()
        ],
        warnings=_warnings(now, found, at_once),
        reversible=STORAGE not in found,
        observed={"settings": now.settings, "pending": now.pending},
    )


def _require_possible(name: str, now: Now, found: dict[str, Difference]) -> None:
    if now.cluster and (shared := OF_CLUSTER & found.keys()):
        raise BadInputError(
            f"{name} is an instance of cluster {now.cluster}, which has {', '.join(sorted(shared))}"
            " for all of them; only instance_class and maintenance_window are its own."
        )
    rescued = now.status == FULL and STORAGE in found
    if found and now.status not in SERVING and not rescued:
        raise BadInputError(f"Database {name} is {now.status}; call again when it is available.")
    if storage := found.get(STORAGE):
        least = -(-storage.old * (100 + LEAST_GROWTH_PERCENT) // 100)
        if storage.new < storage.old:
            raise BadInputError(
                f"storage_gb {storage.new}: {name} has {storage.old} GB, and RDS storage never "
                "shrinks; restore_database and a copy into a smaller one are the way."
            )
        if storage.new < least:
            raise BadInputError(
                f"storage_gb {storage.new}: RDS grows {storage.old} GB by 10 % at least; give "
                f"{least} or more."
            )


def _warnings(now: Now, found: dict[str, Difference], at_once: bool) -> list[str]:
    said = []
    if CLASS in found:
        down = (
            "by a failover to the standby, a minute or two"
            if now.settings[STANDBY]
            else "for some minutes, as it has no standby"
        )
        said.append(f"The new class interrupts connections {down}; so does an undo.")
    if storage := found.get(STORAGE):
        said.append(
            f"Storage does not shrink: an undo leaves {storage.new} GB. For six hours, and until "
            "its optimization is over, it cannot be changed again."
        )
    if standby := found.get(STANDBY):
        said.append(
            "The standby doubles the price of the instance, and slows writes down while it is made."
            if standby.new
            else "One zone only: the database stops when that zone does."
        )
    if (days := found.get(BACKUP_DAYS)) and days.new < (days.old or 0):
        said.append(f"Backups older than {days.new} days are deleted; an undo brings none back.")
    if at_once and (waiting := now.pending.keys() - found.keys()):
        said.append(
            f"What waits for the maintenance window comes now too: {', '.join(sorted(waiting))}."
        )
    return said


def _apply(
    a: Aws,
    rec: Recorder,
    name: str,
    now: Now,
    wanted: dict[str, Any],
    at_once: bool,
    target: AwsTarget,
) -> DatabaseSettings:
    rds, which = a.client("rds"), {"DBInstanceIdentifier": name}
    found = differences(now.expected(at_once), wanted)
    if found:
        rec.step(
            f"settings of {name}: {', '.join(map(str, found.values()))}",
            lambda: send(
                rds.modify_db_instance,
                **which,
                **{word: one.new for word, one in found.items()},
                ApplyImmediately=at_once,
            ),
            undo=_undo(name, found, target, a.region),
            resource=ResourceRef(type=INSTANCE, id=name, name=name, action="modified"),
        )

    def ready() -> bool:
        seen = _load(a, name)
        if seen.status in BROKEN - {FULL}:
            raise OpswrightError(
                f"Database {name} became {seen.status}; RDS's events say why. undo_change gives "
                "its settings back."
            )
        missing = differences(seen.expected(at_once), wanted)
        return seen.status in SERVING and not (missing.keys() - {STORAGE})

    rec.wait(
        f"database {name} with its new settings",
        ready,
        timeout_seconds=READY_SECONDS,
        every_seconds=15,
    )
    if a.is_emulator:
        rec.gap("The emulator runs no database engine: nothing was restarted or copied.")
    return _outputs(name, _load(a, name))


def _undo(
    name: str, found: dict[str, Difference], target: AwsTarget, region: str
) -> list[UndoStep]:
    """The old values, at once; storage stays as large as it has become."""
    which = {"DBInstanceIdentifier": name}
    old = {word: one.old for word, one in found.items() if word != STORAGE}
    if not old:
        return []
    kept = " (its storage stays as large as it is)" if STORAGE in found else ""
    waiting = " || ".join(
        f"(PendingModifiedValues.{word}!=`null` && PendingModifiedValues.{word}!={literal(value)})"
        for word, value in old.items()
    )
    busy = f"!contains({literal(list(SERVING))}, DBInstanceStatus)"
    return [
        aws_undo(
            f"give database {name} its settings back: "
            + ", ".join(f"{word} {value}" for word, value in old.items())
            + kept,
            "rds", "modify_db_instance", {**which, **old, "ApplyImmediately": True},
            target=target, region=region, wait_gone=True,
            gone=(
                "describe_db_instances", which,
                f"DBInstances[?{busy} || {is_not(old)} || {waiting}]",
            ),
        )
    ]  # fmt: skip


def _outputs(name: str, now: Now) -> DatabaseSettings:
    is_now = now.settings
    return DatabaseSettings(
        db_instance_id=name,
        instance_class=is_now[CLASS],
        storage_gb=is_now[STORAGE],
        multi_az=bool(is_now[STANDBY]),
        backup_days=is_now[BACKUP_DAYS] or 0,
        backup_window=is_now[BACKUP_WINDOW] or "",
        maintenance_window=is_now[MAINTENANCE_WINDOW] or "",
        pending=now.pending,
    )


def judge_settings(name: str, now: Now, wanted: dict[str, Any], *, at_once: bool) -> list[Check]:
    """Whether the database serves and each setting is as asked, or waits for the window."""
    checks = [check("Database serves", now.status in SERVING, now.status, name)]
    for word, value in wanted.items():
        if value is None:
            continue
        is_now = now.expected(at_once)[word]
        waits = not at_once and word in now.pending
        when = f"from {now.settings[MAINTENANCE_WINDOW]}" if waits else "now"
        so = is_now >= value if word == STORAGE else is_now == value
        checks.append(check(f"{word} is as asked", so, f"{is_now} {when}", name))
    return checks
