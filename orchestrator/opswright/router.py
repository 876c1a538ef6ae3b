"""Which agents a request needs: BM25 over every tool and skill, added up per agent."""

from collections.abc import Mapping
from dataclasses import dataclass

from opswright.registry import Agent
from opswright_core.search import Ranker

BEST = 3
"""How many of an agent's matches count: one good match says more than many faint ones."""

# What every agent offers says nothing about which one is meant.
COMMON_TOOLS = frozenset(
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
    """An agent's fit for a request, and what of it matched."""

    agent: str
    score: float
    matches: tuple[str, ...]


def route(request: str, agents: Mapping[str, Agent]) -> list[Candidate]:
    """Rank the agents for a request, best first; those that share no word with it are left out."""
    texts: dict[str, tuple[str, ...]] = {}
    for name, agent in agents.items():
        for tool in agent.tools.values():
            if tool.name not in COMMON_TOOLS:
                texts[f"{name}/{tool.name}"] = (tool.name.replace("_", " "), tool.description)
        for skill in agent.card.get("skills", []):
            words = (skill["name"].replace("_", " "), skill["description"], *skill["examples"])
            texts[f"{name}/{skill['name']}"] = words
    hits = Ranker(texts).rank(request)
    candidates = []
    for name in agents:
        best = [hit for hit in hits if hit.key.startswith(f"{name}/")][:BEST]
        if best:
            matches = tuple(dict.fromkeys(hit.key.partition("/")[2] for hit in best))
            candidates.append(Candidate(name, round(sum(hit.score for hit in best), 4), matches))
    return sorted(candidates, key=lambda c: (-c.score, c.agent))
