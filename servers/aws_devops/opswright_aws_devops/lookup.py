"""Looks for what was named: it must be there, or it may be missing."""

from collections.abc import Callable
from typing import Any, TypeVar

from opswright_core.aws import is_absent
from opswright_core.errors import NotFoundError

T = TypeVar("T")


def must_exist(what: str, read: Callable[[], T]) -> T:
    """Read something that was named. Raises NotFoundError when there is no such thing."""
    try:
        return read()
    except Exception as exc:
        if is_absent(exc):
            raise NotFoundError(
                f"{what} does not exist in this account and region; list_resources shows what does."
            ) from exc
        raise


def if_exists(read: Callable[[], T]) -> T | None:
    """Read something that may be missing: None then; other errors are raised."""
    try:
        return read()
    except Exception as exc:
        if is_absent(exc):
            return None
        raise


def first(items: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """The first of what was found, or None."""
    return items[0] if items else None
