"""The parts of RDS databases: how each is found, made, waited for and deleted."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field

from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.ownership import Request
from opswright_core.aws import Aws, AwsTarget, tags_of
from opswright_core.changes import ResourceRef
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Unread, attempt

SUBNET_GROUP, INSTANCE, CLUSTER = "rds:subgrp", "rds:db", "rds:cluster"
BACKUP_DAYS = 7
READY_SECONDS = 3600.0
"""A Multi-AZ instance takes 10 to 20 minutes; large storage or a busy region longer."""

Kind = Literal["instance", "cluster"]
InstanceClass = Annotated[str, Field(description="Size", pattern=r"^db\.", max_length=40)]
Window = Annotated[str, Field(description="Like sun:04:00-sun:05:00 UTC", max_length=19)]

BROKEN = {"failed", "incompatible-network", "incompatible-parameters", "storage-full"}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES, _WEEK_MINUTES = 1440, 7 * 1440


def load_database(a: Aws, identifier: str) -> dict[str, Any] | None:
    """RDS's description of an instance, or None when there is none."""
    rds = a.client("rds")
    which = {"DBInstanceIdentifier": identifier}
    return first(if_exists(lambda: rds.describe_db_instances(**which)["DBInstances"]))


def load_cluster(a: Aws, identifier: str) -> dict[str, Any] | None:
    """RDS's description of an Aurora cluster, or None when there is none."""
    rds = a.client("rds")
    which = {"DBClusterIdentifier": identifier}
    return first(if_exists(lambda: rds.describe_db_clusters(**which)["DBClusters"]))


def load_subnet_group(a: Aws, name: str) -> dict[str, Any] | None:
    """RDS's description of a subnet group with its `TagList`, or None when there is none."""
    rds = a.client("rds")
    which = {"DBSubnetGroupName": name}
    group = first(if_exists(lambda: rds.describe_db_subnet_groups(**which)["DBSubnetGroups"]))
    if group is None:
        return None
    tags = rds.list_tags_for_resource(ResourceName=group["DBSubnetGroupArn"])["TagList"]
    return {**group, "TagList": tags}


def claim(request: Request, what: str, found: dict[str, Any] | None) -> bool:
    """Whether the request made that part before.

    Raises ConflictError for another's, BadInputError for one that is being deleted.
    """
    if found is None:
        return False
    request.claim(what, tags_of(found.get("TagList")))
    if "deleting" in {found.get("DBInstanceStatus"), found.get("Status")}:
        raise BadInputError(f"{what} is being deleted; wait for it or choose another name.")
    return True


def maintenance(window: str | None) -> dict[str, str]:
    """RDS's parameters for a weekly maintenance window, with backups shortly before it.

    Raises BadInputError for a window that is not one, or is not between 30 minutes and 24 hours
    (RDS user guide, "Maintaining a DB instance").
    """
    if not window:
        return {}
    one = rf"({'|'.join(_DAYS)}):([01]\d|2[0-3]):([0-5]\d)"
    if not (match := re.fullmatch(f"{one}-{one}", window.lower())):
        raise BadInputError(
            f"maintenance_window {window!r}: give it in UTC as sun:04:00-sun:05:00 "
            "(three letters of the day, hour and minute)."
        )
    begin, end = (
        _DAYS.index(match[i]) * _DAY_MINUTES + int(match[i + 1]) * 60 + int(match[i + 2])
        for i in (1, 4)
    )
    length = (end - begin) % _WEEK_MINUTES
    if not 30 <= length < _DAY_MINUTES:
        raise BadInputError(
            f"maintenance_window {window!r} lasts {length} minutes; give 30 minutes to a day."
        )
    backup = [f"{m // 60:02}:{m % 60:02}" for m in ((begin - 60) % 1440, (begin - 30) % 1440)]
    return {
        "PreferredMaintenanceWindow": window.lower(),
        "PreferredBackupWindow": "-".join(backup),
    }


