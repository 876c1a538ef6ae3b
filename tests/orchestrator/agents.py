"""Small agents for the orchestrator's tests, on core; `agent.py` is one as a real stdio server.

Things are files in OPSWRIGHT_TEST_THINGS, so that what was made can be seen, and a line is added
to `calls.log` there for every time one is really made.
"""

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.agent.report import AgentMessage, Outcome
from opswright_core.agent.skills import FromText, NoInputs, Skill, skill
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import runtime
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import read_tool, write_tool
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, check

ROOT = Path(os.environ.get("OPSWRIGHT_TEST_THINGS", "."))
Name = Annotated[str, Field(description="Name of the thing", min_length=1)]
Seconds = Annotated[float, Field(description="How long making it takes, at most if NAME.go comes")]


class Thing(BaseModel):
    """A thing that was made."""

    name: str
    path: str
    size: int = 1


@write_tool()
def make_thing(
    name: Name,
    parent: Annotated[str | None, Field(description="Path of the thing it belongs to")] = None,
    seconds: Seconds = 0.0,
    fail: Annotated[bool, Field(description="Fail when it is applied")] = False,
    die: Annotated[bool, Field(description="Kill the server the first time it is applied")] = False,
    stuck: Annotated[bool, Field(description="It cannot be removed")] = False,
    die_after: Annotated[bool, Field(description="Kill it once the change is made")] = False,
) -> Work[Thing]:
    """Make a thing, a file in the folder of things."""
    path = ROOT / name

    def plan() -> ChangePlan:
        if parent is not None and not Path(parent).exists():
            raise BadInputError(f"{parent} does not exist; make it first")
        return ChangePlan(
            summary=f"make {name}", actions=[Action(verb="create", type="test:thing", name=name)]
        )

    def send() -> dict[str, str]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not (ROOT / f"{name}.go").exists():
            time.sleep(0.02)
        if fail and not (ROOT / "mended").exists():
            raise OpswrightError(f"{name} cannot be made today")
        if die and not (ROOT / f"{name}.died").exists():
            (ROOT / f"{name}.died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        path.write_text(parent or "")
        with (ROOT / "calls.log").open("a") as log:
            log.write(f"{name}\n")
        return {"path": str(path)}

    def apply(rec: Recorder) -> Thing:
        inverse = UndoStep(
            kind="thing", description=f"remove {name}", args={"path": str(path), "stuck": stuck}
        )
        made = rec.step(
            "make", send, undo=[inverse], resource=ResourceRef(type="test:thing", id=name)
        )
        return Thing(name=name, path=made["path"])

    def verify(made: Thing) -> list[Check]:
        if die_after and not (mark := ROOT / f"{name}.died").exists():
            mark.touch()  # as soon as the journal has its end, before the answer is sent
            runtime().journal.on_event = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        return [check(f"{made.name} exists", path.exists(), str(path))]

    return Work(
        scope=Scope(id=f"sandbox:{ROOT}", sandbox=True),
        plan=plan,
        apply=apply,
        verify=verify,
        outputs=Thing,
    )


class RemoveThing:
    """Removes what was made."""

    def replay(self, step: UndoStep) -> None:
        """Remove the file."""
        if step.args["stuck"]:
            raise OpswrightError(f"{step.args['path']} is stuck")
        Path(step.args["path"]).unlink(missing_ok=True)

    def verify(self, step: UndoStep) -> Check:
        """Look whether it is gone."""
        return check(step.description, not Path(step.args["path"]).exists())


class Count(BaseModel):
    """How many things there are."""

    count: int
    names: list[str]


@read_tool
def count_things(at_least: Annotated[int, Field(description="Fail below this")] = 0) -> Count:
    """Count the things there are."""
    names = sorted(p.name for p in ROOT.iterdir() if p.suffix == "")
    if len(names) < at_least:
        raise BadInputError(f"there are only {len(names)} things, not {at_least}; make more")
    return Count(count=len(names), names=names)


class Wanted(BaseModel):
    """What the skill needs."""

    name: Annotated[str, Field(description="name of the thing"), FromText(r"called (\w+)")]


@skill("make a thing called lamp", "build me a thing called box", risk="write")
async def make_one(worker: Any, inputs: Wanted) -> Outcome:
    """Make a single thing."""
    made = await worker.call("make_thing", name=inputs.name)
    return Outcome(summary=f"Made {inputs.name}.", outputs={"path": made["outputs"]["path"]})


@skill("ponder for a long time")
async def ponder(worker: Any, inputs: NoInputs) -> Outcome:
    """Do nothing for ten minutes."""
    (ROOT / "pondering").touch()
    await asyncio.sleep(600)
    return Outcome(summary="Done at last.")


@skill("how many things are there", "count the things")
async def count_all(worker: Any, inputs: NoInputs) -> Outcome:
    """Count all things."""
    found = await worker.call("count_things")
    return Outcome(summary=f"There are {found['count']} things.", outputs=found)


class Asked(BaseModel):
    """Whom to ask, and what."""

    whom: Annotated[str, Field(description="agent to ask")] = "other"
    question: Annotated[str, Field(description="what to ask it")] = "count the things"


@skill("inquire with a colleague", "consult a colleague")
async def inquire(worker: Any, inputs: Asked) -> Outcome:
    """Inquire with a colleague."""
    request = AgentMessage(recipient=inputs.whom, intent="request", content=inputs.question)
    return Outcome(summary=f"Asked {inputs.whom}.", messages=[request])


@skill("recite everything known")
async def recite(worker: Any, inputs: NoInputs) -> Outcome:
    """Recite everything known from the context."""
    inbox = [message.model_dump() for message in worker.context.inbox]
    return Outcome(summary="Recited.", outputs={"known": worker.context.memories, "inbox": inbox})


def create_server(settings: Settings) -> Any:
    """Build the agent named on the command line."""
    skills: list[Skill] = [make_one, count_all, ponder, inquire, recite]
    return build_server(
        os.environ.get("OPSWRIGHT_TEST_AGENT", "maker"),
        title="Maker",
        instructions="Makes things out of files.",
        tools=[make_thing, count_things],
        settings=settings,
        skills=skills,
        undo_handlers={"thing": RemoveThing()},
    )
