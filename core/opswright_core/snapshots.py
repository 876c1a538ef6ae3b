"""What a paged tool read, kept for its next pages: an account is read once, not once per page.

A page without a cursor is always read anew. One with a cursor is cut from what the first page read,
so that nothing is lost or told twice when the account changes in between; when that is gone (after
some minutes, or in another process) it is read again, and a cursor that no longer fits is refused.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from opswright_core.aws import note_region
from opswright_core.cloud_errors import InUse, in_use, note_gap

T = TypeVar("T")

KEPT_SECONDS = 300.0
MOST_KEPT = 4
"""Each may be tens of megabytes: the thousands of items of a large account."""


@dataclass(frozen=True)
class _Snapshot:
    at: float
    value: Any
    met: InUse
    """Where it was read and what the backend lacked, which every page's answer names."""


@dataclass
class Snapshots:
    """The last few readings of one server, in memory."""

    clock: Callable[[], float] = time.monotonic
    _kept: "OrderedDict[str, _Snapshot]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, cursor: str | None, key: tuple[Any, ...], read: Callable[[], T]) -> T:
        """What `read` gives, or for a later page what it gave; `key` is the call but its cursor."""
        name = repr(key)
        with self._lock:
            kept = self._kept.get(name)
        if cursor and kept and self.clock() - kept.at <= KEPT_SECONDS:
            for region in kept.met.regions:
                note_region(region)
            for gap in kept.met.gaps:
                note_gap(gap)
            found: T = kept.value
            return found
        del kept  # or two readings are held while the second is made
        with self._lock:
            self._kept.pop(name, None)
        value = read()
        current = in_use.get()
        with self._lock:
            self._kept[name] = _Snapshot(self.clock(), value, current or InUse())
            self._kept.move_to_end(name)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return value
