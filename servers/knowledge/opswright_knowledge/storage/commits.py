"""Writes that wait for each other are committed together, which costs the disk one wait, not many.

A transaction is acknowledged when its group's commit is on disk. One that fails takes back what it
did alone (to its savepoint); when the commit itself fails, all of the group fail.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

MOST = 64
"""The most that are committed together: other processes wait meanwhile."""


class Lane:
    """Writers that follow each other, one at a time."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        self._connect = connect
        self._turn = threading.Lock()
        self._counting = threading.Lock()
        self._waiting = 0
        self._group: _Group | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction of one's own, alone from its first statement on; on disk when it ends."""
        with self._counting:
            self._waiting += 1
        self._turn.acquire()
        with self._counting:
            self._waiting -= 1
        group, refused = self._group, False
        try:
            if group is None:
                group = self._group = _Group(self._connect())
                group.begin()
                yield group.connection
            else:
                savepoint = group.connection.begin_nested()
                try:
                    yield group.connection
                    savepoint.commit()
                except BaseException:
                    if group.is_alive():  # else there is no savepoint, and why is being raised
                        savepoint.rollback()
                    raise
            group.size += 1
        except BaseException as exc:
            # What it conflicted with may wait in this very group: once that is committed, a repeat
            # reads it. A group that went on would refuse every repeat.
            refused = True
            if group is not None and (group.size == 0 or not group.is_alive()):
                group.abandon(exc)
                self._group = None
            raise
        finally:
            try:
                full = self._group is not None and self._group.size >= MOST
                if self._group is not None and (not self._waiting or full or refused):
                    group, self._group = self._group, None
                    group.commit()
            finally:
                self._turn.release()
        group.wait()


class _Group:
    """Transactions that are committed together."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.size = 0
        self._done = threading.Event()
        self._error: BaseException | None = None

    def begin(self) -> None:
        self._transaction = self.connection.begin()

    def is_alive(self) -> bool:
        """Whether the transaction is still there.

        A full disk makes SQLite roll back all of it; a database that stops ends the connection.
        """
        if self.connection.invalidated:
            return False
        driver = self.connection.connection.dbapi_connection
        return bool(self._transaction.is_active and getattr(driver, "in_transaction", True))

    def commit(self) -> None:
        try:
            self._transaction.commit()
        except BaseException as exc:
            self._error = exc
            raise
        finally:
            self.connection.close()
            self._done.set()

    def abandon(self, why: BaseException) -> None:
        self._error = why
        try:
            self.connection.close()  # rolls back what there is
        finally:
            self._done.set()

    def wait(self) -> None:
        self._done.wait()
        if self._error is not None:
            raise self._error
