"""A worker: carries out the runs that were handed over, and takes over those of dead workers."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from opswright.attempt import Crew
from opswright.database import OUTAGE_SECONDS
from opswright.durable import Heartbeat, launched
from opswright.executor import Executor
from opswright.plan import Plan, PlanError, Step
from opswright.reaper import reap
from opswright.recovery import Recovery
from opswright.runs import Run, StepOutcome
from opswright.session import Session, opened, place_of
from opswright.store import RunStore
from opswright_core.journal import process_identity

log = logging.getLogger(__name__)

Tell = Callable[[str, StepOutcome], None]
"""Told of every step: (run id, how it stands)."""


class Worker:
    """Works on one state directory's (or database's) runs until it is cancelled."""

    def __init__(self, store: RunStore, state_dir: Path, config: Path | None, tell: Tell) -> None:
        """`config` goes before the configuration that a run was planned with."""
        self._store = store
        self._state_dir = state_dir
        self._config = config
        self._tell = tell
        self._sessions: dict[tuple[Path | None, str], Session] = {}
        self._opening = asyncio.Lock()
        self._open = AsyncExitStack()
        self.owner = process_identity(os.getpid())

    async def work(self, ready: Callable[[], None]) -> None:
        """Carry runs out; `ready` is told once it listens. Ends by being cancelled."""
        self._store.wait_out(OUTAGE_SECONDS)
        executor = Executor(
            self._store, self.owner, self._crew_of, Recovery(self._store, self._planned_anew)
        )
        async with self._open:
            self._open.enter_context(Heartbeat(self._store, self.owner))
            executor.workflow = await self._open.enter_async_context(
                launched(
                    self._store.url, self._state_dir, self.owner, executor.drive, takes_runs=True
                )
            )
            ready()
            await reap(self._store)

    async def _crew_of(self, run: Run) -> Crew:
        session = await self._session_for(run)
        if unknown := run.plan.agents - set(session.registry.agents):
            raise PlanError(
                f"the configuration here has no agent {', '.join(sorted(unknown))}; start the "
                "worker with a --config that has"
            )

        async def nobody(_: Step, __: dict[str, Any]) -> bool:
            return False  # `opswright approve` answers, and hands the run over again

        return session.crew(lambda outcome: self._tell(run.run_id, outcome), nobody, 0.0)

    async def _planned_anew(self, run: Run, outcomes: Mapping[str, StepOutcome]) -> Plan:
        return await (await self._session_for(run)).planned_anew(run, outcomes)

    async def _session_for(self, run: Run) -> Session:
        """The agents of a run's place and configuration, kept for the runs after it."""
        place = place_of(run, self._state_dir)
        config = self._config or (Path(run.config_path) if run.config_path else None)
        async with self._opening:
            if (config, run.endpoint) not in self._sessions:
                session = await self._open.enter_async_context(opened(place, config, agents=()))
                self._sessions[config, run.endpoint] = session
            return self._sessions[config, run.endpoint]
