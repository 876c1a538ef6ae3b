"""Runs a plan durably: one DBOS workflow per attempt, every step as soon as its inputs are there.

What DBOS records is each step's outcome; a failed step is an outcome too, so the workflow itself
never fails for what a step did. A process that dies leaves its workflow pending, and `resume` takes
it up: finished steps are read back, unfinished ones are called again, and the servers' journals see
to it that a change made before is found and not made twice.
"""

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from opswright.caller import StepCaller
from opswright.plan import Step
from opswright.projection import Projection
from opswright.runs import Run, RunStatus, RunStore, StepOutcome
from opswright_core.canonical import digest

APPLICATION_VERSION = "opswright-1"
"""Pinned: recovery matches it exactly, and the default changes with every edit of the source."""

THREADS = 16

T = TypeVar("T")

Listener = Callable[[StepOutcome], None]


class Executor:
    """Executes the runs of one process. Use it inside `launched`."""

    def __init__(
        self, store: RunStore, caller: StepCaller, projection: Projection, listener: Listener
    ) -> None:
        self._store = store
        self._caller = caller
        self._projection = projection
        self._listener = listener
        self.loop = asyncio.get_running_loop()
        self._ended: dict[str, asyncio.Future[None]] = {}
        self.workflow: Callable[[str], Coroutine[Any, Any, None]] | None = None

    async def execute(self, run: Run, *, resumed: bool) -> Run:
        """Take a claimed run to its end and return it with its final status."""
        from dbos import DBOS, SetWorkflowID

        workflow_id = f"{run.run_id}.{run.attempt}"
        ended = self._ended[workflow_id] = self.loop.create_future()
        self._projection.take_up(run)
        if resumed:
            await DBOS.resume_workflow_async(workflow_id)
        else:
            assert self.workflow is not None
            with SetWorkflowID(workflow_id):
                await DBOS.start_workflow_async(self.workflow, run.run_id)
        await ended
        outcomes = self._store.steps(run)
        run = self._store.load(run.run_id).model_copy(
            update={"status": conclude(list(outcomes.values()))}
        )
        run = run.model_copy(update={"unrecorded": await self._projection.finish(run, outcomes)})
        self._store.save(run)
        return run

    async def drive(self, run_id: str) -> None:
        """Start every step as soon as what it waits for has ended. The body of the workflow."""
        from dbos import DBOS

        run = self._store.load(run_id)
        # Drawn in the plan's order, so that a step has the same number whatever finishes first.
        reserved = {step.id: DBOS.reserve_step() for step in run.plan.steps}
        tasks: dict[str, asyncio.Task[StepOutcome]] = {}

        async def one(step: Step) -> StepOutcome:
            before = [await tasks[producer] for producer in step.producers]
            if blocked := _blocked(run, before):
                return await self._on_main_loop(self._note(run, _skip(step, blocked)))
            answers = {outcome.step_id: outcome.value for outcome in before}
            recorded = await reserved[step.id].run_async(
                {"name": step.id}, self._step, run.run_id, step.id, answers
            )
            return StepOutcome.model_validate(recorded)

        for step in run.plan.steps:  # none of them runs before they are awaited below
            tasks[step.id] = asyncio.create_task(one(step))
        await asyncio.gather(*tasks.values())
        self.loop.call_soon_threadsafe(self._end, f"{run.run_id}.{run.attempt}")

    def _end(self, workflow_id: str) -> None:
        ended = self._ended.get(workflow_id)
        if ended is not None and not ended.done():
            ended.set_result(None)

    async def _step(self, run_id: str, step_id: str, answers: dict[str, Any]) -> dict[str, Any]:
        return await self._on_main_loop(self._carry_out(run_id, step_id, answers))

    async def _on_main_loop(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work on the loop of the agents' sessions; DBOS resumes on a loop of its own."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self.loop))

    async def _carry_out(
        self, run_id: str, step_id: str, answers: dict[str, Any]
    ) -> dict[str, Any]:
        run = self._store.load(run_id)
        step = run.plan.step(step_id)
        known = self._store.steps(run)[step_id]
        if known.status == "done":  # in an earlier attempt, or before the process died
            self._listener(known)
            return known.model_dump(mode="json")
        await self._note(run, StepOutcome(step_id=step_id, status="running"))

        async def progress(message: str) -> None:
            self._listener(StepOutcome(step_id=step_id, status="running", note=message))

        context = await self._projection.context_for(run, step)
        outcome = await self._caller.carry_out(run, step, answers, context, progress)
        outcome.change_ids = list(dict.fromkeys([*known.change_ids, *outcome.change_ids]))
        await self._note(run, outcome)
        await self._projection.step_ended(run, step, outcome, answers)
        return outcome.model_dump(mode="json")

    async def _note(self, run: Run, outcome: StepOutcome) -> StepOutcome:
        self._store.save_step(run.run_id, outcome)
        self._listener(outcome)
        return outcome


def conclude(outcomes: list[StepOutcome]) -> RunStatus:
    """Sum a run up: `done` only if every step is; `partial` is never `done`."""
    statuses = {outcome.status for outcome in outcomes}
    if statuses == {"done"}:
        return "done"
    if "needs_approval" in statuses:
        return "waiting"
    begun = any(
        o.status == "done" or o.change_ids or o.value.get("status") == "partial" for o in outcomes
    )
    return "partial" if begun else "failed"


def _blocked(run: Run, before: list[StepOutcome]) -> StepOutcome | None:
    for outcome in before:
        if outcome.status != "done" and run.plan.step(outcome.step_id).on_error != "continue":
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


class _Connection(sqlite3.Connection):
    """A connection with the clock that DBOS asks for on Python 3.12 and later.

    There it stamps rows with `unixepoch('subsec')`, which SQLite has from 3.42 on and answers with
    NULL before; Debian 12 ships 3.40.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if sqlite3.sqlite_version_info < (3, 42):
            self.create_function("unixepoch", -1, lambda *_: time.time())


@asynccontextmanager
async def launched(state_dir: Path, executor: Executor, owner: str) -> AsyncIterator[Executor]:
    """Start DBOS on the state directory's SQLite file for as long as the block lasts."""
    path = state_dir / "workflows.db"
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
    logging.getLogger("dbos").setLevel(logging.ERROR)
    from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

    config: DBOSConfig = {
        "name": "opswright",
        "system_database_url": f"sqlite:///{path}",
        "application_version": APPLICATION_VERSION,
        # An id of this process alone: at launch DBOS takes up what its own id left pending, and
        # another process's runs are not ours to take.
        "executor_id": digest(owner)[:16],
        "db_engine_kwargs": {"connect_args": {"factory": _Connection}},
        "serializer": DBOSPortableJSONSerializer(),
        "max_executor_threads": THREADS,
        "log_level": "ERROR",
    }
    DBOS(config=config)

    async def run_plan(run_id: str) -> None:
        await executor.drive(run_id)

    executor.workflow = DBOS.workflow(name="run_plan")(run_plan)
    await asyncio.to_thread(DBOS.launch)
    try:
        yield executor
    finally:
        await asyncio.to_thread(DBOS.destroy)
        # DBOS made its own thread pool the loop's default one and has just shut it down.
        executor.loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="opswright"))
