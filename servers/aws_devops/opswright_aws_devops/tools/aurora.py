"""Aurora clusters: encrypted and private, with instances over zones and a managed password."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.databases.parts import (
    BACKUP_DAYS,
    CLUSTER,
    INSTANCE,
    SUBNET_GROUP,
    InstanceClass,
    Window,
    claim,
    load_cluster,
    load_database,
    load_subnet_group,
    maintenance,
    make_member,
    make_subnet_group,
    say_gaps,
    undo_database,
    wait_available,
)
from opswright_aws_devops.networking.placement import place
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check

Engine = Literal["aurora-postgresql", "aurora-mysql"]


class AuroraCluster(BaseModel):
    """An Aurora cluster; `secret_arn` names its password's secret, never the password."""

    cluster_id: str
    engine: str
    endpoint: str = Field(description="Of the writer")
    reader_endpoint: str
    port: int
    secret_arn: str
    instance_ids: list[str]
    azs: list[str] = Field(description="Zones of the instances")
    subnet_group: str
    encrypted: bool


@write_tool(toolset="databases")
def create_aurora_cluster(
    name: ResourceName,
    subnet_ids: Annotated[list[str], Field(description="In two zones", min_length=2)],
    security_group_ids: Annotated[list[str], Field(description="At least one", min_length=1)],
    engine: Annotated[Engine, Field(description="Compatible with")] = "aurora-postgresql",
    instance_class: InstanceClass = "db.t4g.medium",
    instance_count: Annotated[
        int, Field(description="One writer, the others readers", ge=1, le=15)
    ] = 2,
    backup_days: Annotated[int, Field(description="Backups are kept", ge=1, le=35)] = BACKUP_DAYS,
    maintenance_window: Window | None = None,
    final_snapshot: Annotated[bool, Field(description="Snapshot it when undone")] = True,
    target: Target = HERE,
) -> Work[AuroraCluster]:
    """Create a private, encrypted Aurora cluster; its password is in Secrets Manager."""
    a = aws(target)
    windows = maintenance(maintenance_window)
    request = Request.of(
        "create_aurora_cluster",
        name,
        subnets=subnet_ids,
        groups=security_group_ids,
        engine=engine,
        instances=[instance_class, instance_count],
        backup_days=backup_days,
        **windows,
    )
    members = [f"{name}-{number}" for number in range(1, instance_count + 1)]
    cluster = {
        "Engine": engine,
        "BackupRetentionPeriod": backup_days,
        "VpcSecurityGroupIds": security_group_ids,
        **windows,
    }

    def plan() -> ChangePlan:
        place(a, subnet_ids, security_group_ids)
        known = known_members(a, request, members)
        if claim(request, f"DB subnet group {name}", load_subnet_group(a, name)):
            known.append(key(SUBNET_GROUP, name))
        if claim(request, f"DB cluster {name}", load_cluster(a, name)):
            known.append(key(CLUSTER, name))
        wanted = [
            Action(
                verb="create", type=SUBNET_GROUP, name=name, detail=f"{len(subnet_ids)} subnets"
            ),
            Action(verb="create", type=CLUSTER, name=name, detail=f"{engine}, encrypted"),
            *(Action(verb="create", type=INSTANCE, name=m, detail=instance_class) for m in members),
        ]
        warnings = [
            f"{instance_count} instances, storage and requests are billed; it takes 15 minutes."
        ]
        if instance_count == 1:
            warnings.append("One instance: when it fails, Aurora takes minutes to make another.")
        return ChangePlan(
            summary=f"Create Aurora cluster {name} ({engine}, {instance_count} {instance_class})",
            actions=outstanding(wanted, known),
            warnings=warnings,
            observed={"known": known},
        )

    def apply(rec: Recorder) -> AuroraCluster:
        azs = place(a, subnet_ids, security_group_ids).azs
        make_subnet_group(a, rec, request, subnet_ids, target)
        snapshot = f"{name}-final-{rec.change_id}" if final_snapshot else None
        rec.step(
            f"DB cluster {name}",
            lambda: _make_cluster(a, request, cluster),
            undo=undo_database("cluster", name, snapshot, target, a.region),
            resource=ResourceRef(type=CLUSTER, id=name, name=name),
        )
        for number, member in enumerate(members):
            parameters = {
                "Engine": engine,
                "DBInstanceClass": instance_class,
                "AvailabilityZone": azs[number % len(azs)],
            }
            make_member(a, rec, request, name, member, parameters, target)
        wait_available(a, rec, name, clusters=True)
        for member in members:
            wait_available(a, rec, member)
        made = described(a, name)
        if a.is_emulator:
            say_gaps(a, rec, made.secret_arn)
        return made

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=lambda made: judge_cluster(
            made,
            load_cluster(a, name),
            [load_database(a, member) for member in members],
            backup_days=backup_days,
        ),
        outputs=AuroraCluster,
    )


