"""Runs plans durably: one DBOS workflow per attempt, every step as soon as its inputs are there.

What DBOS records is each step's outcome; a failed step is an outcome too, so the workflow itself
never fails for what a step did. A process that dies leaves its attempt unfinished. The next one
reads finished steps back and calls unfinished ones again, under the same idempotency key: the
servers' journals see to it that a change made before is found and not made twice.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from opswright.attempt import Attempt, Crew
from opswright.budget import task_budget
from opswright.conditions import read_again, unmet
from opswright.config import ConfigError
from opswright.durable import Workflow
from opswright.plan import Plan, PlanError, Step
from opswright.recovery import Recovery
from opswright.runs import Halted, Run, RunStatus, StepOutcome
from opswright.store import RunStore
from opswright_core.errors import OpswrightError

APPROVAL_POLL_SECONDS = 0.5

_SAID = (PlanError, ConfigError, OpswrightError)
"""What a person can act on."""

T = TypeVar("T")

CrewOf = Callable[[Run], Awaitable[Crew]]


class Executor:
    """Carries out the runs of one process. `workflow` is set once DBOS is launched."""

    def __init__(self, store: RunStore, owner: str, crew_of: CrewOf, recovery: Recovery) -> None:
        self._store = store
        self._owner = owner
        self._crew_of = crew_of
        self._recovery = recovery
        self._loop = asyncio.get_running_loop()
        self._attempts: dict[str, Attempt] = {}
        self._ended: dict[str, asyncio.Future[None]] = {}
        self.workflow: Workflow | None = None

    async def execute(self, run: Run) -> Run:
        """Take a claimed run to its end, and what it leads to; return it with its final status.

        Raises SupersededError when another process takes it over meanwhile.
        """
        ended = self._ended[run.run_id] = self._loop.create_future()
        try:
            await self.start(run)
            await ended
        finally:
            del self._ended[run.run_id]
        return await self._off_loop(self._store.load, run.run_id)

    async def start(self, run: Run) -> None:
        """Begin an attempt here, in the background."""
        from dbos import DBOS, SetWorkflowID

        assert self.workflow is not None
        if run.attempt > 1:  # what an earlier one left is not taken up any more
            await DBOS.cancel_workflow_async(workflow_id(run, run.attempt - 1))
        with SetWorkflowID(workflow_id(run)):
            await DBOS.start_workflow_async(self.workflow, run.run_id)

    async def drive(self, run_id: str) -> None:
        """Carry out one attempt. The body of the workflow; DBOS may run it on a loop of its own."""
        try:
            following = await self._drive(run_id)
        except BaseException as exc:
            if isinstance(exc, Exception):
                await self._on_main_loop(self._given_up(run_id, exc))
            self._loop.call_soon_threadsafe(self._end, run_id, exc)
            raise
        if following is None:
            self._loop.call_soon_threadsafe(self._end, run_id, None)

    async def _drive(self, run_id: str) -> dict[str, Any] | None:
        """Start every step as soon as what it waits for has ended; returns the run that follows."""
        from dbos import DBOS, SetWorkflowID

        attempt = await self._on_main_loop(self._take_up(run_id))
        if attempt is None:
            return None
        run, tasks = attempt.run, dict[str, asyncio.Task[StepOutcome]]()
        # Drawn in the plan's order, so that a step has the same number whatever finishes first.
        reserved = {step.id: DBOS.reserve_step() for step in run.plan.steps}
        conclusion = DBOS.reserve_step()

        async def one(step: Step) -> StepOutcome:
            before = [await tasks[producer] for producer in step.producers]
            answers = {outcome.step_id: outcome.value for outcome in before}
            if (blocked := _blocked(run.plan, before)) is not None:
                skipped = None if blocked.status == "pending" else _skip(step, blocked)
                return await self._on_main_loop(self._not_begun(attempt, step, skipped))
            if (held := unmet(step, answers)) is not None:
                skipped = StepOutcome(
                    step_id=step.id, status="skipped", cause=held.gate, error=held.why
                )
                return await self._on_main_loop(self._not_begun(attempt, step, skipped))
            recorded = await reserved[step.id].run_async(
                {"name": step.id}, self._step, attempt, step, answers
            )
            outcome = StepOutcome.model_validate(recorded)
            attempt.halt_after(step, outcome)
            return outcome

        for step in run.plan.steps:  # none of them runs before they are awaited below
            tasks[step.id] = asyncio.create_task(one(step))
        await asyncio.gather(*tasks.values())
        following: dict[str, Any] | None = await conclusion.run_async(
            {"name": "conclusion"}, self._conclude, attempt
        )
        if following is not None:
            assert self.workflow is not None
            with SetWorkflowID(following["workflow_id"]):
                await DBOS.start_workflow_async(self.workflow, following["run_id"])
        return following

    async def _take_up(self, run_id: str) -> Attempt | None:
        """Make a run this process's own; None for one that was ended before it was begun."""
        run = await self._off_loop(self._store.load, run_id)
        if run.status not in {"queued", "running", "interrupted"}:
            return None
        crew = await self._crew_of(run)
        if (run.status, run.owner) != ("running", self._owner):
            run = await self._off_loop(self._store.claim, run_id, self._owner)
        attempt = self._attempts[run_id] = Attempt(run, crew, self._store, self._owner)
        attempt.watching = asyncio.create_task(attempt.watch())
        crew.projection.take_up(run)
        return attempt

    async def _given_up(self, run_id: str, exc: Exception) -> None:
        """Say on the run why it does not go on here; what it did stays, and it can be resumed."""
        run = await self._off_loop(self._store.load, run_id)
        if run.status == "queued" or (run.status, run.owner) == ("running", self._owner):
            halted = (
                Halted(reason="error", why=str(exc))
                if isinstance(exc, _SAID)
                else Halted(reason="defect", why=f"a defect: {type(exc).__name__}: {exc}")
            )
            await self._off_loop(
                lambda: self._store.change(run_id, status="interrupted", halted=halted)
            )

    def _end(self, run_id: str, exc: BaseException | None) -> None:
        attempt = self._attempts.pop(run_id, None)
        if attempt is not None and attempt.watching is not None:
            attempt.watching.cancel()
        ended = self._ended.get(attempt.run.undoes or run_id if attempt else run_id)
        ended = ended or self._ended.get(run_id)
        if ended is None or ended.done():
            return
        gone = attempt.gone if attempt is not None else None
        if isinstance(failure := gone or exc, Exception):
            ended.set_exception(failure)
        else:
            ended.set_result(None)

    async def _step(self, attempt: Attempt, step: Step, answers: dict[str, Any]) -> dict[str, Any]:
        outcome = await self._on_main_loop(self._carry_out(attempt, step, answers))
        return outcome.model_dump(mode="json")

    async def _carry_out(
        self, attempt: Attempt, step: Step, answers: dict[str, Any]
    ) -> StepOutcome:
        run, crew = attempt.run, attempt.crew
        known = await self._off_loop(self._store.step, run.run_id, step.id)
        # It was done in an earlier attempt, or before the process died.
        if known.status == "done" and not read_again(
            step, await self._off_loop(self._store.steps, run)
        ):
            crew.listener(known)
            return known

        def progress(message: str) -> None:
            crew.listener(StepOutcome(step_id=step.id, status="running", note=message))

        while True:
            async with crew.caller.slots(step):
                outcome = await self._call(attempt, step, answers, known, progress)
            outcome = await crew.projection.answered(run, step, outcome)
            await self._note(attempt, outcome)
            if outcome.status != "needs_approval" or not await self._granted(attempt, outcome):
                break
        if outcome.status not in {"pending", "cancelled"}:
            await crew.projection.step_ended(run, step, outcome, answers)
        return outcome

    async def _call(
        self,
        attempt: Attempt,
        step: Step,
        answers: dict[str, Any],
        known: StepOutcome,
        progress: Callable[[str], None],
    ) -> StepOutcome:
        """Call a step's tool, unless the run was halted while it waited for its turn."""
        run, crew = attempt.run, attempt.crew
        budgeted = run.budget.model_dump(exclude_none=True) != {}
        so_far = await self._off_loop(self._store.steps, run) if budgeted else {}
        if not attempt.may_start(step, so_far):
            return attempt.not_started(step).model_copy(update={"change_ids": known.change_ids})
        await self._note(attempt, StepOutcome(step_id=step.id, status="running"))

        async def tell(message: str) -> None:
            progress(message)

        context = await crew.projection.context_for(run, step)
        if step.changes_things:
            attempt.changing.add(step.id)
        try:
            outcome = await crew.caller.carry_out(
                run,
                step,
                answers,
                context,
                tell,
                attempt.stop,
                task_budget(run, so_far),
                under_way=known.status == "running",
            )
        finally:
            attempt.changing.discard(step.id)
        outcome.change_ids = list(dict.fromkeys([*known.change_ids, *outcome.change_ids]))
        return outcome

    async def _granted(self, attempt: Attempt, outcome: StepOutcome) -> bool:
        """Wait for a person's yes from another process, while others steps go on."""
        until = self._loop.time() + attempt.crew.patience_seconds
        while outcome.asked and attempt.halt is None and self._loop.time() < until:
            asked = (attempt.run.run_id, outcome.asked)
            if await self._off_loop(self._store.is_granted, *asked):
                return True
            await asyncio.sleep(APPROVAL_POLL_SECONDS)
        return False

    async def _not_begun(
        self, attempt: Attempt, step: Step, skipped: StepOutcome | None
    ) -> StepOutcome:
        """Say why a step does not begin: the halt, or else `skipped`. What is done stays done."""
        known = await self._off_loop(self._store.step, attempt.run.run_id, step.id)
        if known.status == "done":
            attempt.crew.listener(known)
            return known
        outcome = attempt.not_started(step)
        if outcome.status == "pending" and skipped is not None:
            outcome = skipped
        outcome.change_ids = known.change_ids
        return await self._note(attempt, outcome)

    async def _note(self, attempt: Attempt, outcome: StepOutcome) -> StepOutcome:
        await self._off_loop(self._store.save_step, attempt.run.run_id, outcome, self._owner)
        attempt.crew.listener(outcome)
        return outcome

    async def _conclude(self, attempt: Attempt) -> dict[str, Any] | None:
        return await self._on_main_loop(self._concluded(attempt))

    async def _concluded(self, attempt: Attempt) -> dict[str, Any] | None:
        """Write how the attempt ended; the run that follows from it, if one does."""
        outcomes = await self._off_loop(self._store.steps, attempt.run)
        status = conclude(attempt, outcomes)
        run = attempt.run.model_copy(update={"status": status})
        unrecorded = await attempt.crew.projection.finish(run, outcomes)
        run = await self._off_loop(
            lambda: self._store.change(
                run.run_id,
                status=status,
                unrecorded=unrecorded,
                halted=Halted(reason="budget", why=attempt.cause)
                if attempt.halt == "budget"
                else None,
                worked_seconds=attempt.worked_seconds,
            )
        )
        following = await self._recovery.after(run, outcomes, attempt.halt, self._owner)
        if following is None:
            return None
        return {"run_id": following.run_id, "workflow_id": workflow_id(following)}

    async def _on_main_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work on the loop of the agents' sessions; DBOS resumes on a loop of its own."""
        if asyncio.get_running_loop() is self._loop:
            return await work
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    @staticmethod
    async def _off_loop(work: Callable[..., T], *args: Any) -> T:
        """Read or write the store in a thread: a database may be away for a while."""
        return await asyncio.to_thread(work, *args)


