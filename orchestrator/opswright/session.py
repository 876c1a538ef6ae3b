"""One command's work from request to report: agents, plan, previews, approval, execution."""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opswright import sample, sandbox
from opswright.attempt import Crew
from opswright.caller import Approver, StepCaller
from opswright.config import config_file, load_servers
from opswright.database import OUTAGE_SECONDS
from opswright.durable import Heartbeat, launched
from opswright.executor import Executor
from opswright.library import Library
from opswright.plan import Plan, PlanError, Step
from opswright.planners import undo
from opswright.planning import PlannerName, Planning
from opswright.projection import Projection
from opswright.recovery import Recovery, Replanner
from opswright.registry import AgentDownError, OutcomeUnknownError, Registry, silent
from opswright.runs import NO_LIMITS, Budget, Listener, Run, StepOutcome, now
from opswright.sandbox import Sandbox, sandbox_dir
from opswright.store import RunStore, store_in
from opswright.verifier import verify
from opswright_core import telemetry
from opswright_core.asker import os_user
from opswright_core.journal import new_id, process_identity


@dataclass(frozen=True)
class Place:
    """Where a command works: its state directory, and the sandbox or the environment's account."""

    state_dir: Path
    sandbox: Sandbox | None = None

    @property
    def agents_state_dir(self) -> Path:
        """Where the servers keep their journal and knowledge, the sandbox's apart from others."""
        return sandbox_dir(self.state_dir) if self.sandbox else self.state_dir

    def environment(self) -> dict[str, str]:
        """The variables that the servers are started with."""
        chosen = {"OPSWRIGHT_STATE_DIR": str(self.agents_state_dir)}
        if self.sandbox:
            chosen |= {**self.sandbox.environment(), "OPSWRIGHT_APPROVALS": "auto"}
        return chosen


def place_of(run: Run, state_dir: Path) -> Place:
    """Where an earlier run works. Raises PlanError when its sandbox is gone."""
    if not run.sandbox:
        return Place(state_dir)
    running = sandbox.status(sandbox_dir(state_dir))
    if running is None or running.endpoint != run.endpoint:
        raise PlanError(
            f"the sandbox of {run.run_id} is gone, and all that it held with it; "
            "there is nothing to work on"
        )
    return Place(state_dir, running)


