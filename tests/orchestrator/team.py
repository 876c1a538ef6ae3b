"""Plans over the small agents, and a way to carry them out."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from opswright.plan import Plan, Step
from opswright.runs import Run, StepOutcome
from opswright.session import Session

OpenSession = Callable[[], AbstractAsyncContextManager[Session]]


def make(step_id: str, *, agent: str = "maker", needs: tuple[str, ...] = (), **args: Any) -> Step:
    """A step that makes a thing named like it."""
    return Step(
        id=step_id,
        agent=agent,
        tool="make_thing",
        args={"name": step_id, **args},
        needs=needs,
        risk="write",
    )


def plan_of(*steps: Step, **more: Any) -> Plan:
    """A plan of steps."""
    return Plan(id="plan-test", goal="make things", planner="test", steps=steps, **more)


async def nobody(_: Step, __: dict[str, Any]) -> bool:
    """Answer for the person who is not there."""
    return False


async def carry_out(session: Session, plan: Plan) -> tuple[Run, dict[str, StepOutcome]]:
    """Verify, approve and run a plan."""
    session.check(plan)
    run = session.approve(session.record(plan, {}), "test")
    ended = await session.execute(run, lambda _: None, nobody)
    return ended, session.store.steps(ended)


async def undo(session: Session, run: Run) -> tuple[Run, Plan]:
    """Undo a run; the undoing run and its plan."""
    plan = session.undo_plan(session.store.load(run.run_id))
    undoing = session.approve(session.record(plan, {}, undoes=run.run_id), "test")
    return await session.execute(undoing, lambda _: None, nobody), plan
