"""The facade's tools: plan, run, status, approve, resume, cancel, undo."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Annotated, Any

from fastmcp import Context
from mcp_types import InputRequiredResult
from pydantic import Field

from opswright.config import ConfigError
from opswright.facade.answers import ON_THE_WAY, RunState, Status, line_of, state_of
from opswright.facade.approvals import Approvals, of_plan, of_step
from opswright.facade.desk import Desk, Tell
from opswright.plan import PlanError
from opswright.planning import MissingInputsError
from opswright.runs import Run
from opswright.sandbox import SandboxError
from opswright_core.asker import asked_by
from opswright_core.errors import BadInputError
from opswright_core.runtime import runtime

Request = Annotated[str, Field(description="What to do, in plain words", max_length=4000)]
Inputs = Annotated[
    dict[str, Any] | None, Field(description="Values that the plan asks for, by name")
]
RunId = Annotated[str, Field(description="From plan, run or status; or `last`", max_length=60)]
Wait = Annotated[float, Field(description="Longest wait in seconds", ge=0, le=50)]

WAIT_SECONDS = 25


async def plan(request: Request, inputs: Inputs = None) -> RunState:
    """Plan a request over the team and show steps, risks and cost. Changes nothing."""
    return state_of(*await _recorded(request, inputs))


async def run(
    ctx: Context,
    request: Annotated[
        str | None, Field(description="What to do, if it is not planned yet")
    ] = None,
    run_id: Annotated[
        str | None, Field(description="Of a plan to carry out as it was shown")
    ] = None,
    inputs: Inputs = None,
    wait_seconds: Wait = WAIT_SECONDS,
) -> RunState:
    """Carry out a plan. One that changes things answers needs_approval until a person said yes."""
    if (request is None) == (run_id is None):
        raise BadInputError("run takes either a request or the run_id of a plan.")
    asked = _asked_before(ctx)
    if asked is None and run_id is None:
        planned, _ = await _recorded(str(request), inputs)
        return await _go_on(planned, ctx, wait_seconds)
    return await _go_on(await _load(asked or str(run_id)), ctx, wait_seconds)


async def status(
    ctx: Context,
    run_id: Annotated[str | None, Field(description="Left out: the recent runs")] = None,
    wait_seconds: Wait = 0,
) -> Status:
    """Show the recent runs, or one: its steps, what it waits for, its report. Can wait for it."""
    if run_id is None:
        recent = [line_of(run) for run in _desk().store.recent()]
        return Status(summary=f"{len(recent)} recent runs", recent=recent)
    state = await _waited((await _load(run_id)).run_id, ctx, wait_seconds)
    return Status(summary=state.summary, run=state)


async def approve(
    ctx: Context,
    run_id: RunId,
    approval: Annotated[str, Field(description="A token of `approvals`", max_length=200)],
    wait_seconds: Wait = WAIT_SECONDS,
) -> RunState:
    """Pass on a person's yes to exactly what was shown, and go on. Only after they said so."""
    _may_change()
    run = await _load(run_id)
    desk, approvals = _desk(), _approvals()
    waiting = desk.unanswered(run, desk.store.steps(run))
    key = approval.partition(".")[0]
    for asked in [of_plan(run), *(of_step(run, outcome) for outcome in waiting)]:
        if asked.key == key:
            approvals.take(asked, approval)
            by = f"{asked_by()} by token"
            if asked.step:
                desk.store.grant(run.run_id, asked.asked, by)
            else:
                (await _session()).approve(run, by)
            return await _go_on(desk.store.load(run.run_id), ctx, wait_seconds)
    raise BadInputError(
        f"Nothing of {run.run_id} waits for this token; status shows what waits, with its own."
    )


async def resume(ctx: Context, run_id: RunId, wait_seconds: Wait = WAIT_SECONDS) -> RunState:
    """Go on with a run that was interrupted, waits, or did not finish; done steps are kept."""
    return await _go_on(await _load(_asked_before(ctx) or run_id), ctx, wait_seconds)


async def cancel(ctx: Context, run_id: RunId, wait_seconds: Wait = WAIT_SECONDS) -> RunState:
    """Stop a run. What it changed stays; undo reverses it."""
    desk, run = _desk(), await _load(run_id)
    if run.status in ON_THE_WAY:
        desk.store.wish(run.run_id, "cancel")
    elif run.status in {"planned", "waiting", "paused", "interrupted"}:
        desk.store.change(run.run_id, status="cancelled")
    else:
        raise BadInputError(f"{run.run_id} has ended already: it is {run.status}.")
    return await _waited(run.run_id, ctx, wait_seconds)


