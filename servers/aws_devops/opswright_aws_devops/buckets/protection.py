"""What protects a bucket that exists: old versions are kept, the public and plain HTTP kept out."""

import json
from typing import Any

from opswright_aws_devops.buckets.policies import add_statement, load_policy
from opswright_aws_devops.buckets.settings import BucketSettings
from opswright_aws_devops.differences import literal
from opswright_aws_devops.steps import send
from opswright_core.aws import Aws, AwsTarget
from opswright_core.changes import ResourceRef
from opswright_core.policy_documents import tls_only
from opswright_core.recorder import Recorder
from opswright_core.undo import aws_undo

PRIVATE = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
VERSIONING = {True: "Enabled", False: "Suspended"}


def must_version(now: BucketSettings, versioned: bool | None) -> bool:
    """Whether versioning has to be changed; a bucket that never had it has none to suspend."""
    return versioned is not None and versioned != now.versioned


def must_close(now: BucketSettings, closed: bool) -> bool:
    """Whether a bucket has to be closed to the public."""
    return closed and now.public_access != PRIVATE


def planned(
    now: BucketSettings, *, versioned: bool | None, closed: bool
) -> tuple[list[str], list[str]]:
    """What is changed, old to new, and warnings of it."""
    changed, warnings = [], []
    if must_version(now, versioned):
        old = now.versioning or "never enabled"
        changed.append(f"versioning: {old} -> {VERSIONING[bool(versioned)]}")
        if not versioned:
            warnings.append(
                "Without versioning, what is overwritten or deleted from now on is lost; versions "
                "that are there stay."
            )
        else:
            warnings.append("Old versions are billed until a lifecycle rule expires them.")
            if now.versioning is None:
                warnings.append(
                    "S3 only suspends versioning that was once enabled: so does an undo."
                )
    if must_close(now, closed):
        on = [word for word, is_on in (now.public_access or {}).items() if is_on]
        changed.append(f"public access block: {', '.join(on) or 'none'} -> all four")
        warnings.append(
            "Who reaches the bucket by a public ACL or policy, such as the visitors of a website "
            "served from it, no longer does."
        )
    return changed, warnings


def protect(
    a: Aws,
    rec: Recorder,
    touched: ResourceRef,
    now: BucketSettings,
    *,
    versioned: bool | None,
    closed: bool,
    target: AwsTarget,
) -> None:
    """Make what is asked for so of the bucket `touched`, each with its inverse."""
    bucket = touched.id
    s3, which = a.client("s3"), {"Bucket": bucket}
    if must_close(now, closed):
        word = "PublicAccessBlockConfiguration"
        rec.step(
            f"no public access to {bucket}",
            lambda: send(s3.put_public_access_block, **which, **{word: PRIVATE}),
            undo=[
                aws_undo(
                    f"block public access to {bucket} no further than before", "s3",
                    "put_public_access_block" if now.public_access else
                    "delete_public_access_block",
                    {**which, word: now.public_access} if now.public_access else which,
                    target=target, region=a.region,
                    gone=("get_public_access_block", which, f"{word}=={literal(PRIVATE)}"),
                )
            ],
            resource=touched,
        )  # fmt: skip
    if must_version(now, versioned):
        new, old = VERSIONING[bool(versioned)], VERSIONING[not versioned]

        def status(value: str) -> dict[str, Any]:
            return {**which, "VersioningConfiguration": {"Status": value}}

        rec.step(
            f"versioning of {bucket}",
            lambda: send(s3.put_bucket_versioning, **status(new)),
            undo=[
                aws_undo(
                    f"versioning of {bucket}: {old}", "s3", "put_bucket_versioning", status(old),
                    target=target, region=a.region,
                    gone=("get_bucket_versioning", which, f"Status=='{new}'"),
                )
            ],
            resource=touched,
        )  # fmt: skip


def _refusal(a: Aws, bucket: str) -> dict[str, Any]:
    """The statement that refuses what does not come over TLS; its Sid is this tool's own."""
    arn = f"arn:{a.partition}:s3:::{bucket}"
    return {**tls_only("s3:*", [arn, f"{arn}/*"]), "Sid": "OpswrightTlsOnly"}


def refuses_plain_http(a: Aws, bucket: str) -> bool:
    """Whether a bucket's policy refuses what does not come over TLS, by whatever name."""
    wanted = {k: v for k, v in _refusal(a, bucket).items() if k != "Sid"}
    statements = json.loads(load_policy(a, bucket) or "{}").get("Statement", [])
    return any({k: v for k, v in s.items() if k != "Sid"} == wanted for s in statements)


def refuse_plain_http(a: Aws, rec: Recorder, bucket: str, target: AwsTarget) -> None:
    """Refuse what does not come over TLS, until the change is undone."""
    add_statement(a, rec, bucket, _refusal(a, bucket), "TLS be demanded of every request", target)
