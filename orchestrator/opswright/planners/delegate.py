"""A plan of one step: hand the whole request to the agent whose skill fits it best."""

import asyncio
from collections.abc import Mapping
from typing import Any

from opswright.plan import Plan, Risk, Step
from opswright.registry import Agent, AgentDownError, OutcomeUnknownError, silent

ASK_SECONDS = 20.0


async def build(
    request: str, agents: Mapping[str, Agent], given: Mapping[str, Any], plan_id: str
) -> Plan | None:
    """Ask every agent whether it can handle the request; None when none has a skill for it."""
    fits = await asyncio.gather(*(_fit(agent, request) for agent in agents.values()))
    ranked = sorted(zip(fits, agents.values(), strict=True), key=lambda f: (-f[0][0], f[1].name))
    if not ranked or ranked[0][0][0] == 0:
        return None
    (_, name), agent = ranked[0]
    skill = next(s for s in agent.card["skills"] if s["name"] == name)
    risk: Risk = skill["risk"]
    step = Step(
        id="task",
        agent=agent.name,
        tool="handle_task",
        title=f"{name.replace('_', ' ')}: {skill['description'].splitlines()[0]}",
        args={"task": request, "context": {"facts": dict(given)}},
        risk=risk,
    )
    return Plan(id=plan_id, goal=request, planner=f"skill {name} of {agent.name}", steps=(step,))


async def _fit(agent: Agent, request: str) -> tuple[float, str]:
    """How well the agent's best skill fits (0-1), and its name; (0, "") for one without skills."""
    if "can_handle" not in agent.tools or not agent.card.get("skills"):
        return 0.0, ""
    try:
        answer = await agent.call("can_handle", {"task": request}, ASK_SECONDS, silent)
    except (AgentDownError, OutcomeUnknownError):
        return 0.0, ""
    skills = answer.value.get("skills") or [""]
    return float(answer.value.get("score", 0.0)), str(skills[0])
