"""Containers and images of the Docker daemon that this machine is set up for."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_cicd.tools.repositories import Cursor
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.local_paths import local_path
from opswright_core.pages import Page, page
from opswright_core.recorder import Recorder
from opswright_core.text import clean
from opswright_core.tools import read_tool, write_tool
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, check

KIND = "docker:image"


class Container(BaseModel):
    """One container."""

    model_config = ConfigDict(frozen=True)
    id: str
    name: str
    image: str
    state: str
    status: str


class Image(BaseModel):
    """One image."""

    model_config = ConfigDict(frozen=True)
    id: str
    tags: list[str]
    size_bytes: int


class BuiltImage(BaseModel):
    """An image that was built."""

    model_config = ConfigDict(frozen=True)
    image_id: str
    tag: str
    size_bytes: int


@contextmanager
def daemon() -> Iterator[Any]:
    """A client of the daemon. Raises OpswrightError when none answers, or for what it refuses."""
    import docker
    from docker.errors import APIError, BuildError, DockerException

    try:
        _probe()
        client = docker.from_env(timeout=30)
    except (DockerException, OSError) as exc:
        raise OpswrightError(
            f"No Docker daemon answers here ({clean(str(exc), 160)}). Start it, or set DOCKER_HOST."
        ) from exc
    try:
        yield client
    except BuildError as exc:
        last = " ".join(str(line.get("stream", "")).strip() for line in exc.build_log)[-600:]
        raise OpswrightError(
            f"The image did not build: {clean(str(exc), 200)} {clean(last, 600)}"
        ) from exc
    except APIError as exc:
        raise OpswrightError(f"Docker refused: {clean(str(exc.explanation or exc), 300)}") from exc
    finally:
        client.close()


@read_tool(toolset="containers")
def list_containers(
    all_states: Annotated[bool, Field(description="Also stopped ones")] = True,
    cursor: Cursor = None,
) -> Page[Container]:
    """List the containers of this machine's Docker daemon."""
    with daemon() as docker:
        found = [
            Container(
                id=item["Id"][:12],
                name=clean(item["Names"][0].lstrip("/"), 100) if item["Names"] else "",
                image=clean(item["Image"], 200),
                state=item["State"],
                status=clean(item["Status"], 80),
            )
            for item in docker.api.containers(all=all_states)
        ]
    return page(found, cursor=cursor, summary=f"{len(found)} containers")


@read_tool(toolset="containers")
def list_images(cursor: Cursor = None) -> Page[Image]:
    """List the images of this machine's Docker daemon, largest first."""
    with daemon() as docker:
        found = [
            Image(
                id=i["Id"], tags=[clean(t, 200) for t in i["RepoTags"] or []], size_bytes=i["Size"]
            )
            for i in docker.api.images()
        ]
    found.sort(key=lambda image: image.size_bytes, reverse=True)
    return page(found, cursor=cursor, summary=f"{len(found)} images")


@write_tool(toolset="containers")
def build_image(
    context_path: Annotated[str, Field(description="Directory with a Dockerfile", max_length=500)],
    tag: Annotated[
        str,
        Field(
            description="Like app:1.0",
            pattern=r"^[a-z0-9][a-z0-9._/-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$",
        ),
    ],
) -> Work[BuiltImage]:
    """Build an image from a directory's Dockerfile and tag it."""
    context = local_path(context_path).resolve()
    if not (context / "Dockerfile").is_file():
        raise BadInputError(
            f"{context_path!r} has no Dockerfile; name the directory that holds it."
        )
    with daemon() as docker:
        before = _image_id(docker, tag)
        host = docker.api.base_url

    def plan() -> ChangePlan:
        moved = [f"{tag} names {before[:19]} now and will name the new image."] if before else []
        action = Action(
            verb="modify" if before else "create", type=KIND, name=tag, detail=str(context)
        )
        return ChangePlan(
            summary=f"Build {tag} from {context}",
            actions=[action],
            warnings=moved,
            observed={"before": before},
        )

    def apply(rec: Recorder) -> BuiltImage:
        def build() -> dict[str, Any]:
            with daemon() as docker:
                image, _ = docker.images.build(path=str(context), tag=tag, rm=True, timeout=1800)
                return {"image_id": image.id, "size_bytes": image.attrs["Size"]}

        undo = UndoStep(
            kind=KIND,
            description=f"return tag {tag} to {before[:19]}" if before else f"remove image {tag}",
            args={"tag": tag, "before": before},
        )
        made = rec.step(
            "build",
            build,
            undo=[undo],
            resource=lambda r: ResourceRef(type=KIND, id=r["image_id"], name=tag),
        )
        return BuiltImage(tag=tag, **made)

    def verify(made: BuiltImage) -> list[Check]:
        with daemon() as docker:
            now = _image_id(docker, tag)
        return [check("the tag names the image", now == made.image_id, now or "no such image")]

    return Work(
        scope=Scope(id=f"docker:{host}"),
        plan=plan,
        apply=apply,
        verify=verify,
        outputs=BuiltImage,
        repeatable=True,
    )


class ImageUndo:
    """Replays `docker:image` steps: gives the tag back, or removes the image."""

    def replay(self, step: UndoStep) -> None:
        """Do it; an image that is gone is no error."""
        tag, before = step.args["tag"], step.args["before"]
        with daemon() as docker:
            if before:
                repository, _, name = tag.rpartition(":")
                docker.api.tag(before, repository, name, force=True)
            elif _image_id(docker, tag):
                docker.images.remove(tag)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the tag names what it named before."""
        with daemon() as docker:
            now = _image_id(docker, step.args["tag"])
        return check(step.description, now == step.args["before"], now or "no such image")


def _probe() -> None:
    """Connect to a local daemon's socket and leave; the SDK leaks its socket when it is refused.

    Raises OSError.
    """
    from docker.constants import DEFAULT_UNIX_SOCKET

    host = os.environ.get("DOCKER_HOST") or DEFAULT_UNIX_SOCKET
    if "unix://" in host:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(host.partition("unix://")[2])


def _image_id(docker: Any, tag: str) -> str | None:
    from docker.errors import ImageNotFound

    try:
        return str(docker.images.get(tag).id)
    except ImageNotFound:
        return None
