"""`opswright status`: the runs, the steps of one, and how one goes on in another process."""

import asyncio
from typing import Any

from opswright.commands.carrying_out import watcher
from opswright.commands.exit_codes import DONE, OF_STATUS
from opswright.commands.terminal import console_for, guarded, print_event, print_json
from opswright.options import Output
from opswright.render.runs import show_runs, show_status
from opswright.runs import Run, StepOutcome
from opswright.store import RunStore, store_in
from opswright_core.settings import state_directory

LOOK_SECONDS = 0.25
"""How often a run that goes on in another process is looked at."""


def show(run_id: str | None, *, watch: bool, output: Output) -> int:
    """`opswright status`."""

    async def work() -> int:
        store = store_in(state_directory())
        console = console_for(output.for_programs)
        if watch:
            return await _follow(store, run_id or "last", output)
        if run_id is None:
            runs = store.recent()
            if output.for_programs:
                print_json([_line(run) for run in runs])
            else:
                show_runs(console, runs)
            return DONE
        run = store.load(run_id)
        outcomes = store.steps(run)
        if output.for_programs:
            print_json({"run": run, "steps": list(outcomes.values())})
        else:
            show_status(console, run, outcomes)
        return DONE

    return guarded(work, output)


async def _follow(store: RunStore, run_id: str, output: Output) -> int:
    """Show a run's steps until it ends; the exit code is that of the run."""
    run = store.load(run_id)
    console = console_for(output.for_programs)
    seen: dict[str, StepOutcome] = {}
    with watcher(console, run, output) as progress:
        while True:
            run = store.load(run.run_id)
            for step_id, outcome in store.steps(run).items():
                if outcome != seen.get(step_id):
                    seen[step_id] = outcome
                    progress(outcome)
            if run.status not in {"planned", "queued", "running"}:
                break
            await asyncio.sleep(LOOK_SECONDS)
    if output.json_lines:
        print_event({"event": "ended", "run_id": run.run_id, "status": run.status})
    elif output.json:
        print_json({"run": run, "steps": list(seen.values())})
    else:
        show_status(console, run, seen)
    return OF_STATUS[run.status]


def _line(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status,
        "goal": run.goal,
        "created_at": run.created_at,
        "sandbox": run.sandbox,
        "undone_by": run.undone_by,
    }
