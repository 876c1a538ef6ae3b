"""`opswright approve`."""

import contextlib

from opswright.commands.exit_codes import DONE
from opswright.commands.terminal import guarded, say
from opswright.plan import PlanError, in_order
from opswright.session import sandbox_dir, store_in
from opswright_core.asker import os_user
from opswright_core.errors import NotFoundError
from opswright_core.journal import Journal
from opswright_core.runtime import Runtime
from opswright_core.settings import Settings, state_directory
from opswright_core.text import clean


def approve(asked_id: str, *, as_json: bool) -> int:
    """`opswright approve`: a run's plan and the steps of it that wait, or one server's change."""
    return (_approve_run if asked_id.startswith("run-") else _approve_change)(asked_id, as_json)


def _approve_run(run_id: str, as_json: bool) -> int:
    async def work() -> int:
        store = store_in(state_directory())
        run = store.load(run_id)
        if run.status in {"done", "cancelled"} or run.undone_by:
            raise PlanError(f"{run_id} does not wait for an approval: it is {run.status}")
        by = f"{os_user()} (opswright approve)"
        waiting = [o for o in store.steps(run).values() if o.status == "needs_approval" and o.asked]
        for outcome in waiting:
            store.grant(run_id, str(outcome.asked), by)
        steps = [step for step in in_order(run.plan) if step.changes_things]
        store.change(run_id, approved_hash=run.plan.approval_hash, approved_by=by)
        lines = [f"approved {run_id}: {run.goal}"]
        lines += [f"  {s.id}  {s.agent}.{s.tool}  {s.risk}  {s.title}" for s in steps]
        lines += [f"  {o.step_id}: {clean(o.error or '')}" for o in waiting]
        if run.status != "running":
            lines.append(f"It goes on with: opswright resume {run_id}")
        found = {"approved": run_id, "steps": [step.id for step in steps]}
        say(as_json, found, "\n".join(lines))
        return DONE

    return guarded(work, as_json)


def _approve_change(change_id: str, as_json: bool) -> int:
    async def work() -> int:
        from opswright_core.approvals import grant, tell_granted

        for state_dir in (state_directory(), sandbox_dir(state_directory())):
            if (state_dir / "journal.db").is_file():
                journal = Journal(state_dir / "journal.db", "opswright")
                settings = Settings(state_dir=state_dir)
                with contextlib.suppress(NotFoundError):
                    runtime = Runtime(server="opswright", settings=settings, journal=journal)
                    record = grant(runtime, change_id)
                    found = {"approved": change_id, "summary": record.summary}
                    say(as_json, found, tell_granted(record))
                    return DONE
        raise PlanError(
            f"no journal here has a change {change_id!r}; a waiting run's status names it"
        )

    return guarded(work, as_json)
