"""A tiny domain for core's tests: a shelf of named things in a directory.

Run as a script it is a server's command line.
"""

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.agent.report import AgentMessage, Memory, Outcome
from opswright_core.agent.skills import FromText, NoInputs, skill
from opswright_core.agent.worker import Worker
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, EndpointError, OpswrightError
from opswright_core.pages import Page, page
from opswright_core.recorder import Recorder
from opswright_core.runtime import runtime
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import destructive_tool, read_tool, write_tool
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, check

Name = Annotated[str, Field(description="Name of the thing", pattern=r"^[\w-]{1,40}$")]


class Thing(BaseModel):
    name: str
    note: str = ""


class Shelved(BaseModel):
    names: list[str]


class Label(BaseModel):
    text: str = ""
    admin_password: str = ""


NO_LABEL = Label()


def shelf() -> Path:
    place: Path = runtime().extras["shelf"]
    place.mkdir(parents=True, exist_ok=True)
    return place


@read_tool
def list_things(
    limit: Annotated[int, Field(description="Most to return", ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Field(description="From the page before")] = None,
) -> Page[Thing]:
    """List the things on the shelf."""
    things = [Thing(name=p.name, note=p.read_text()) for p in sorted(shelf().iterdir())]
    return page(things, cursor=cursor, limit=limit, summary=f"{len(things)} things")


@read_tool
def break_down(how: Annotated[str, Field(description="Which failure")]) -> Thing:
    """Fail in one of several ways."""
    if how == "bug":
        raise KeyError("secret-internal-detail")
    if how == "bulky":
        return Thing(name="big", note="x" * 100_000)
    raise BadInputError(f"{how!r} is not a failure; use bug or bulky")


@read_tool(toolset="extra")
def get_extra() -> Thing:
    """Get something from another toolset."""
    return Thing(name="extra")


def _shelve(names: list[str], fault: str, sandbox: bool) -> Work[Shelved]:
    place = shelf()

    def plan() -> ChangePlan:
        missing = [n for n in names if not (place / n).exists()]
        return ChangePlan(
            summary=f"shelve {', '.join(names)}",
            actions=[Action(verb="create", type="shelf:thing", name=n) for n in missing],
            observed={"here": sorted(p.name for p in place.iterdir())},
        )

    def put(name: str) -> dict[str, str]:
        (place / name).write_text(fault)
        with (place.parent / "calls.log").open("a") as log:
            log.write(f"{name}\n")
        return {"name": name}

    def apply(rec: Recorder) -> Shelved:
        for name in names:
            rec.step(
                name,
                functools.partial(_send, place, name, put),
                undo=[remove(name)],
                resource=ResourceRef(type="shelf:thing", id=name, name=name),
            )
        return Shelved(names=names)

    def verify(outputs: Shelved) -> list[Check]:
        return [check(f"{n} is there", is_there(n), "read") for n in outputs.names]

    def is_there(name: str) -> bool | Unread:
        """Not to be told while a file `unread-NAME` lies beside the shelf."""
        if (place.parent / f"unread-{name}").exists():
            return Unread(operation="shelf:Look", reason="it is dark")
        return (place / name).exists() and fault != "unverified"

    scope = Scope(id="sandbox:shelf" if sandbox else "shelf", sandbox=sandbox)
    return Work(scope=scope, plan=plan, apply=apply, verify=verify, outputs=Shelved)


def _send(place: Path, name: str, put: Callable[[str], dict[str, str]]) -> Any:
    """Put a thing, or fail as a control file (named after the thing) says, once."""
    control = place.parent / f"fault-{name}"
    kind = control.read_text() if control.exists() else ""
    if kind == "refused":
        control.unlink()
        raise OpswrightError("the shelf refused")
    if kind == "refused-again":
        raise OpswrightError("the shelf refused")
    if kind == "lost":
        control.unlink()
        put(name)
        raise EndpointError("the answer was lost")
    if kind == "bug":
        control.unlink()
        put(name)
        raise KeyError("bug after sending")
    if kind == "hang":
        (place.parent / "hanging").touch()
        time.sleep(600)
    if kind == "slow":
        time.sleep(1.0)
    return put(name)


def remove(name: str) -> UndoStep:
    return UndoStep(kind="shelf", description=f"take {name} off", args={"name": name})


class ShelfUndo:
    """Takes things off again; a file `stuck-NAME` keeps one there."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def replay(self, step: UndoStep) -> None:
        name = step.args["name"]
        with (self.place.parent / "undone.log").open("a") as log:
            log.write(f"{name}\n")
        if not (self.place.parent / f"stuck-{name}").exists():
            (self.place / name).unlink(missing_ok=True)

    def verify(self, step: UndoStep) -> Check:
        name = step.args["name"]
        return check(f"{name} is gone", not (self.place / name).exists())


@write_tool()
def shelve(
    names: Annotated[list[Name], Field(description="What to put there", min_length=1)],
    label: Annotated[Label, Field(description="A label")] = NO_LABEL,
    real: Annotated[bool, Field(description="Not a sandbox")] = False,
    verified: Annotated[bool, Field(description="Reads back")] = True,
) -> Work[Shelved]:
    """Put things on the shelf."""
    return _shelve(names, "" if verified else "unverified", not real)


@destructive_tool()
def clear_shelf() -> Work[Shelved]:
    """Take everything off."""
    place = shelf()

    def plan() -> ChangePlan:
        return ChangePlan(
            summary="clear the shelf",
            actions=[
                Action(verb="delete", type="shelf:thing", name=p.name) for p in place.iterdir()
            ],
            reversible=False,
        )

    def apply(rec: Recorder) -> Shelved:
        def clear() -> dict[str, int]:
            for thing in place.iterdir():
                thing.unlink()
            return {}

        rec.step("clear", clear)
        rec.gap("the emulated shelf has no dust")
        return Shelved(names=[])

    def verify(_: Shelved) -> list[Check]:
        return [check("empty", not list(place.iterdir()))]

    scope = Scope(id="sandbox:shelf", sandbox=True)
    return Work(
        scope=scope, plan=plan, apply=apply, verify=verify, outputs=Shelved, repeatable=True
    )


class ShelveInputs(BaseModel):
    name: Annotated[str, Field(description="Name of the thing"), FromText(r"named (\S+)")]


@skill("put a thing named lamp on the shelf", "shelve something", risk="write")
async def put_thing(worker: Worker, inputs: ShelveInputs) -> Outcome:
    """Put one thing on the shelf."""
    answer = await worker.call("shelve", names=[inputs.name])
    return Outcome(
        summary=f"{inputs.name} is on the shelf",
        outputs=answer["outputs"],
        messages=[AgentMessage(recipient="cost", content="one thing more")],
        memories=[Memory(text=f"{inputs.name} was shelved")],
    )


@skill("count what is on the shelf", "how many things are there")
async def count_things(worker: Worker, _: NoInputs) -> Outcome:
    """Count the things on the shelf."""
    answer = await worker.call("list_things")
    return Outcome(summary=f"{answer['total']} things", outputs={"total": answer["total"]})


@skill("dawdle around the shelf slowly")
async def dawdle(worker: Worker, _: NoInputs) -> Outcome:
    """Dawdle: list the things again and again."""
    import asyncio

    for _i in range(150):
        await worker.call("list_things")
        await asyncio.sleep(0.05)
    return Outcome(summary="dawdled")


@skill("crash with a defect in the skill")
async def crash(_worker: Worker, _: NoInputs) -> Outcome:
    """Crash."""
    raise KeyError("oops")


TOOLS: list[Any] = [list_things, break_down, get_extra, shelve, clear_shelf]


def create_server(settings: Settings) -> Any:
    place = settings.state_dir.parent / "shelf"
    return build_server(
        "shelf", title="Shelf", instructions="Keeps a shelf.\n\nBe tidy.", tools=TOOLS,
        settings=settings, skills=[put_thing, count_things, dawdle, crash],
        requirements=["a directory"], undo_handlers={"shelf": ShelfUndo(place)},
        extras={"shelf": place},
    )  # fmt: skip


if __name__ == "__main__":
    from opswright_core import cli

    sys.exit(cli.main(create_server, "shelf"))
