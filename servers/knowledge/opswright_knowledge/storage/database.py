"""Opens the database, brings it up to date, and runs transactions in a namespace."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionError

from opswright_core.errors import OpswrightError
from opswright_knowledge.records import HOST, Provenance
from opswright_knowledge.storage.commits import Lane
from opswright_knowledge.storage.dialect import News, dialect_of
from opswright_knowledge.storage.schema import namespaces
from opswright_knowledge.storage.unit_of_work import UnitOfWork
from opswright_knowledge.storage.upgrade import upgrade

NOWHERE = 0
"""The number of a namespace that nothing was written to yet."""

WRITERS = 8
"""Namespaces of one PostgreSQL that are written to at a time; a SQLite file has one writer."""

T = TypeVar("T")

TROUBLE = (sqlite3.Error, DBAPIError, NoConnectionError)


class Database:
    """An open store."""

    def __init__(self, url: str) -> None:
        """Open it; make its tables or bring them up to date where that is needed.

        Raises BadInputError for a URL that is not supported, OpswrightError when the database
        cannot be used or is of a newer version.
        """
        self._dialect = dialect_of(url)
        self._opening = threading.Lock()
        self._lanes: dict[str, Lane] = {}
        self._numbers: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(WRITERS, thread_name_prefix="knowledge writer")
        try:
            self._engine = self._dialect.engine()
            try:
                upgrade(self._engine, self._dialect)
            except BaseException:
                self._engine.dispose()
                raise
        except (OSError, *TROUBLE) as exc:
            raise self._dialect.explain(exc) from exc

    @contextmanager
    def writing(self, namespace: str, by: Provenance, now: datetime) -> Iterator[UnitOfWork]:
        """A write transaction, alone from its first statement on; on disk when it ends well."""
        try:
            with (
                self._lane(namespace).transaction() as connection,
                self._unit(connection, namespace, by, now) as unit,
            ):
                yield unit
        except TROUBLE as exc:
            raise self._dialect.explain(exc) from exc
        self._numbers[namespace] = unit.namespace

    def write(
        self, namespace: str, by: Provenance, now: datetime, work: Callable[[UnitOfWork], T]
    ) -> Future[T]:
        """Do some work in a write transaction, soon; its answer is there when it is on disk.

        What waits is committed together, each all or nothing by itself; it may be done more than
        once for that.
        """
        numbers: list[int] = []

        def within(connection: Connection) -> T:
            with self._unit(connection, namespace, by, now) as unit:
                numbers.append(unit.namespace)
                return work(unit)

        def note(answer: Future[T]) -> None:
            if not answer.cancelled() and answer.exception() is None:
                self._numbers[namespace] = numbers[-1]

        answer = self._lane(namespace).submit(within)
        if namespace not in self._numbers:
            answer.add_done_callback(note)
        return answer

    @contextmanager
    def _unit(
        self, connection: Connection, namespace: str, by: Provenance, now: datetime
    ) -> Iterator[UnitOfWork]:
        number = self._numbers.get(namespace) or self._named(connection, namespace)
        self._dialect.lock(connection, number)
        unit = UnitOfWork(connection, self._dialect, number, by, now)
        yield unit
        if unit.has_news:
            self._dialect.announce(connection)
        if unit.has_grown:
            self._dialect.analyze(connection)

    @contextmanager
    def reading(self, namespace: str, now: datetime) -> Iterator[UnitOfWork]:
        """A read transaction."""
        options = self._dialect.reading()
        try:
            with (
                self._engine.connect().execution_options(**options) as connection,
                connection.begin(),
            ):
                number = self._numbers.get(namespace) or _number(connection, namespace)
                yield UnitOfWork(connection, self._dialect, number, HOST, now)
        except TROUBLE as exc:
            raise self._dialect.explain(exc) from exc

    @contextmanager
    def news(self) -> Iterator[News]:
        """Tells when somebody, in whichever process, has written."""
        try:
            with self._dialect.news(self._engine) as news:
                yield news
        except Exception as exc:
            if isinstance(exc, OpswrightError):
                raise
            raise self._dialect.explain(exc) from exc

    def _lane(self, namespace: str) -> Lane:
        name = self._dialect.lane(namespace)
        with self._opening:
            if name not in self._lanes:
                self._lanes[name] = Lane(
                    lambda: self._engine.connect().execution_options(**self._dialect.writing()),
                    self._told,
                    self._threads,
                )
            return self._lanes[name]

    def _told(self, exc: BaseException) -> BaseException:
        if not isinstance(exc, TROUBLE):
            return exc
        told = self._dialect.explain(exc)
        told.__cause__ = exc
        return told

    def _named(self, connection: Connection, namespace: str) -> int:
        """The number of a namespace, made when it is new."""
        if found := _number(connection, namespace):
            return found
        new = self._dialect.insert(namespaces).values(name=namespace, revision=0)
        connection.execute(new.on_conflict_do_nothing())
        return _number(connection, namespace)

    def close(self) -> None:
        """Finish what was begun, and close every connection."""
        self._threads.shutdown()
        self._engine.dispose()


def _number(connection: Connection, namespace: str) -> int:
    asked = select(namespaces.c.number).where(namespaces.c.name == namespace)
    return connection.execute(asked).scalar_one_or_none() or NOWHERE
