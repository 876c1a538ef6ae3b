"""Objects of a versioned bucket: the newest version of each, and its way back."""

from dataclasses import dataclass
from typing import Any

from opswright_core.aws import Aws, AwsTarget, is_absent
from opswright_core.errors import ConflictError
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

RESTORE_OBJECT = "s3-object"
"""The kind of undo step that makes an object's earlier version the newest again, or deletes it."""


@dataclass(frozen=True)
class Version:
    """The newest version of an object."""

    id: str
    etag: str


def newest_versions(a: Aws, bucket: str) -> dict[str, Version]:
    """By key the newest version of every object that is there."""
    pages = a.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket)
    return {
        item["Key"]: Version(item["VersionId"], item["ETag"].strip('"'))
        for page in pages
        for item in page.get("Versions", [])
        if item["IsLatest"]
    }


def etag_of(a: Aws, bucket: str, key: str) -> str | None:
    """The ETag of an object as it is now; None when there is none, or no bucket."""
    try:
        found: str = a.client("s3").head_object(Bucket=bucket, Key=key)["ETag"]
    except Exception as exc:
        if is_absent(exc):
            return None
        raise
    return found.strip('"')


def restore_step(
    bucket: str, key: str, before: Version | None, made: str | None, target: AwsTarget, region: str
) -> UndoStep:
    """The inverse of putting (`made` is its ETag) or deleting (None) an object."""
    where = target.model_copy(update={"region": region}).model_dump(exclude_none=True)
    said = f"restore {key} in {bucket}" if before else f"delete {key} from {bucket}"
    args: dict[str, Any] = {"bucket": bucket, "key": key, "made": made, "target": where}
    args["before"] = {"version": before.id, "etag": before.etag} if before else None
    return UndoStep(kind=RESTORE_OBJECT, description=said, args=args)


class ObjectUndo:
    """Gives an object its earlier content back; never over what somebody put there since."""

    def replay(self, step: UndoStep) -> None:
        """Restore it; no bucket is no error. Raises ConflictError for a later content."""
        args, a = step.args, aws(AwsTarget(**step.args["target"]))
        bucket, key, before = args["bucket"], args["key"], args["before"]
        now = etag_of(a, bucket, key)
        if now == (before["etag"] if before else None):
            return
        if now != args["made"]:
            raise ConflictError(
                f"{key} in {bucket} was changed since and is left as it is; undo what put it "
                "there first."
            )
        s3 = a.client("s3")
        if before is None:
            s3.delete_object(Bucket=bucket, Key=key)
            return
        source = {"Bucket": bucket, "Key": key, "VersionId": before["version"]}
        try:
            s3.copy_object(Bucket=bucket, Key=key, CopySource=source)
        except Exception as exc:
            if is_absent(exc) and etag_of(a, bucket, key) is not None:
                raise ConflictError(
                    f"The version of {key} before is gone (old versions expire): it is left as "
                    "it is."
                ) from exc
            if not is_absent(exc):
                raise

    def verify(self, step: UndoStep) -> Check:
        """PASS when its content is as before, or the bucket is gone."""
        args, a = step.args, aws(AwsTarget(**step.args["target"]))
        wanted = args["before"]["etag"] if args["before"] else None

        def holds() -> bool:
            try:
                a.client("s3").head_bucket(Bucket=args["bucket"])
            except Exception as exc:
                if is_absent(exc):
                    return True
                raise
            return etag_of(a, args["bucket"], args["key"]) == wanted

        read = attempt(holds)
        return check(step.description, read, "" if isinstance(read, Unread) else "head_object")
