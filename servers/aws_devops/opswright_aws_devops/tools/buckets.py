"""Buckets: private, encrypted, versioned, reached over TLS alone."""

import json
from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.buckets.protection import PRIVATE
from opswright_aws_devops.ownership import Request, key, outstanding
from opswright_core.aws import (
    HERE,
    Aws,
    AwsTarget,
    Target,
    error_code,
    is_absent,
    tags_of,
    translate,
)
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import AccessDeniedError, BadInputError, ConflictError, OpswrightError
from opswright_core.foresight import Foreseen
from opswright_core.policy_documents import policy_document, tls_only
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.text import clean
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

BUCKET = "s3:bucket"
EMPTY_AND_DELETE = "s3-bucket"
"""The kind of undo step that deletes a bucket with every object and version in it."""


class Bucket(BaseModel):
    """A bucket and how it is protected."""

    bucket: str
    arn: str
    region: str
    versioned: bool
    encrypted: bool
    public_access_blocked: bool


class BucketState(BaseModel):
    """What was read of a bucket."""

    encrypted: bool
    public_access_blocked: bool
    versioned: bool
    tls_only: bool
    acls_off: bool


@write_tool()
def create_bucket(
    name: Annotated[
        str,
        Field(
            description="Unique in all of AWS",
            pattern=r"^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$",
        ),
    ],
    versioned: Annotated[bool, Field(description="Keep old versions")] = True,
    expire_noncurrent_days: Annotated[
        int, Field(description="Drop old versions after; 0: never", ge=0, le=3650)
    ] = 90,
    target: Target = HERE,
) -> Work[Bucket]:
    """Create a private S3 bucket: encrypted, versioned, no public access, TLS only."""
    if name.startswith(("xn--", "sthree-")) or name.endswith(("-s3alias", "--ol-s3")):
        raise BadInputError(f"name {name!r}: AWS reserves that beginning or end; choose another.")
    a = aws(target)
    request = Request.of("create_bucket", name, versioned=versioned, days=expire_noncurrent_days)
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, versioned),
        apply=lambda rec: make_bucket(a, rec, request, versioned, expire_noncurrent_days, target),
        verify=lambda made: judge_bucket(
            made,
            attempt(lambda: load_bucket(a, made.bucket)),
            versioned=versioned,
            tls_only=not a.is_emulator,
        ),
        outputs=Bucket,
    )


def owned_tags(a: Aws, name: str) -> dict[str, str] | None:
    """The tags of a bucket of this account, or None when the name is free.

    Raises ConflictError for another's, AccessDeniedError where S3 does not tell whose it is.
    """
    s3 = a.client("s3")
    try:
        s3.head_bucket(Bucket=name)
    except Exception as exc:
        if is_absent(exc):
            return None
        if error_code(exc) == "301":
            raise ConflictError(
                f"The bucket {name!r} is in another region than {a.region}: give target.region, or "
                "choose another name."
            ) from exc
        if error_code(exc) == "403":
            raise _refused(a, name) from exc
        raise
    try:
        return tags_of(s3.get_bucket_tagging(Bucket=name)["TagSet"])
    except Exception as exc:
        if is_absent(exc):
            return {}
        raise


def _refused(a: Aws, name: str) -> AccessDeniedError:
    """Why S3 tells nothing of a bucket: it is another account's, or a permission is missing.

    Without s3:ListBucket a bucket that does not exist is refused too (S3 API, HeadBucket).
    """
    own = attempt(lambda: [bucket["Name"] for bucket in a.pages("s3", "list_buckets", "Buckets")])
    ours = isinstance(own, list) and name in own
    either = "it is another account's (then choose another name), or "
    return AccessDeniedError(
        f"HeadBucket: S3 refuses to tell of bucket {name!r}: {'' if ours else either}s3:ListBucket "
        "is missing for it.",
        operation="s3:HeadBucket",
        code="403",
        permission="s3:ListBucket",
    )


def _plan(a: Aws, request: Request, versioned: bool) -> ChangePlan:
    tags = owned_tags(a, request.name)
    if tags is not None:
        request.claim(f"bucket {request.name}", tags)
    wanted = Action(verb="create", type=BUCKET, name=request.name, detail="private, encrypted")
    warnings = ["Undoing this deletes the bucket with every object that is in it by then."]
    if not versioned:
        warnings.append("Not versioned: what is overwritten or deleted is lost.")
    return ChangePlan(
        summary=f"Create bucket {request.name} in {a.region}",
        actions=outstanding([wanted], [] if tags is None else [key(BUCKET, request.name)]),
        warnings=warnings,
        observed={"exists": tags is not None},
    )


