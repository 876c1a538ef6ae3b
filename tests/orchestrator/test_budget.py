"""What a run has used, and which limit keeps what from starting."""

import pytest
from tests.orchestrator.team import make, plan_of

from opswright.budget import reached, spent, task_budget
from opswright.plan import Step
from opswright.runs import Budget, Run, StepOutcome

READ = Step(id="read", agent="maker", tool="count_things")
TASK = Step(id="task", agent="maker", tool="handle_task")
WRITE = make("write")
DONE = {
    "one": StepOutcome(step_id="one", status="done", tokens=3000, cost_usd=0.5, change_ids=["a"]),
    "two": StepOutcome(step_id="two", status="done", tokens=1000, cost_usd=0.25, changed=True),
    "three": StepOutcome(step_id="three", status="failed", change_ids=["b"], changed=True),
}


def run(**limits: float) -> Run:
    return Run(
        run_id="run-1",
        goal="things",
        plan=plan_of(READ, TASK, WRITE, planning_tokens=300, planning_usd=0.06),
        earlier=[plan_of(READ, planning_tokens=200, planning_usd=0.04)],
        budget=Budget.model_validate(limits),
    )


def test_planner_agents_and_changes_are_summed_up() -> None:
    used = spent(run(), DONE)
    assert (used.tokens, used.usd, used.changes) == (4500, 0.85, 3)
    assert not used.usd_is_lower_bound
    unknown = StepOutcome(step_id="x", cost_usd=None)
    assert spent(run(), {**DONE, "x": unknown}).usd_is_lower_bound


@pytest.mark.parametrize(
    ("limits", "step", "said"),
    [
        ({}, TASK, None),
        ({"tokens": 5500}, TASK, None),
        ({"tokens": 5499}, TASK, "4500 of 5499 tokens"),
        ({"tokens": 100}, WRITE, None),
        ({"usd": 0.85}, TASK, r"\$0.85 of \$0.85"),
        ({"usd": 0.86}, TASK, None),
        ({"minutes": 2}, READ, None),
        ({"minutes": 1}, READ, "1.0 of 1 minutes"),
        ({"changes": 4}, WRITE, None),
        ({"changes": 3}, WRITE, "3 of 3 changes"),
        ({"changes": 3}, READ, None),
        ({"changes": 0}, WRITE, "3 of 0 changes"),
    ],
)
def test_a_limit_keeps_back_what_would_use_more_of_it(
    limits: dict[str, float], step: Step, said: str | None
) -> None:
    import re

    found = reached(run(**limits), DONE, 60.0, step, 0)
    assert (found is None) if said is None else re.search(said, found or "")


def test_changes_under_way_count() -> None:
    assert reached(run(changes=4), DONE, 0, WRITE, 1)


def test_an_agents_task_may_use_what_is_left() -> None:
    assert task_budget(run(), DONE) == {}
    assert task_budget(run(tokens=10_000, usd=1.0), DONE) == {
        "tokens": 5500, "usd": pytest.approx(0.15),
    }  # fmt: skip
