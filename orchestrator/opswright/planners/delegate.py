"""A plan of one step: hand the whole request to the agent whose skill fits it best."""

import asyncio
from collections.abc import Mapping
from typing import Any

from opswright.plan import Plan, Risk, Step
from opswright.planners.goals import asks_for_change
from opswright.registry import Agent, AgentDownError, OutcomeUnknownError, silent

ASK_SECONDS = 20.0


async def build(
    request: str, agents: Mapping[str, Agent], given: Mapping[str, Any], plan_id: str
) -> Plan | None:
    """A plan of that one step; None when no agent has a skill for it."""
    step = await task(request, agents, given, "task")
    if step is None:
        return None
    planner = f"skill {step.title.partition(':')[0].replace(' ', '_')} of {step.agent}"
    return Plan(id=plan_id, goal=request, planner=planner, steps=(step,))


async def task(
    request: str, agents: Mapping[str, Agent], given: Mapping[str, Any], step_id: str
) -> Step | None:
    """Ask every agent whether it can handle a request, and hand it to the one that can best.

    A skill that changes things is chosen only where the request orders a change.
    """
    fits = await asyncio.gather(*(_fit(agent, request) for agent in agents.values()))
    ranked = sorted(zip(fits, agents.values(), strict=True), key=lambda f: (-f[0][0], f[1].name))
    if not ranked or ranked[0][0][0] == 0:
        return None
    (_, name), agent = ranked[0]
    skill = next(s for s in agent.card["skills"] if s["name"] == name)
    risk: Risk = skill["risk"]
    return Step(
        id=step_id,
        agent=agent.name,
        tool="handle_task",
        title=f"{name.replace('_', ' ')}: {skill['description'].splitlines()[0]}",
        args={"task": request, "context": {"facts": dict(given)}},
        risk=risk,
    )


async def claims(request: str, agents: Mapping[str, Agent]) -> dict[str, float]:
    """How well each agent says that it can handle a request (0-1)."""
    fits = await asyncio.gather(*(_fit(agent, request) for agent in agents.values()))
    return {name: score for name, (score, _) in zip(agents, fits, strict=True)}


async def _fit(agent: Agent, request: str) -> tuple[float, str]:
    """How well the agent's best skill fits (0-1), and its name; (0, "") for one without skills."""
    if "can_handle" not in agent.tools or not agent.card.get("skills"):
        return 0.0, ""
    try:
        answer = await agent.call("can_handle", {"task": request}, ASK_SECONDS, silent)
    except (AgentDownError, OutcomeUnknownError):
        return 0.0, ""
    risks = {skill["name"]: skill["risk"] for skill in agent.card["skills"]}
    may = [
        s for s in answer.value.get("skills", []) if risks[s] == "read" or asks_for_change(request)
    ]
    return (float(answer.value.get("score", 0.0)), str(may[0])) if may else (0.0, "")
