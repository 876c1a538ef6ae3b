"""Makes tags in local repositories, and takes them away again."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_cicd.locations import locate
from opswright_cicd.repository import GitError, Repository, opened, pick
from opswright_cicd.tools.repositories import RepositoryName, VersionName
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, ConflictError
from opswright_core.recorder import Recorder
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, check

KIND = "git:tag"


class CreatedTag(BaseModel):
    """A tag that was made."""

    model_config = ConfigDict(frozen=True)
    repository: str
    version: str
    commit: str
    pushed: bool


@write_tool(toolset="git")
def create_tag(
    repository: RepositoryName,
    version: VersionName,
    message: Annotated[
        str, Field(description="What the version is", min_length=1, max_length=2000)
    ],
    ref: Annotated[str, Field(description="What to tag", max_length=200)] = "HEAD",
    push: Annotated[bool, Field(description="Also to origin")] = False,
) -> Work[CreatedTag]:
    """Tag a commit of a local repository as a version, annotated; with push, on its origin too."""
    location = locate(repository)
    if location.path is None:
        raise BadInputError(f"Tags are made in a local repository; clone {location.shown} first.")
    pick(version, [version], location.shown)
    path = str(location.path.resolve())

    def plan() -> ChangePlan:
        with opened(path) as repo:
            commit = repo.commit(ref)
            there = tagged(repo, version)
            if there not in {None, commit}:
                raise ConflictError(
                    f"{version} is there already, on {there}; a released tag must not move. "
                    "Choose a new version."
                )
            if push:
                _need_origin(repo)
            tag_there = there is not None
            all_there = tag_there and (not push or on_origin(repo, version))
        where = f"{path} and its origin" if push else path
        detail = f"push it to origin, on {commit[:12]}" if tag_there else f"on {commit[:12]}"
        made = Action(verb="create", type=KIND, name=version, detail=detail)
        return ChangePlan(
            summary=f"{version} names {commit[:12]} in {where} already"
            if all_there
            else f"Tag {commit[:12]} as {version} in {where}",
            actions=[] if all_there else [made],
            observed={"commit": commit, "there": there},
        )

    def apply(rec: Recorder) -> CreatedTag:
        with opened(path) as repo:
            commit = rec.step("read the commit", lambda: repo.commit(ref))
            # What others made before is not this change's to delete; a step that was cut off
            # keeps the inverse that it was begun with.
            missing = tagged(repo, version) is None

            def tag() -> dict[str, str]:
                if missing:
                    repo.run("tag", "--annotate", f"--message={message}", "--", version, commit)
                return {"commit": commit}

            rec.step(
                "tag",
                tag,
                undo=[_undo(path, version, remote=False)] if missing else [],
                resource=ResourceRef(type=KIND, id=f"{path}@{version}", name=version),
            )
            if push and not on_origin(repo, version):
                rec.step(
                    "push",
                    lambda: {"pushed": repo.run("push", "origin", f"refs/tags/{version}")},
                    undo=[_undo(path, version, remote=True)],
                )
        return CreatedTag(repository=path, version=version, commit=commit, pushed=push)

    def verify(made: CreatedTag) -> list[Check]:
        with opened(path) as repo:
            checks = [
                check("the tag names the commit", tagged(repo, version) == made.commit, made.commit)
            ]
            if push:
                checks.append(
                    check("origin has the tag", on_origin(repo, version), f"refs/tags/{version}")
                )
        return checks

    def existing() -> CreatedTag:
        with opened(path) as repo:
            commit = repo.commit(ref)
        return CreatedTag(repository=path, version=version, commit=commit, pushed=push)

    return Work(
        scope=Scope(id=f"git:{path}"),
        plan=plan,
        apply=apply,
        verify=verify,
        existing=existing,
        outputs=CreatedTag,
    )


def tagged(repo: Repository, version: str) -> str | None:
    """The commit of a tag, or None."""
    return next((tag.commit for tag in repo.tags() if tag.name == version), None)


def on_origin(repo: Repository, version: str) -> bool:
    """Whether origin has a tag."""
    return bool(repo.run("ls-remote", "--tags", "--refs", "origin", f"refs/tags/{version}"))


def _need_origin(repo: Repository) -> None:
    try:
        repo.run("remote", "get-url", "origin")
    except GitError as exc:
        raise BadInputError(f"{repo.shown} has no remote named origin; leave push out.") from exc


def _undo(path: str, version: str, *, remote: bool) -> UndoStep:
    where = "origin" if remote else path
    args: dict[str, Any] = {"path": path, "version": version, "remote": remote}
    return UndoStep(kind=KIND, description=f"delete tag {version} from {where}", args=args)


class TagUndo:
    """Replays `git:tag` steps: deletes the tag, here or on origin."""

    def replay(self, step: UndoStep) -> None:
        """Delete it; one that is gone is no error."""
        version = step.args["version"]
        with opened(step.args["path"]) as repo:
            if step.args["remote"]:
                if on_origin(repo, version):
                    repo.run("push", "origin", f":refs/tags/{version}")
            elif tagged(repo, version) is not None:
                repo.run("tag", "--delete", "--", version)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the tag is not there."""
        version = step.args["version"]
        with opened(step.args["path"]) as repo:
            there = on_origin(repo, version) if step.args["remote"] else tagged(repo, version)
        return check(step.description, not there, "it is still there" if there else "it is gone")
