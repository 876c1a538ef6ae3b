"""How well an operation fits the words of a search: what BM25 found, put in a better order.

BM25 counts words alone. For operations three more things tell: whether what is asked for is all
there, whether the operation's name says little else (`CreateBudget`, not `CreateBudgetAction`),
and whether it does what the verb asks (`make` is not `Delete`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opswright_core.search import tokens

_ASKING = {
    "read": "list describe get show which what who check see look lookup find read fetch view "
    "search query tail count exist have is are how much scan select filter",
    "create": "create make put add new build launch request register allocate set up publish "
    "record schedule issue define import copy share restore open give",
    "change": "modify update change put set edit rename resize increase decrease scale adjust "
    "configure replace rotate move extend grow upgrade share tag enable disable turn block",
    "delete": "delete remove terminate purge deregister destroy drop release revoke cancel "
    "schedule clean detach disassociate reject close",
    "start": "start run invoke execute send begin launch call resume submit reboot restart",
    "stop": "stop cancel abort end suspend pause terminate halt",
    "attach": "attach associate add allow authorize grant give connect join subscribe enable "
    "assume link assign",
    "enable": "enable turn activate switch set put create on",
    "disable": "disable deactivate turn block suspend off",
}
_DOES: dict[str, set[str]] = {}
for _kind, _verbs in _ASKING.items():
    for _verb in _verbs.split():
        _DOES.setdefault(_verb, set()).add(_kind)

COVERED, NAMED, VERB, COMMON = 4.0, 1.5, 1.0, 0.6
"""What each counts for; set on the phrases of `tests/aws_devops/test_operations.py`."""

IN_SUMMARY = 0.6
"""A word that only the description has, against one in the name or the service's name."""


@dataclass(frozen=True)
class Words:
    """The words of one operation, as the catalogue keeps them: each text's tokens."""

    operation: str
    name: Sequence[str]
    service: Sequence[str]
    summary: Sequence[str]
    common: bool


def asked_verbs(query: str) -> set[str]:
    """What kinds of action the query's words ask for; empty when it names none."""
    first = [w for w in re.findall(r"[a-z]+", query.lower()) if w in _DOES]
    return _DOES[first[0]] if first else set()


def fit(words: Words, weights: Mapping[str, float], verbs: set[str]) -> float:
    """How well an operation fits: `weights` are the query's words, each with its rarity."""
    name, service, summary = set(words.name), set(words.service), set(words.summary)
    total = sum(weights.values()) or 1.0
    covered = sum(
        weight * (1.0 if word in name or word in service else IN_SUMMARY if word in summary else 0)
        for word, weight in weights.items()
    )
    verb, nouns = _parts(words.operation)
    said = [n for n in nouns if n in weights or n in service]
    named = len(said) / len(nouns) if nouns else 1.0
    does = _DOES.get(verb, {verb})
    agrees = 0.5 if not verbs else 1.0 if verbs & does else 0.0
    return covered / total * COVERED + named * NAMED + agrees * VERB + words.common * COMMON


def _parts(operation: str) -> tuple[str, list[str]]:
    """`CreateDBInstance` is create, and db and instance."""
    verb = re.match(r"[A-Z][a-z]+", operation)
    head = verb.group() if verb else ""
    return head.lower(), tokens(operation[len(head) :])
