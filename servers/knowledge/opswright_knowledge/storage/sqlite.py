"""SQLite in WAL mode with FTS5: many processes read while one writes."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Float,
    Integer,
    Select,
    Subquery,
    Table,
    func,
    select,
    text,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from opswright_core.database import sqlite_engine
from opswright_core.errors import BadInputError, OpswrightError
from opswright_knowledge.storage.dialect import WordIndex
from opswright_knowledge.storage.prepared import prepared

BUSY_SECONDS = 30
"""How long a write waits for another process's; theirs take milliseconds."""

POLL_SECONDS = 0.025
"""How often a server that somebody listens to looks whether another process has written."""

_NEWEST = Path(__file__).with_name("sqlite.sql")

_ADVICE = {
    "SQLITE_BUSY": "Another process holds it; try again, and look for one that hangs.",
    "SQLITE_LOCKED": "Another process holds it; try again, and look for one that hangs.",
    "SQLITE_READONLY": "Nothing was written. Make the file and its directory writable, "
    "or set OPSWRIGHT_KNOWLEDGE_URL to another file.",
    "SQLITE_CANTOPEN": "Check that its directory exists and is writable, "
    "or set OPSWRIGHT_KNOWLEDGE_URL to another file.",
    "SQLITE_FULL": "Nothing was written. Free space on the disk and try again.",
    "SQLITE_NOTADB": "It is damaged or no database. Move it away and restore a backup, "
    "or set OPSWRIGHT_KNOWLEDGE_URL to another file.",
    "SQLITE_CORRUPT": "It is damaged. Stop the servers that use it, move it away and restore "
    "a backup (`sqlite3 knowledge.db .recover` saves what can be read).",
}


class SQLite:
    """A SQLite file."""

    def __init__(self, url: URL) -> None:
        """Raises BadInputError when the URL names no file."""
        if url.database in {None, "", ":memory:"}:
            raise BadInputError(
                "OPSWRIGHT_KNOWLEDGE_URL names no file; memory cannot be shared between "
                "connections. Use sqlite:////path/to/knowledge.db"
            )
        self._url = url
        self.where = str(url.database)

    def engine(self) -> Engine:
        """Make the engine; the file is created, readable by its owner alone, when it is missing."""
        return sqlite_engine(
            self._url,
            None if self.where.startswith("file:") else Path(self.where),
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            pool_size=8,
            max_overflow=56,
        )

    def lane(self, namespace: str) -> str:
        """One writer at a time in the whole file."""
        return ""

    def writing(self) -> dict[str, Any]:
        """A transaction that takes the file's lock when it begins."""
        return {"writes": True}

    def reading(self) -> dict[str, Any]:
        """A transaction that sees what was there at its first look."""
        return {}

    def lock_schema(self, connection: Connection) -> None:
        """Nothing: the transaction holds the file's lock."""

    def create(self, connection: Connection) -> bool:
        """By `sqlite.sql`, in a file with nothing in it."""
        if connection.exec_driver_sql("SELECT 1 FROM sqlite_schema").first():
            return False
        for statement in _NEWEST.read_text(encoding="utf-8").split(";\n"):
            connection.exec_driver_sql(statement)
        return True

    def lock(self, connection: Connection, namespace: int) -> None:
        """Nothing: the transaction holds the file's lock."""

    def run(
        self,
        connection: Connection,
        statement: Executable,
        values: Sequence[Mapping[str, Any]],
        own: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """By the driver itself."""
        if not values:
            return []
        return prepared(statement, [*values[0], *own]).run(connection, values, own)

    def announce(self, connection: Connection) -> None:
        """Nothing: the file's own `data_version` tells."""

    def analyze(self, connection: Connection) -> None:
        """The figures that the migrations filled in are for a large store."""

    @contextmanager
    def news(self, engine: Engine) -> Iterator["_DataVersion"]:
        """Look at the file's `data_version`, which takes microseconds, again and again."""
        pooled = engine.raw_connection()
        try:
            yield _DataVersion(pooled.driver_connection)
        finally:
            pooled.close()

    def insert(self, table: Table) -> Any:
        """SQLite's own insert."""
        return insert(table)

    def index(
        self, connection: Connection, index: WordIndex, entries: Iterable[tuple[int, list[str]]]
    ) -> None:
        """Index the words of new (number, words)."""
        driver: Any = connection.connection.dbapi_connection
        driver.executemany(
            f"INSERT INTO {index} (rowid, words) VALUES (?, ?)",  # noqa: S608
            ((number, " ".join(words)) for number, words in entries),
        )

    def unindex(self, connection: Connection, index: WordIndex, numbers: Sequence[int]) -> None:
        """Take records out of an index."""
        if numbers:
            connection.exec_driver_sql(
                f"DELETE FROM {index} WHERE rowid = ?",  # noqa: S608
                [(number,) for number in numbers],
            )

    def stems(self, connection: Connection, words: Sequence[str]) -> list[str]:
        """The words themselves: FTS5 stems what it is asked."""
        return list(dict.fromkeys(words))

    def holding(
        self, connection: Connection, stems: Sequence[str], *, every: bool, most: int
    ) -> Select[Any]:
        """The number of the newest memories with every stem, or any."""
        match = (" AND " if every else " OR ").join(f'"{stem}"' for stem in stems)
        return _matching("memory_words", match, newest_first=True).limit(most)

    def ranked(self, connection: Connection, held: Mapping[str, int]) -> Subquery:
        """FTS5's own BM25."""
        match = " OR ".join(f'"{stem}"' for stem in held)
        return (
            text(
                "SELECT rowid AS number, -bm25(memory_words) AS relevance "
                "FROM memory_words WHERE memory_words MATCH :match"
            )
            .bindparams(match=match)
            .columns(number=Integer, relevance=Float)
            .subquery()
        )

    def phrased(
        self,
        connection: Connection,
        phrases: Sequence[Sequence[str]],
        *,
        begun: bool,
        sure: Sequence[Sequence[str]] = (),
    ) -> Select[Any]:
        """The number of each resource with every phrase; if `begun`, its last word may go on."""
        match = " AND ".join(
            [f'"{" ".join(phrase)}"{" *" if begun else ""}' for phrase in phrases]
            + [f'"{" ".join(phrase)}"' for phrase in sure]
        )
        return _matching("resource_words", match)

    def is_boolean(self, within: Any, name: str) -> ColumnElement[bool]:
        """By its type: its value reads as 1 or 0."""
        return func.json_type(within, f'$."{name}"').in_(("true", "false"))

    def explain(self, exc: Exception) -> OpswrightError:
        """Turn a driver's error into one that says what to do."""
        cause = exc.orig if isinstance(exc, DBAPIError) else exc
        name = getattr(cause, "sqlite_errorname", "")
        advice = next(
            (advice for code, advice in _ADVICE.items() if name.startswith(code)),
            "Check the file, its directory and the disk.",
        )
        return OpswrightError(f"The knowledge store {self.where} cannot be used: {cause}. {advice}")


class _DataVersion:
    """Changes whenever another connection commits."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._seen = self._now()

    def wait(self) -> bool:
        time.sleep(POLL_SECONDS)
        before, self._seen = self._seen, self._now()
        return before != self._seen

    def _now(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])


def _matching(index: WordIndex, match: str, *, newest_first: bool = False) -> Select[Any]:
    order = " ORDER BY rowid DESC" if newest_first else ""
    found = text(
        f"SELECT rowid AS number FROM {index} WHERE {index} MATCH :match{order}"  # noqa: S608
    )
    return select(found.bindparams(match=match).columns(number=Integer).subquery().c.number)