def known_members(a: Aws, request: Request, members: list[str]) -> list[str]:
    """The instances that the request made before. Raises ConflictError for another's."""
    return [
        key(INSTANCE, member)
        for member in members
        if claim(request, f"DB instance {member}", load_database(a, member))
    ]


def _make_cluster(a: Aws, request: Request, parameters: dict[str, Any]) -> dict[str, str]:
    name = request.name
    if load_cluster(a, name) is None:
        a.client("rds").create_db_cluster(
            DBClusterIdentifier=name,
            DBSubnetGroupName=name,
            DatabaseName="app",
            MasterUsername="dbadmin",
            ManageMasterUserPassword=True,
            StorageEncrypted=True,
            CopyTagsToSnapshot=True,
            DeletionProtection=True,
            Tags=request.tag_list(name),
            **parameters,
        )
    return {"cluster_id": name}


def described(a: Aws, name: str) -> AuroraCluster:
    """A cluster that is there, with its instances in the order of their names."""
    cluster = load_cluster(a, name) or {}
    members = sorted(m["DBInstanceIdentifier"] for m in cluster.get("DBClusterMembers", []))
    zones = {(load_database(a, member) or {}).get("AvailabilityZone") for member in members}
    return AuroraCluster(
        cluster_id=name,
        engine=cluster["Engine"],
        endpoint=cluster["Endpoint"],
        reader_endpoint=cluster["ReaderEndpoint"],
        port=cluster["Port"],
        secret_arn=cluster.get("MasterUserSecret", {}).get("SecretArn", ""),
        instance_ids=members,
        azs=sorted(zone for zone in zones if zone),
        subnet_group=cluster["DBSubnetGroup"],
        encrypted=cluster["StorageEncrypted"],
    )


def judge_cluster(
    made: AuroraCluster,
    cluster: dict[str, Any] | None,
    members: list[dict[str, Any] | None],
    *,
    backup_days: int,
) -> list[Check]:
    """Whether the cluster is what was asked for, and safe."""
    if cluster is None:
        return [check("Cluster exists", False, "RDS knows none of that name", made.cluster_id)]
    there = [member for member in members if member]
    running = [m for m in there if m["DBInstanceStatus"] == "available"]
    zones = sorted({m["AvailabilityZone"] for m in running})
    days = cluster["BackupRetentionPeriod"]
    facts = [
        ("Cluster is available", cluster["Status"] == "available", cluster["Status"]),
        ("Storage is encrypted", cluster["StorageEncrypted"], ""),
        (
            "Its instances are available",
            len(running) == len(members),
            f"{len(running)} of {len(members)}",
        ),
        ("None of them is public", not any(m["PubliclyAccessible"] for m in there), ""),
        ("Backups are kept as asked", days >= backup_days, f"{days} days"),
        ("Deletion protection is on", cluster["DeletionProtection"], ""),
        ("Its password is in Secrets Manager", bool(cluster.get("MasterUserSecret")), ""),
    ]
    if len(members) > 1:
        facts.append(("Instances are in two zones or more", len(zones) > 1, ", ".join(zones)))
    return [check(name, ok, evidence, made.cluster_id) for name, ok, evidence in facts]
