"""The tools over the journal that every server with changes offers."""

import asyncio
import functools
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.changes import (
    Action,
    Change,
    ChangePlan,
    Scope,
    Work,
    load,
    present,
)
from opswright_core.errors import ConflictError
from opswright_core.pages import Page, page
from opswright_core.protocol import settle
from opswright_core.recorder import Recorder
from opswright_core.runtime import Runtime, runtime
from opswright_core.tools import destructive_tool, read_tool
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check

ChangeId = Annotated[str, Field(description="From a changing tool's answer", max_length=40)]


class Outputs(BaseModel, extra="allow"):
    """The outputs of a change whose tool is not known here."""


class Undone(BaseModel):
    """What an undo reversed."""

    change_id: str
    steps: list[str]


class ChangeLine(BaseModel):
    """One change in a list."""

    change_id: str
    tool: str
    status: str
    summary: str
    at: str


@read_tool
def list_changes(
    cursor: Annotated[str | None, Field(description="From the page before")] = None,
) -> Page[ChangeLine]:
    """List this server's recent changes, newest first, from the journal."""
    rt = runtime()
    records = [load(rt, change_id) for change_id in rt.journal.recent(200)]
    lines = [
        ChangeLine(change_id=r.change_id, tool=r.tool, status=r.status, summary=r.summary, at=r.at)
        for r in records
        if r.tool
    ]
    return page(lines, cursor=cursor, summary=f"{len(lines)} changes")


@read_tool
async def get_change(
    change_id: ChangeId,
    wait_seconds: Annotated[float, Field(description="Longest wait", ge=0, le=50)] = 20,
) -> Change[Outputs]:
    """Wait for a change that is `working`, or read one from the journal with its undo."""
    rt = runtime()
    await asyncio.to_thread(load, rt, change_id)
    await settle(rt, change_id, wait_seconds)
    return present(await asyncio.to_thread(load, rt, change_id), Outputs)


@destructive_tool()
def undo_change(change_id: ChangeId) -> Work[Undone]:
    """Reverse a change by replaying its journalled inverse, last step first, and verify it by reading."""
    rt = runtime()
    record = load(rt, change_id)
    steps = record.undo_steps

    def plan() -> ChangePlan:
        if record.status == "undone":
            return ChangePlan(summary=f"{change_id} has been undone already.", actions=[])
        if record.status == "working":
            raise ConflictError(
                f"{change_id} is still under way; wait for it with get_change, then undo it."
            )
        if not steps:
            return ChangePlan(summary=f"{change_id} made nothing that can be reversed.", actions=[])
        return ChangePlan(
            summary=f"Undo {record.tool}: {len(steps)} inverse steps",
            actions=[
                Action(verb="delete", type=step.kind, name=step.description) for step in steps
            ],
            warnings=["What is removed is gone with the data in it."],
            reversible=False,
            observed={"steps": [step.description for step in steps]},
        )

    def apply(rec: Recorder) -> Undone:
        for number, step in enumerate(steps):
            rec.step(f"{number}: {step.description}", functools.partial(_replay, rt, step))
        rt.journal.append(change_id, "undone", {"by": rec.change_id})
        return Undone(change_id=change_id, steps=[step.description for step in steps])

    def verify(_: Undone) -> list[Check]:
        return [rt.undo_handlers[step.kind].verify(step) for step in steps]

    return Work(
        scope=_scope(rt, record.scope), plan=plan, apply=apply, verify=verify, outputs=Undone
    )


def _replay(rt: Runtime, step: UndoStep) -> dict[str, Any]:
    rt.undo_handlers[step.kind].replay(step)
    return {"replayed": step.description}


def _scope(rt: Runtime, scope_id: str) -> Scope:
    """The scope of the change being undone: a sandbox only if its account is behind an emulator now."""
    if not scope_id.startswith("aws"):
        return Scope(id=scope_id, sandbox=scope_id.startswith("sandbox:"))
    aws = rt.aws_sessions.open()
    return Scope(id=scope_id, sandbox=aws.is_emulator)
