"""What may be kept: cleaned of hidden characters and secrets, and small enough to show."""

from math import isfinite
from typing import Any, TypeVar

from opswright_core.canonical import size_bytes
from opswright_core.errors import BadInputError
from opswright_core.pages import BUDGET_BYTES, trim
from opswright_core.redact import redact
from opswright_core.text import clean

T = TypeVar("T")

RECORD_BYTES = 10_000
"""The most that one record may hold: a page shows 12,000 bytes, so each record fits on one."""

DEEPEST = 40
"""How deep objects and lists may be nested."""

RUN_BYTES = 1_000_000
"""The most that a run's plan, steps or report may hold; shown shortened."""


def kept(value: T, what: str, most_bytes: int = RECORD_BYTES) -> T:
    """Return the value as it is kept: text cleaned, secrets masked.

    Raises BadInputError when it is larger than `most_bytes` of JSON, nested deeper than `DEEPEST`,
    or holds what JSON has no word for.
    """
    tidy: T = redact(_clean(value, what, DEEPEST))
    size = size_bytes(tidy)
    if size > most_bytes:
        raise BadInputError(
            f"{what} holds {size:,} bytes of JSON; at most {most_bytes:,} are kept. "
            "Record what others need to know, and where the rest is."
        )
    return tidy


def _clean(value: Any, what: str, deeper: int) -> Any:
    if isinstance(value, str):
        return clean(value, RUN_BYTES)
    if isinstance(value, float) and not isfinite(value):
        raise BadInputError(f"{what} holds {value}, which is no number in JSON; leave it out.")
    if isinstance(value, dict | list | tuple) and not deeper:
        raise BadInputError(
            f"{what} is nested more than {DEEPEST} levels deep. Record what others need to know."
        )
    if isinstance(value, dict):
        return {clean(str(k), 500): _clean(inner, what, deeper - 1) for k, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner, what, deeper - 1) for inner in value]
    return value


def bounded(value: dict[str, Any], budget_bytes: int = BUDGET_BYTES) -> dict[str, Any]:
    """Shorten a JSON object until it fits; `shortened` then says what was left out."""
    if size_bytes(value) <= budget_bytes:
        return value
    room = budget_bytes - 1_000  # for saying so
    value, notes = trim(value, room)
    while size_bytes(value) > room:
        sizes = {key: size_bytes(inner) for key, inner in value.items()}
        largest = max(sizes, key=lambda key: (sizes[key], key))
        value = {**value, largest: None}
        notes.append(f"{largest}: left out, {sizes[largest]:,} bytes")
    return {**value, "shortened": [note[:200] for note in notes[:4]]}
