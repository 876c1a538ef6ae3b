"""Settings of a bucket: storage classes by age, access log, key, versioning, public access."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws, AwsTarget
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

RESTORE_RULE = "s3-lifecycle-rule"
"""The kind of undo step that gives a bucket's lifecycle the rule it had, or none, of an id."""

RULE_ID = "opswright-storage-classes"
LEAST_IA_DAYS = 30
"""S3 moves nothing to Standard-IA sooner, nor on from there ("Transitioning objects using Amazon
S3 Lifecycle")."""

ArchiveClass = Literal["GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]


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
        """The lifecycle rule that is made here."""
        rules = (self.lifecycle or {}).get("Rules", [])
        return next((rule for rule in rules if rule.get("ID") == RULE_ID), None)

    @property
    def key(self) -> str | None:
        """The KMS key that new objects are encrypted with, as it was given."""
        for rule in (self.encryption or {}).get("Rules", []):
            default = rule.get("ApplyServerSideEncryptionByDefault", {})
            if str(default.get("SSEAlgorithm", "")).startswith("aws:kms"):
                return str(default.get("KMSMasterKeyID", "alias/aws/s3"))
        return None


def load_lifecycle(a: Aws, bucket: str) -> dict[str, Any] | None:
    """A bucket's lifecycle as it can be put again, or None without one."""
    s3 = a.client("s3")
    found = if_exists(lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket))
    return {"Rules": found["Rules"]} if found else None


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


def transitions(
    prefix: str, ia_after_days: int | None, archive_after_days: int | None, archive: ArchiveClass
) -> dict[str, Any]:
    """The lifecycle rule that moves objects to cheaper storage as they age."""
    moves: list[dict[str, Any]] = []
    if ia_after_days is not None:
        moves.append({"Days": ia_after_days, "StorageClass": "STANDARD_IA"})
    if archive_after_days is not None:
        moves.append({"Days": archive_after_days, "StorageClass": archive})
    return {
        "ID": RULE_ID,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Transitions": moves,
    }


def same_rule(one: dict[str, Any] | None, other: dict[str, Any]) -> bool:
    """Whether two transition rules do the same."""
    return one is not None and _gist(one) == _gist(other)


def _gist(rule: dict[str, Any]) -> list[Any]:
    """What a rule does; an empty prefix may come back left out."""
    prefix = (rule.get("Filter") or {}).get("Prefix") or rule.get("Prefix") or ""
    moves = sorted((m.get("Days"), m["StorageClass"]) for m in rule.get("Transitions", []))
    return [rule.get("ID"), rule.get("Status"), prefix, moves]


def put_rule(a: Aws, bucket: str, rule: dict[str, Any] | None) -> None:
    """Put a rule in place of the one of its id (`RULE_ID`), or take that out; others stay."""
    s3, now = a.client("s3"), load_lifecycle(a, bucket) or {"Rules": []}
    rules = [r for r in now["Rules"] if r.get("ID") != RULE_ID] + ([rule] if rule else [])
    if rules == now["Rules"]:
        return
    if rules:
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": rules}
        )
    else:
        s3.delete_bucket_lifecycle(Bucket=bucket)


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


def restore_rule(bucket: str, before: dict[str, Any] | None, target: AwsTarget) -> UndoStep:
    """The inverse of a rule that is put."""
    back = "as they were" if before else "no more"
    return UndoStep(
        kind=RESTORE_RULE,
        description=f"move the objects of {bucket} to other storage classes {back}",
        args={
            "bucket": bucket,
            "rule": json.dumps(before) if before else None,
            "target": target.model_dump(exclude_none=True),
        },
    )


class RuleUndo:
    """Gives a bucket's lifecycle its former rule of that id; other rules stay as they are."""

    def replay(self, step: UndoStep) -> None:
        """Put the former rule; a bucket that is gone is no error."""
        a, bucket, rule = _of(step)
        s3 = a.client("s3")
        if if_exists(lambda: s3.head_bucket(Bucket=bucket)) is not None:
            put_rule(a, bucket, rule)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the rule is as it was before, or the bucket is gone."""
        a, bucket, rule = _of(step)

        def is_so() -> bool:
            found = (load_lifecycle(a, bucket) or {}).get("Rules", [])
            now = next((r for r in found if r.get("ID") == RULE_ID), None)
            return now is None if rule is None else same_rule(now, rule)

        read = attempt(is_so)
        evidence = "" if isinstance(read, Unread) else f"the rule is {'so' if read else 'not so'}"
        return check(step.description, read, evidence)


def _of(step: UndoStep) -> tuple[Aws, str, dict[str, Any] | None]:
    args = step.args
    rule = json.loads(args["rule"]) if args["rule"] else None
    return aws(AwsTarget(**args["target"])), args["bucket"], rule
