"""The tools over the journal that every server with changes offers."""

import asyncio
import functools
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.changes import Action, Change, ChangePlan, Record, Work, load, present
from opswright_core.drift import compared, said
from opswright_core.errors import ConflictError, OpswrightError
from opswright_core.foresight import foreseen
from opswright_core.pages import Page, page
from opswright_core.protocol import settle
from opswright_core.reconcile import reconcile
from opswright_core.recorder import Recorder
from opswright_core.runtime import Runtime, runtime
from opswright_core.standing import in_the_way, standing_changes, undo_change_scope
from opswright_core.tools import destructive_tool, read_tool
from opswright_core.undo import UndoHandler, UndoStep, tell_waiting
from opswright_core.verdicts import Check

SETTLE_SECONDS = 15.0
"""How long an inverse may take to show in reads; AWS deletes are mostly seen within seconds."""

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
    asked_by: str
    approved_by: str


@read_tool
def list_changes(
    cursor: Annotated[str | None, Field(description="From the page before")] = None,
) -> Page[ChangeLine]:
    """List this server's recent changes, newest first, from the journal."""
    lines = recent_changes(runtime(), 200)
    return page(lines, cursor=cursor, summary=f"{len(lines)} changes")


def recent_changes(rt: Runtime, limit: int) -> list[ChangeLine]:
    """The last changes of a server, newest first."""
    records = [load(rt, change_id) for change_id in rt.journal.recent(limit)]
    return [
        ChangeLine(
            change_id=r.change_id,
            tool=r.tool,
            status=r.status,
            summary=r.summary,
            at=r.at,
            asked_by=r.asked_by,
            approved_by=r.approved_by,
        )
        for r in records
        if r.tool
    ]


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
    """Reverse a change by replaying its journalled inverse, last step first, and verify it."""
    rt = runtime()
    record = reconcile(rt, load(rt, change_id))
    steps = record.undo_steps
    doubts = [
        f"Whether {step!r} took effect is not known: its answer was lost. Call {record.tool} again "
        "with the same arguments to find out, and undo it then."
        for step in record.in_doubt
    ]

    def plan() -> ChangePlan:
        _refuse_under_way(rt, change_id)
        if record.status == "undone":
            return ChangePlan(summary=f"{change_id} has been undone already.", actions=[])
        if not steps:
            nothing = "nothing else" if doubts else "nothing"
            summary = f"{change_id} made {nothing} that can be reversed. {' '.join(doubts)}".strip()
            return ChangePlan(summary=summary, actions=[])
        known = _refuse_built_upon(rt, record)
        return ChangePlan(
            summary=f"Undo {record.tool}: {len(steps)} inverse steps",
            actions=[
                Action(verb="delete", type=step.kind, name=step.description) for step in steps
            ],
            warnings=["What is removed is gone with the data in it.", *known, *doubts],
            reversible=False,
            observed={"steps": [step.description for step in steps]},
        )

    def apply(rec: Recorder) -> Undone:
        _refuse_under_way(rt, change_id)
        tell_waiting.set(rec.waits)
        for number, step in enumerate(steps):
            rec.step(f"{number}: {step.description}", functools.partial(_replay, rt, step))
        _settle_inverse(rt, rec, steps)
        rt.journal.append(change_id, "undone", {"by": rec.change_id})
        return Undone(change_id=change_id, steps=[step.description for step in steps])

    def verify(_: Undone) -> list[Check]:
        unknown = [
            Check(name=f"{step} is gone", verdict="UNKNOWN", evidence="its answer was lost")
            for step in record.in_doubt
        ]
        return [*(_handler(rt, step).verify(step) for step in steps), *unknown]

    return Work(
        scope=undo_change_scope(rt, record),
        plan=plan,
        apply=apply,
        verify=verify,
        existing=lambda: Undone(change_id=change_id, steps=[step.description for step in steps]),
        outputs=Undone,
    )


def _refuse_under_way(rt: Runtime, change_id: str) -> None:
    if load(rt, change_id).status == "working":
        raise ConflictError(
            f"{change_id} is still under way; wait for it with get_change, then undo it."
        )


def _refuse_built_upon(rt: Runtime, record: Record) -> list[str]:
    """What to know before an undo. Raises ConflictError where a later change is in its way."""
    later = in_the_way(record, standing_changes(rt))
    met = foreseen(rt, record)
    if refusals := [*later.refusals, *met.in_the_way]:
        raise ConflictError(" ".join(refusals))
    changed = any(resource.action == "modified" for resource in record.resources)
    checks = compared(rt, record) if changed else []
    unknown = {check.name for check in record.checks if check.verdict == "UNKNOWN"}
    unread = [check for check in checks if check.name not in unknown]
    return [
        *later.warnings,
        *met.warnings,
        *(
            f"Not as this change left it, and set back with it: {difference}"
            for difference in said(checks, "FAIL")
        ),
        *(f"Not known whether somebody changed it since: {one}" for one in said(unread, "UNKNOWN")),
    ]


def _handler(rt: Runtime, step: UndoStep) -> UndoHandler:
    if step.kind not in rt.undo_handlers:
        raise ConflictError(
            f"this server cannot replay {step.kind!r} steps ({step.description}); "
            "undo it with the server that made the change"
        )
    return rt.undo_handlers[step.kind]


def _replay(rt: Runtime, step: UndoStep) -> dict[str, Any]:
    _handler(rt, step).replay(step)
    return {"replayed": step.description}


def _settle_inverse(rt: Runtime, rec: Recorder, steps: list[UndoStep]) -> None:
    """Give the inverse time to show, and replay once more (it is idempotent) what does not hold.

    Raises OpswrightError when something is still there; the change is not marked undone then.
    """

    def left() -> list[UndoStep]:
        return [step for step in steps if _handler(rt, step).verify(step).verdict == "FAIL"]

    for step in left():
        _replay(rt, step)
    try:
        rec.wait("the inverse takes effect", lambda: not left(), timeout_seconds=SETTLE_SECONDS)
    except OpswrightError as exc:
        still = "; ".join(step.description for step in left())
        raise OpswrightError(f"Not undone yet: {still}. {exc}") from exc
