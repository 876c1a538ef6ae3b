"""What the facade's tools answer: a run as a host and its model see it."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from opswright.plan import in_order
from opswright.report import make_report
from opswright.runs import Run, StepOutcome

ON_THE_WAY = frozenset({"queued", "running"})
"""A run that goes on by itself."""

_OWN = {"run_id", "goal", "status", "agents", "next", "estimate"}
"""What the report says that the answer says already, or says for the command line."""

_NEXT = {
    "planned": "run with this run_id carries it out.",
    "needs_approval": "Show the plan to the person; after their yes do what `approvals` says.",
    "working": "status with this run_id waits on.",
    "waiting": "resume goes on with it.",
    "paused": "resume goes on with it.",
    "interrupted": "resume goes on with it; done steps are kept.",
    "partial": "Mend what `not_done` names, then resume; undo reverses what was changed.",
    "failed": "Mend what `not_done` names, then resume.",
    "needs_human": "A person has to look at what `not_done` names before anything else is done.",
}


class StepState(BaseModel):
    """One step of a run."""

    id: str
    agent: str
    tool: str
    title: str
    risk: str
    needs: list[str]
    when: list[str] = Field(default_factory=list, description="What has to hold for it to begin")
    status: str
    note: str = Field("", description="Why it is not done, or what it waits for")


class ApprovalAsked(BaseModel):
    """What a person has to approve, and how they do."""

    what: str
    step: str = Field("", description="Empty for the whole plan")
    actions: list[str] = Field(default_factory=list)
    how: str
    token: str | None = None
    expires_at: str = ""


class RunState(BaseModel):
    """A run: planned, waiting for an approval, under way, or ended with its report."""

    run_id: str
    status: str = Field(
        description="planned, needs_approval, working, waiting, paused, interrupted, done, "
        "partial, failed, cancelled or needs_human"
    )
    summary: str
    goal: str
    planner: str
    steps: list[StepState]
    monthly_usd: float | None = Field(None, description="Estimated cost of what it would build")
    checked: dict[str, str] = Field(
        default_factory=dict, description="What steps that others wait to pass said beforehand"
    )
    approvals: list[ApprovalAsked] = Field(default_factory=list)
    report: dict[str, Any] | None = Field(None, description="When it has ended")
    next: str = ""


class RunLine(BaseModel):
    """A run in a list."""

    run_id: str
    status: str
    goal: str
    created_at: str
    where: str
    undone_by: str | None = None


class Status(BaseModel):
    """One run, or the recent ones."""

    summary: str
    run: RunState | None = None
    recent: list[RunLine] = Field(default_factory=list)


def state_of(
    run: Run, outcomes: Mapping[str, StepOutcome], approvals: list[ApprovalAsked] | None = None
) -> RunState:
    """Show a run. What its steps answered is in the report, once it has ended."""
    asked = approvals or []
    status = "needs_approval" if asked else "working" if run.status in ON_THE_WAY else run.status
    done = sum(o.status == "done" for o in outcomes.values())
    begun = run.status not in {"planned", "waiting", *ON_THE_WAY} or bool(done)
    report = None
    if begun and run.status not in ON_THE_WAY:
        whole = make_report(run, outcomes).model_dump(mode="json", exclude=_OWN)
        report = {name: value for name, value in whole.items() if value}
    halted = run.halted.why if run.halted else ""
    return RunState(
        run_id=run.run_id,
        status=status,
        summary=f"{status}: {done} of {len(outcomes)} steps done. {halted}".strip(),
        goal=run.goal,
        planner=run.plan.planner,
        steps=[_step(run, step_id, outcomes) for step_id in (s.id for s in in_order(run.plan))],
        monthly_usd=(run.previews.get("estimate") or {}).get("monthly_usd"),
        checked={
            gate: f"{v.get('verdict', 'UNKNOWN')}: {v.get('summary', v.get('error', ''))}"
            for gate, v in run.previews.items()
            if gate in run.plan.gates
        },
        approvals=asked,
        report=report,
        next=_NEXT.get(status, ""),
    )


def line_of(run: Run) -> RunLine:
    """Show a run in a list."""
    return RunLine(
        run_id=run.run_id,
        status="working" if run.status in ON_THE_WAY else run.status,
        goal=run.goal,
        created_at=run.created_at,
        where="sandbox" if run.sandbox else "account",
        undone_by=run.undone_by,
    )


def _step(run: Run, step_id: str, outcomes: Mapping[str, StepOutcome]) -> StepState:
    step, outcome = run.plan.step(step_id), outcomes[step_id]
    return StepState(
        id=step.id,
        agent=step.agent,
        tool=step.tool,
        title=step.title,
        risk=step.risk,
        needs=list(step.producers),
        when=[condition.in_words for condition in step.when],
        status=outcome.status,
        note=(outcome.error or "")[:500],
    )
