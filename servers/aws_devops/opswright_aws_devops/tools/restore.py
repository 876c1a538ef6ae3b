"""Restores a database beside the one it comes from: from a snapshot, or as of a time."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.databases.backups import Point, Source, choose, find_source
from opswright_aws_devops.databases.parts import (
    BACKUP_DAYS,
    CLUSTER,
    INSTANCE,
    Kind,
    claim,
    load_cluster,
    load_database,
    load_subnet_group,
    make_member,
    say_gaps,
    undo_database,
    wait_available,
)
from opswright_aws_devops.networking.placement import place
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_aws_devops.tools.aurora import known_members
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check

DatabaseId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")]


class RestoredDatabase(BaseModel):
    """A restored database; `secret_arn` names its new password's secret."""

    database_id: str
    kind: Kind
    restored: str = Field(description="From what")
    engine: str
    endpoint: str
    port: int
    secret_arn: str
    instance_ids: list[str]
    subnet_group: str
    encrypted: bool


@dataclass(frozen=True)
class Design:
    """The database to be: where it comes from and where it goes."""

    source: Source
    point: Point
    subnet_group: str
    group_ids: list[str]
    instance_class: str
    members: list[str]
    """The instances of a cluster."""

    @property
    def origin(self) -> dict[str, Any]:
        """RDS's description of the source, or of its snapshot."""
        return self.source.live or self.point.snapshot or {}

    @property
    def encrypted(self) -> bool:
        """Whether the storage is; a restored one is as what it comes from."""
        words = ("StorageEncrypted", "Encrypted")
        return any(bool(self.origin.get(word)) for word in words)


@write_tool(toolset="databases")
def restore_database(
    name: ResourceName,
    source_id: Annotated[DatabaseId, Field(description="DB instance or cluster to restore")],
    restore_time: Annotated[
        datetime | None, Field(description="Its state then, UTC; empty: from a snapshot")
    ] = None,
    snapshot_id: Annotated[
        str | None, Field(description="Default: the newest", max_length=255)
    ] = None,
    subnet_group: Annotated[
        str | None, Field(description="Default: the source's", max_length=255)
    ] = None,
    security_group_ids: Annotated[
        list[str], Field(description="Default: the source's", max_length=5)
    ] = [],  # noqa: B006 (never changed)
    instance_class: Annotated[
        str | None, Field(description="Default: the source's", pattern=r"^db\.", max_length=40)
    ] = None,
    final_snapshot: Annotated[bool, Field(description="Snapshot it when undone")] = True,
    target: Target = HERE,
) -> Work[RestoredDatabase]:
    """Restore a database under a new name, from a snapshot or to a point in time.

    The source stays as it is; it may be gone, where a snapshot is left.
    """
    a = aws(target)
    if restore_time and snapshot_id:
        raise BadInputError("Give restore_time or snapshot_id, not both.")
    if name == source_id:
        raise BadInputError(f"{name!r} is the source's own name; the restored one needs another.")
    request = Request.of(
        "restore_database",
        name,
        source=source_id,
        time=restore_time.isoformat() if restore_time else None,
        snapshot=snapshot_id,
        where=[subnet_group, sorted(security_group_ids), instance_class],
    )

    def design() -> Design:
        source = find_source(a, source_id)
        point = choose(a, source, snapshot_id, restore_time, datetime.now(UTC))
        return _design(a, name, source, point, subnet_group, security_group_ids, instance_class)

    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, design()),
        apply=lambda rec: _apply(a, rec, request, design(), final_snapshot, target),
        verify=lambda made: judge_restored(made, *_load(a, made.kind, name)),
        outputs=RestoredDatabase,
    )


