"""`opswright pause` and `cancel`: what a person wishes of a run that another process has."""

import asyncio
import os
import time

from opswright.commands.exit_codes import DONE, OF_STATUS
from opswright.commands.terminal import guarded, say
from opswright.plan import PlanError
from opswright.runs import Run, StepOutcome
from opswright.store import RunStore, store_in
from opswright_core.journal import process_identity
from opswright_core.settings import state_directory

WAIT_SECONDS = 60.0
"""How long the command waits to see its wish fulfilled."""

LOOK_SECONDS = 0.25


def pause_run(run_id: str, *, as_json: bool) -> int:
    """`opswright pause`."""

    async def work() -> int:
        store = store_in(state_directory())
        run = store.load(run_id)
        if run.status == "queued":
            run = store.change(run.run_id, status="paused")
        elif run.status != "running":
            raise PlanError(f"{run.run_id} is {run.status}; only a run under way can be paused")
        else:
            run = await _wished(store, run, "pause")
        if run.status == "running":
            text = f"{run.run_id} pauses as soon as its steps under way have ended"
        else:
            text = f"{run.run_id} is {run.status}; go on with: opswright resume {run.run_id}"
        say(as_json, _shape(store, run), text)
        return DONE

    return guarded(work, as_json)


def cancel_run(run_id: str, *, as_json: bool) -> int:
    """`opswright cancel`."""

    async def work() -> int:
        store = store_in(state_directory())
        run = store.load(run_id)
        if run.status in {"done", "failed", "partial", "cancelled"}:
            raise PlanError(f"{run.run_id} is {run.status}; there is nothing to cancel")
        if run.status == "running":
            run = await _wished(store, run, "cancel")
        else:
            run = _cancelled(store, run)
        outcomes = store.steps(run).values()
        lines = (
            [f"{run.run_id} is {run.status}"]
            if run.status != "running"
            else [f"{run.run_id} stops as soon as its agents have answered"]
        )
        lines += [f"  {o.step_id} {o.status}  {o.error or ''}".rstrip() for o in outcomes]
        if any(o.changed or o.change_ids for o in outcomes):
            lines.append(f"What it changed stays; `opswright undo {run.run_id}` takes it back.")
        say(as_json, _shape(store, run), "\n".join(lines))
        return DONE if run.status in {"cancelled", "running"} else OF_STATUS[run.status]

    return guarded(work, as_json)


async def _wished(store: RunStore, run: Run, wish: str) -> Run:
    """Tell the process that has a run, and wait for it a while."""
    store.wish(run.run_id, wish)
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline and (run := store.load(run.run_id)).status == "running":
        await asyncio.sleep(LOOK_SECONDS)
    if wish == "cancel" and run.status == "interrupted":  # it died instead
        return _cancelled(store, run)
    return run


def _cancelled(store: RunStore, run: Run) -> Run:
    """Cancel a run that no process has."""
    owner = process_identity(os.getpid())
    claimed = store.claim(run.run_id, owner)
    for outcome in store.steps(claimed).values():
        if outcome.status == "running":
            why = (
                "its process died under it, so what became of it is not known; "
                "`opswright resume` finds out, then undo"
            )
            store.save_step(run.run_id, _as(outcome, "unknown", why), owner)
        elif outcome.status in {"pending", "needs_approval"}:
            why = "the run was cancelled before it"
            store.save_step(run.run_id, _as(outcome, "cancelled", why), owner)
    return store.change(run.run_id, status="cancelled")


def _as(outcome: StepOutcome, status: str, why: str) -> StepOutcome:
    return outcome.model_copy(update={"status": status, "error": why})


def _shape(store: RunStore, run: Run) -> dict[str, object]:
    return {"run": run, "steps": list(store.steps(run).values())}
