"""Reads what keeps data: buckets, databases, snapshots, file systems, keys and secrets."""

from typing import Any

from opswright_core.verdicts import Unread
from opswright_security.reading import Fact, Reader, account_wide, picked

PAGED = {"PaginationConfig": {"PageSize": 1000}}
"""S3 tells a bucket's region only where the pages have a size."""


@account_wide
def load_account_block(reader: Reader) -> list[Fact]:
    """The account's own S3 public access block; without fields when there is none."""
    answer = reader.call(
        "s3control", "get_public_access_block", absent={}, AccountId=reader.aws.account_id
    )
    return [Fact("account", answer.get("PublicAccessBlockConfiguration", {}))]


@account_wide
def load_buckets(reader: Reader) -> list[Fact]:
    """Buckets with what guards them (each part may be Unread).

    `block`, `account_block`, `policy`, `grants`, `encryption`, `versioning`: a part that a bucket
    does not have is None or empty.
    """
    account = reader.maybe(
        "s3control", "get_public_access_block", absent={}, AccountId=reader.aws.account_id
    )

    def one(bucket: dict[str, Any]) -> Fact:
        name = bucket["Name"]

        def read(operation: str, *path: str) -> Any:
            return picked(reader.maybe("s3", operation, absent={}, Bucket=name), *path)

        return Fact(
            name,
            {
                "block": read("get_public_access_block", "PublicAccessBlockConfiguration"),
                "account_block": picked(account, "PublicAccessBlockConfiguration"),
                "policy": read("get_bucket_policy", "Policy"),
                "grants": read("get_bucket_acl", "Grants"),
                "encryption": read("get_bucket_encryption", "ServerSideEncryptionConfiguration"),
                "versioning": read("get_bucket_versioning", "Status"),
            },
            region=bucket.get("BucketRegion", ""),
        )

    found = list_buckets(reader)
    return reader.each(
        [b for b in found if reader.buckets is None or b["Name"] in reader.buckets], one
    )


def list_buckets(reader: Reader) -> list[dict[str, Any]]:
    """The account's buckets, as S3 lists them."""
    return reader.pages("s3", "list_buckets", "Buckets", **PAGED)


def load_db_instances(reader: Reader) -> list[Fact]:
    """RDS instances."""
    found = reader.pages("rds", "describe_db_instances", "DBInstances")
    return [Fact(database["DBInstanceIdentifier"], database) for database in found]


def load_db_snapshots(reader: Reader) -> list[Fact]:
    """Manual RDS snapshots, with the accounts that may `restore` them (may be Unread)."""

    def one(snapshot: dict[str, Any]) -> Fact:
        name = snapshot["DBSnapshotIdentifier"]
        answer = reader.maybe("rds", "describe_db_snapshot_attributes", DBSnapshotIdentifier=name)
        attributes = picked(answer, "DBSnapshotAttributesResult", "DBSnapshotAttributes")
        restore: Any = attributes
        if not isinstance(attributes, Unread):
            restore = [
                account
                for attribute in attributes or []
                if attribute["AttributeName"] == "restore"
                for account in attribute["AttributeValues"]
            ]
        return Fact(name, {**snapshot, "restore": restore})

    found = reader.pages("rds", "describe_db_snapshots", "DBSnapshots", SnapshotType="manual")
    return reader.each(found, one)


def load_file_systems(reader: Reader) -> list[Fact]:
    """EFS file systems."""
    found = reader.pages("efs", "describe_file_systems", "FileSystems")
    return [Fact(system["FileSystemId"], system) for system in found]


def load_kms_keys(reader: Reader) -> list[Fact]:
    """The account's own enabled symmetric keys, with `rotation` (may be Unread).

    A key that may not be described stands for itself, its `rotation` Unread.
    """

    def one(key: dict[str, Any]) -> Fact:
        described = reader.maybe("kms", "describe_key", KeyId=key["KeyId"])
        if isinstance(described, Unread):
            return Fact(key["KeyId"], {"own": True, "rotation": described})
        data = described["KeyMetadata"]
        own = (
            data.get("KeyManager") == "CUSTOMER"
            and data.get("KeyState") == "Enabled"
            and data.get("KeySpec", "SYMMETRIC_DEFAULT") == "SYMMETRIC_DEFAULT"
            and data.get("Origin", "AWS_KMS") == "AWS_KMS"
        )
        rotation = own and picked(
            reader.maybe("kms", "get_key_rotation_status", KeyId=key["KeyId"]), "KeyRotationEnabled"
        )
        return Fact(key["KeyId"], {"own": own, "rotation": rotation})

    keys = reader.each(reader.pages("kms", "list_keys", "Keys"), one)
    return [key for key in keys if key["own"]]


def load_secrets(reader: Reader) -> list[Fact]:
    """Secrets in Secrets Manager, without their values."""
    found = reader.pages("secretsmanager", "list_secrets", "SecretList")
    return [Fact(secret["Name"], secret) for secret in found]
