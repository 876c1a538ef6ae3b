"""What undoing changes would do now: each step in order, what is gone, what differs, what blocks.

A tool for servers whose changes build on each other; it is of the toolset `verify`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from opswright_core.change_tools import ChangeId
from opswright_core.changes import Record, load
from opswright_core.drift import compared, said
from opswright_core.errors import OpswrightError
from opswright_core.foresight import Foreseen, foreseen
from opswright_core.parallel import each, time_limit
from opswright_core.runtime import Runtime, runtime
from opswright_core.standing import (
    InTheWay,
    in_the_way,
    standing_changes,
    undo_change_scope,
)
from opswright_core.tools import read_tool
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check

MOST = 20
READ_SECONDS = 25.0

StepState = Literal["would run", "nothing left to do", "unknown"]


class PreviewedStep(BaseModel):
    """One inverse step and what it would meet."""

    does: str
    state: StepState
    evidence: str = ""


class PreviewedUndo(BaseModel):
    """What undoing one change would do now."""

    change_id: str
    tool: str
    summary: str
    steps: list[PreviewedStep] = Field(description="In the order they would run")
    differs: list[str] = Field(description="What is not as the change made it, by reading it")
    unread: list[str] = Field(description="What could not be compared, and why")
    blocked_by: list[str] = Field(description="Why undo_change would be refused or fail now")
    later: list[str] = Field(description="Later changes that touch the same, and what that means")
    warnings: list[str] = Field(description="What goes with it, and what it would wait for")


class UndoPreview(BaseModel):
    """What undoing some changes would do now, in the order to undo them."""

    changes: list[PreviewedUndo]
    summary: str


@read_tool(toolset="verify")
def preview_undo(
    change_id: Annotated[ChangeId | None, Field(description="One change")] = None,
    last: Annotated[int, Field(description="Else so many of the last", ge=1, le=MOST)] = 1,
) -> UndoPreview:
    """Show what undo_change would do now, step by step, without doing it.

    Says what is gone already, what differs from what was made, and what has to be undone before.
    """
    rt = runtime()
    standing = list(standing_changes(rt))
    chosen = [load(rt, change_id)] if change_id else standing[:last]
    with time_limit(READ_SECONDS):
        changes = each(chosen, lambda record: _previewed(rt, record, standing, chosen))
    steps = [step for change in changes for step in change.steps]
    run = sum(step.state != "nothing left to do" for step in steps)
    blocked = sum(bool(change.blocked_by) for change in changes)
    return UndoPreview(
        changes=changes,
        summary=f"{len(changes)} changes, {run} of {len(steps)} inverse steps would run; "
        f"{blocked} blocked"
        if changes
        else "No change stands that could be undone.",
    )


def _previewed(
    rt: Runtime, record: Record, standing: list[Record], chosen: list[Record]
) -> PreviewedUndo:
    is_done = record.status == "undone"
    steps = [] if is_done else [_met(rt, step) for step in record.undo_steps]
    met = Foreseen([], []) if is_done else foreseen(rt, record, chosen)
    together = {one.change_id for one in chosen}
    checks, later = compared(rt, record), in_the_way(record, standing, together)
    return PreviewedUndo(
        change_id=record.change_id,
        tool=record.tool,
        summary=record.summary,
        steps=steps,
        differs=said(checks, "FAIL"),
        unread=said(checks, "UNKNOWN"),
        blocked_by=[*blockers(rt, record, later), *met.in_the_way],
        later=later.warnings,
        warnings=met.warnings,
    )


def _met(rt: Runtime, step: UndoStep) -> PreviewedStep:
    handler = rt.undo_handlers.get(step.kind)
    if handler is None:
        return PreviewedStep(does=step.description, state="unknown", evidence="not of this server")
    undone: Check = handler.verify(step)
    state: StepState = "unknown"
    if undone.verdict != "UNKNOWN":
        state = "nothing left to do" if undone.verdict == "PASS" else "would run"
    return PreviewedStep(does=step.description, state=state, evidence=undone.evidence)


def blockers(rt: Runtime, record: Record, later: InTheWay) -> list[str]:
    """Why undoing a change would be refused or fail now."""
    if record.status == "undone":
        return [f"It has been undone already, by {record.undone_by}."]
    blockers = []
    if record.status == "working":
        blockers.append("It is still under way; wait for it with get_change.")
    if not record.undo_steps:
        blockers.append("It made nothing that can be reversed.")
    blockers += [
        f"Whether {step!r} took effect is not known: its answer was lost."
        for step in record.in_doubt
    ]
    try:
        undo_change_scope(rt, record)
    except OpswrightError as exc:
        blockers.append(str(exc))
    return [*blockers, *later.refusals]
