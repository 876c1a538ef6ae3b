"""A plan of one step: hand the whole request to the agent whose skill fits it best."""

from collections.abc import Mapping
from typing import Any

from opswright.plan import Plan, Risk, Step
from opswright.registry import Agent
from opswright.router import Candidate
from opswright_core.agent.skills import LEAST_COVERAGE


def build(
    request: str,
    candidates: list[Candidate],
    agents: Mapping[str, Agent],
    given: Mapping[str, Any],
    plan_id: str,
) -> Plan | None:
    """Delegate to the agent with the best-covering skill, or None when no skill fits."""
    fitting = [c for c in candidates if c.coverage >= LEAST_COVERAGE]
    if not fitting:
        return None
    best = max(fitting, key=lambda c: (c.coverage, c.score))
    skill = next(s for s in agents[best.agent].card["skills"] if s["name"] == best.skill)
    risk: Risk = skill["risk"]
    step = Step(
        id="task",
        agent=best.agent,
        tool="handle_task",
        title=f"{skill['name'].replace('_', ' ')}: {skill['description'].splitlines()[0]}",
        args={"task": request, "context": {"facts": dict(given)}},
        risk=risk,
    )
    return Plan(
        id=plan_id, goal=request, planner=f"skill {best.skill} of {best.agent}", steps=(step,)
    )