def _design(
    a: Aws,
    name: str,
    source: Source,
    point: Point,
    subnet_group: str | None,
    group_ids: list[str],
    instance_class: str | None,
) -> Design:
    live = source.live or {}
    own = live.get("DBSubnetGroup") or ""
    group = subnet_group or (own["DBSubnetGroupName"] if isinstance(own, dict) else own)
    groups = group_ids or [g["VpcSecurityGroupId"] for g in live.get("VpcSecurityGroups", [])]
    members = [m["DBInstanceIdentifier"] for m in live.get("DBClusterMembers", [])]
    class_ = instance_class or live.get("DBInstanceClass") or ""
    if source.kind == "cluster" and not class_ and members:
        class_ = (load_database(a, members[0]) or {}).get("DBInstanceClass", "")
    needed = {"subnet_group": group, "security_group_ids": groups, "instance_class": class_}
    if source.kind == "instance" and source.live is None:
        del needed["instance_class"]  # the snapshot tells it
    if missing := [word for word, value in needed.items() if not value]:
        raise BadInputError(
            f"{source.id} does not tell where to restore to (it is gone, or has none): give "
            f"{', '.join(missing)}."
        )
    subnets = load_subnet_group(a, group)
    if subnets is None:
        raise BadInputError(f"There is no DB subnet group {group!r}; give another.")
    place(a, [one["SubnetIdentifier"] for one in subnets["Subnets"]], groups, least_azs=1)
    count = max(1, len(members)) if source.kind == "cluster" else 0
    return Design(
        source, point, group, groups, class_, [f"{name}-{n}" for n in range(1, count + 1)]
    )


def _load(a: Aws, kind: Kind, name: str) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The database, and the instances of a cluster."""
    if kind == "instance":
        return load_database(a, name), []
    cluster = load_cluster(a, name)
    ids = [m["DBInstanceIdentifier"] for m in (cluster or {}).get("DBClusterMembers", [])]
    members = [load_database(a, member) for member in sorted(ids)]
    return cluster, [member for member in members if member]


def _type(design: Design) -> str:
    return INSTANCE if design.source.kind == "instance" else CLUSTER


def _plan(a: Aws, request: Request, design: Design) -> ChangePlan:
    name, kind = request.name, _type(design)
    found, _ = _load(a, design.source.kind, name)
    known = known_members(a, request, design.members)
    if claim(request, f"database {name}", found):
        known.append(key(kind, name))
    wanted = [
        Action(
            verb="create",
            type=kind,
            name=name,
            detail=f"{design.source.id} {design.point.said}, in {design.subnet_group}",
        ),
        *(
            Action(verb="create", type=INSTANCE, name=member, detail=design.instance_class)
            for member in design.members
        ),
    ]
    warnings = [
        "It is another database, with an endpoint and a password of its own: who uses "
        f"{design.source.id} goes on doing so until it is told the new one.",
        "It is billed from the start, and takes from 10 minutes to hours by its size.",
    ]
    if not design.encrypted:
        warnings.append("What it comes from is not encrypted, and so it will not be.")
    return ChangePlan(
        summary=f"Restore {design.source.id} {design.point.said} as {name}",
        actions=outstanding(wanted, known),
        warnings=warnings,
        observed={"known": known, "point": design.point.said, "group": design.subnet_group},
    )


def _apply(
    a: Aws,
    rec: Recorder,
    request: Request,
    design: Design,
    final_snapshot: bool,
    target: AwsTarget,
) -> RestoredDatabase:
    name, kind = request.name, design.source.kind
    snapshot = f"{name}-final-{rec.change_id}" if final_snapshot else None
    rec.step(
        f"database {name}",
        lambda: _restore(a, request, design),
        undo=undo_database(kind, name, snapshot, target, a.region),
        resource=ResourceRef(type=_type(design), id=name, name=name),
    )
    wait_available(a, rec, name, clusters=kind == "cluster")
    if kind == "cluster":
        rec.step(f"password of {name}", lambda: _manage_password(a, name))
        parameters = {
            "Engine": design.origin["Engine"],
            "DBInstanceClass": design.instance_class,
        }
        for member in design.members:
            make_member(a, rec, request, name, member, parameters, target)
        for member in design.members:
            wait_available(a, rec, member)
    found, members = _load(a, kind, name)
    made = found or {}
    secret_arn = made.get("MasterUserSecret", {}).get("SecretArn", "")
    if a.is_emulator:
        say_gaps(a, rec, secret_arn)
        if design.point.time:
            rec.gap("The emulator restores what the database is, not what was in it then.")
    endpoint = made["Endpoint"]
    group = made["DBSubnetGroup"]
    return RestoredDatabase(
        database_id=name,
        kind=kind,
        restored=f"{design.source.id} {design.point.said}",
        engine=made["Engine"],
        endpoint=endpoint["Address"] if kind == "instance" else endpoint,
        port=endpoint["Port"] if kind == "instance" else made["Port"],
        secret_arn=secret_arn,
        instance_ids=[member["DBInstanceIdentifier"] for member in members] or [name],
        subnet_group=group["DBSubnetGroupName"] if isinstance(group, dict) else group,
        encrypted=made["StorageEncrypted"],
    )


def _restore(a: Aws, request: Request, design: Design) -> dict[str, str]:
    """Send the restore, unless the request's database is there."""
    name = request.name
    if _load(a, design.source.kind, name)[0] is None:
        operation, parameters = restore_call(name, design)
        getattr(a.client("rds"), operation)(**parameters, Tags=request.tag_list(name))
    return {"database_id": name}


