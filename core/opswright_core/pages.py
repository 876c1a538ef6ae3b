"""Answers that fit: a page with exact counts and a cursor, never more than the budget."""

from collections.abc import Sequence
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

    Raises BadInputError for a cursor of another list (the items changed, or it was made up).
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


def trim(
    value: dict[str, Any], budget_bytes: int = BUDGET_BYTES
) -> tuple[dict[str, Any], list[str]]:
    """Shorten the longest lists of a JSON value until it fits; says which lists lost how many items."""
    lost: dict[str, tuple[int, int]] = {}
    while len(canonical_json(value)) > budget_bytes:
        found = max(
            _lists(value, ""), key=lambda entry: len(canonical_json(entry[1])), default=None
        )
        if found is None or len(found[1]) <= 1:
            break
        path, items = found
        kept = max(1, len(items) // 2)
        lost[path] = (kept, lost.get(path, (0, len(items)))[1])
        value = _replace(value, path.split("."), items[:kept])
    return value, [f"{path}: {kept} of {total} shown" for path, (kept, total) in lost.items()]


def _lists(value: Any, path: str) -> list[tuple[str, list[Any]]]:
    if isinstance(value, dict):
        return [
            found
            for key, inner in value.items()
            for found in _lists(inner, f"{path}.{key}" if path else key)
        ]
    return [(path, value)] if isinstance(value, list) else []


def _replace(value: dict[str, Any], path: list[str], items: list[Any]) -> dict[str, Any]:
    head, *rest = path
    return {**value, head: _replace(value[head], rest, items) if rest else items}
