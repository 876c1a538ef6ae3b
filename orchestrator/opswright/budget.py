"""What a run may use: tokens, dollars, minutes, changes. Reaching a limit pauses it and asks."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from opswright.plan import Step
from opswright.runs import Run, StepOutcome

LEAST_TOKENS = 1000
"""An agent's task cannot be given fewer."""


class Spent(BaseModel):
    """What a run has used so far."""

    model_config = ConfigDict(frozen=True)
    tokens: int = 0
    usd: float = 0.0
    usd_is_lower_bound: bool = Field(False, description="A model's price is not known")
    changes: int = 0


def spent(run: Run, outcomes: Mapping[str, StepOutcome]) -> Spent:
    """Sum up what the planner, the agents' models and the steps used."""
    used, plans = list(outcomes.values()), [*run.earlier, run.plan]
    costs = [*(plan.planning_usd for plan in plans), *(o.cost_usd for o in used)]
    return Spent(
        tokens=sum(plan.planning_tokens for plan in plans) + sum(o.tokens for o in used),
        usd=round(sum(cost or 0 for cost in costs), 6),
        usd_is_lower_bound=None in costs,
        changes=sum(len(o.change_ids) or int(o.changed) for o in used),
    )


def reached(
    run: Run,
    outcomes: Mapping[str, StepOutcome],
    worked_seconds: float,
    step: Step | None,
    changes_under_way: int,
) -> str | None:
    """Say which limit keeps a step from starting (or the run from going on); None for none."""
    budget, used = run.budget, spent(run, outcomes)
    if budget.minutes is not None and worked_seconds >= budget.minutes * 60:
        return f"it has worked for {worked_seconds / 60:.1f} of {budget.minutes:g} minutes"
    if budget.tokens is not None and used.tokens + LEAST_TOKENS > budget.tokens and _thinks(step):
        return f"it has used {used.tokens} of {budget.tokens} tokens"
    if budget.usd is not None and used.usd >= budget.usd and _thinks(step):
        return f"it has used ${used.usd:.2f} of ${budget.usd:.2f}"
    changes = used.changes + changes_under_way
    if budget.changes is not None and step and step.changes_things and changes >= budget.changes:
        return f"it has made {changes} of {budget.changes} changes"
    return None


def task_budget(run: Run, outcomes: Mapping[str, StepOutcome]) -> dict[str, float]:
    """What an agent's task may use of what is left; {} without limits."""
    left: dict[str, float] = {}
    used = spent(run, outcomes)
    if run.budget.tokens is not None:
        left["tokens"] = max(LEAST_TOKENS, run.budget.tokens - used.tokens)
    if run.budget.usd is not None:
        left["usd"] = max(0.01, run.budget.usd - used.usd)
    return left


def _thinks(step: Step | None) -> bool:
    return step is not None and step.tool == "handle_task"