def restore_call(name: str, design: Design) -> tuple[str, dict[str, Any]]:
    """boto3's operation that restores a design, and its parameters without the tags."""
    live, point = design.source.live or {}, design.point
    common: dict[str, Any] = {
        "DBSubnetGroupName": design.subnet_group,
        "VpcSecurityGroupIds": design.group_ids,
        "CopyTagsToSnapshot": True,
        "DeletionProtection": True,
    }
    if design.source.kind == "instance":
        common |= {
            "MultiAZ": bool(live.get("MultiAZ", True)),
            "PubliclyAccessible": False,
            "AutoMinorVersionUpgrade": True,
            "ManageMasterUserPassword": True,
            "BackupRetentionPeriod": live.get("BackupRetentionPeriod") or BACKUP_DAYS,
        }
        if design.instance_class:
            common["DBInstanceClass"] = design.instance_class
        groups = [group["DBParameterGroupName"] for group in live.get("DBParameterGroups", [])]
        common |= _own_group("DBParameterGroupName", groups[0] if groups else None)
        if point.time:
            source = {"SourceDBInstanceIdentifier": design.source.id, "RestoreTime": point.time}
            named = {**source, "TargetDBInstanceIdentifier": name}
            return "restore_db_instance_to_point_in_time", named | common
        named = {"DBInstanceIdentifier": name, "DBSnapshotIdentifier": point.snapshot_id}
        return "restore_db_instance_from_db_snapshot", named | common
    common |= _own_group("DBClusterParameterGroupName", live.get("DBClusterParameterGroup"))
    common["DBClusterIdentifier"] = name
    if point.time:
        source = {"SourceDBClusterIdentifier": design.source.id, "RestoreToTime": point.time}
        return "restore_db_cluster_to_point_in_time", source | common
    source = {
        "SnapshotIdentifier": point.snapshot_id,
        "Engine": design.origin["Engine"],
        "EngineVersion": (point.snapshot or {})["EngineVersion"],
    }
    return "restore_db_cluster_from_snapshot", source | common


def _own_group(parameter: str, group: str | None) -> dict[str, str]:
    """A parameter group that somebody made; AWS's default one is chosen by RDS itself."""
    return {parameter: group} if group and not group.startswith("default.") else {}


def _manage_password(a: Aws, name: str) -> dict[str, str]:
    """A restored cluster has the old password until Secrets Manager is given a new one."""
    cluster = load_cluster(a, name) or {}
    if not cluster.get("MasterUserSecret"):
        a.client("rds").modify_db_cluster(
            DBClusterIdentifier=name, ManageMasterUserPassword=True, ApplyImmediately=True
        )
    return {"database_id": name}


def judge_restored(
    made: RestoredDatabase, found: dict[str, Any] | None, members: list[dict[str, Any]]
) -> list[Check]:
    """Whether the restored database is there, private and kept from deletion by accident."""
    if found is None:
        return [check("Database exists", False, "RDS knows none of that name", made.database_id)]
    status = found.get("DBInstanceStatus") or found.get("Status") or ""
    serving = members or [found]
    ready = [m for m in serving if m.get("DBInstanceStatus") == "available"]
    facts = [
        ("Database is available", status == "available", status),
        (
            "Its instances are available",
            len(ready) == len(made.instance_ids),
            f"{len(ready)} of {len(made.instance_ids)}",
        ),
        ("It is not public", not any(m.get("PubliclyAccessible") for m in serving), ""),
        ("Deletion protection is on", bool(found["DeletionProtection"]), ""),
        ("Backups are kept", bool(found["BackupRetentionPeriod"]), ""),
        ("Its password is in Secrets Manager", bool(found.get("MasterUserSecret")), ""),
    ]
    return [check(name, ok, evidence, made.database_id) for name, ok, evidence in facts]
