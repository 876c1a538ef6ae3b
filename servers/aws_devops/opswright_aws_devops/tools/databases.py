"""Databases: an encrypted, private RDS instance with its password in Secrets Manager."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.databases.parts import (
    BACKUP_DAYS,
    INSTANCE,
    SUBNET_GROUP,
    InstanceClass,
    Window,
    claim,
    load_database,
    load_subnet_group,
    maintenance,
    make_subnet_group,
    say_gaps,
    undo_database,
    wait_available,
)
from opswright_aws_devops.networking.placement import place
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check

Engine = Literal["postgres", "mysql"]


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
    instance_class: InstanceClass = "db.t4g.medium",
    storage_gb: Annotated[int, Field(description="Disk", ge=20, le=16384)] = 50,
    multi_az: Annotated[bool, Field(description="Standby in another zone")] = True,
    maintenance_window: Window | None = None,
    final_snapshot: Annotated[bool, Field(description="When undone")] = True,
    target: Target = HERE,
) -> Work[Database]:
    """Create a private, encrypted RDS database; its password is in Secrets Manager."""
    a = aws(target)
    settings = {
        "subnets": subnet_ids,
        "groups": security_group_ids,
        "engine": engine,
        "class": instance_class,
        "storage_gb": storage_gb,
        "multi_az": multi_az,
    }
    windows = maintenance(maintenance_window)
    request = Request.of("create_database", name, **settings, **windows)
    wanted = [
        Action(verb="create", type=SUBNET_GROUP, name=name, detail=f"{len(subnet_ids)} subnets"),
        Action(
            verb="create",
            type=INSTANCE,
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
        **windows,
    }
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted, subnet_ids, security_group_ids, multi_az),
        apply=lambda rec: _apply(a, rec, request, subnet_ids, parameters, final_snapshot, target),
        verify=lambda made: judge_database(made, multi_az, load_database(a, made.db_instance_id)),
        outputs=Database,
    )


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
    if claim(request, f"DB subnet group {request.name}", load_subnet_group(a, request.name)):
        known.append(key(SUBNET_GROUP, request.name))
    if claim(request, f"DB instance {request.name}", load_database(a, request.name)):
        known.append(key(INSTANCE, request.name))
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

    make_subnet_group(a, rec, request, subnet_ids, target)
    snapshot = f"{name}-final-{rec.change_id}" if final_snapshot else None
    rec.step(
        f"DB instance {name}",
        make_instance,
        undo=undo_database("instance", name, snapshot, target, a.region),
        resource=ResourceRef(type=INSTANCE, id=name, name=name),
    )
    wait_available(a, rec, name)
    database = load_database(a, name) or {}
    secret_arn = database.get("MasterUserSecret", {}).get("SecretArn", "")
    if a.is_emulator:
        say_gaps(a, rec, secret_arn)
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
