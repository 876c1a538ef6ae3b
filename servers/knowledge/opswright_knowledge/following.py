"""Tells what was written to the store, by whichever process, while somebody listens."""

import contextlib
import logging
import threading
from collections.abc import Callable, Collection

from opswright_core.errors import OpswrightError
from opswright_knowledge.store import Store

log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""How soon a database that cannot be reached is tried again."""
PAGE = 1_000


class Follower:
    """Reads the change logs of the namespaces that are wanted as they grow, in a thread of its own.

    There is one for a server, and it runs while any are. Each change is told with its namespace
    after it is committed, in the order of the namespace's revisions.
    """

    def __init__(
        self,
        store: Store,
        wanted: Callable[[], Collection[str]],
        tell: Callable[[str, list[tuple[str, str]]], None],
    ) -> None:
        self._store = store
        self._wanted = wanted
        self._tell = tell
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._seen: dict[str, int] = {}
        """How far each namespace's log was read."""

    def begin(self, namespace: str) -> None:
        """Follow a namespace, which is wanted, from here on, unless that is done already."""
        with self._lock:
            self._begin(namespace)
            if self._thread is None:
                self._closed.clear()
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
            self._seen.clear()
            return True

    def _begin(self, namespace: str) -> None:
        if namespace in self._seen:
            return
        # Where it cannot be read, the thread says why, and begins with where it is then.
        with contextlib.suppress(OpswrightError), self._store.within(namespace).reading() as unit:
            self._seen[namespace] = unit.revision

    def _tell_new(self) -> None:
        with self._lock:
            wanted = set(self._wanted())
            for namespace in self._seen.keys() - wanted:
                del self._seen[namespace]
            for namespace in wanted:
                self._begin(namespace)
            seen = dict(self._seen)
        for namespace, revision in seen.items():
            self._tell_after(namespace, revision)

    def _tell_after(self, namespace: str, revision: int) -> None:
        store = self._store.within(namespace)
        while True:
            with store.reading() as unit:
                found = unit.changes.keys_after(revision, limit=PAGE)
            if not found:
                return
            revision = found[-1][0]
            with self._lock:
                self._seen[namespace] = revision
            self._tell(namespace, [(kind, key) for _, kind, key in found])
