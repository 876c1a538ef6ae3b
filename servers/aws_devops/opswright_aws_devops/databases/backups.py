"""What a database can be restored from: its snapshots, and the times it was backed up."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from opswright_aws_devops.databases.parts import Kind, load_cluster, load_database
from opswright_core.aws import Aws, is_absent
from opswright_core.errors import BadInputError, NotFoundError


@dataclass(frozen=True)
class Source:
    """A database, or what its snapshots tell of one that is gone."""

    kind: Kind
    id: str
    live: dict[str, Any] | None
    """RDS's description; None when it was deleted."""
    snapshots: list[dict[str, Any]]
    """Those that can be restored from, newest first."""


@dataclass(frozen=True)
class Point:
    """What is restored from: a snapshot, or a time (in UTC)."""

    snapshot: dict[str, Any] | None
    time: datetime | None
    snapshot_id: str = ""

    @property
    def said(self) -> str:
        """The point in words."""
        if self.time:
            return f"as of {self.time:%Y-%m-%d %H:%M:%S} UTC"
        made = (self.snapshot or {}).get("SnapshotCreateTime")
        return f"from snapshot {self.snapshot_id}" + (
            f" of {made:%Y-%m-%d %H:%M} UTC" if made else ""
        )


def find_source(a: Aws, source_id: str) -> Source:
    """A database by its id, which may be gone. Raises NotFoundError without any trace of it."""
    if (live := load_database(a, source_id)) is not None:
        if cluster := live.get("DBClusterIdentifier"):
            raise BadInputError(
                f"{source_id} is an instance of the cluster {cluster}; restore the cluster."
            )
        return Source("instance", source_id, live, _snapshots(a, "instance", source_id))
    if (live := load_cluster(a, source_id)) is not None:
        return Source("cluster", source_id, live, _snapshots(a, "cluster", source_id))
    kinds: tuple[Kind, ...] = ("instance", "cluster")
    for kind in kinds:
        if snapshots := _snapshots(a, kind, source_id):
            return Source(kind, source_id, None, snapshots)
    raise NotFoundError(
        f"There is no database {source_id!r} in this account and region, and no snapshot of one."
    )


def _snapshots(a: Aws, kind: Kind, source_id: str) -> list[dict[str, Any]]:
    word = "DBSnapshot" if kind == "instance" else "DBClusterSnapshot"
    operation = "describe_db_snapshots" if kind == "instance" else "describe_db_cluster_snapshots"
    owner = "DBInstanceIdentifier" if kind == "instance" else "DBClusterIdentifier"
    try:
        found = a.pages("rds", operation, f"{word}s", **{owner: source_id})
    except Exception as exc:
        if is_absent(exc):
            return []
        raise
    usable = [{**s, "id": s[f"{word}Identifier"]} for s in found if s["Status"] == "available"]
    return sorted(usable, key=lambda s: (s["SnapshotCreateTime"], s["id"]), reverse=True)


def choose(
    a: Aws, source: Source, snapshot_id: str | None, time: datetime | None, now: datetime
) -> Point:
    """The point to restore. Raises BadInputError for one there is not, saying which there are."""
    if time is not None:
        return _at(a, source, time if time.tzinfo else time.replace(tzinfo=UTC), now)
    if snapshot_id is None:
        if not source.snapshots:
            raise BadInputError(
                f"{source.id} has no snapshot that is available; give restore_time instead."
            )
        newest = source.snapshots[0]
        return Point(newest, None, newest["id"])
    for snapshot in source.snapshots:
        if snapshot_id in {snapshot["id"], snapshot.get("DBSnapshotArn")}:
            return Point(snapshot, None, snapshot["id"])
    near = ", ".join(s["id"] for s in source.snapshots[:5]) or "none"
    raise BadInputError(
        f"{snapshot_id!r} is no available snapshot of {source.id}; there are: {near}."
    )


def _at(a: Aws, source: Source, time: datetime, now: datetime) -> Point:
    if source.live is None:
        raise BadInputError(
            f"{source.id} is gone, so only its snapshots can be restored: leave restore_time out."
        )
    if not source.live.get("BackupRetentionPeriod"):
        raise BadInputError(f"{source.id} keeps no backups; only its snapshots can be restored.")
    earliest, latest = _restorable(a, source, now)
    if time > latest or (earliest and time < earliest):
        since = f"{earliest:%Y-%m-%d %H:%M:%S}" if earliest else "its oldest backup"
        raise BadInputError(
            f"{source.id} cannot be restored to {time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, only "
            f"from {since} to {latest:%Y-%m-%d %H:%M:%S} UTC."
        )
    return Point(None, time.astimezone(UTC))


def _restorable(a: Aws, source: Source, now: datetime) -> tuple[datetime | None, datetime]:
    """The span that RDS can restore to; the first is None where RDS does not tell it."""
    live = source.live or {}
    latest = live.get("LatestRestorableTime") or now
    if source.kind == "cluster":
        return live.get("EarliestRestorableTime"), latest
    words = "rds", "describe_db_instance_automated_backups", "DBInstanceAutomatedBackups"
    for backup in a.pages(*words, DBInstanceIdentifier=source.id):
        window = backup.get("RestoreWindow") or {}
        if backup.get("Status") == "active" and "EarliestTime" in window:
            return window["EarliestTime"], window.get("LatestTime") or latest
    return live.get("InstanceCreateTime"), latest
