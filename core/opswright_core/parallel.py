"""Many reads at once: a few at a time, in order, and none begun after the time for them is over."""

import contextvars
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from opswright_core.errors import DeadlineError

T = TypeVar("T")
U = TypeVar("U")

AT_ONCE = 8

_until: contextvars.ContextVar[float | None] = contextvars.ContextVar(
    "opswright_until", default=None
)
"""When the calls under way must have begun, by `time.monotonic`; None: whenever they like."""


def each(items: Iterable[T], read: Callable[[T], U], at_once: int = AT_ONCE) -> list[U]:
    """`read` of every item, `at_once` at a time; in the order of the items.

    The threads inherit the caller's context (its session, its time limit). The first exception is
    raised, and nothing that waited is begun after it.
    """
    with ThreadPoolExecutor(at_once, thread_name_prefix="read") as pool:
        # A context can be entered by one thread at a time: each gets its own copy.
        futures = [pool.submit(contextvars.copy_context().run, read, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let AWS calls within the block, and in threads of `each`, begin for so long and no longer.

    What is asked for later is a DeadlineError, so that a large account is read in part, and the
    rest told as unread, before a host gives the call up.
    """
    until, outer = time.monotonic() + seconds, _until.get()
    token = _until.set(until if outer is None else min(until, outer))
    try:
        yield
    finally:
        _until.reset(token)


def refuse_late(operation: str) -> None:
    """Raise DeadlineError when the time limit of the call under way is over."""
    until = _until.get()
    if until is not None and time.monotonic() > until:
        raise DeadlineError(
            "Not read: the time that one call has for reading was over. Ask for less at once: "
            "one region, one service, one VPC or tag.",
            operation=operation,
        )
