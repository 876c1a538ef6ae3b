"""Which agents a request needs: BM25 over every tool and skill, added up per agent."""

from collections.abc import Mapping
from dataclasses import dataclass

from opswright.registry import Agent
from opswright_core.search import Ranker

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
    """An agent's fit for a request. `coverage` is the best skill's share (0-1) of the request's words."""

    agent: str
    score: float
    matches: tuple[str, ...]
    skill: str | None
    coverage: float


def route(request: str, agents: Mapping[str, Agent]) -> list[Candidate]:
    """Rank the agents for a request, best first; those that share no word with it are left out."""
    texts: dict[str, tuple[str, ...]] = {}
    for name, agent in agents.items():
        for tool in agent.tools.values():
            if tool.name not in _COMMON:
                texts[f"{name}/tool/{tool.name}"] = (tool.name.replace("_", " "), tool.description)
        for skill in agent.card.get("skills", []):
            words = (skill["name"].replace("_", " "), skill["description"], *skill["examples"])
            texts[f"{name}/skill/{skill['name']}"] = words
    hits = Ranker(texts).rank(request)
    candidates = []
    for name in agents:
        own = [hit for hit in hits if hit.key.startswith(f"{name}/")]
        if not own:
            continue
        skills = sorted(
            (h for h in own if "/skill/" in h.key), key=lambda h: (-h.coverage, -h.score)
        )
        candidates.append(
            Candidate(
                agent=name,
                score=round(sum(hit.score for hit in own[:BEST]), 4),
                matches=tuple(hit.key.rpartition("/")[2] for hit in own[:BEST]),
                skill=skills[0].key.rpartition("/")[2] if skills else None,
                coverage=skills[0].coverage if skills else 0.0,
            )
        )
    return sorted(candidates, key=lambda c: (-c.score, c.agent))