def make_subnet_group(
    a: Aws, rec: Recorder, request: Request, subnet_ids: list[str], target: AwsTarget
) -> None:
    """Make the request's subnet group, or take up the one it made."""
    rds, name = a.client("rds"), request.name

    def make() -> dict[str, str]:
        if load_subnet_group(a, name) is None:
            rds.create_db_subnet_group(
                DBSubnetGroupName=name,
                DBSubnetGroupDescription=f"Database subnets of {name}",
                SubnetIds=subnet_ids,
                Tags=request.tag_list(name),
            )
        return {"subnet_group": name}

    rec.step(
        f"DB subnet group {name}",
        make,
        undo=[
            aws_undo(
                f"delete DB subnet group {name}", "rds", "delete_db_subnet_group",
                {"DBSubnetGroupName": name}, target=target, region=a.region,
                gone=("describe_db_subnet_groups", {"DBSubnetGroupName": name}, "DBSubnetGroups[]"),
            )
        ],
        resource=ResourceRef(type=SUBNET_GROUP, id=name, name=name),
    )  # fmt: skip


def make_member(
    a: Aws,
    rec: Recorder,
    request: Request,
    cluster: str,
    member: str,
    parameters: dict[str, Any],
    target: AwsTarget,
) -> None:
    """Make an instance of a cluster, or take up the one that the request made."""
    which = {"DBInstanceIdentifier": member}

    def make() -> dict[str, str]:
        if not claim(request, f"DB instance {member}", load_database(a, member)):
            a.client("rds").create_db_instance(
                **which,
                DBClusterIdentifier=cluster,
                PubliclyAccessible=False,
                AutoMinorVersionUpgrade=True,
                Tags=request.tag_list(member),
                **parameters,
            )
        return {"db_instance_id": member}

    rec.step(
        f"DB instance {member}",
        make,
        undo=[
            aws_undo(
                f"delete instance {member} of {cluster}", "rds", "delete_db_instance",
                {**which, "SkipFinalSnapshot": True}, target=target, region=a.region,
                gone=("describe_db_instances", which, "DBInstances[]"), wait_gone=True,
            )
        ],
        resource=ResourceRef(type=INSTANCE, id=member, name=member),
    )  # fmt: skip


def undo_database(
    kind: Kind, name: str, snapshot: str | None, target: AwsTarget, region: str
) -> list[UndoStep]:
    """Deletion protection off, then the deletion, with a last snapshot unless it is unwanted."""
    word = "DBInstance" if kind == "instance" else "DBCluster"
    which, suffix = {f"{word}Identifier": name}, f"db_{kind}"
    last: dict[str, Any] = (
        {"FinalDBSnapshotIdentifier": snapshot} if snapshot else {"SkipFinalSnapshot": True}
    )
    kept = f"keeping the snapshot {snapshot}" if snapshot else "keeping nothing of its data"
    reads = f"describe_{suffix}s"
    return [
        aws_undo(
            f"switch off the deletion protection of {name}", "rds", f"modify_{suffix}",
            {**which, "DeletionProtection": False, "ApplyImmediately": True},
            target=target, region=region, gone=(reads, which, f"{word}s[?DeletionProtection]"),
        ),
        aws_undo(
            f"delete database {name}, {kept}", "rds", f"delete_{suffix}", {**which, **last},
            target=target, region=region, gone=(reads, which, f"{word}s[]"), wait_gone=True,
        ),
    ]  # fmt: skip


def wait_available(a: Aws, rec: Recorder, name: str, *, clusters: bool = False) -> None:
    """Wait for an instance or a cluster. Raises OpswrightError when it breaks."""

    def ready() -> bool:
        found = load_cluster(a, name) if clusters else load_database(a, name)
        status = (found or {}).get("Status" if clusters else "DBInstanceStatus", "creating")
        if status in BROKEN:
            raise OpswrightError(f"Database {name} became {status}; undo_change removes it.")
        return bool(status == "available")

    rec.wait(f"database {name} available", ready, timeout_seconds=READY_SECONDS, every_seconds=15)


def say_gaps(a: Aws, rec: Recorder, secret_arn: str) -> None:
    """What an emulator does not do of a database."""
    rec.gap("The emulator runs no database engine: nothing answers at the endpoint.")
    secrets = a.client("secretsmanager")
    if isinstance(attempt(lambda: secrets.describe_secret(SecretId=secret_arn)), Unread):
        rec.gap("The emulator names the password's secret but keeps none in Secrets Manager.")
