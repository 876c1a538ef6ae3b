"""The runs of a serving process: planned, carried out in the background, waited for.

The agents are started at the first call that needs them. A run goes on whether or not anybody
waits for it; when the process ends it is `interrupted`, and can be resumed here or anywhere else.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from opswright.facade.answers import ON_THE_WAY
from opswright.plan import PlanError, Step
from opswright.runs import Halted, Run, StepOutcome
from opswright.session import Place, Session, opened
from opswright.store import store_in

LOOK_SECONDS = 0.5
"""How often a run that is waited for is looked at."""

PATIENCE_SECONDS = 600.0
"""How long a step waits for an approval of its own while the run is open; a token's lifetime."""

MOST_WATCHED = 50
"""Runs whose changes subscribers are told of, newest first."""

Tell = Callable[[int, int, str], Awaitable[None]]
"""Takes in how many steps are done, of how many, and what happened last."""

log = logging.getLogger(__name__)


class Desk:
    """Where a server's runs are kept and carried out."""

    def __init__(
        self, make_place: Callable[[], Place], config_path: Path | None, state_dir: Path
    ) -> None:
        self.store = store_in(state_dir)
        self._make_place = make_place
        self._config_path = config_path
        self._session: asyncio.Future[Session] | None = None
        self._holder: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._under_way: dict[str, asyncio.Task[Run]] = {}

    async def session(self) -> Session:
        """The live agents, started at the first use. Raises ConfigError, SandboxError."""
        if self._session is None:
            self._session = asyncio.get_running_loop().create_future()
            # In a task of its own: a session outlasts the call that happened to need it first.
            self._holder = asyncio.create_task(self._hold(self._session))
        return await asyncio.shield(self._session)

    async def _hold(self, ready: "asyncio.Future[Session]") -> None:
        try:
            place = await asyncio.to_thread(self._make_place)
            async with opened(place, self._config_path) as session:
                ready.set_result(session)
                await self._closing.wait()
        except Exception as exc:
            if ready.done():
                log.exception("the agents could not be let go of")
            else:
                self._session = None  # the next call tries again
                ready.set_exception(exc)

    async def begin(self, run: Run, *, resumed: bool) -> None:
        """Carry an approved run out in the background. Raises PlanError where that cannot be."""
        if run.run_id in self._under_way:
            return
        session = await self.session()
        if run.sandbox != (session.place.sandbox is not None):
            where = "the sandbox" if run.sandbox else "the account of the environment"
            raise PlanError(
                f"{run.run_id} works in {where}, and this server does not; a person can go on with "
                f"`opswright resume {run.run_id}`"
            )
        session.check(run.plan)
        task = asyncio.create_task(self._carry_out(session, run, resumed=resumed))
        self._under_way[run.run_id] = task
        task.add_done_callback(lambda ended: self._ended(run.run_id, ended))
        await asyncio.sleep(0)

    async def _carry_out(self, session: Session, run: Run, *, resumed: bool) -> Run:
        async def nobody_here(_: Step, __: dict[str, Any]) -> bool:
            return False  # a step's own question is asked through `approvals` of the answers

        return await session.execute(
            run,
            lambda _: None,
            nobody_here,
            resumed=resumed,
            patience_seconds=PATIENCE_SECONDS,
        )

    def _ended(self, run_id: str, task: "asyncio.Task[Run]") -> None:
        del self._under_way[run_id]
        if not task.cancelled() and (exc := task.exception()):
            log.error("%s could not be carried out: %s", run_id, exc)
            self.store.change(
                run_id, status="interrupted", halted=Halted(reason="error", why=str(exc))
            )

    async def wait(self, run_id: str, seconds: float, tell: Tell) -> Run:
        """Wait for a run, here or in another process, until it stands still or the time is over.

        A run stands still when it has ended, and when all that is left of it waits for a person.
        """
        deadline = time.monotonic() + seconds
        told: dict[str, str] = {}
        while True:
            task = self._under_way.get(run_id)
            run = await asyncio.to_thread(self.store.load, run_id)
            outcomes = await asyncio.to_thread(self.store.steps, run)
            moved = {i: o.status for i, o in outcomes.items() if o.status != told.get(i, "pending")}
            if moved:
                told |= moved
                done = sum(outcome.status == "done" for outcome in outcomes.values())
                news = ", ".join(f"{step} {status}" for step, status in moved.items())
                await tell(done, len(outcomes), news)
            if task is None and run.status not in ON_THE_WAY:
                return run
            left = deadline - time.monotonic()
            asked = await asyncio.to_thread(self.unanswered, run, outcomes)
            stands = not any(outcome.status == "running" for outcome in outcomes.values())
            if left <= 0 or (stands and asked):
                return run
            if task is None:
                await asyncio.sleep(min(LOOK_SECONDS, left))
            else:
                await asyncio.wait({task}, timeout=min(LOOK_SECONDS, left))

    def unanswered(self, run: Run, outcomes: Mapping[str, StepOutcome]) -> list[StepOutcome]:
        """The steps that wait for an approval of their own, which nobody has given yet."""
        return [
            outcome
            for outcome in outcomes.values()
            if outcome.status == "needs_approval"
            and outcome.asked
            and not self.store.is_granted(run.run_id, outcome.asked)
        ]

    async def watch(self, publish: Callable[[str], None], heard: Callable[[], bool]) -> None:
        """Publish the id of every run that moved, in whichever process, while anyone listens."""
        known: dict[str, Any] | None = None
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not heard():
                known = None
                continue
            try:
                now = await asyncio.to_thread(self._standing)
            except Exception:  # the database is away; whoever listens hears of it when it is back
                log.exception("the runs could not be looked at")
                continue
            for run_id in [r for r in now if known is not None and now[r] != known.get(r)]:
                publish(run_id)
            known = now

    def _standing(self) -> dict[str, Any]:
        standing = {}
        for run in self.store.recent(MOST_WATCHED):
            steps = self.store.steps(run) if run.status in ON_THE_WAY else {}
            statuses = tuple(outcome.status for outcome in steps.values())
            standing[run.run_id] = (run.status, run.attempt, run.undone_by, statuses)
        return standing

    async def close(self) -> None:
        """Leave what is under way as a crash would, since the record is true; end the agents."""
        if self._under_way:  # DBOS would tell at length of the workflows that it cannot end
            logging.getLogger("dbos").setLevel(logging.CRITICAL)
        for task in list(self._under_way.values()):
            task.cancel()
        self._closing.set()
        if self._holder is not None:
            await asyncio.gather(self._holder, return_exceptions=True)
        self.store.close()
