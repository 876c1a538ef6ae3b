"""BM25 over short texts (tools, skills, memories of runs): pure, deterministic, no index to keep.

Formula: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009),
with the idf of Lucene (never negative), k1 = 1.2, b = 0.75.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

K1, B = 1.2, 0.75

_STOP_WORDS = """
    a an and any are as at be by can do does for from get give has have how i if in into is
    it its let me my no not of on or our please s should show so t tell than that the
    their them then there these they this to us was we were what when where which who will
    with would you your
"""
_STOP = frozenset(_STOP_WORDS.split())
_SYNONYMS = {
    "db": "database", "rds": "database", "postgre": "database", "postgresql": "database",
    "mysql": "database", "lb": "loadbalancer", "alb": "loadbalancer", "balancer": "loadbalancer",
    "vm": "instance", "server": "instance", "ec2": "instance", "s3": "bucket",
    "sg": "securitygroup", "k8": "kubernete", "repo": "repository", "spend": "cost",
    "bill": "cost", "price": "cost", "money": "cost", "expensive": "cost", "rollback": "roll",
    "revert": "roll", "ship": "deploy", "rollout": "deploy", "deployment": "deploy",
    "alert": "alarm", "vulnerability": "vulnerabil", "vulnerable": "vulnerabil",
    "cve": "vulnerabil", "unhealthy": "health", "healthy": "health",
    "observability": "monitor", "make": "create", "provision": "create",
}  # fmt: skip


_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
"""Where a name like `CreateDBInstance` has its next word."""


def tokens(text: str) -> list[str]:
    """Lower-case words without stop words, stemmed lightly, with the field's synonyms folded."""
    words = re.findall(r"[a-z0-9]+", _CAMEL.sub(" ", text).lower())
    stems = (_stem(word) for word in words if word not in _STOP)
    return [_FOLDED.get(stem, stem) for stem in stems]


def _stem(word: str) -> str:
    if len(word) <= 3:
        return word
    for ending, least in (("ies", 5), ("ing", 6), ("ed", 5), ("es", 6), ("s", 4)):
        if word.endswith(ending) and len(word) >= least and not word.endswith("ss"):
            base = word[: -len(ending)]
            if ending == "ies":
                return f"{base}y"
            return (
                base[:-1]
                if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "ls"
                else base.rstrip("e")
            )
    return word.rstrip("e") if len(word) > 4 else word


_FOLDED = {_stem(word): _stem(meaning) for word, meaning in _SYNONYMS.items()}


def idf(size: int, seen: int) -> float:
    """How much a word that `seen` of `size` texts have tells about which text is meant."""
    return math.log(1 + (size - seen + 0.5) / (seen + 0.5))


@dataclass(frozen=True)
class Hit:
    """One ranked text: its key, BM25 score, and the share (0-1) of the query's weight it covers."""

    key: str
    score: float
    coverage: float


class Ranker:
    """Ranks a fixed set of texts against a query."""

    def __init__(self, texts: Mapping[str, str | Iterable[str]]) -> None:
        self._counts = {
            key: Counter(tokens(text if isinstance(text, str) else " ".join(text)))
            for key, text in texts.items()
        }
        self._lengths = {key: sum(counts.values()) for key, counts in self._counts.items()}
        self._mean = sum(self._lengths.values()) / len(self._lengths) if self._lengths else 1.0
        self._frequency = Counter(term for counts in self._counts.values() for term in counts)

    def rank(self, query: str) -> list[Hit]:
        """The texts that share a word with the query, best first; ties in the order of the keys."""
        wanted = list(dict.fromkeys(tokens(query)))
        weights = self._weights(wanted)
        total = sum(weights.values()) or 1.0
        hits = []
        for key, counts in self._counts.items():
            shared = [term for term in wanted if counts[term]]
            if shared:
                score = sum(
                    weights[t] * self._saturation(counts[t], self._lengths[key]) for t in shared
                )
                hits.append(
                    Hit(key, round(score, 6), round(sum(weights[t] for t in shared) / total, 4))
                )
        return sorted(hits, key=lambda hit: (-hit.score, hit.key))

    def knows(self, text: str) -> bool:
        """Whether some text has each word of this one."""
        return all(self._frequency[term] for term in tokens(text))

    def _weights(self, terms: list[str]) -> dict[str, float]:
        """The idf of each term; one that no text uses weighs as much as the mean of the others.

        By the formula it would weigh most of all, though a name or a number says nothing about
        which text is meant: one such word would outweigh the rest of a short query.
        """
        known = {term: self._idf(term) for term in terms if self._frequency[term]}
        mean = sum(known.values()) / len(known) if known else 1.0
        return {term: known.get(term, mean) for term in terms}

    def _idf(self, term: str) -> float:
        return idf(len(self._counts), self._frequency[term])

    def _saturation(self, count: int, length: int) -> float:
        return count * (K1 + 1) / (count + K1 * (1 - B + B * length / self._mean))
