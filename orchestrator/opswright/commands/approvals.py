"""`opswright approve`: a person's yes, from another process, to a run or to one change."""

import contextlib

from opswright.commands.exit_codes import DONE
from opswright.commands.terminal import guarded, say
from opswright.plan import PlanError, in_order
from opswright.runs import Run, StepOutcome
from opswright.sandbox import sandbox_dir
from opswright.store import RunStore, store_in
from opswright_core.asker import os_user
from opswright_core.errors import NotFoundError
from opswright_core.journal import Journal
from opswright_core.settings import Settings, state_directory
from opswright_core.text import clean


def approve(asked_id: str, *, as_json: bool) -> int:
    """`opswright approve`."""

    async def work() -> int:
        store = store_in(state_directory())
        by = f"{os_user()} (opswright approve)"
        if not asked_id.startswith("ch-"):
            run = store.load(asked_id)
            said = [*_approve_run(store, run, by), await _go_on(store, run)]
        else:
            told = _approve_change(asked_id)
            waiting = _waiting_for(store, asked_id)
            if told is None and waiting is None:
                raise PlanError(
                    f"no journal here has a change {asked_id!r}; a waiting run's status names it"
                )
            said = [told] if told else [f"approved {asked_id}"]
            if waiting is not None:
                run, outcome = waiting
                store.grant(run.run_id, outcome.asked or "", by)
                said.append(await _go_on(store, run))
        lines = [line for line in said if line]
        say(as_json, {"approved": asked_id, "summary": lines}, "\n".join(lines))
        return DONE

    return guarded(work, as_json)


def _approve_run(store: RunStore, run: Run, by: str) -> list[str]:
    """Say yes to a run's plan, or to the changes that its steps wait with; what was approved."""
    if run.approved_hash != run.plan.approval_hash:
        if run.status not in {"planned", "waiting"}:
            raise PlanError(f"{run.run_id} is {run.status}; there is nothing to approve")
        store.change(run.run_id, approved_hash=run.plan.approval_hash, approved_by=by)
        steps = [s for s in in_order(run.plan) if s.changes_things]
        return [f"approved the plan of {run.run_id}: {run.goal}"] + [
            f"  {s.id}: {s.agent}.{s.tool} ({s.risk})  {s.title}".rstrip() for s in steps
        ]
    asking = [o for o in store.steps(run).values() if o.status == "needs_approval" and o.asked]
    if not asking:
        raise PlanError(f"{run.run_id} is {run.status}; no step of it waits for an approval")
    said = []
    for outcome in asking:
        change_id = str(outcome.value.get("change_id", ""))
        told = _approve_change(change_id) if _is_out_of_band(outcome) else None
        store.grant(run.run_id, outcome.asked or "", by)
        said.append(
            told or f"approved {outcome.step_id}: {clean(str(outcome.value.get('summary', '')))}"
        )
    return said


async def _go_on(store: RunStore, run: Run) -> str:
    """Hand a run that waits back to the workers; one that lives goes on by itself."""
    now = store.load(run.run_id)
    if now.status == "waiting" and now.detached:
        from opswright.handing_over import queue

        begun = any(o.status != "pending" for o in store.steps(now).values())
        await queue(store, state_directory(), now, again=begun)
        return "A worker goes on with it."
    return "" if now.status == "running" else f"It goes on with: opswright resume {now.run_id}"


def _waiting_for(store: RunStore, change_id: str) -> tuple[Run, StepOutcome] | None:
    for run in store.recent(100):
        if run.status in {"running", "waiting", "interrupted"}:
            for outcome in store.steps(run).values():
                waits = outcome.status == "needs_approval" and outcome.asked
                if waits and outcome.value.get("change_id") == change_id:
                    return run, outcome
    return None


def _is_out_of_band(outcome: StepOutcome) -> bool:
    return not (outcome.value.get("approval") or {}).get("token") and "change_id" in outcome.value


def _approve_change(change_id: str) -> str | None:
    """Approve a change in a journal here; None when none has it. Raises ApprovalError."""
    from opswright_core.approvals import grant, tell_granted
    from opswright_core.runtime import Runtime

    for state_dir in (state_directory(), sandbox_dir(state_directory())):
        if (state_dir / "journal.db").is_file():
            journal = Journal(state_dir / "journal.db", "opswright")
            runtime = Runtime(
                server="opswright", settings=Settings(state_dir=state_dir), journal=journal
            )
            with contextlib.suppress(NotFoundError):
                return tell_granted(grant(runtime, change_id))
    return None
