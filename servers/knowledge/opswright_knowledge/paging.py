"""Pages that stay right while others write: a cursor names the last item seen, not a position.

A cursor is good in the namespace that it was made in alone.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel

from opswright_core.canonical import digest, size_bytes
from opswright_core.errors import BadInputError
from opswright_core.namespaces import call_namespace
from opswright_core.pages import PAGE_BYTES, Page

T = TypeVar("T", bound=BaseModel)

LARGEST_REVISION = 2**53 - 1
"""The largest whole number that every JSON reader takes; more than a store will ever count to."""


def cut(
    found: Sequence[T],
    *,
    total: int,
    limit: int,
    place: Callable[[T], list[Any]],
    summary: str = "",
    most_bytes: int = PAGE_BYTES,
) -> Page[T]:
    """Make a page of at most `limit` items and `most_bytes` bytes.

    `found` holds the items after the cursor, in order, and one more than `limit` when there are
    more; `place(item)` is what its cursor names.
    """
    taken: list[T] = []
    size = 0
    for item in found[:limit]:
        size += size_bytes(item)
        if taken and size > most_bytes:
            break
        taken.append(item)
    more = len(taken) < len(found)
    cursor = encode(place(taken[-1])) if more else None
    return Page(items=taken, total=total, summary=summary, cursor=cursor)


def encode(place: list[Any]) -> str:
    """A cursor for a place in a list of the namespace of the call."""
    marked = [_mark(), *place]
    return base64.urlsafe_b64encode(json.dumps(marked).encode()).decode().rstrip("=")


def decode(cursor: str | None, kinds: Sequence[type]) -> list[Any] | None:
    """The place that a cursor names, or None for the beginning.

    Raises BadInputError when it is not a cursor of this list.
    """
    if cursor is None:
        return None
    try:
        mark, *place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if (
            mark == _mark()
            and [type(part) for part in place] == list(kinds)
            and not any(map(_too_large, place))
        ):
            return list(place)
    except (binascii.Error, ValueError, TypeError):
        pass
    raise BadInputError(
        f"{cursor[:60]!r} is not a cursor of this list. Pass the `cursor` of its last page, "
        "or none for the first."
    )


def _mark() -> str:
    return digest([call_namespace()])[:8]


def _too_large(part: Any) -> bool:
    return isinstance(part, int) and abs(part) > LARGEST_REVISION
