"""Answers that fit: a page with exact counts and a cursor, never more than the budget."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from opswright_core.canonical import digest, size_bytes
from opswright_core.errors import BadInputError

T = TypeVar("T")

BUDGET_BYTES = 16_000
"""About 4,000 tokens at 4 bytes each: what one tool answers with at most."""

PAGE_BYTES = 12_000


class Page(BaseModel, Generic[T]):
    """Some of many items."""

    items: list[T]
    total: int = Field(description="How many there are in all")
    summary: str = ""
    cursor: str | None = Field(None, description="Pass it to get the next page; absent on the last")
    unread: list[str] = Field(
        default_factory=list, description="What could not be read, and the permission to grant"
    )


def page(
    items: Sequence[T],
    *,
    cursor: str | None = None,
    limit: int = 50,
    summary: str = "",
    unread: Sequence[str] = (),
) -> Page[T]:
    """Cut one page: at most `limit` items and `PAGE_BYTES` bytes, from where `cursor` says.

    Raises BadInputError for a cursor made up, or of a list that has changed since.
    """
    state = "" if cursor is None else _state(items)
    start = 0 if cursor is None else _start(cursor, state, len(items))
    taken: list[T] = []
    size = 0
    for item in items[start : start + limit]:
        size += size_bytes(item)
        if taken and size > PAGE_BYTES:
            break
        taken.append(item)
    end = start + len(taken)
    following = f"{state or _state(items)}-{end}" if end < len(items) else None
    return Page(
        items=taken, total=len(items), summary=summary, cursor=following, unread=list(unread)
    )


def _start(cursor: str, state: str, total: int) -> int:
    made_for, _, position = cursor.partition("-")
    is_place = bool(re.fullmatch(r"[0-9]{1,9}", position)) and int(position) < total
    if not is_place or made_for != state:
        raise BadInputError(
            "This cursor does not fit: the list has changed since. Call again without a cursor."
        )
    return int(position)


def _state(items: Sequence[Any]) -> str:
    """Tells a list from what it was: of its items in their order, 8 hex digits."""
    return digest(list(items))[:8]


_Place = tuple[str | int, ...]
_LEAST_TEXT = 200
_LEAST_MAP = 33
"""More keys than any of the models' fields: such an object is a map, and may lose entries."""


def trim(
    value: dict[str, Any], budget_bytes: int = BUDGET_BYTES
) -> tuple[dict[str, Any], list[str]]:
    """Shorten the longest lists, then texts, then maps, of a JSON value until it fits.

    The items of a page come last: its cursor goes on after them. Returns the shortened copy, and
    what lost how much in words.
    """
    lost: dict[_Place, str] = {}
    totals: dict[_Place, int] = {}
    while size_bytes(value) > budget_bytes:
        found = max(_longish(value, ()), key=_by_rank, default=None)
        if found is None:
            break
        path, long = found
        kept = max(1, len(long) // 2)
        total = totals.setdefault(path, len(long))
        unit = "characters shown" if isinstance(long, str) else "shown"
        lost[path] = f"{'.'.join(map(str, path))}: {kept} of {total} {unit}"
        shorter = dict(list(long.items())[:kept]) if isinstance(long, dict) else long[:kept]
        value = _replace(value, path, shorter)
    return value, list(lost.values())


_Long = list[Any] | str | dict[str, Any]


def _by_rank(found: tuple[_Place, _Long]) -> tuple[int, int]:
    """The order of shortening: by kind, and the largest of a kind first."""
    path, long = found
    if path == ("items",):
        rank = 0
    else:
        rank = 3 if isinstance(long, list) else 2 if isinstance(long, str) else 1
    return rank, size_bytes(long)


def _longish(value: Any, path: _Place) -> Iterator[tuple[_Place, _Long]]:
    """Every list of two and more, every text worth cutting and every map, with where it is."""
    if isinstance(value, dict):
        if path and len(value) >= _LEAST_MAP:
            yield path, value
        for key, inner in value.items():
            yield from _longish(inner, (*path, key))
    elif isinstance(value, list):
        if len(value) > 1:
            yield path, value
        for number, inner in enumerate(value):
            yield from _longish(inner, (*path, number))
    elif isinstance(value, str) and len(value) > _LEAST_TEXT:
        yield path, value


def _replace(value: Any, path: _Place, new: Any) -> Any:
    if not path:
        return new
    head, *rest = path
    changed = value.copy()
    changed[head] = _replace(value[head], tuple(rest), new)
    return changed
