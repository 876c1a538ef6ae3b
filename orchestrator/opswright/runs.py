"""A run and its steps: what was asked, planned, approved and answered."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from opswright.plan import Plan, Step
from opswright_core.canonical import canonical_json

RunStatus = Literal[
    "planned",
    "waiting",
    "queued",
    "running",
    "interrupted",
    "paused",
    "cancelled",
    "needs_human",
    "done",
    "partial",
    "failed",
]
StepStatus = Literal[
    "pending", "running", "needs_approval", "done", "failed", "skipped", "unknown", "cancelled"
]


class Budget(BaseModel):
    """The most a run may use; None is no limit."""

    model_config = ConfigDict(frozen=True)
    tokens: int | None = Field(None, gt=0)
    usd: float | None = Field(None, gt=0)
    minutes: float | None = Field(None, gt=0)
    changes: int | None = Field(None, ge=0)

    def doubled(self) -> "Budget":
        """As much again of everything that is limited."""
        limits = self.model_dump(exclude_none=True)
        return Budget.model_validate({name: value * 2 or 1 for name, value in limits.items()})


NO_LIMITS = Budget()


class StepOutcome(BaseModel):
    """How a step stands. Only a `done` step has a `value`; an error's text is never data."""

    step_id: str
    status: StepStatus = "pending"
    value: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None
    asked: str | None = Field(None, description="Hash of what a person is asked to approve")
    cause: str | None = Field(None, description="The step that made this one impossible")
    agent: str | None = Field(None, description="Who did it, where not the plan's first choice")
    change_ids: list[str] = Field(
        default_factory=list, description="The changes it made, to undo them by"
    )
    reused: bool = Field(
        False, description="It had been done before this run, which leaves it alone on undo"
    )
    changed: bool = Field(False, description="It changed something, with a change id or without")
    attempts: int = 0
    tokens: int = Field(0, description="Of the models that agents asked for it")
    cost_usd: float | None = Field(0.0, description="Of these models; null when not known")
    started_at: str | None = None
    ended_at: str | None = None
    note: str = Field("", description="What it is doing now")


class Halted(BaseModel):
    """Why a run does not go on by itself; `why` tells a person."""

    model_config = ConfigDict(frozen=True)
    reason: Literal[
        "budget",  # a limit was reached
        "plan_not_approved",  # its plan was made anew, with changes that nobody approved
        "not_replanned",
        "nothing_to_undo",
        "undo_unfinished",
        "error",  # something that a person can mend
        "defect",
    ]
    why: str


class Run(BaseModel):
    """One run, in the sandbox or in the account of the environment."""

    run_id: str
    goal: str
    plan: Plan
    earlier: list[Plan] = Field(default_factory=list, description="Its plan's earlier versions")
    sandbox: bool = False
    config_path: str | None = None
    approved_hash: str | None = None
    approved_by: str | None = None
    asked_by: str = Field("", description="Whom it is carried out for; the journals name them")
    undoes: str | None = Field(None, description="The run that this one undoes")
    undone_by: str | None = None
    attempt: int = 1
    halted: Halted | None = Field(None, description="Why it does not go on by itself")
    budget: Budget = NO_LIMITS
    worked_seconds: float = 0.0
    detached: bool = Field(False, description="The workers carry it out")
    endpoint: str = Field("", description="The sandbox's address, whose state the run is about")
    previews: dict[str, Any] = Field(default_factory=dict)
    unrecorded: list[str] = Field(
        default_factory=list, description="What did not reach the knowledge server"
    )
    status: RunStatus = "planned"
    created_at: str = ""
    owner: str = ""

    @field_validator("halted", mode="before")
    @classmethod
    def _of_older_runs(cls, halted: Any) -> Any:
        """Runs recorded before had the text alone."""
        if isinstance(halted, str):
            return {"reason": "error", "why": halted} if halted else None
        return halted

    @property
    def every_step(self) -> list[Step]:
        """The steps of its plan, after those that only earlier versions of it had."""
        steps = {step.id: step for plan in [*self.earlier, self.plan] for step in plan.steps}
        return list(steps.values())


Listener = Callable[[StepOutcome], None]
"""Told how a step stands, each time that changes."""


def now() -> str:
    """The time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def as_json(value: Any) -> str:
    """Readable JSON for `--json`."""
    return json.dumps(json.loads(canonical_json(value)), indent=2, ensure_ascii=False)
