"""Writes that wait for each other are committed together: the disk is waited for once.

Each is acknowledged when the commit of its group is on disk. Where one of a group fails, all are
taken back and done again, each in a transaction of its own: a savepoint for each would cost all of
them more than that, since it has SQLite write out the word index. When the commit itself fails, all
of the group fail, as nobody can tell what became of it.
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
        """Do some work in a transaction, soon; its answer is there when it is on disk.

        It may be done more than once, but only the last time is kept.
        """
        answer: Future[T] = Future()
        with self._changing:
            self._waiting.append((work, answer))
            if not self._is_served:
                self._threads.submit(self._serve)
                self._is_served = True
        return answer

    def _serve(self) -> None:
        while True:
            with self._turn:
                group = self._next_group()
                if not group:
                    return
                outcomes = self._outcomes(group)
            for (_, answer), outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, _Failure):
                    answer.set_exception(self._told(outcome.why))
                else:
                    answer.set_result(outcome)

    def _next_group(self) -> list[Job]:
        with self._changing:
            group: list[Job] = []
            while self._waiting and len(group) < MOST:
                work, answer = self._waiting.popleft()
                if answer.set_running_or_notify_cancel():
                    group.append((work, answer))
            self._is_served = bool(group)
        return group

    def _outcomes(self, group: Sequence[Job]) -> list[Any]:
        """What came of each."""
        is_working = False
        try:
            with self._connect() as connection, connection.begin():
                is_working = True
                values = [work(connection) for work, _ in group]
                is_working = False
        except BaseException as exc:
            if is_working and len(group) > 1:
                return [self._outcomes([job])[0] for job in group]
            return [_Failure(exc)] * len(group)
        return values


class _Failure:
    """Why there is no answer."""

    def __init__(self, why: BaseException) -> None:
        self.why = why
