"""Judges what keeps data: buckets, databases, file systems, keys, secrets."""

from typing import Any

from opswright_security.facts import storage as read
from opswright_security.policies import denies_plain_http, public_actions
from opswright_security.reading import Fact
from opswright_security.rules import Problem, rule

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
BACKUP_DAYS = 7
"""FSBP RDS.11's default."""
_PUBLIC_GROUPS = ("/global/AllUsers", "/global/AuthenticatedUsers")


def _open_blocks(block: dict[str, Any] | None) -> list[str]:
    return [name for name in BLOCKS if not (block or {}).get(name)]


@rule(
    "s3-account-public-access-block",
    "S3 blocks public access for the whole account",
    "medium",
    read.load_account_block,
    "fsbp:S3.1",
    fix="Turn on all four settings for the account.",
    command="aws s3control put-public-access-block --account-id ACCOUNT "
    "--public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,"
    "BlockPublicPolicy=true,RestrictPublicBuckets=true",
)
def account_public_access_block(account: Fact) -> Problem:
    """It is the one switch that also holds for the buckets made tomorrow."""
    missing = _open_blocks(dict(account.fields))
    return f"off: {', '.join(missing)}" if missing else None


@rule(
    "s3-bucket-public-access-block",
    "Buckets block public access",
    "medium",
    read.load_buckets,
    "cis-3.0:2.1.4",
    fix="Use block_public_access on the bucket, or set it for the account.",
    command="aws s3api put-public-access-block --bucket BUCKET "
    "--public-access-block-configuration BlockPublicAcls=true,IgnorePublicAcls=true,"
    "BlockPublicPolicy=true,RestrictPublicBuckets=true",
)
def bucket_public_access_block(bucket: Fact) -> Problem:
    """One wrong policy or ACL would make it public otherwise."""
    own = _open_blocks(bucket["block"])
    if not own:
        return None
    missing = [name for name in _open_blocks(bucket["account_block"]) if name in own]
    return f"off for bucket and account: {', '.join(missing)}" if missing else None


@rule(
    "s3-bucket-public",
    "No bucket is public",
    "critical",
    read.load_buckets,
    "fsbp:S3.2",
    "fsbp:S3.3",
    fix="Use block_public_access on the bucket; serve a site through CloudFront.",
)
def bucket_public(bucket: Fact) -> Problem:
    """Anybody can read or write what is in it, and such buckets are found by guessing names."""
    open_ = set(_open_blocks(bucket["block"]))
    if open_:
        open_ &= set(_open_blocks(bucket["account_block"]))
    found = []
    if "IgnorePublicAcls" in open_:
        found += [f"ACL gives {p} to all" for p in _public_grants(bucket["grants"])]
    if "RestrictPublicBuckets" in open_ and (policy := bucket["policy"]):
        found += [f"policy allows {action} to all" for action in public_actions(policy)]
    return "; ".join(found) or None


def _public_grants(grants: list[dict[str, Any]] | None) -> list[str]:
    return sorted(
        {
            grant["Permission"]
            for grant in grants or []
            if grant["Grantee"].get("URI", "").endswith(_PUBLIC_GROUPS)
        }
    )


@rule(
    "s3-bucket-encryption",
    "Buckets have default encryption",
    "low",
    read.load_buckets,
    fix="Set default encryption, with a KMS key where access to the data should be logged.",
    command="aws s3api put-bucket-encryption --bucket BUCKET "
    "--server-side-encryption-configuration "
    """'{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'""",
)
def bucket_encryption(bucket: Fact) -> Problem:
    """AWS encrypts new objects since 2023; the setting says with which key, for good."""
    return None if bucket["encryption"] else "no default encryption"


@rule(
    "s3-bucket-versioning",
    "Buckets keep old versions",
    "low",
    read.load_buckets,
    fix="Turn versioning on, with a lifecycle rule that expires old versions.",
    command="aws s3api put-bucket-versioning --bucket BUCKET "
    "--versioning-configuration Status=Enabled",
)
def bucket_versioning(bucket: Fact) -> Problem:
    """An overwritten or encrypted-for-ransom object can be brought back."""
    return None if bucket["versioning"] == "Enabled" else "versioning is off"


@rule(
    "s3-bucket-tls-only",
    "Buckets refuse plain HTTP",
    "medium",
    read.load_buckets,
    "cis-3.0:2.1.1",
    "fsbp:S3.5",
    fix="Add a Deny on s3:* for everybody with the condition Bool aws:SecureTransport=false.",
)
def bucket_tls_only(bucket: Fact) -> Problem:
    """Requests and presigned addresses over plain HTTP can be read on the way."""
    policy = bucket["policy"]
    return None if policy and denies_plain_http(policy) else "the policy does not deny plain HTTP"