def make_bucket(
    a: Aws, rec: Recorder, request: Request, versioned: bool, days: int, target: AwsTarget
) -> Bucket:
    """Make the request's bucket, or take up the one it made, and protect it step by step."""
    s3, name = a.client("s3"), request.name
    which = {"Bucket": name}
    arn = f"arn:{a.partition}:s3:::{name}"

    def make() -> dict[str, str]:
        if owned_tags(a, name) is None:
            # Tagged as it is made, so that a call cut off here finds its own bucket again.
            # us-east-1 is the one region that must not be named.
            made: dict[str, Any] = {"Tags": request.tag_list(name)}
            if a.region != "us-east-1":
                made["LocationConstraint"] = a.region
            s3.create_bucket(
                **which, CreateBucketConfiguration=made, ObjectOwnership="BucketOwnerEnforced"
            )
        return {"bucket": name}

    rec.step(
        f"bucket {name}",
        make,
        undo=[_undo(name, target, a.region)],
        resource=ResourceRef(type=BUCKET, id=name, name=name),
    )

    # A step of its own: refused here, the bucket that was made before keeps its inverse.
    tags = {"TagSet": request.tag_list(name)}
    rec.step(f"tags of bucket {name}", lambda: _send(s3.put_bucket_tagging, **which, Tagging=tags))

    def protect(what: str, operation: str, **parameters: Any) -> None:
        """One setting; it goes with the bucket, so it needs no undo."""
        rec.step(what, lambda: _send(getattr(s3, operation), **which, **parameters))

    protect("no public access", "put_public_access_block", PublicAccessBlockConfiguration=PRIVATE)
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": True,
    }
    encryption = {"Rules": [rule]}
    protect("encryption", "put_bucket_encryption", ServerSideEncryptionConfiguration=encryption)
    if a.is_emulator:
        rec.gap(
            "The emulator speaks plain HTTP, which the TLS-only policy refuses: it is left out."
        )
    else:
        protect("TLS only", "put_bucket_policy", Policy=tls_only_policy(arn))
    if versioned:
        protect(
            "versioning", "put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"}
        )
    protect(
        "lifecycle",
        "put_bucket_lifecycle_configuration",
        LifecycleConfiguration=lifecycle(days if versioned else 0),
    )
    state = load_bucket(a, name)
    return Bucket(
        bucket=name,
        arn=arn,
        region=a.region,
        versioned=state.versioned,
        encrypted=state.encrypted,
        public_access_blocked=state.public_access_blocked,
    )


def _send(operation: Any, **parameters: Any) -> dict[str, bool]:
    operation(**parameters)
    return {"done": True}


def tls_only_policy(arn: str) -> str:
    """Refuse every request that does not come over TLS."""
    return policy_document([tls_only("s3:*", [arn, f"{arn}/*"])])


