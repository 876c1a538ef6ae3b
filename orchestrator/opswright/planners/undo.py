"""The plan that undoes a run: every change it made, reversed in the reverse order."""

from collections.abc import Mapping

from opswright.plan import Plan, PlanError, Step, in_order, resolve
from opswright.runs import Run, StepOutcome


def build(run: Run, outcomes: Mapping[str, StepOutcome], plan_id: str) -> Plan:
    """Plan the undo of a run. Raises PlanError when it changed nothing (any more)."""
    if run.undone_by:
        raise PlanError(f"{run.run_id} has been undone already, by {run.undone_by}")
    steps: list[Step] = []
    left: list[str] = []
    waits: dict[str, tuple[str, ...]] = {}
    planned = in_order(run.plan.model_copy(update={"steps": tuple(run.every_step)}))
    for step in reversed(planned):
        dependents = [s.id for s in planned if step.id in s.producers]
        needs = tuple(dict.fromkeys(need for d in dependents for need in waits[d]))
        own: list[str] = []
        outcome = outcomes[step.id]
        if outcome.changed and not outcome.change_ids:
            back = _compensation(step, outcomes, needs)
            if back is not None:
                steps.append(back)
                own.append(back.id)
            else:
                left.append(f"{step.id} ({outcome.agent or step.agent}.{step.tool})")
        for change_id in reversed(outcome.change_ids):
            undo_id = f"undo_{step.id}" if not own else f"undo_{step.id}_{len(own) + 1}"
            steps.append(
                Step(
                    id=undo_id,
                    agent=outcome.agent or step.agent,
                    tool="undo_change",
                    title=f"undo: {step.title or step.tool}",
                    args={"change_id": change_id},
                    needs=(own[-1],) if own else needs,
                    risk="destructive",
                )
            )
            own.append(undo_id)
        waits[step.id] = (own[-1],) if own else needs
    if not steps and left:
        raise PlanError(f"nothing takes back what {run.run_id} changed: {', '.join(left)}")
    if not steps:
        raise PlanError(f"{run.run_id} changed nothing; there is nothing to undo")
    return Plan(
        id=plan_id,
        goal=f"Undo {run.run_id}: {run.goal}",
        planner="undo",
        steps=tuple(steps),
        report={"not taken back": ", ".join(left)} if left else {},
    )


def _compensation(
    step: Step, outcomes: Mapping[str, StepOutcome], needs: tuple[str, ...]
) -> Step | None:
    """The call that the plan says takes a step back; None where it says none, or cannot be made."""
    answers = {o.step_id: o.value for o in outcomes.values() if o.status == "done"}
    try:
        args = resolve(step.compensate.args, answers) if step.compensate else None
    except PlanError:  # it needs what the step answered, and that answer was lost
        args = None
    if step.compensate is None or args is None:
        return None
    return Step(
        id=f"undo_{step.id}",
        agent=outcomes[step.id].agent or step.agent,
        tool=step.compensate.tool,
        title=f"undo: {step.title or step.tool}",
        args=args,
        needs=needs,
        risk="destructive",
        irreversible=True,
    )
