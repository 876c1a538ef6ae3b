"""Keeps artifacts in S3, and reads back that they are what they were."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from opswright_core.aws import Aws, error_code, exists, is_absent
from opswright_core.errors import ConflictError, NotFoundError


class StoredArtifact(BaseModel):
    """An artifact in S3, as it was read. `commit` is "" where its metadata does not say."""

    model_config = ConfigDict(frozen=True)
    sha256: str
    size_bytes: int
    commit: str


def need_bucket(a: Aws, bucket: str) -> None:
    """Raises NotFoundError when there is no such bucket."""
    if not exists(lambda: a.client("s3").head_bucket(Bucket=bucket)):
        raise NotFoundError(
            f"There is no bucket {bucket!r} that these credentials see. Create it first, then "
            "call again."
        )


def stored(a: Aws, bucket: str, key: str) -> StoredArtifact | None:
    """What lies under a key, its SHA-256 by the content; None when there is nothing.

    S3 keeps the SHA-256 that it checked at the upload. Where it has none (other uploads,
    emulators), the
    object is read and hashed.
    """
    s3 = a.client("s3")
    try:
        head = s3.head_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
    except Exception as exc:
        if is_absent(exc):
            return None
        raise
    known = head.get("ChecksumSHA256")
    if known and head.get("ChecksumType") != "COMPOSITE" and not a.is_emulator:
        sha256 = base64.b64decode(known).hex()
    else:
        sha256 = _read_digest(s3, bucket, key)
    commit = head.get("Metadata", {}).get("commit", "")
    return StoredArtifact(sha256=sha256, size_bytes=head["ContentLength"], commit=commit)


def need_artifact(a: Aws, bucket: str, key: str, sha256: str) -> StoredArtifact:
    """The artifact under a key.

    Raises NotFoundError, or ConflictError when its digest is another.
    """
    need_bucket(a, bucket)
    found = stored(a, bucket, key)
    if found is None:
        raise NotFoundError(
            f"There is no artifact s3://{bucket}/{key}. Make it with build_release, or list what "
            "is there."
        )
    if found.sha256 != sha256:
        raise ConflictError(
            f"s3://{bucket}/{key} is not the artifact that was released: its SHA-256 is "
            f"{found.sha256}, expected "
            f"{sha256}. Nothing was deployed. Find out who replaced it, then build the release "
            "again."
        )
    return found


def commits_released(a: Aws, bucket: str, prefix: str) -> set[str]:
    """The commits that the artifacts under a prefix were made from."""
    s3 = a.client("s3")
    keys = [
        item["Key"]
        for item in a.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix)
    ]
    heads = [s3.head_object(Bucket=bucket, Key=key)["Metadata"] for key in keys[:20]]
    return {head["commit"] for head in heads if "commit" in head}


def upload(
    a: Aws, bucket: str, key: str, path: Path, sha256: str, metadata: dict[str, str]
) -> None:
    """Send a file; S3 refuses it when its bytes do not have the digest. Raises ConflictError."""
    with path.open("rb") as body:
        try:
            a.client("s3").put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                ContentType="application/gzip",
                ChecksumSHA256=base64.b64encode(bytes.fromhex(sha256)).decode(),
                Metadata=metadata,
            )
        except Exception as exc:
            if error_code(exc) in {"BadDigest", "InvalidRequest"}:
                raise ConflictError(f"S3 refused the artifact: {exc}. Call again.") from exc
            raise


def _read_digest(s3: Any, bucket: str, key: str) -> str:
    digest = hashlib.sha256()
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    for chunk in body.iter_chunks(1024 * 1024):
        digest.update(chunk)
    return digest.hexdigest()
