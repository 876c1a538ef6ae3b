"""What follows from an attempt that ended: a new version of its plan, or taking it back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from opswright.library import Library
from opswright.plan import Plan, PlanError
from opswright.planners import undo
from opswright.runs import Halted, Run, StepOutcome, now
from opswright.store import RunStore

MOST_VERSIONS = 4

Replanner = Callable[[Run, Mapping[str, StepOutcome]], Awaitable[Plan]]
"""Makes a new version of a run's plan, which keeps each finished step. Raises PlanError."""


class Recovery:
    """Decides what follows, and records it so that it is found again after a crash."""

    def __init__(self, store: RunStore, replan: Replanner) -> None:
        self._store = store
        self._library = Library(store)
        self._replan = replan

    async def after(
        self, run: Run, outcomes: Mapping[str, StepOutcome], halt: str | None, owner: str
    ) -> Run | None:
        """The run to begin now, claimed for `owner`; None when nothing follows by itself."""
        if run.status == "done":
            await asyncio.to_thread(self._library.learn, run)
        if run.undoes:
            self._taken_back(run, run.undoes, outcomes)
        elif halt == "compensate":
            return self._compensation(run, owner)
        elif halt == "replan":
            return await self._next_version(run, outcomes, owner)
        return None

    def _compensation(self, run: Run, owner: str) -> Run | None:
        """The run that undoes this one, approved with its plan, which says `compensate`."""
        try:
            plan = undo.build(run, self._store.steps(run, earlier=True), f"{run.plan.id}-undo")
        except PlanError as exc:  # it had changed nothing yet
            self._store.change(run.run_id, halted=Halted(reason="nothing_to_undo", why=str(exc)))
            return None
        same = {"sandbox", "endpoint", "config_path", "detached", "asked_by"}
        kept = run.model_dump(include=same)
        undoing = Run(
            run_id=f"{run.run_id}-undo{run.attempt}",  # the same, should this be done twice
            goal=plan.goal,
            plan=plan,
            undoes=run.run_id,
            approved_hash=plan.approval_hash,
            approved_by=f"the plan of {run.run_id}, which says compensate",
            created_at=now(),
            **kept,
        )
        self._store.save(undoing)
        return self._store.claim(undoing.run_id, owner)

    def _taken_back(self, run: Run, undone: str, outcomes: Mapping[str, StepOutcome]) -> None:
        if run.status == "done":
            self._store.change(undone, undone_by=run.run_id, halted=None)
        elif run.status == "needs_human":
            left = [f"{o.step_id} ({o.error or o.status})" for o in outcomes.values()]
            left = [
                said for said, o in zip(left, outcomes.values(), strict=True) if o.status != "done"
            ]
            self._store.change(
                undone,
                status="needs_human",
                halted=Halted(
                    reason="undo_unfinished",
                    why=f"its undo {run.run_id} did not finish: {'; '.join(left)}",
                ),
            )

    async def _next_version(
        self, run: Run, outcomes: Mapping[str, StepOutcome], owner: str
    ) -> Run | None:
        """The run with a plan made anew; it waits where its changes are not the approved ones."""
        if run.plan.version >= MOST_VERSIONS:
            return None
        try:
            plan = seeded(run.plan, await self._replan(run, outcomes), outcomes)
        except PlanError as exc:
            why = f"it could not be planned anew: {exc}"
            self._store.change(run.run_id, halted=Halted(reason="not_replanned", why=why))
            return None
        changes: dict[str, Any] = {
            "plan": plan,
            "earlier": [*run.earlier, run.plan],
            "attempt": run.attempt + 1,
        }
        if plan.changes_things and plan.approval_hash != run.approved_hash:
            why = f"version {plan.version} of its plan has changes that were not approved"
            halted = Halted(reason="plan_not_approved", why=why)
            self._store.change(run.run_id, **changes, status="waiting", halted=halted)
            return None
        self._store.change(run.run_id, **changes, status="queued")
        return self._store.claim(run.run_id, owner)


def seeded(before: Plan, plan: Plan, outcomes: Mapping[str, StepOutcome]) -> Plan:
    """The new version of a plan. Raises PlanError when it lacks a finished step as it was done."""
    made = {step.id: step for step in plan.steps}
    for step in before.steps:
        done = outcomes[step.id].status == "done"
        if done and (step.id not in made or made[step.id].input_hash != step.input_hash):
            raise PlanError(f"the new plan has to keep {step.id} as it was done")
    return plan.model_copy(
        update={"id": before.id, "version": before.version + 1, "parent_version": before.version}
    )
