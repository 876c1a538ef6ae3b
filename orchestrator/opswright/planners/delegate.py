"""A plan of one step: hand the whole request to the agent whose skill fits it best."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opswright.plan import Plan, Risk, Step
from opswright.planners.goals import asks_for_change, does, orders, words_of
from opswright.planners.words import without_values
from opswright.registry import Agent, AgentDownError, OutcomeUnknownError, silent

ASK_SECONDS = 20.0

ORDERED_READ = 0.5
"""What is left of the claim of a skill that only reads, where a request begins with an order."""

LIKENESS_WEIGHT = 0.25
"""How much a claim is raised by a request that is worded as the skill's author worded one."""


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
    fits = await _fits(request, agents)
    name, (claim, skill_name) = max(
        fits.items(), key=lambda fit: fit[1][0], default=("", (0.0, ""))
    )
    if claim == 0:
        return None
    agent = agents[name]
    skill = next(s for s in agent.card["skills"] if s["name"] == skill_name)
    risk: Risk = skill["risk"]
    return Step(
        id=step_id,
        agent=agent.name,
        tool="handle_task",
        title=f"{skill_name.replace('_', ' ')}: {skill['description'].splitlines()[0]}",
        args={"task": request, "context": {"facts": dict(given)}},
        risk=risk,
    )


async def claims(request: str, agents: Mapping[str, Agent]) -> dict[str, float]:
    """How well each agent says that it can handle a request (0-1)."""
    fits = await _fits(request, agents)
    return {name: min(score, 1.0) for name, (score, _) in fits.items()}


async def _fits(request: str, agents: Mapping[str, Agent]) -> dict[str, tuple[float, str]]:
    wording = _Wording.of(request, agents)
    asked = (_fit(agent, request, wording) for agent in agents.values())
    return dict(zip(agents, await asyncio.gather(*asked), strict=True))


@dataclass(frozen=True)
class _Wording:
    """What a request's words say of the risk of the skill that is wanted."""

    first: str
    ordered: bool
    changes: bool

    @classmethod
    def of(cls, request: str, agents: Mapping[str, Agent]) -> "_Wording":
        verbs = orders(agents)
        first = _first_word(request)
        return cls(first, first in verbs, asks_for_change(request, verbs))

    def allows(self, skill: Mapping[str, Any]) -> bool:
        """A skill that changes things needs an order: the team's verbs, or its own examples'.

        One that destroys needs a verb of its own: "undo" is not "tear down".
        """
        if skill["risk"] == "read":
            return True
        if self.first in {_first_word(example) for example in skill["examples"]}:
            return True
        about = f"{skill['name']} {skill['description']} {' '.join(skill['examples'])}"
        return self.changes and skill["risk"] != "destructive" and does(self.first, about)

    def weight(self, skill: Mapping[str, Any]) -> float:
        """An order is rather for a skill that changes things than for one that looks."""
        return ORDERED_READ if self.ordered and skill["risk"] == "read" else 1.0


def _first_word(text: str) -> str:
    return next(iter(words_of(text)), "")


def _likeness(request: str, skill: Mapping[str, Any]) -> float:
    """How alike a request is to the likest of a skill's examples: shared words over all (Jaccard).

    An agent's own claim is the share of the request's words that it knows. This tells agents apart
    that know them all; so every word counts here, "what do we run" is all there is to go by.
    """
    words = set(words_of(without_values(request)))
    others = [set(words_of(without_values(example))) for example in skill["examples"]]
    return max((len(words & other) / (len(words | other) or 1) for other in others), default=0.0)


async def _fit(agent: Agent, request: str, wording: _Wording) -> tuple[float, str]:
    """How well the agent's best skill fits, and its name; (0, "") for one without skills."""
    if "can_handle" not in agent.tools or not agent.card.get("skills"):
        return 0.0, ""
    try:
        answer = await agent.call("can_handle", {"task": request}, ASK_SECONDS, silent)
    except (AgentDownError, OutcomeUnknownError):
        return 0.0, ""
    known = {skill["name"]: skill for skill in agent.card["skills"]}
    for name in answer.value.get("skills", []):
        if wording.allows(known[name]):
            claim = float(answer.value.get("score", 0.0)) * wording.weight(known[name])
            return claim * (1 + LIKENESS_WEIGHT * _likeness(request, known[name])), str(name)
    return 0.0, ""
