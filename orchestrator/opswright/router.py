"""Which agents a request needs: BM25 over every tool and skill, added up per agent, and the past.

Each tool's name counts twice, since a name is what its author holds to be the gist of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opswright.registry import Agent
from opswright_core.search import Ranker, tokens

BEST = 3
"""How many of an agent's matches count: one good match says more than many faint ones."""

LEAST_COVERAGE = 0.3
"""Share of the request's weight that an agent's best match has to cover to be named at all."""

LIKENESS = 0.5
"""How alike a past request has to be to count: shared words over all words (Jaccard)."""

PAST_WEIGHT = 0.25
"""How much a past run of the very same request raises or lowers its agents' scores."""

CLAIM_WEIGHT = 0.25
"""How much an agent's own word that it can handle a request (`can_handle`) raises its score."""

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


@dataclass(frozen=True)
class PastRun:
    """A request of before, the agents that carried it, and whether all went well."""

    goal: str
    agents: tuple[str, ...]
    succeeded: bool


def route(
    request: str,
    agents: Mapping[str, Agent],
    history: Sequence[PastRun] = (),
    claims: Mapping[str, float] | None = None,
) -> list[Candidate]:
    """Rank the agents for a request, best first; those that hardly share a word are left out.

    What worked for alike requests raises an agent's score, what failed lowers it; `claims` is what
    the agents answer to `can_handle` (0-1), where they were asked.
    """
    texts: dict[str, tuple[str, ...]] = {}
    for name, agent in agents.items():
        for tool in agent.tools.values():
            if tool.name not in COMMON_TOOLS:
                words = tool.name.replace("_", " ")
                texts[f"{name}/{tool.name}"] = (words, words, tool.description)
        for skill in agent.card.get("skills", []):
            words = skill["name"].replace("_", " ")
            texts[f"{name}/{skill['name']}"] = (words, skill["description"], *skill["examples"])
    hits = Ranker(texts).rank(request)
    past = _past(request, history)
    candidates = []
    for name in agents:
        best = [hit for hit in hits if hit.key.startswith(f"{name}/")][:BEST]
        if best and max(hit.coverage for hit in best) >= LEAST_COVERAGE:
            matches = tuple(dict.fromkeys(hit.key.partition("/")[2] for hit in best))
            claim = CLAIM_WEIGHT * (claims or {}).get(name, 0.0)
            score = sum(hit.score for hit in best) * (1 + past.get(name, 0.0) + claim)
            candidates.append(Candidate(name, round(score, 4), matches))
    return sorted(candidates, key=lambda c: (-c.score, c.agent))


def _past(request: str, history: Sequence[PastRun]) -> dict[str, float]:
    """How far each agent's score is raised or lowered, from -PAST_WEIGHT to PAST_WEIGHT."""
    words = set(tokens(request))
    said: dict[str, list[float]] = {}
    for run in history:
        other = set(tokens(run.goal))
        likeness = len(words & other) / (len(words | other) or 1)
        if likeness >= LIKENESS:
            for agent in run.agents:
                said.setdefault(agent, []).append(likeness if run.succeeded else -likeness)
    return {agent: PAST_WEIGHT * sum(votes) / len(votes) for agent, votes in said.items()}
