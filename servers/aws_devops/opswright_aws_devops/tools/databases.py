"""Databases: an encrypted, private RDS instance with its password in Secrets Manager."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_aws_devops.placement import place
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, Unread, attempt, check

Engine = Literal["postgres", "mysql"]
BACKUP_DAYS = 7
READY_SECONDS = 3600.0
"""A Multi-AZ instance takes 10 to 20 minutes; large storage or a busy region longer."""

_BROKEN = {"failed", "incompatible-network", "incompatible-parameters", "storage-full"}


class Database(BaseModel):
    """A database instance; `secret_arn` names its password's secret, never the password."""

    db_instance_id: str
    engine: str
    endpoint: str
    port: int
    secret_arn: str
    subnet_group: str
    multi_az: bool
    encrypted: bool


@write_tool()
def create_database(
    name: ResourceName,
    subnet_ids: Annotated[list[str], Field(description="In two zones", min_length=2)],
    security_group_ids: Annotated[list[str], Field(description="At least one", min_length=1)],
    engine: Annotated[Engine, Field(description="RDS engine")] = "postgres",
    instance_class: Annotated[
        str, Field(description="Size", pattern=r"^db\.", max_length=40)
    ] = "db.t4g.medium",
    storage_gb: Annotated[int, Field(description="Disk", ge=20, le=16384)] = 50,
    multi_az: Annotated[bool, Field(description="Standby in another zone")] = True,
    final_snapshot: Annotated[bool, Field(description="Snapshot it when undone")] = True,
    target: Target = HERE,
) -> Work[Database]:
    """Create a private, encrypted RDS database with backups; its password is in Secrets Manager."""
    a = aws(target)
    settings = {
        "subnets": subnet_ids,
        "groups": security_group_ids,
        "engine": engine,
        "class": instance_class,
        "storage_gb": storage_gb,
        "multi_az": multi_az,
    }
    request = Request.of("create_database", name, **settings)
    wanted = [
        Action(verb="create", type="rds:subgrp", name=name, detail=f"{len(subnet_ids)} subnets"),
        Action(
            verb="create",
            type="rds:db",
            name=name,
            detail=f"{engine}, {instance_class}, {storage_gb} GB, "
            f"{'two zones' if multi_az else 'one zone'}",
        ),
    ]
    parameters = {
        "Engine": engine,
        "DBInstanceClass": instance_class,
        "AllocatedStorage": storage_gb,
        "MultiAZ": multi_az,
        "VpcSecurityGroupIds": security_group_ids,
    }
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted, subnet_ids, security_group_ids, multi_az),
        apply=lambda rec: _apply(a, rec, request, subnet_ids, parameters, final_snapshot, target),
        verify=lambda made: judge_database(made, multi_az, load_database(a, made.db_instance_id)),
        outputs=Database,
    )


def load_database(a: Aws, identifier: str) -> dict[str, Any] | None:
    """RDS's description of an instance, or None when there is none."""
    rds = a.client("rds")
    which = {"DBInstanceIdentifier": identifier}
    return first(if_exists(lambda: rds.describe_db_instances(**which)["DBInstances"]))


def _load_subnet_group(a: Aws, name: str) -> dict[str, Any] | None:
    rds = a.client("rds")
    which = {"DBSubnetGroupName": name}
    group = first(if_exists(lambda: rds.describe_db_subnet_groups(**which)["DBSubnetGroups"]))
    if group is None:
        return None
    tags = rds.list_tags_for_resource(ResourceName=group["DBSubnetGroupArn"])["TagList"]
    return {**group, "TagList": tags}


def _plan(
    a: Aws,
    request: Request,
    wanted: list[Action],
    subnet_ids: list[str],
    group_ids: list[str],
    multi_az: bool,
) -> ChangePlan:
    place(a, subnet_ids, group_ids)
    known = []
    group, database = _load_subnet_group(a, request.name), load_database(a, request.name)
    if group:
        request.claim(f"DB subnet group {request.name}", tags_of(group["TagList"]))
        known.append(key("rds:subgrp", request.name))
    if database:
        request.claim(f"DB instance {request.name}", tags_of(database.get("TagList")))
        if database["DBInstanceStatus"] == "deleting":
            raise BadInputError(
                f"DB instance {request.name} is being deleted; wait for it or choose another name."
            )
        known.append(key("rds:db", request.name))
    warnings = ["It takes about 10 minutes to become available, and is billed by the hour."]
    if not multi_az:
        warnings.append("One zone only: the database stops when that zone does.")
    return ChangePlan(
        summary=f"Create database {request.name} ({wanted[-1].detail})",
        actions=outstanding(wanted, known),
        warnings=warnings,
        observed={"known": known},
    )


