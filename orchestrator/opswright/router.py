"""Which agents a request needs: BM25 over every tool and skill, added up per agent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opswright.registry import Agent
from opswright_core.search import Hit, Ranker

BEST = 3
"""How many of an agent's matches count: one good match says more than many faint ones."""

# What every agent offers says nothing about which one is meant.
_COMMON = frozenset(
    {
        "handle_task",
        "get_task",
        "cancel_task",
        "can_handle",
        "list_changes",
        "get_change",
        "undo_change",
    }
)


@dataclass(frozen=True)
class Candidate:
    """An agent's fit for a request. `coverage` is its best skill's share (0-1) of the words."""

    agent: str
    score: float
    matches: tuple[str, ...]
    skill: str | None
    coverage: float


def route(request: str, agents: Mapping[str, Agent]) -> list[Candidate]:
    """Rank the agents for a request, best first; those that share no word with it are left out."""
    texts: dict[str, tuple[str, ...]] = {}
    chosen: dict[str, Hit] = {}
    for name, agent in agents.items():
        for tool in agent.tools.values():
            if tool.name not in _COMMON:
                texts[f"{name}/{tool.name}"] = (tool.name.replace("_", " "), tool.description)
        skills = {s["name"]: skill_words(s) for s in agent.card.get("skills", [])}
        texts |= {f"{name}/{skill}": words for skill, words in skills.items()}
        # Ranked among the agent's own skills, as the agent itself will choose.
        if own := Ranker(skills).rank(request):
            chosen[name] = own[0]
    hits = Ranker(texts).rank(request)
    candidates = []
    for name in agents:
        best = [hit for hit in hits if hit.key.startswith(f"{name}/")][:BEST]
        if best:
            candidates.append(
                Candidate(
                    agent=name,
                    score=round(sum(hit.score for hit in best), 4),
                    matches=tuple(dict.fromkeys(hit.key.partition("/")[2] for hit in best)),
                    skill=chosen[name].key if name in chosen else None,
                    coverage=chosen[name].coverage if name in chosen else 0.0,
                )
            )
    return sorted(candidates, key=lambda c: (-c.score, c.agent))


def skill_words(skill: Mapping[str, Any]) -> tuple[str, ...]:
    """The words of a card's skill that a request is matched with."""
    return (skill["name"].replace("_", " "), skill["description"], *skill["examples"])
