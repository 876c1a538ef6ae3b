"""One attempt at a run in this process: what stops it, and when it starts nothing further."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Literal

from opswright.budget import reached
from opswright.caller import StepCaller
from opswright.plan import Step
from opswright.projection import Projection
from opswright.runs import Listener, Run, StepOutcome
from opswright.store import RunStore, SupersededError

LOOK_SECONDS = 0.5
"""How often a run under way looks for what people wish."""

Halt = Literal["pause", "cancel", "budget", "fail", "replan", "compensate"]


@dataclass(frozen=True)
class Crew:
    """Who carries a run out in this process."""

    caller: StepCaller
    projection: Projection
    listener: Listener
    patience_seconds: float = 0.0
    """How long a step waits for an approval from another process before the run ends `waiting`."""


@dataclass
class Attempt:
    """A run under way. When it is halted, steps under way finish and no other starts."""

    run: Run
    crew: Crew
    store: RunStore
    owner: str
    halt: Halt | None = None
    cause: str = ""
    """The step or the limit that halted it."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when steps under way are to stop too."""
    began: float = field(default_factory=time.monotonic)
    changing: set[str] = field(default_factory=set)
    """Changing steps under way."""
    gone: Exception | None = None
    """That another process has taken the run over."""
    watching: "asyncio.Task[None] | None" = None

    @property
    def worked_seconds(self) -> float:
        """How long the run has been worked on, earlier attempts included."""
        return self.run.worked_seconds + time.monotonic() - self.began

    def halt_for(self, halt: Halt, cause: str) -> None:
        """Start nothing further. The first reason stands, but a cancel goes before all."""
        if self.halt is None or halt == "cancel":
            self.halt, self.cause = halt, cause
        if halt == "cancel":
            self.stop.set()

    def halt_after(self, step: Step, outcome: StepOutcome) -> None:
        """Halt where a step that was not done says so."""
        if outcome.status in {"failed", "unknown"} and step.on_error in {
            "fail",
            "replan",
            "compensate",
        }:
            self.halt_for(step.on_error, step.id)

    def may_start(self, step: Step, outcomes: dict[str, StepOutcome]) -> bool:
        """Whether a step may start now; a budget that is reached halts the run."""
        if self.halt is None and (
            limit := reached(self.run, outcomes, self.worked_seconds, step, len(self.changing))
        ):
            self.halt_for("budget", limit)
        return self.halt is None

    def not_started(self, step: Step) -> StepOutcome:
        """How a step stands that the halt kept from starting."""
        if self.halt == "cancel":
            return StepOutcome(
                step_id=step.id, status="cancelled", error="the run was cancelled before it"
            )
        if self.halt in {"fail", "compensate"}:
            return StepOutcome(
                step_id=step.id,
                status="skipped",
                cause=self.cause,
                error=f"{self.cause} failed, and the plan stops the run there",
            )
        return StepOutcome(step_id=step.id)

    async def watch(self) -> None:
        """Look for wishes of people, for the time limit, and for another process that took it."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                wish = await asyncio.to_thread(self.store.wished, self.run.run_id, self.owner)
            except SupersededError as exc:
                self.gone = exc
                self.halt_for("cancel", str(exc))
                return
            if wish == "cancel":
                self.halt_for("cancel", "")
            elif wish == "pause":
                self.halt_for("pause", "")
            elif limit := reached(self.run, {}, self.worked_seconds, None, 0):
                self.halt_for("budget", limit)
