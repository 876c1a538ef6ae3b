"""Settings of a bucket: storage classes by age, access log, key, versioning, public access."""

from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.buckets.lifecycle import (
    CLASSES,
    OLD_VERSIONS,
    find_rule,
    load_lifecycle,
)
from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws


@dataclass(frozen=True)
class BucketSettings:
    """What was read of a bucket; what is not configured is None."""

    lifecycle: dict[str, Any] | None
    logging: dict[str, Any] | None
    """`TargetBucket` and `TargetPrefix`."""
    encryption: dict[str, Any] | None
    versioning: str | None = None
    """`Enabled` or `Suspended`; None: it never was enabled."""
    public_access: dict[str, bool] | None = None
    """Which of S3's four blocks of public access are on."""

    @property
    def versioned(self) -> bool:
        """Whether old versions are kept."""
        return self.versioning == "Enabled"

    @property
    def rule(self) -> dict[str, Any] | None:
        """The lifecycle rule of storage classes that is made here."""
        return find_rule(self.lifecycle, CLASSES)

    @property
    def kept_days(self) -> int | None:
        """How long old versions are kept by the rule that is made here; None without one."""
        expiry = (find_rule(self.lifecycle, OLD_VERSIONS) or {}).get("NoncurrentVersionExpiration")
        return int(expiry["NoncurrentDays"]) if expiry else None

    @property
    def key(self) -> str | None:
        """The KMS key that new objects are encrypted with, as it was given."""
        if not self.algorithm.startswith("aws:kms"):
            return None
        return str(self._default.get("KMSMasterKeyID", "alias/aws/s3"))

    @property
    def algorithm(self) -> str:
        """How new objects are encrypted: `AES256` with S3's own keys; empty when it is unsaid."""
        return str(self._default.get("SSEAlgorithm", ""))

    @property
    def _default(self) -> dict[str, Any]:
        rules = (self.encryption or {}).get("Rules") or [{}]
        default: dict[str, Any] = rules[0].get("ApplyServerSideEncryptionByDefault") or {}
        return default


def load_settings(a: Aws, bucket: str) -> BucketSettings:
    """Read the settings of a bucket."""
    s3, which = a.client("s3"), {"Bucket": bucket}
    encrypted = if_exists(lambda: s3.get_bucket_encryption(**which))
    blocked = if_exists(lambda: s3.get_public_access_block(**which))
    return BucketSettings(
        lifecycle=load_lifecycle(a, bucket),
        logging=s3.get_bucket_logging(**which).get("LoggingEnabled"),
        encryption=encrypted and encrypted["ServerSideEncryptionConfiguration"],
        versioning=s3.get_bucket_versioning(**which).get("Status"),
        public_access=blocked and blocked["PublicAccessBlockConfiguration"],
    )


def log_statement(
    log_bucket: str, source: str, *, partition: str, account_id: str
) -> dict[str, Any]:
    """What S3's log delivery needs in the log bucket, for one source of this account.

    Source: "Permissions for log delivery", Amazon S3 user guide.
    """
    from opswright_core.canonical import digest

    return {
        "Sid": f"AccessLogs{digest(source)[:16]}",
        "Effect": "Allow",
        "Principal": {"Service": "logging.s3.amazonaws.com"},
        "Action": "s3:PutObject",
        "Resource": f"arn:{partition}:s3:::{log_bucket}/{source}/*",
        "Condition": {
            "ArnLike": {"aws:SourceArn": f"arn:{partition}:s3:::{source}"},
            "StringEquals": {"aws:SourceAccount": account_id},
        },
    }
