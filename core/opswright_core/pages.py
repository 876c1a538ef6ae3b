"""Answers that fit: a page with exact counts and a cursor, never more than the budget."""

from collections.abc import Iterator, Sequence
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, Field

from opswright_core.canonical import canonical_json, digest
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

    Raises BadInputError for a cursor made up, or of a list whose length has changed since.
    """
    state = digest([len(items)])[:8]
    start = _start(cursor, state, len(items))
    taken: list[T] = []
    size = 0
    for item in items[start : start + limit]:
        size += len(canonical_json(item))
        if taken and size > PAGE_BYTES:
            break
        taken.append(item)
    end = start + len(taken)
    following = f"{state}-{end}" if end < len(items) else None
    return Page(
        items=taken, total=len(items), summary=summary, cursor=following, unread=list(unread)
    )


def _start(cursor: str | None, state: str, total: int) -> int:
    if cursor is None:
        return 0
    made_for, _, position = cursor.partition("-")
    if made_for != state or not position.isdigit() or int(position) >= total:
        raise BadInputError(
            "This cursor does not fit: the list has changed since. Call again without a cursor."
        )
    return int(position)


_Place = tuple[str | int, ...]
_LEAST_TEXT = 200


def trim(
    value: dict[str, Any], budget_bytes: int = BUDGET_BYTES
) -> tuple[dict[str, Any], list[str]]:
    """Shorten the longest lists, then the longest texts, of a JSON value until it fits.

    Returns the shortened copy, and what lost how much in words.
    """
    lost: dict[_Place, str] = {}
    totals: dict[_Place, int] = {}
    while len(canonical_json(value)) > budget_bytes:
        entries = list(_longish(value, ()))
        lists = [e for e in entries if isinstance(e[1], list)]
        texts = [e for e in entries if isinstance(e[1], str)]
        path, found = max(lists or texts, key=lambda e: len(canonical_json(e[1])), default=((), ""))
        if not found:
            break
        kept = max(1, len(found) // 2)
        total = totals.setdefault(path, len(found))
        unit = "shown" if isinstance(found, list) else "characters shown"
        lost[path] = f"{'.'.join(map(str, path))}: {kept} of {total} {unit}"
        value = _replace(value, path, found[:kept])
    return value, list(lost.values())


def _longish(value: Any, path: _Place) -> Iterator[tuple[_Place, list[Any] | str]]:
    """Every list of two and more, and every text worth cutting, with where it is."""
    if isinstance(value, dict):
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
