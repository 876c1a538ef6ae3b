"""The orchestrator's tables, on SQLite or PostgreSQL, and transactions that outlast an outage."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    literal_column,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from opswright.config import ConfigError
from opswright_core.database import sqlite_engine
from opswright_core.errors import OpswrightError

DATABASE_URL = "OPSWRIGHT_DATABASE_URL"
OUTAGE_SECONDS = 600.0
"""How long a run waits for PostgreSQL to come back."""

metadata = MetaData()
runs = Table(
    "orchestrator_runs",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("created_at", String, nullable=False, index=True),
    Column("updated_at", String, nullable=False),
    Column("owner", String, nullable=False),
    Column("status", String, nullable=False, index=True),
    Column("wish", String, nullable=False, default=""),
    Column("body", Text, nullable=False),
)
steps = Table(
    "orchestrator_steps",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("step_id", String, primary_key=True),
    Column("body", Text, nullable=False),
)
sent = Table(
    "orchestrator_messages_sent",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("message", Integer, primary_key=True),
)
grants = Table(
    "orchestrator_grants",
    metadata,
    Column("run_id", String, primary_key=True),
    Column("asked", String, primary_key=True),
    Column("by", String, nullable=False),
    Column("at", String, nullable=False),
)
beats = Table(
    "orchestrator_heartbeats",
    metadata,
    Column("owner", String, primary_key=True),
    Column("at", Float, nullable=False),
)

T = TypeVar("T")


def database_url(state_dir: Path) -> str:
    """The database of the environment, else a SQLite file. Raises ConfigError."""
    given = os.environ.get(DATABASE_URL)
    if not given:
        return f"sqlite:///{state_dir / 'runs.db'}"
    try:
        url = make_url(given)
    except ArgumentError:
        raise ConfigError(
            f"{DATABASE_URL} is not a database URL; it looks like postgresql://user@host/name"
        ) from None
    if url.get_backend_name() not in {"postgresql", "sqlite"}:
        raise ConfigError(f"{DATABASE_URL} names {url.drivername}; use postgresql or sqlite")
    return with_driver(given)


def with_driver(url: str) -> str:
    """The URL with psycopg (version 3) as PostgreSQL's driver, the one that is installed."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


class Database:
    """An open database with the orchestrator's tables."""

    def __init__(self, url: str, *, patience_seconds: float = 0.0) -> None:
        """Open it; a PostgreSQL that is away is waited for up to `patience_seconds` at each call.

        Raises OpswrightError when it cannot be used.
        """
        self.url = url
        self.where = make_url(url).render_as_string(hide_password=True)
        self.is_sqlite = make_url(url).get_backend_name() == "sqlite"
        self.patience_seconds = patience_seconds
        self.clock: Any = literal_column(
            "(julianday('now') - 2440587.5) * 86400.0"
            if self.is_sqlite
            else "extract(epoch from clock_timestamp())"
        )
        """The database's own time in seconds, the same for all machines."""
        try:
            self._engine = _engine(url)
        except OSError as exc:
            raise OpswrightError(f"cannot use {self.where}: {exc}") from exc
        self.transact(metadata.create_all, writes=True)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def __del__(self) -> None:
        if hasattr(self, "_engine"):
            self.close()

    def transact(self, work: Callable[[Connection], T], *, writes: bool = False) -> T:
        """Do `work`, which may be done again, in one transaction. Raises OpswrightError."""
        deadline, pause = time.monotonic() + self.patience_seconds, 0.1
        while True:
            try:
                with (
                    self._engine.connect().execution_options(writes=writes) as db,
                    db.begin(),
                ):
                    return work(db)
            except DBAPIError as exc:
                if self.is_sqlite or not _is_away(exc) or time.monotonic() > deadline:
                    raise OpswrightError(
                        f"cannot use {self.where}: {str(exc.orig).strip()}. Check that it is "
                        f"there and not full, or choose another with {DATABASE_URL}."
                    ) from exc
            time.sleep(pause)
            pause = min(pause * 2, 2.0)

    def upsert(
        self, table: Table, row: dict[str, Any], keys: list[str], changes: dict[str, Any]
    ) -> Any:
        """A statement that inserts a row, or makes the changes where its keys are there."""
        inserting: Any = (sqlite if self.is_sqlite else postgresql).insert(table).values(row)
        return inserting.on_conflict_do_update(index_elements=keys, set_=changes)


def _is_away(exc: DBAPIError) -> bool:
    """Whether the database could not be reached, or went away meanwhile."""
    return exc.connection_invalidated or type(exc.orig).__name__ in {
        "OperationalError",
        "AdminShutdown",
        "CannotConnectNow",
        "ConnectionTimeout",
    }


def _engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return create_engine(url, pool_size=5, max_overflow=15, pool_pre_ping=True)
    connect = {"timeout": 30, "check_same_thread": False}
    return sqlite_engine(url, Path(str(parsed.database)), connect_args=connect)
