"""Reads with whom snapshots and machine images are shared."""

from collections.abc import Callable, Iterable
from typing import Any

from opswright_aws_devops.access.copies import judge_shares, judge_snapshot
from opswright_aws_devops.graph.parts import NOT_READ, Parts, judged, known, look, reasons
from opswright_core.aws import Aws


def snapshot(a: Aws, item: Parts) -> Parts:
    """An EBS snapshot: who may make volumes of it."""
    ec2 = a.client("ec2")
    told = look(
        lambda: ec2.describe_snapshot_attribute(
            SnapshotId=item["SnapshotId"], Attribute="createVolumePermission"
        )
    )
    permissions = known(told).get("CreateVolumePermissions", [])
    block = None
    if any(permission.get("Group") == "all" for permission in permissions):
        block = look(lambda: ec2.get_snapshot_block_public_access_state()["State"])
    access = judged(lambda: judge_snapshot(a.account_id, permissions, block), told, block)
    return {"Access": access, NOT_READ: reasons(told, block)}


def image(a: Aws, item: Parts) -> Parts:
    """A machine image: who may start servers from it.

    A block of public access to images keeps only new ones from being made public.
    """
    told = look(
        lambda: a.client("ec2").describe_image_attribute(
            ImageId=item["ImageId"], Attribute="launchPermission"
        )
    )
    permissions = known(told).get("LaunchPermissions", [])
    others = ("OrganizationArn", "OrganizationalUnitArn")
    access = judged(
        lambda: judge_shares(
            a.account_id,
            is_for_all=any(p.get("Group") == "all" for p in permissions),
            accounts=_values(permissions, "UserId"),
            others=_values(permissions, *others),
        ),
        told,
    )
    return {"Access": access, NOT_READ: reasons(told)}


def database_snapshot(a: Aws, item: Parts) -> Parts:
    """A snapshot of a database server: who may restore it."""
    asked = {"DBSnapshotIdentifier": item["DBSnapshotIdentifier"]}
    return _restorable(a, lambda: a.client("rds").describe_db_snapshot_attributes(**asked), "DB")


def cluster_snapshot(a: Aws, item: Parts) -> Parts:
    """The same of a cluster."""
    asked = {"DBClusterSnapshotIdentifier": item["DBClusterSnapshotIdentifier"]}
    return _restorable(
        a, lambda: a.client("rds").describe_db_cluster_snapshot_attributes(**asked), "DBCluster"
    )


def _restorable(a: Aws, call: Callable[[], Any], what: str) -> Parts:
    told = look(call)
    accounts = [
        value
        for attribute in known(told)
        .get(f"{what}SnapshotAttributesResult", {})
        .get(f"{what}SnapshotAttributes", [])
        if attribute["AttributeName"] == "restore"
        for value in attribute.get("AttributeValues", [])
    ]
    access = judged(
        lambda: judge_shares(
            a.account_id,
            is_for_all="all" in accounts,
            accounts=[one for one in accounts if one != "all"],
        ),
        told,
    )
    return {"Access": access, NOT_READ: reasons(told)}


def _values(permissions: Iterable[dict[str, str]], *keys: str) -> list[str]:
    return [p[key] for p in permissions for key in keys if key in p]