def _apply(
    a: Aws,
    rec: Recorder,
    request: Request,
    subnet_ids: list[str],
    parameters: dict[str, Any],
    final_snapshot: bool,
    target: AwsTarget,
) -> Database:
    rds, name, tags = a.client("rds"), request.name, request.tag_list(request.name)

    def make_subnet_group() -> dict[str, str]:
        if _load_subnet_group(a, name) is None:
            rds.create_db_subnet_group(
                DBSubnetGroupName=name,
                DBSubnetGroupDescription=f"Database subnets of {name}",
                SubnetIds=subnet_ids,
                Tags=tags,
            )
        return {"subnet_group": name}

    def make_instance() -> dict[str, str]:
        if load_database(a, name) is None:
            rds.create_db_instance(
                DBInstanceIdentifier=name,
                **parameters,
                DBName="app",
                MasterUsername="dbadmin",
                ManageMasterUserPassword=True,
                DBSubnetGroupName=name,
                StorageType="gp3",
                StorageEncrypted=True,
                PubliclyAccessible=False,
                BackupRetentionPeriod=BACKUP_DAYS,
                CopyTagsToSnapshot=True,
                AutoMinorVersionUpgrade=True,
                DeletionProtection=True,
                Tags=tags,
            )
        return {"db_instance_id": name}

    rec.step(
        f"DB subnet group {name}",
        make_subnet_group,
        undo=[
            aws_undo(
                f"delete DB subnet group {name}", "rds", "delete_db_subnet_group",
                {"DBSubnetGroupName": name}, target=target, region=a.region,
                gone=("describe_db_subnet_groups", {"DBSubnetGroupName": name}, "DBSubnetGroups[]"),
            )
        ],
        resource=ResourceRef(type="rds:subgrp", id=name, name=name),
    )  # fmt: skip
    snapshot = f"{name}-final-{rec.change_id}" if final_snapshot else None
    rec.step(
        f"DB instance {name}",
        make_instance,
        undo=_undo_instance(name, snapshot, target, a.region),
        resource=ResourceRef(type="rds:db", id=name, name=name),
    )
    rec.wait(
        f"database {name} available",
        lambda: _ready(a, name),
        timeout_seconds=READY_SECONDS,
        every_seconds=15,
    )
    database = load_database(a, name) or {}
    secret_arn = database.get("MasterUserSecret", {}).get("SecretArn", "")
    if a.is_emulator:
        _say_gaps(a, rec, secret_arn)
    return Database(
        db_instance_id=name,
        engine=database["Engine"],
        endpoint=database["Endpoint"]["Address"],
        port=database["Endpoint"]["Port"],
        secret_arn=secret_arn,
        subnet_group=name,
        multi_az=database["MultiAZ"],
        encrypted=database["StorageEncrypted"],
    )


def _undo_instance(
    name: str, snapshot: str | None, target: AwsTarget, region: str
) -> list[UndoStep]:
    """Deletion protection off, then the deletion, with a last snapshot unless it is unwanted."""
    which = {"DBInstanceIdentifier": name}
    last: dict[str, Any] = (
        {"FinalDBSnapshotIdentifier": snapshot} if snapshot else {"SkipFinalSnapshot": True}
    )
    kept = f"keeping the snapshot {snapshot}" if snapshot else "keeping nothing of its data"
    return [
        aws_undo(
            f"switch off the deletion protection of {name}", "rds", "modify_db_instance",
            {**which, "DeletionProtection": False, "ApplyImmediately": True},
            target=target, region=region,
            gone=("describe_db_instances", which, "DBInstances[?DeletionProtection]"),
        ),
        aws_undo(
            f"delete database {name}, {kept}", "rds", "delete_db_instance", {**which, **last},
            target=target, region=region,
            gone=("describe_db_instances", which, "DBInstances[]"), wait_gone=True,
        ),
    ]  # fmt: skip


def _ready(a: Aws, name: str) -> bool:
    database = load_database(a, name)
    status = database["DBInstanceStatus"] if database else "creating"
    if status in _BROKEN:
        raise OpswrightError(f"Database {name} became {status}; undo_change removes it.")
    return status == "available"


def _say_gaps(a: Aws, rec: Recorder, secret_arn: str) -> None:
    rec.gap("The emulator runs no database engine: nothing answers at the endpoint.")
    secrets = a.client("secretsmanager")
    if isinstance(attempt(lambda: secrets.describe_secret(SecretId=secret_arn)), Unread):
        rec.gap("The emulator names the password's secret but keeps none in Secrets Manager.")


def judge_database(made: Database, multi_az: bool, database: dict[str, Any] | None) -> list[Check]:
    """Whether the instance is what was asked for, and safe."""
    if database is None:
        return [check("Database exists", False, "RDS knows none of that name", made.db_instance_id)]
    status, days = database["DBInstanceStatus"], database["BackupRetentionPeriod"]
    standby = database["MultiAZ"]
    in_group = database["DBSubnetGroup"]["DBSubnetGroupName"] == made.subnet_group
    has_secret = bool(database.get("MasterUserSecret"))
    facts = [
        ("Database is available", status == "available", status),
        ("Storage is encrypted", database["StorageEncrypted"], ""),
        ("It is not public", not database["PubliclyAccessible"], ""),
        ("It has a standby in another zone", standby or not multi_az, f"MultiAZ={standby}"),
        ("Backups are kept a week", days >= BACKUP_DAYS, f"{days} days"),
        ("Deletion protection is on", database["DeletionProtection"], ""),
        ("Its password is in Secrets Manager", has_secret, made.secret_arn),
        ("It is in its subnet group", in_group, made.subnet_group),
    ]
    return [check(name, ok, evidence, made.db_instance_id) for name, ok, evidence in facts]