def workflow_id(run: Run, attempt: int | None = None) -> str:
    """The id of an attempt at a run; of the present one by default."""
    return f"{run.run_id}.{attempt or run.attempt}"


def conclude(attempt: Attempt, outcomes: Mapping[str, StepOutcome]) -> RunStatus:
    """Sum a run up: `done` only if every step is; `partial` is never `done`."""
    statuses = {outcome.status for outcome in outcomes.values()}
    if statuses <= {"done"}:
        return "done"
    if attempt.halt == "cancel":
        return "cancelled"
    if "unknown" in statuses:
        return "needs_human"
    if attempt.halt in {"pause", "budget"}:
        return "paused" if attempt.halt == "pause" else "waiting"
    if "needs_approval" in statuses:
        return "waiting"
    if attempt.run.undoes:
        return "needs_human"
    held_back_by = {o.cause for o in outcomes.values() if o.status == "skipped"}
    begun = any(
        (o.status == "done" and o.step_id not in held_back_by)
        or o.change_ids
        or o.value.get("status") == "partial"
        for o in outcomes.values()
    )
    return "partial" if begun else "failed"


def _blocked(plan: Plan, before: list[StepOutcome]) -> StepOutcome | None:
    """The first outcome that keeps a step from starting."""
    for outcome in before:
        goes_on = plan.step(outcome.step_id).on_error == "continue"
        if outcome.status != "done" and not (goes_on and outcome.status in {"failed", "skipped"}):
            return outcome
    return None


def _skip(step: Step, blocked: StepOutcome) -> StepOutcome:
    cause = blocked.cause or blocked.step_id
    return StepOutcome(
        step_id=step.id,
        status="skipped",
        cause=cause,
        error=f"needs {blocked.step_id}, which was not done",
    )
