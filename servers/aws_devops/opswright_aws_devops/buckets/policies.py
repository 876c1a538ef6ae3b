"""Lets AWS services write to a bucket: statements in its policy, taken out again by undo."""

import json
from typing import Any

from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws, AwsTarget
from opswright_core.policy_documents import with_statement, without_statement
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

REMOVE_BUCKET_STATEMENT = "s3-policy-statement"
"""The kind of undo step that takes one statement out of a bucket's policy."""


def load_policy(a: Aws, bucket: str) -> str | None:
    """A bucket's policy, or None without one (or without the bucket)."""
    s3 = a.client("s3")
    policy: str | None = if_exists(lambda: s3.get_bucket_policy(Bucket=bucket)["Policy"])
    return policy


def has_statement(a: Aws, bucket: str, statement: dict[str, Any]) -> bool:
    """Whether a bucket's policy has exactly this statement."""
    return statement in json.loads(load_policy(a, bucket) or "{}").get("Statement", [])


def add_statement(
    a: Aws, rec: Recorder, bucket: str, statement: dict[str, Any], said: str, target: AwsTarget
) -> None:
    """Put a statement into a bucket's policy, beside those of others.

    `said` is what it allows, in words. Its Sid must be the request's own.
    """
    where = target.model_copy(update={"region": a.region}).model_dump(exclude_none=True)

    def send() -> dict[str, str]:
        policy = load_policy(a, bucket)
        wanted = with_statement(policy, statement)
        if json.loads(policy or "{}") != json.loads(wanted):
            a.client("s3").put_bucket_policy(Bucket=bucket, Policy=wanted)
        return {"bucket": bucket}

    rec.step(
        f"s3:policy {bucket} {statement['Sid']}",
        send,
        undo=[
            UndoStep(
                kind=REMOVE_BUCKET_STATEMENT,
                description=f"no more let {said} in {bucket}",
                args={"bucket": bucket, "sid": statement["Sid"], "target": where},
            )
        ],
    )


class BucketStatementUndo:
    """Takes one statement out of a bucket's policy; what others put there stays."""

    def replay(self, step: UndoStep) -> None:
        """Take it out; a bucket or a statement that is gone is no error."""
        a, bucket = aws(AwsTarget(**step.args["target"])), step.args["bucket"]
        rest = without_statement(load_policy(a, bucket), step.args["sid"])
        if rest:
            a.client("s3").put_bucket_policy(Bucket=bucket, Policy=rest)
        elif rest is not None:
            a.client("s3").delete_bucket_policy(Bucket=bucket)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the policy has no such statement, or the bucket is gone."""
        a, bucket = aws(AwsTarget(**step.args["target"])), step.args["bucket"]
        read = attempt(lambda: without_statement(load_policy(a, bucket), step.args["sid"]) is None)
        evidence = "" if isinstance(read, Unread) else f"the policy {'lacks' if read else 'has'} it"
        return check(step.description, read, evidence)
