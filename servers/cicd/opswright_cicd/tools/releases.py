"""Builds releases: a tag's artifact, stored with its digest."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_cicd.artifact import built
from opswright_cicd.locations import locate
from opswright_cicd.repository import opened
from opswright_cicd.storage import commits_released, need_bucket, stored, upload
from opswright_cicd.tools.repositories import RepositoryName, VersionName
from opswright_core.aws import HERE, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import ConflictError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, Unread, attempt, check

Application = Annotated[
    str, Field(description="Application name", pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,39}$")
]
Bucket = Annotated[
    str, Field(description="S3 bucket", pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
]


class Release(BaseModel):
    """A released version: its artifact and where it came from."""

    model_config = ConfigDict(frozen=True)
    application: str
    version: str
    commit: str
    repository: str
    artifact_bucket: str
    artifact_key: str
    artifact_sha256: str
    size_bytes: int


@write_tool()
def build_release(
    application: Application,
    repository: RepositoryName,
    version: VersionName,
    bucket: Bucket,
    target: Target = HERE,
) -> Work[Release]:
    """Pack a git tag into a reproducible tar.gz and store it in S3 with its SHA-256."""
    a = aws(target)
    locate(repository)

    def describe(rec: Recorder | None) -> tuple[Release, bool, tuple[str, ...]]:
        """Build the artifact; with a recorder, store it.

        Tells also whether it was there already.
        """
        with opened(repository, version=version) as repo:
            tag = repo.tag(version)
            with built(repo, tag.commit) as artifact:
                prefix = f"releases/{application}/{tag.name}/"
                release = Release(
                    application=application,
                    version=tag.name,
                    commit=tag.commit,
                    repository=repo.shown,
                    artifact_bucket=bucket,
                    artifact_key=f"{prefix}{artifact.sha256[:12]}.tar.gz",
                    artifact_sha256=artifact.sha256,
                    size_bytes=artifact.size_bytes,
                )
                there = already_stored(release, prefix)
                if rec is not None and not there:
                    rec.step(
                        "store artifact",
                        lambda: send(release, artifact.path),
                        undo=[delete(release)],
                        resource=ResourceRef(
                            type="s3:object", id=f"{bucket}/{release.artifact_key}", name=tag.name
                        ),
                    )
                return release, there, artifact.warnings

    def already_stored(release: Release, prefix: str) -> bool:
        need_bucket(a, bucket)
        others = commits_released(a, bucket, prefix) - {release.commit}
        if others:
            raise ConflictError(
                f"{release.version} of {application} was released from commit {min(others)[:12]}, "
                "and the tag now "
                f"names {release.commit[:12]}. A released tag must not move: make a new version."
            )
        found = stored(a, bucket, release.artifact_key)
        if found is not None and found.sha256 != release.artifact_sha256:
            raise ConflictError(
                f"s3://{bucket}/{release.artifact_key} holds other bytes (SHA-256 {found.sha256}) "
                "than this "
                f"release ({release.artifact_sha256}). Find out who replaced it, delete it, and "
                "call again."
            )
        return found is not None

    def send(release: Release, path: Path) -> dict[str, str]:
        about = {
            "application": release.application,
            "version": release.version,
            "commit": release.commit,
            "sha256": release.artifact_sha256,
        }
        upload(a, bucket, release.artifact_key, path, release.artifact_sha256, about)
        return {"bucket": bucket, "key": release.artifact_key}

    def delete(release: Release) -> UndoStep:
        where = {"Bucket": bucket, "Key": release.artifact_key}
        return aws_undo(
            f"delete artifact s3://{bucket}/{release.artifact_key}",
            "s3",
            "delete_object",
            where,
            target=target,
            region=a.region,
            gone=("head_object", where, "ETag"),
        )

    def plan() -> ChangePlan:
        release, there, warnings = describe(None)
        short = release.artifact_sha256[:12]
        action = Action(
            verb="create",
            type="s3:object",
            name=f"{bucket}/{release.artifact_key}",
            detail=f"{release.size_bytes} bytes, SHA-256 {short}…",
        )
        what = f"{application} {release.version} ({release.commit[:12]})"
        return ChangePlan(
            summary=f"{what} is in {bucket} already, with the same digest"
            if there
            else f"Release {what} to {bucket}",
            actions=[] if there else [action],
            warnings=list(warnings),
            observed={"commit": release.commit, "sha256": release.artifact_sha256, "there": there},
        )

    def verify(release: Release) -> list[Check]:
        found = attempt(lambda: stored(a, bucket, release.artifact_key))
        same = (
            found
            if isinstance(found, Unread)
            else found is not None and found.sha256 == release.artifact_sha256
        )
        with opened(repository, version=version) as repo:
            commit = repo.tag(version).commit
        return [
            check(
                "artifact in S3 has the release's SHA-256",
                same,
                f"read {getattr(found, 'sha256', 'nothing')}",
                f"{bucket}/{release.artifact_key}",
            ),
            check("the tag still names the released commit", commit == release.commit, commit),
        ]

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=lambda rec: describe(rec)[0],
        verify=verify,
        existing=lambda: describe(None)[0],
        outputs=Release,
    )
