"""Tells what was written to the store, by whichever process, while somebody listens."""

import logging
import threading
from collections.abc import Callable

from opswright_core.errors import OpswrightError
from opswright_knowledge.store import Store

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""How soon a database that cannot be reached is tried again."""
PAGE = 1_000


class Follower:
    """Reads the change log of a namespace as it grows, in a thread of its own.

    There is one for a server, and it runs while `wanted()` says so. Each change is told after it is
    committed, in the order of revisions.
    """

    def __init__(
        self,
        store: Store,
        wanted: Callable[[], bool],
        tell: Callable[[list[tuple[str, str]]], None],
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._tell = tell
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._seen: int | None = None

    def begin(self) -> None:
        """Follow from here on, unless that is done already."""
        with self._lock:
            if self._thread is None:
                self._closed.clear()
                self._seen = self._latest()
                self._thread = threading.Thread(
                    target=self._follow, name="knowledge follower", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Follow no more."""
        self._closed.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout=2 * AGAIN_SECONDS)

    def _follow(self) -> None:
        while not self._ended():
            try:
                with self._store.news() as news:
                    self._tell_new()  # what came before it listened
                    while not self._ended():
                        if news.wait():
                            self._tell_new()
            except OpswrightError as exc:
                log.warning("%s Changes of other processes are told when it is back.", exc)
                self._closed.wait(AGAIN_SECONDS)

    def _ended(self) -> bool:
        with self._lock:
            if self._wanted() and not self._closed.is_set():
                return False
            self._thread = None
            return True

    def _latest(self) -> int | None:
        try:
            with self._store.reading() as unit:
                return unit.revision
        except OpswrightError:
            return None  # the thread says what is wrong, and goes on from where it is then

    def _tell_new(self) -> None:
        if self._seen is None:
            self._seen = self._latest()
            return
        while True:
            with self._store.reading() as unit:
                found = unit.changes.keys_after(self._seen, limit=PAGE)
            if not found:
                return
            self._seen = found[-1][0]
            self._tell([(kind, key) for _, kind, key in found])
