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


async def carry_out(session: Session, plan: Plan) -> tuple[Run, dict[str, StepOutcome]]:
    """Verify, approve and run a plan."""
    session.check(plan)
    run = session.approve(session.record(plan, {}), "test")

    async def nobody(_: Step, __: dict[str, Any]) -> bool:
        return False

    ended = await session.execute(run, lambda _: None, nobody)
    return ended, session.store.steps(ended)
