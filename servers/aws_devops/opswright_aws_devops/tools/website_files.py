"""A website's files: a local folder brought into its bucket, each file with its way back."""

import functools
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.website.distribution import load_distribution
from opswright_aws_devops.website.files import (
    Folder,
    SiteFile,
    cache_control,
    content_of,
    content_type,
    scan,
)
from opswright_aws_devops.website.objects import Version, newest_versions, restore_step
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, Unread, attempt, check

OBJECT = "s3:object"
SHOWN = 40
"""Files that a plan names one by one; the others are counted."""


class Deployed(BaseModel):
    """What a deployment of a website's files changed."""

    bucket: str
    uploaded: int
    deleted: int
    unchanged: int
    invalidation_id: str | None = Field(description="By which CloudFront forgets what it cached")


@write_tool(toolset="edge")
def deploy_website(
    folder: Annotated[str, Field(description="Local, with index.html", max_length=1000)],
    bucket: Annotated[
        str, Field(description="Versioned", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    ],
    distribution_id: Annotated[
        str | None, Field(description="Told to forget what changed", pattern=r"^[0-9A-Z]{6,20}$")
    ] = None,
    delete_removed: Annotated[
        bool, Field(description="Delete what the folder does not have")
    ] = False,
    target: Target = HERE,
) -> Work[Deployed]:
    """Bring a local folder's files into a website's bucket: what is new or changed, no more."""
    a = aws(target)
    content = scan(folder)
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, content, bucket, distribution_id, delete_removed),
        apply=lambda rec: _apply(a, rec, content, bucket, distribution_id, delete_removed, target),
        verify=lambda made: judge_files(
            content, bucket, attempt(lambda: newest_versions(a, bucket)), delete_removed
        ),
        existing=lambda: Deployed(
            bucket=bucket, uploaded=0, deleted=0, unchanged=len(content.files), invalidation_id=None
        ),
        outputs=Deployed,
    )


def differing(
    content: Folder, there: dict[str, Version], *, delete_removed: bool
) -> tuple[list[SiteFile], list[str]]:
    """(files to put, keys to delete): those whose content is another, or not there (any more)."""
    puts = [f for f in content.files if f.key not in there or there[f.key].etag != f.md5]
    wanted = {f.key for f in content.files}
    return puts, sorted(set(there) - wanted) if delete_removed else []


def _plan(
    a: Aws, content: Folder, bucket: str, distribution_id: str | None, delete_removed: bool
) -> ChangePlan:
    s3 = a.client("s3")
    found = must_exist(f"Bucket {bucket}", lambda: s3.get_bucket_versioning(Bucket=bucket))
    if found.get("Status") != "Enabled":
        raise BadInputError(
            f"Bucket {bucket} is not versioned, so what is overwritten would be lost: "
            "create_static_website and create_bucket make versioned ones."
        )
    if distribution_id and load_distribution(a, distribution_id) is None:
        raise NotFoundError(f"This account has no CloudFront distribution {distribution_id}.")
    there = newest_versions(a, bucket)
    puts, deletes = differing(content, there, delete_removed=delete_removed)
    size = sum(file.size_bytes for file in puts)
    actions = [
        Action(
            verb="modify" if file.key in there else "create", type=OBJECT, name=file.key,
            detail=f"{content_type(file.key)}, {cache_control(file.key)}, {file.size_bytes:,} B",
        )
        for file in puts
    ] + [Action(verb="delete", type=OBJECT, name=key) for key in deletes]  # fmt: skip
    if len(actions) > SHOWN:
        rest = f"{len(actions) - SHOWN} more files"
        actions = [*actions[:SHOWN], Action(verb="modify", type=OBJECT, name=rest)]
    warnings = []
    if content.skipped:
        names = ", ".join(content.skipped[:10])
        warnings.append(f"Left out, hidden or links: {len(content.skipped)} ({names})")
    extra = len(set(there) - {file.key for file in content.files})
    if extra and not delete_removed:
        warnings.append(f"{extra} files of the bucket are not in the folder; they stay.")
    if puts and not distribution_id:
        warnings.append("Without distribution_id CloudFront may answer old files for a day.")
    return ChangePlan(
        summary=f"Bring {len(puts)} files ({size:,} bytes) into {bucket}, delete {len(deletes)}",
        actions=actions,
        warnings=warnings,
        observed={
            "puts": [(file.key, file.md5) for file in puts],
            "deletes": deletes,
            "there": sorted((key, version.id) for key, version in there.items()),
        },
    )