def lifecycle(noncurrent_days: int) -> dict[str, Any]:
    """Drop uploads left unfinished for a week, and old versions after some days (0 keeps them)."""
    rule: dict[str, Any] = {
        "ID": "tidy",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    if noncurrent_days:
        rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": noncurrent_days}
    return {"Rules": [rule]}


def load_bucket(a: Aws, name: str) -> BucketState:
    """How a bucket is protected; what is not configured is off."""
    s3, which = a.client("s3"), {"Bucket": name}
    s3.head_bucket(**which)

    def read(operation: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(s3, operation)(**which)
        except Exception as exc:
            if is_absent(exc):
                return {}
            raise
        return answer

    block = read("get_public_access_block").get("PublicAccessBlockConfiguration", {})
    owned = read("get_bucket_ownership_controls").get("OwnershipControls", {}).get("Rules", [])
    policy = json.loads(read("get_bucket_policy").get("Policy", "{}"))
    return BucketState(
        encrypted=bool(read("get_bucket_encryption")),
        public_access_blocked=block == PRIVATE,
        versioned=read("get_bucket_versioning").get("Status") == "Enabled",
        tls_only=any(s.get("Sid") == "TlsOnly" for s in policy.get("Statement", [])),
        acls_off=[rule["ObjectOwnership"] for rule in owned] == ["BucketOwnerEnforced"],
    )


def judge_bucket(
    made: Bucket, state: BucketState | Unread, *, versioned: bool, tls_only: bool
) -> list[Check]:
    """Whether the bucket is there and protected."""
    if isinstance(state, Unread):
        missing = "404" in state.reason or "NoSuchBucket" in state.reason
        return [check("Bucket exists", False if missing else state, state.reason, made.arn)]
    facts = [
        ("It is encrypted", state.encrypted),
        ("Public access is blocked", state.public_access_blocked),
        ("It is versioned", state.versioned or not versioned),
        ("It is reached over TLS alone", state.tls_only or not tls_only),
        ("ACLs are off", state.acls_off),
    ]
    return [check(name, ok, "", made.arn) for name, ok in facts]


def _undo(name: str, target: AwsTarget, region: str) -> UndoStep:
    where = target.model_copy(update={"region": region}).model_dump(exclude_none=True)
    return UndoStep(
        kind=EMPTY_AND_DELETE,
        description=f"delete bucket {name} with every object in it",
        args={"bucket": name, "target": where},
    )


class BucketUndo:
    """Deletes a bucket with every object and version in it."""

    def replay(self, step: UndoStep) -> None:
        """Empty the bucket and delete it; a bucket that is gone is no error.

        Raises OpswrightError that says what is left when S3 keeps an object (a lock on it, a
        policy) or a new one came meanwhile.
        """
        s3, name = aws(AwsTarget(**step.args["target"])).client("s3"), step.args["bucket"]
        deleted = 0
        try:
            for found in s3.get_paginator("list_object_versions").paginate(Bucket=name):
                objects = [
                    {"Key": item["Key"], "VersionId": item["VersionId"]}
                    for item in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]
                ]
                if not objects:
                    continue
                answer = s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
                kept = answer.get("Errors", [])
                deleted += len(objects) - len(kept)
                if kept:
                    raise OpswrightError(_kept(name, deleted, kept))
            s3.delete_bucket(Bucket=name)
        except Exception as exc:
            if error_code(exc) == "BucketNotEmpty":
                raise OpswrightError(
                    f"{translate(exc)} {deleted} objects and versions of {name} are deleted, and "
                    "others were put into it meanwhile: stop what writes there, then undo again."
                ) from exc
            if not is_absent(exc):
                raise

    def foresee(self, step: UndoStep, going: Collection[str]) -> Foreseen:
        """How much is lost with the bucket."""
        s3, name = aws(AwsTarget(**step.args["target"])).client("s3"), step.args["bucket"]
        found = attempt(lambda: _listed(s3, name))
        if isinstance(found, Unread):
            return Foreseen([], [f"What is in bucket {name} was not read: {found.reason}"])
        return Foreseen([], [f"DATA LOSS: {found} in bucket {name}."] if found else [])

    def verify(self, step: UndoStep) -> Check:
        """PASS when there is no such bucket."""
        a, name = aws(AwsTarget(**step.args["target"])), step.args["bucket"]
        tags = attempt(lambda: owned_tags(a, name))
        gone = tags if isinstance(tags, Unread) else tags is None
        return check(
            step.description, gone, f"head_bucket {'finds nothing' if gone else 'finds it'}"
        )


def _listed(s3: Any, name: str) -> str:
    """In words how much is in a bucket, '' for nothing and for no such bucket."""
    try:
        found = s3.list_object_versions(Bucket=name)
    except Exception as exc:
        if is_absent(exc):
            return ""
        raise
    objects = sum(1 for one in found.get("Versions", []) if one["IsLatest"])
    others = len(found.get("Versions", [])) + len(found.get("DeleteMarkers", [])) - objects
    if not objects and not others:
        return ""
    more = "more than " if found.get("IsTruncated") else ""
    return f"{more}{objects} objects and {others} earlier versions"


def _kept(name: str, deleted: int, errors: list[dict[str, Any]]) -> str:
    first = errors[0]
    return (
        f"{len(errors)} objects of {name} could not be deleted, first {clean(first['Key'], 200)}: "
        f"{first.get('Code')} {clean(first.get('Message', ''), 300)} {deleted} others are deleted "
        "and the bucket stays. Lift the lock or grant s3:DeleteObjectVersion, then undo again."
    )