class Session:
    """The live agents and the store, for one command."""

    def __init__(
        self, place: Place, registry: Registry, store: RunStore, config_path: Path | None
    ) -> None:
        self.place = place
        self.registry = registry
        self.store = store
        self.config_path = config_path
        self.owner = process_identity(os.getpid())
        self.replanner: Replanner = self._find_another_way
        """Makes a plan anew for a step that says `on_error: replan`."""
        self.library = Library(store)
        self._crews: dict[str, Crew] = {}
        self._executor: Executor | None = None
        self._starting = asyncio.Lock()
        self._open = AsyncExitStack()

    @property
    def down(self) -> dict[str, str]:
        """The agents that could not be reached, and why."""
        return {
            name: agent.error or "not reached"
            for name, agent in self.registry.agents.items()
            if not agent.is_up
        }

    async def plan(
        self, request: str, given: Mapping[str, Any], planner: PlannerName = "auto"
    ) -> Plan:
        """Plan a request, verified. Raises NotPlannedError, MissingInputsError, PlanError."""
        plan = await (await self._planning()).plan(request, given, planner)
        return plan.model_copy(update={"catalogue_hash": self.registry.catalogue_hash})

    async def _planning(self) -> Planning:
        defaults = sample.defaults(self.place.agents_state_dir) if self.place.sandbox else {}
        history = await asyncio.to_thread(self.library.past_runs)
        return Planning(self.registry.agents, self.library, defaults, history)

    async def _find_another_way(self, run: Run, outcomes: Mapping[str, StepOutcome]) -> Plan:
        done = [step_id for step_id, outcome in outcomes.items() if outcome.status == "done"]
        undone = {
            step_id: outcome.error or outcome.status
            for step_id, outcome in outcomes.items()
            if outcome.status != "done"
        }
        return await (await self._planning()).again(run.plan, done, undone)

    def check(self, plan: Plan) -> None:
        """Refuse a plan that cannot run. Raises PlanError with every finding."""
        if findings := verify(plan, self.registry.agents):
            told = "\n".join(f"  {f.step} [{f.rule}] {f.message}" for f in findings)
            raise PlanError(f"the plan was refused before anything ran:\n{told}")

    async def preview(self, plan: Plan) -> dict[str, Any]:
        """Make the reads that a person should see before approving; a failed one is said."""

        async def one(step: Step) -> tuple[str, Any]:
            agent = self.registry.agents.get(step.agent)
            try:
                if agent is None:
                    raise AgentDownError(f"no agent {step.agent}")
                answer = await agent.call(step.tool, step.args, 60, silent)
            except (AgentDownError, OutcomeUnknownError) as exc:
                return step.id, {"error": str(exc)}
            return step.id, {"error": answer.text} if answer.is_error else answer.value

        return dict(await asyncio.gather(*(one(step) for step in plan.read_early)))

    def record(
        self,
        plan: Plan,
        previews: Mapping[str, Any],
        *,
        undoes: str | None = None,
        budget: Budget = NO_LIMITS,
        asked_by: str = "",
    ) -> Run:
        """Make a planned run of a plan, for this process's user unless another asked for it."""
        place = self.place.sandbox
        run = Run(
            run_id=new_id("run"),
            goal=plan.goal,
            plan=plan,
            sandbox=place is not None,
            endpoint=place.endpoint if place else "",
            config_path=str(self.config_path) if self.config_path else None,
            previews=dict(previews),
            undoes=undoes,
            budget=budget,
            asked_by=asked_by or os_user(),
            created_at=now(),
        )
        self.store.save(run)
        return run

    def approve(self, run: Run, by: str) -> Run:
        """Bind a person's (or the sandbox's) yes to exactly this plan."""
        return self.store.change(run.run_id, approved_hash=run.plan.approval_hash, approved_by=by)

    async def execute(
        self,
        run: Run,
        listener: Listener,
        approver: Approver,
        *,
        resumed: bool = False,
        patience_seconds: float = 0.0,
    ) -> Run:
        """Take a run to its end; one that was begun before goes on with what is not done.

        A step that needs an approval which nobody here gives waits for one from another process
        for `patience_seconds`, while the others go on. Raises PlanError when another process has
        the run, SupersededError when one takes it over meanwhile.
        """
        claimed = self.store.claim(run.run_id, self.owner)
        if resumed:
            claimed = self.store.change(run.run_id, attempt=claimed.attempt + 1)
        executor = await self.executor()
        self._crews[run.run_id] = self.crew(listener, approver, patience_seconds)
        try:
            with telemetry.span("opswright run", run_id=run.run_id):
                return await executor.execute(claimed)
        finally:
            del self._crews[run.run_id]

    async def executor(self) -> Executor:
        """What carries runs out here, durably; started at the first use."""
        async with self._starting:
            if self._executor is None:
                self.store.wait_out(OUTAGE_SECONDS)
                executor = Executor(
                    self.store, self.owner, self._crew_of, Recovery(self.store, self.planned_anew)
                )
                self._open.enter_context(Heartbeat(self.store, self.owner))
                executor.workflow = await self._open.enter_async_context(
                    launched(self.store.url, self.place.state_dir, self.owner, executor.drive)
                )
                self._executor = executor
        return self._executor

    def crew(self, listener: Listener, approver: Approver, patience_seconds: float) -> Crew:
        """Who carries out one run with the agents of this session."""

        async def granted(run_id: str, asked: str) -> bool:
            return await asyncio.to_thread(self.store.is_granted, run_id, asked)

        return Crew(
            StepCaller(self.registry, approver, granted),
            Projection(self.registry, self.store),
            listener,
            patience_seconds,
        )

    async def _crew_of(self, run: Run) -> Crew:
        if run.run_id in self._crews:
            return self._crews[run.run_id]
        of_undone = self._crews[run.undoes or ""]  # it undoes one of this session, as that wants
        return self.crew(lambda _: None, of_undone.caller.approver, of_undone.patience_seconds)

    async def planned_anew(self, run: Run, outcomes: Mapping[str, StepOutcome]) -> Plan:
        """A new version of a run's plan, verified. Raises PlanError."""
        plan = await self.replanner(run, outcomes)
        self.check(plan)
        return plan

    async def close(self) -> None:
        """End what carries runs out, then the agents' sessions."""
        await self._open.aclose()
        await self.registry.close()
        self.store.close()

    def undo_plan(self, run: Run) -> Plan:
        """Plan the undo of a run. Raises PlanError when there is nothing to undo."""
        return undo.build(run, self.store.steps(run, earlier=True), new_id("plan")).model_copy(
            update={"catalogue_hash": self.registry.catalogue_hash}
        )


@asynccontextmanager
async def opened(
    place: Place, config_path: Path | None, agents: Collection[str] | None = None
) -> AsyncIterator[Session]:
    """Start the agents (those named, or all) for as long as the block lasts. Raises ConfigError.

    An agent that was not named is started when a step of a run needs it.
    """
    config_path = config_file(config_path)  # a run is gone on with from anywhere
    registry = Registry(load_servers(config_path), place.environment(), place.state_dir / "logs")
    session = Session(place, registry, store_in(place.state_dir), config_path)
    try:
        await registry.connect(agents)
        yield session
    finally:
        await session.close()
