"""Opens the database, checks its version, and runs transactions."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Engine, inspect, select
from sqlalchemy.exc import DBAPIError

from opswright_core.errors import OpswrightError
from opswright_knowledge.records import HOST, Provenance
from opswright_knowledge.storage.dialect import dialect_of
from opswright_knowledge.storage.schema import SCHEMA_VERSION, metadata, state
from opswright_knowledge.storage.unit_of_work import UnitOfWork


class Database:
    """An open store."""

    def __init__(self, url: str) -> None:
        """Open it, and make its tables when there are none.

        Raises BadInputError for a URL that is not supported, OpswrightError when the database
        cannot be used or is of a newer version.
        """
        self._dialect = dialect_of(url)
        self._lock = threading.Lock()
        try:
            self._engine = self._dialect.engine()
            self._prepare(self._engine)
        except (OSError, sqlite3.Error, DBAPIError) as exc:
            raise self._dialect.explain(exc) from exc

    def _prepare(self, engine: Engine) -> None:
        with engine.connect() as connection, connection.begin():
            exists = inspect(connection).has_table(state.name)
        if not exists:
            with engine.connect().execution_options(writes=True) as connection, connection.begin():
                metadata.create_all(connection)
                self._dialect.create_full_text(connection)
                if connection.execute(select(state.c.id)).first() is None:
                    first = {"id": 1, "schema_version": SCHEMA_VERSION, "revision": 0}
                    connection.execute(state.insert().values(first))
        with engine.connect() as connection, connection.begin():
            version = connection.execute(select(state.c.schema_version)).scalar_one()
        if version > SCHEMA_VERSION:
            engine.dispose()
            raise OpswrightError(
                f"The knowledge store {self._dialect.where} has schema version {version}; this "
                f"server knows {SCHEMA_VERSION}. Upgrade opswright-knowledge, or set "
                "OPSWRIGHT_KNOWLEDGE_URL to another file."
            )

    @contextmanager
    def writing(self, by: Provenance, now: datetime) -> Iterator[UnitOfWork]:
        """A write transaction, alone from its first statement on; on disk when it ends well."""
        # Threads queue here, in order; only processes meet at SQLite's own lock, which polls.
        with self._lock, self._transaction(by, now, writes=True) as unit:
            yield unit

    @contextmanager
    def reading(self, now: datetime) -> Iterator[UnitOfWork]:
        """A read transaction."""
        with self._transaction(HOST, now, writes=False) as unit:
            yield unit

    @contextmanager
    def _transaction(self, by: Provenance, now: datetime, *, writes: bool) -> Iterator[UnitOfWork]:
        try:
            with (
                self._engine.connect().execution_options(writes=writes) as connection,
                connection.begin(),
            ):
                yield UnitOfWork(connection, self._dialect, by, now)
        except (sqlite3.Error, DBAPIError) as exc:
            raise self._dialect.explain(exc) from exc

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()
