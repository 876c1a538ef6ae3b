"""A request's clauses: the things it asks for one after the other."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from opswright_core.search import tokens

_JOINTS = re.compile(
    r"\s*(?:,|;|\.)?\s+(?:and\s+)?(then|afterwards)\s+|\s*[;.]\s+|\s*,?\s+and\s+|,\s+"
)
_VERBS_WORDS = """
    add allow analyse are ask audit back block book build bring can cancel check clean
    close compare create cut delete deploy describe diagnose do draw estimate explain
    find fix forecast get give have how is launch list look make mend move notify open
    order plan price provision put read recommend release remember remove report restore
    review roll run say scan search send set ship show start stop summarize tag tell
    translate triage undo update verify warn what which who why write
"""
_VERBS = frozenset(_VERBS_WORDS.split())
_POINTERS = re.compile(r"\b(it|its|them|their|that|this|there)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Clause:
    """One thing that is asked for. `follows` is whether it comes after, or speaks of, the last."""

    text: str
    follows: bool = False


def clauses(request: str, verbs: Collection[str] = ()) -> list[Clause]:
    """Split a request where a new verb begins a new thing; `verbs` are those of the catalogue."""
    known = _VERBS | {verb.lower() for verb in verbs}
    cuts = [0]
    orders: dict[int, bool] = {}
    for joint in _JOINTS.finditer(request):
        rest = request[joint.end() :]
        first = re.match(r"[A-Za-z]+", rest)
        if first and first.group().lower() in known and len(tokens(rest)) >= 1:
            cuts.append(joint.end())
            orders[joint.end()] = bool(joint.group(1))
    parts = []
    for start, end in zip(cuts, [*cuts[1:], len(request)], strict=True):
        text = re.sub(r"(?:\s*[,;.]?\s*(?:and)?(?:\s*then)?\s*)$", "", request[start:end]).strip()
        follows = orders.get(start, False) or bool(start and _POINTERS.search(text))
        parts.append(Clause(text, follows))
    return _joined(parts)


def _joined(parts: list[Clause]) -> list[Clause]:
    """Join what says too little to be a thing of its own («build and deploy», «and deploy it»)."""
    joined: list[Clause] = []
    for part in parts:
        if joined and (len(tokens(part.text)) < 2 or len(tokens(joined[-1].text)) < 2):
            joined[-1] = Clause(f"{joined[-1].text} and {part.text}", joined[-1].follows)
        else:
            joined.append(part)
    return joined