def _apply(
    a: Aws,
    rec: Recorder,
    content: Folder,
    bucket: str,
    distribution_id: str | None,
    delete_removed: bool,
    target: AwsTarget,
) -> Deployed:
    s3, there = a.client("s3"), newest_versions(a, bucket)
    puts, deletes = differing(content, there, delete_removed=delete_removed)
    keys = [*(file.key for file in puts), *deletes]
    if distribution_id and keys:
        # The first step, so that its inverse is the last: the old files are back by then.
        forget_again = _invalidation(distribution_id, keys, f"{rec.change_id}-undo")
        rec.step(
            "CloudFront is told once more after an undo",
            lambda: {"done": True},
            undo=[
                aws_undo(
                    "tell CloudFront to forget what it cached", "cloudfront",
                    "create_invalidation", forget_again, target=target, region=a.region,
                )
            ],
        )  # fmt: skip

    def put(file: SiteFile) -> dict[str, bool]:
        s3.put_object(
            Bucket=bucket,
            Key=file.key,
            Body=content_of(file),
            ContentType=content_type(file.key),
            CacheControl=cache_control(file.key),
        )
        return {"done": True}

    def delete(key: str) -> dict[str, bool]:
        s3.delete_object(Bucket=bucket, Key=key)
        return {"done": True}

    for file in _pages_last(puts):
        before = there.get(file.key)
        rec.step(
            f"put {file.key} {file.md5}",
            functools.partial(put, file),
            undo=[restore_step(bucket, file.key, before, file.md5, target, a.region)],
            resource=_resource(bucket, file.key, "modified" if before else "created"),
        )
    for key in deletes:
        rec.step(
            f"delete {key} {there[key].id}",
            functools.partial(delete, key),
            undo=[restore_step(bucket, key, there[key], None, target, a.region)],
            resource=_resource(bucket, key, "deleted"),
        )
    invalidation_id = None
    if distribution_id and keys:
        asked = _invalidation(distribution_id, keys, rec.change_id)
        invalidation_id = rec.step("CloudFront forgets what it cached", lambda: _forget(a, asked))
    return Deployed(
        bucket=bucket,
        uploaded=len(puts),
        deleted=len(deletes),
        unchanged=len(content.files) - len(puts),
        invalidation_id=invalidation_id,
    )


def _pages_last(files: list[SiteFile]) -> list[SiteFile]:
    """What pages refer to comes before the pages, so that no page asks for what is not there."""
    return sorted(files, key=lambda file: file.key.endswith((".html", ".htm")))


def _resource(bucket: str, key: str, action: Any) -> ResourceRef:
    return ResourceRef(type=OBJECT, id=f"{bucket}/{key}", name=key, action=action)


def _invalidation(distribution_id: str, keys: list[str], reference: str) -> dict[str, Any]:
    """CreateInvalidation's parameters; one wildcard counts as one path (1,000 a month are free)."""
    from urllib.parse import quote

    paths = ["/*"] if len(keys) > 10 else [f"/{quote(key)}" for key in keys]
    if "index.html" in keys and "/*" not in paths:
        paths.append("/")
    batch = {"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": reference}
    return {"DistributionId": distribution_id, "InvalidationBatch": batch}


def _forget(a: Aws, asked: dict[str, Any]) -> str:
    made: str = a.client("cloudfront").create_invalidation(**asked)["Invalidation"]["Id"]
    return made


def judge_files(
    content: Folder, bucket: str, there: dict[str, Version] | Unread, delete_removed: bool
) -> list[Check]:
    """Whether the bucket has every file as the folder has it."""
    if isinstance(there, Unread):
        return [check("The bucket has the files", there, "", bucket)]
    puts, deletes = differing(content, there, delete_removed=delete_removed)
    left = ", ".join([*(file.key for file in puts), *deletes][:10])
    return [check("The bucket has the files as the folder", not puts and not deletes, left, bucket)]
