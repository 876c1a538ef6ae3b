"""What a database does in its own way: connecting, locking, full text, errors.

SQLite is the only one so far; another (PostgreSQL) is a second class here with the same methods.
"""

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Float, Integer, Subquery, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from opswright_core.errors import BadInputError, OpswrightError

BUSY_SECONDS = 30
"""How long a write waits for another process's; theirs take milliseconds."""

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


def dialect_of(url: str) -> "SQLite":
    """The dialect of a database URL.

    Raises BadInputError for one that cannot be parsed, or is not supported.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadInputError(
            "OPSWRIGHT_KNOWLEDGE_URL is not a database URL; it looks like sqlite:////path/to/knowledge.db"
        ) from None
    if parsed.get_backend_name() != "sqlite" or parsed.get_driver_name() != "pysqlite":
        raise BadInputError(
            f"OPSWRIGHT_KNOWLEDGE_URL names {parsed.drivername}; only sqlite is supported, "
            "as in sqlite:////path/to/knowledge.db"
        )
    if parsed.database in {None, "", ":memory:"}:
        raise BadInputError(
            "OPSWRIGHT_KNOWLEDGE_URL names no file; memory cannot be shared between connections. "
            "Use sqlite:////path/to/knowledge.db"
        )
    return SQLite(parsed)


class SQLite:
    """SQLite in WAL mode with FTS5: many processes read while one writes."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.where = str(url.database)

    def engine(self) -> Engine:
        """Make the engine; the file is created, readable by its owner alone, when it is missing.

        Raises OSError when that cannot be done.
        """
        if not self.where.startswith("file:"):
            path = Path(self.where)
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists():
                path.touch(mode=0o600)
        engine = create_engine(
            self.url,
            connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            pool_size=8,
            max_overflow=56,
        )

        @event.listens_for(engine, "connect")
        def configure(connection: sqlite3.Connection, _: Any) -> None:
            connection.isolation_level = None  # transactions are begun below, not by the driver
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine

    def create_full_text(self, connection: Connection) -> None:
        """Make the full-text index of memories."""
        connection.exec_driver_sql(
            "CREATE VIRTUAL TABLE IF NOT EXISTS memory_words "
            "USING fts5(text, tokenize='porter unicode61')"
        )

    def index_memory(self, connection: Connection, number: int, words: str) -> None:
        """Add a memory's text to the index."""
        connection.execute(
            text("INSERT INTO memory_words (rowid, text) VALUES (:number, :words)"),
            {"number": number, "words": words},
        )

    def unindex_memories(self, connection: Connection, numbers: list[int]) -> None:
        """Take memories out of the index."""
        connection.execute(
            text("DELETE FROM memory_words WHERE rowid = :number"),
            [{"number": number} for number in numbers],
        )

    def matching(self, words: list[str]) -> Subquery:
        """Memories that hold any of the words, as (number, relevance): BM25, higher is better."""
        match = " OR ".join(f'"{word}"' for word in words)
        return (
            text(
                "SELECT rowid AS number, -bm25(memory_words) AS relevance "
                "FROM memory_words WHERE memory_words MATCH :match"
            )
            .bindparams(match=match)
            .columns(number=Integer, relevance=Float)
            .subquery()
        )

    def explain(self, exc: Exception) -> OpswrightError:
        """Turn a driver's error into one that says what to do."""
        cause = exc.orig if isinstance(exc, DBAPIError) else exc
        name = getattr(cause, "sqlite_errorname", "")
        advice = next(
            (advice for code, advice in _ADVICE.items() if name.startswith(code)),
            "Check the file, its directory and the disk.",
        )
        return OpswrightError(f"The knowledge store {self.where} cannot be used: {cause}. {advice}")