async def undo(ctx: Context, run_id: RunId, wait_seconds: Wait = WAIT_SECONDS) -> RunState:
    """Reverse all that a run changed, last change first; needs an approval of its own."""
    _may_change()
    if asked := _asked_before(ctx):
        return await _go_on(await _load(asked), ctx, wait_seconds)
    run = await _load(run_id)
    if run.status in ON_THE_WAY:
        raise BadInputError(f"{run.run_id} is under way; cancel it first, then undo it.")
    with _told():
        session = await _session()
        undoing = session.undo_plan(run)
        session.check(undoing)
        recorded = session.record(undoing, {}, undoes=run.run_id, asked_by=asked_by())
    return await _go_on(recorded, ctx, wait_seconds)


async def _recorded(request: str, inputs: dict[str, Any] | None) -> tuple[Run, dict[str, Any]]:
    """Plan a request and keep the plan as a run that has not begun."""
    with _told():
        session = await _session()
        made = await session.plan(request, inputs or {})
        run = session.record(made, await session.preview(made), asked_by=asked_by())
    return run, _desk().store.steps(run)


async def _go_on(run: Run, ctx: Context, wait_seconds: float) -> RunState:
    """Have a run approved, begin it unless it goes on already, and wait."""
    began = time.monotonic()
    if run.undone_by:
        raise BadInputError(f"{run.run_id} has been undone by {run.undone_by}; plan it again.")
    if run.status not in {"done", "cancelled", *ON_THE_WAY}:
        with _told():
            session = await _session()
            if not run.plan.changes_things:
                run = session.approve(run, "nothing to approve: it only reads")
            elif run.approved_hash != run.plan.approval_hash:
                _may_change(run)
                if run.sandbox:
                    run = session.approve(run, "sandbox")
                else:
                    needed = await _approvals().request(of_plan(run))
                    if isinstance(needed, InputRequiredResult):
                        return needed  # type: ignore[return-value]  # the host calls again
                    if needed is not None:
                        waits = _desk().store.change(run.run_id, status="waiting")
                        return state_of(waits, _desk().store.steps(waits), [needed])
                    run = session.approve(run, f"{asked_by()} by elicit")
            await _desk().begin(
                run, resumed=run.status not in {"planned", "waiting"} or _begun(run)
            )
    return await _waited(run.run_id, ctx, wait_seconds - (time.monotonic() - began))


async def _waited(run_id: str, ctx: Context, seconds: float) -> RunState:
    desk = _desk()
    with _told():
        run = await desk.wait(run_id, seconds, _teller(ctx))
    outcomes = desk.store.steps(run)
    asked = desk.unanswered(run, outcomes) if runtime().settings.allow_writes else []
    questions = [_approvals().shown(of_step(run, outcome)) for outcome in asked]
    return state_of(run, outcomes, questions)


def _begun(run: Run) -> bool:
    return any(outcome.status != "pending" for outcome in _desk().store.steps(run).values())


def _may_change(run: Run | None = None) -> None:
    """Raises BadInputError when the operator did not allow changes."""
    if not runtime().settings.allow_writes:
        person = f", or a person runs `opswright resume {run.run_id}`" if run else ""
        raise BadInputError(
            "This plan changes things, and this server only reads. Its operator starts it with "
            f"`opswright serve --allow-writes`{person}."
        )


def _asked_before(ctx: Context) -> str | None:
    """The run that a host was asked about, when this call brings its answer (from 2026-07-28)."""
    return (ctx.request_state or "").partition(".")[0].partition("/")[0] or None


def _teller(ctx: Context) -> Tell:
    async def tell(done: int, total: int, message: str) -> None:
        with contextlib.suppress(Exception):  # the caller may be gone; progress is a courtesy
            await ctx.report_progress(done, total, message)

    return tell


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What the orchestrator cannot do becomes an error that the caller can act on."""
    try:
        yield
    except MissingInputsError as exc:
        asked = "; ".join(f"{name} ({what})" for name, what in exc.inputs.items())
        raise BadInputError(f"The plan needs to know: {asked}. Give it in `inputs`.") from exc
    except (PlanError, ConfigError, SandboxError) as exc:
        raise BadInputError(str(exc)) from exc


async def _load(run_id: str) -> Run:
    with _told():
        return await asyncio.to_thread(_desk().store.load, run_id)


async def _session() -> Any:
    return await _desk().session()


def _desk() -> Desk:
    desk: Desk = runtime().extras["desk"]()
    return desk


def _approvals() -> Approvals:
    approvals: Approvals = runtime().extras["approvals"]
    return approvals
