"""Transactions that wait for each other are committed together: the disk is waited for once.

Each is acknowledged when the commit of its group is on disk. One that fails takes back what it did
alone (to its savepoint); when the commit itself fails, all of the group fail.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection

MOST = 64
"""The most that are committed together: other processes wait meanwhile."""

T = TypeVar("T")
Work = Callable[[Connection], T]
Job = tuple[Work[Any], Future[Any]]


class Lane:
    """Writers that follow each other, one at a time."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        told: Callable[[BaseException], BaseException],
        threads: Executor,
    ) -> None:
        """`told` makes of a database's error the one that callers get."""
        self._connect = connect
        self._told = told
        self._threads = threads
        self._turn = threading.Lock()
        self._changing = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._is_served = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction in the caller's own thread; on disk when it ends."""
        with self._turn, self._connect() as connection, connection.begin():
            yield connection

    def submit(self, work: Work[T]) -> Future[T]:
        """Do some work in a transaction, soon; its answer is there when it is on disk."""
        answer: Future[T] = Future()
        with self._changing:
            self._waiting.append((work, answer))
            if not self._is_served:
                self._threads.submit(self._serve)
                self._is_served = True
        return answer

    def _serve(self) -> None:
        group: list[Job] = []
        while True:
            with self._turn:
                group = group or self._next_group()
                if not group:
                    return
                outcomes = self._commit(group)
            for (_, answer), outcome in zip(group, outcomes, strict=False):
                if isinstance(outcome, _Failure):
                    answer.set_exception(self._told(outcome.why))
                else:
                    answer.set_result(outcome)
            group = group[len(outcomes) :]

    def _next_group(self) -> list[Job]:
        with self._changing:
            group: list[Job] = []
            while self._waiting and len(group) < MOST:
                work, answer = self._waiting.popleft()
                if answer.set_running_or_notify_cancel():
                    group.append((work, answer))
            self._is_served = bool(group)
        return group

    def _commit(self, group: Sequence[Job]) -> list[Any]:
        """What came of each; of fewer when the transaction broke off, which the rest survive."""
        begun = len(group)
        try:
            with self._connect() as connection, connection.begin():
                attempt = _attempt if begun > 1 else _do
                begun = 0
                outcomes = []
                for work, _ in group:
                    begun += 1
                    outcomes.append(attempt(work, connection))
        except BaseException as exc:
            return [_Failure(exc)] * begun
        return outcomes


class _Failure:
    """Why there is no answer."""

    def __init__(self, why: BaseException) -> None:
        self.why = why


def _do(work: Work[Any], connection: Connection) -> Any:
    return work(connection)


def _attempt(work: Work[Any], connection: Connection) -> Any:
    """Do some work within a transaction; a failure of its own is taken back and returned.

    What ends the transaction is raised: a full disk makes SQLite roll back all of it, and a
    database that stops ends the connection.
    """
    savepoint = connection.begin_nested()
    try:
        value = work(connection)
        savepoint.commit()
    except BaseException as exc:
        if not _is_alive(connection):
            raise
        savepoint.rollback()
        return _Failure(exc)
    return value


def _is_alive(connection: Connection) -> bool:
    if connection.invalidated:
        return False
    driver = connection.connection.dbapi_connection
    return bool(connection.in_transaction() and getattr(driver, "in_transaction", True))
