"""The store as tools see it: opened at the first use, so that a server starts quickly."""

import asyncio
import copy
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from opswright_core.namespaces import call_namespace
from opswright_core.runtime import runtime
from opswright_knowledge.records import HOST, Provenance

if TYPE_CHECKING:
    from opswright_knowledge.storage.database import Database
    from opswright_knowledge.storage.dialect import News
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

T = TypeVar("T")
Clock = Callable[[], datetime]

DEFAULT_NAMESPACE = "default"


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


class Store:
    """A namespace of one shared store, which a database URL names."""

    def __init__(
        self, url: str, clock: Clock = utc_now, namespace: str = DEFAULT_NAMESPACE
    ) -> None:
        self.url = url
        self.clock = clock
        self.namespace = namespace
        self._opening = _Opening(url)

    def within(self, namespace: str) -> "Store":
        """The same store in a namespace."""
        if namespace == self.namespace:
            return self
        other = copy.copy(self)
        other.namespace = namespace
        return other

    def writing(self, by: Provenance | None) -> "AbstractContextManager[UnitOfWork]":
        """A write transaction in somebody's name: all of it is kept, on disk, or none.

        Raises OpswrightError when the database cannot be used, with what to do.
        """
        return self._opening.database().writing(self.namespace, by or HOST, self.clock())

    async def write(self, by: Provenance | None, work: "Callable[[UnitOfWork], T]") -> T:
        """Do some work in a write transaction; its answer is there when all of it is on disk.

        It is done in another thread, without the context of the caller, and perhaps more than once:
        what waits is committed together, each all or nothing by itself. Raises what `work` raises,
        and OpswrightError when the database cannot be used, with what to do.
        """
        database = self._opening.opened
        if database is None:
            database = await asyncio.to_thread(self._opening.database)
        now = self.clock()
        return await asyncio.wrap_future(database.write(self.namespace, by or HOST, now, work))

    def reading(self) -> "AbstractContextManager[UnitOfWork]":
        """A read transaction: everything in it is seen at one moment."""
        return self._opening.database().reading(self.namespace, self.clock())

    def news(self) -> "AbstractContextManager[News]":
        """Tells when somebody, in whichever process, has written to the store."""
        return self._opening.database().news()

    def close(self) -> None:
        """Close the connections; the next use opens it again."""
        self._opening.close()


class _Opening:
    """The database, opened at its first use."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self.opened: Database | None = None

    def database(self) -> "Database":
        with self._lock:
            if self.opened is None:
                from opswright_knowledge.storage.database import Database

                self.opened = Database(self._url)
            return self.opened

    def close(self) -> None:
        with self._lock:
            if self.opened is not None:
                self.opened.close()
                self.opened = None


def knowledge() -> Store:
    """The store of the server that handles this call, in the namespace that its caller sees.

    Raises BadInputError when the caller chose one that it may not see.
    """
    store: Store = runtime().extras["store"]
    return store.within(call_namespace())