@rule(
    "rds-public",
    "Databases are not publicly accessible",
    "critical",
    read.load_db_instances,
    "cis-3.0:2.3.3",
    "fsbp:RDS.2",
    fix="Turn the flag off; clients reach it through the VPC.",
    command="aws rds modify-db-instance --db-instance-identifier ID --no-publicly-accessible "
    "--apply-immediately",
)
def rds_public(database: Fact) -> Problem:
    """It has an internet address: one wrong rule away from the world."""
    return "PubliclyAccessible is on" if database.get("PubliclyAccessible") else None


@rule(
    "rds-encrypted",
    "Databases are encrypted",
    "high",
    read.load_db_instances,
    "cis-3.0:2.3.1",
    "fsbp:RDS.3",
    fix="Copy a snapshot encrypted and restore from it; it cannot be turned on in place.",
)
def rds_encrypted(database: Fact) -> Problem:
    """Backups and replicas of a clear database are clear too."""
    return None if database.get("StorageEncrypted") else "storage is not encrypted"


@rule(
    "rds-backups",
    f"Databases are backed up for {BACKUP_DAYS} days or more",
    "medium",
    read.load_db_instances,
    "fsbp:RDS.11",
    fix=f"Set the backup retention to {BACKUP_DAYS} days or more.",
    command="aws rds modify-db-instance --db-instance-identifier ID --backup-retention-period 7",
)
def rds_backups(database: Fact) -> Problem:
    """Losses are often seen days later."""
    days = database.get("BackupRetentionPeriod", 0)
    if days >= BACKUP_DAYS or database.get("ReadReplicaSourceDBInstanceIdentifier"):
        return None
    return f"backups are kept for {days} days" if days else "no automatic backups"


@rule(
    "rds-deletion-protection",
    "Databases are protected from deletion",
    "low",
    read.load_db_instances,
    "fsbp:RDS.8",
    fix="Turn deletion protection on.",
    command="aws rds modify-db-instance --db-instance-identifier ID --deletion-protection",
)
def rds_deletion_protection(database: Fact) -> Problem:
    """A wrong command or template would take the data with it."""
    return None if database.get("DeletionProtection") else "deletion protection is off"


@rule(
    "rds-minor-upgrades",
    "Databases take minor upgrades by themselves",
    "low",
    read.load_db_instances,
    "cis-3.0:2.3.2",
    "fsbp:RDS.13",
    fix="Turn automatic minor version upgrades on.",
    command="aws rds modify-db-instance --db-instance-identifier ID --auto-minor-version-upgrade",
)
def rds_minor_upgrades(database: Fact) -> Problem:
    """Minor versions carry the security patches."""
    return None if database.get("AutoMinorVersionUpgrade") else "automatic minor upgrades are off"


@rule(
    "rds-snapshot-public",
    "No database snapshot is public",
    "critical",
    read.load_db_snapshots,
    "fsbp:RDS.1",
    fix="Remove the permission for all; treat the data as leaked.",
    command="aws rds modify-db-snapshot-attribute --db-snapshot-identifier ID "
    "--attribute-name restore --values-to-remove all",
)
def rds_snapshot_public(snapshot: Fact) -> Problem:
    """Anyone can restore the whole database in their own account."""
    return "anybody can restore it" if "all" in snapshot["restore"] else None


@rule(
    "efs-encrypted",
    "File systems are encrypted",
    "medium",
    read.load_file_systems,
    "cis-3.0:2.4.1",
    "fsbp:EFS.1",
    fix="Make an encrypted file system and copy the files; it cannot be turned on in place.",
)
def efs_encrypted(system: Fact) -> Problem:
    """It can only be chosen when the file system is made."""
    return None if system.get("Encrypted") else "not encrypted"


@rule(
    "kms-rotation",
    "Customer keys are rotated",
    "medium",
    read.load_kms_keys,
    "cis-3.0:3.6",
    fix="Turn automatic rotation on; old data stays readable.",
    command="aws kms enable-key-rotation --key-id KEY",
)
def kms_rotation(key: Fact) -> Problem:
    """It bounds how much one key's material protects."""
    return None if key["rotation"] else "rotation is off"


@rule(
    "secretsmanager-rotation",
    "Secrets are rotated",
    "medium",
    read.load_secrets,
    "fsbp:SecretsManager.1",
    fix="Turn rotation on for the secret, with AWS's function for its kind of database.",
    command="aws secretsmanager rotate-secret --secret-id ID --rotation-lambda-arn ARN "
    "--rotation-rules AutomaticallyAfterDays=30",
)
def secret_rotation(secret: Fact) -> Problem:
    """A copied secret works until it is changed."""
    if secret.get("OwningService") or secret.get("RotationEnabled"):
        return None
    return "rotation is off"
