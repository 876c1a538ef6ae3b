"""How memories are ranked: by fit to the words, by importance and by age.

score = 0.7 · relevance + 0.15 · importance + 0.15 · recency, each from 0 to 1: relevance is BM25
over the best BM25 of the query; recency halves every 30 days. The three terms, normalised and
summed, are those of Park et al., "Generative Agents" (2023), section 4.1; they weigh them alike for
a town's small talk, here the words asked for count most.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from opswright_knowledge.words import words

RELEVANCE, IMPORTANCE, RECENCY = 0.7, 0.15, 0.15
HALF_LIFE_DAYS = 30.0
CANDIDATES = 200
"""How many of the best by words alone are ranked."""
MOST_WORDS = 32


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A memory that holds some of the words; `relevance` is its BM25, higher is better."""

    key: str
    relevance: float
    importance: float
    age_days: float


def rank(candidates: Sequence[Candidate]) -> list[tuple[str, float]]:
    """Order (key, score), best first; ties by key."""
    best = max((c.relevance for c in candidates), default=0.0)
    scored = [(c.key, round(_score(c, best), 4)) for c in candidates]
    return sorted(scored, key=lambda entry: (-entry[1], entry[0]))


def _score(candidate: Candidate, best: float) -> float:
    relevance = max(candidate.relevance, 0.0) / best if best > 0 else 1.0
    recency = 0.5 ** (max(candidate.age_days, 0.0) / HALF_LIFE_DAYS)
    return float(RELEVANCE * relevance + IMPORTANCE * candidate.importance + RECENCY * recency)


def words_of(query: str) -> list[str]:
    """The distinct words of a query, at most `MOST_WORDS`; signs and query syntax are dropped."""
    return list(dict.fromkeys(words(query)))[:MOST_WORDS]
