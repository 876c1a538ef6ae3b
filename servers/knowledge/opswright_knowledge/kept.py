"""What may be kept: cleaned of hidden characters and secrets, and small enough to show."""

import re
from math import isfinite
from typing import Any, TypeVar

from pydantic_core import to_json

from opswright_core.canonical import size_bytes
from opswright_core.errors import BadInputError
from opswright_core.pages import BUDGET_BYTES, trim
from opswright_core.redact import is_harmless, redact
from opswright_core.text import clean, visible

T = TypeVar("T")

RECORD_BYTES = 10_000
"""The most that one record may hold: a page shows 12,000 bytes, so each record fits on one."""

DEEPEST = 40
"""How deep objects and lists may be nested."""

LONGEST_KEY = 500
_LONG_KEY = re.compile(rf'"[^"]{{{LONGEST_KEY + 1},}}":')

RUN_BYTES = 1_000_000
"""The most that a run's plan, steps or report may hold; shown shortened."""


def kept(value: T, what: str, most_bytes: int = RECORD_BYTES) -> T:
    """Return the value as it is kept: text cleaned, secrets masked.

    Raises BadInputError when it is larger than `most_bytes` of JSON, nested deeper than `DEEPEST`,
    or holds what JSON has no word for.
    """
    tidy, size = value, _size_of_tidy(value)
    if size is None:
        tidy = redact(_clean(value, what, DEEPEST))
        size = size_bytes(tidy)
    if size > most_bytes:
        raise BadInputError(
            f"{what} holds {size:,} bytes of JSON; at most {most_bytes:,} are kept. "
            "Record what others need to know, and where the rest is."
        )
    return tidy


def _size_of_tidy(value: Any) -> int | None:
    """How many bytes a value has that surely holds nothing to clean or refuse, else None.

    Most records are such, and one look at their JSON is much quicker than one at each text.
    """
    try:
        text = to_json(value, inf_nan_mode="constants").decode()
    except (RecursionError, TypeError, ValueError):
        return None
    if (
        "\\" in text  # what JSON escapes: control characters, but quotes too
        or "\x7f" in text
        or "NaN" in text
        or "Infinity" in text
        or text.count("{") + text.count("[") > DEEPEST
        or (len(text) > LONGEST_KEY and _LONG_KEY.search(text))
        or not is_harmless(text)
    ):
        return None
    return len(text)


def _clean(value: Any, what: str, deeper: int) -> Any:
    if isinstance(value, str):
        return visible(value)  # `redact` masks the secrets
    if isinstance(value, float) and not isfinite(value):
        raise BadInputError(f"{what} holds {value}, which is no number in JSON; leave it out.")
    if isinstance(value, dict | list | tuple) and not deeper:
        raise BadInputError(
            f"{what} is nested more than {DEEPEST} levels deep. Record what others need to know."
        )
    if isinstance(value, dict):
        return {
            clean(str(k), LONGEST_KEY): _clean(inner, what, deeper - 1)
            for k, inner in value.items()
        }
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
