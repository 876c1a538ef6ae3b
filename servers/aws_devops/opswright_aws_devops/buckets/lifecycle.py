"""Lifecycle rules of a bucket that are made here, beside those of others, and given back."""

import json
from typing import Any, Literal

from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws, AwsTarget
from opswright_core.changes import ResourceRef
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

RESTORE_RULE = "s3-lifecycle-rule"
"""The kind of undo step that gives a bucket's lifecycle the rule it had, or none, of an id."""

CLASSES, OLD_VERSIONS = "opswright-storage-classes", "opswright-old-versions"
"""The ids of the rules."""
LEAST_IA_DAYS = 30
"""S3 moves nothing to Standard-IA sooner, nor on from there ("Transitioning objects using Amazon
S3 Lifecycle")."""

ArchiveClass = Literal["GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]


def load_lifecycle(a: Aws, bucket: str) -> dict[str, Any] | None:
    """A bucket's lifecycle as it can be put again, or None without one."""
    s3 = a.client("s3")
    found = if_exists(lambda: s3.get_bucket_lifecycle_configuration(Bucket=bucket))
    return {"Rules": found["Rules"]} if found else None


def find_rule(lifecycle: dict[str, Any] | None, rule_id: str) -> dict[str, Any] | None:
    """The rule of an id, or None."""
    rules = (lifecycle or {}).get("Rules", [])
    return next((rule for rule in rules if rule.get("ID") == rule_id), None)


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
        "ID": CLASSES,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "Transitions": moves,
    }


def old_versions(days: int) -> dict[str, Any]:
    """The lifecycle rule that deletes what was overwritten or deleted, some days after."""
    return {
        "ID": OLD_VERSIONS,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
    }


def sooner(lifecycle: dict[str, Any] | None, days: int) -> list[str]:
    """Other rules that delete old versions of every key before that many days."""
    return [
        f"{rule.get('ID', 'a rule')} after {kept} days"
        for rule in (lifecycle or {}).get("Rules", [])
        if rule.get("ID") != OLD_VERSIONS and rule.get("Status") == "Enabled" and not _prefix(rule)
        if (kept := (rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays", days))
        < days
    ]


def same_rule(one: dict[str, Any] | None, other: dict[str, Any]) -> bool:
    """Whether two rules that are made here do the same."""
    return one is not None and _gist(one) == _gist(other)


def _gist(rule: dict[str, Any]) -> list[Any]:
    moves = sorted((m.get("Days"), m["StorageClass"]) for m in rule.get("Transitions", []))
    kept = (rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays")
    return [rule.get("ID"), rule.get("Status"), _prefix(rule), moves, kept]


def _prefix(rule: dict[str, Any]) -> str:
    """Of the keys that a rule is for; an empty one may come back left out."""
    return (rule.get("Filter") or {}).get("Prefix") or rule.get("Prefix") or ""


def set_rule(
    a: Aws,
    rec: Recorder,
    touched: ResourceRef,
    rule: dict[str, Any],
    what: str,
    target: AwsTarget,
) -> None:
    """Have the bucket `touched` follow a rule, `what` in words, until the change is undone."""
    bucket, before = touched.id, find_rule(load_lifecycle(a, touched.id), rule["ID"])

    def send() -> dict[str, str]:
        _put_rule(a, bucket, rule["ID"], rule)
        return {"bucket": bucket}

    where = target.model_copy(update={"region": a.region}).model_dump(exclude_none=True)
    rec.step(
        f"{what} of {bucket}",
        send,
        undo=[
            UndoStep(
                kind=RESTORE_RULE,
                description=f"{what} of {bucket}: {'as before' if before else 'none'}",
                args={
                    "bucket": bucket,
                    "id": rule["ID"],
                    "rule": json.dumps(before) if before else None,
                    "target": where,
                },
            )
        ],
        resource=touched,
    )


def _put_rule(a: Aws, bucket: str, rule_id: str, rule: dict[str, Any] | None) -> None:
    """Put a rule in place of the one of its id, or take that out; others stay."""
    s3, now = a.client("s3"), load_lifecycle(a, bucket) or {"Rules": []}
    rules = [r for r in now["Rules"] if r.get("ID") != rule_id] + ([rule] if rule else [])
    if rules == now["Rules"]:
        return
    if rules:
        s3.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": rules}
        )
    else:
        s3.delete_bucket_lifecycle(Bucket=bucket)


class RuleUndo:
    """Gives a bucket's lifecycle its former rule of an id; other rules stay as they are."""

    def replay(self, step: UndoStep) -> None:
        """Put the former rule; a bucket that is gone is no error."""
        a, bucket, rule = _of(step)
        s3 = a.client("s3")
        if if_exists(lambda: s3.head_bucket(Bucket=bucket)) is not None:
            _put_rule(a, bucket, step.args["id"], rule)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the rule is as it was before, or the bucket is gone."""
        a, bucket, rule = _of(step)

        def is_so() -> bool:
            now = find_rule(load_lifecycle(a, bucket), step.args["id"])
            return now is None if rule is None else same_rule(now, rule)

        read = attempt(is_so)
        evidence = "" if isinstance(read, Unread) else f"the rule is {'so' if read else 'not so'}"
        return check(step.description, read, evidence)


def _of(step: UndoStep) -> tuple[Aws, str, dict[str, Any] | None]:
    args = step.args
    rule = json.loads(args["rule"]) if args["rule"] else None
    return aws(AwsTarget(**args["target"])), args["bucket"], rule
