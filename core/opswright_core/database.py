"""Opens the SQLite files of a state directory, safe for many processes: bare, or for SQLAlchemy."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opswright_core.errors import OpswrightError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine


class _Connection(sqlite3.Connection):
    """Closes itself when its owner is let go; Python 3.13 warns of one that is left open."""

    def __del__(self) -> None:
        self.close()


def connect(path: Path, schema: str) -> sqlite3.Connection:
    """Open (or create, for its owner alone) a WAL database and apply an idempotent `schema`.

    Raises OpswrightError when the file cannot be used, with what to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        db = sqlite3.connect(
            path, timeout=30, isolation_level=None, check_same_thread=False, factory=_Connection
        )
        path.chmod(0o600)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.executescript(schema)
    except (OSError, sqlite3.Error) as exc:
        raise OpswrightError(
            f"cannot use {path}: {exc}. Check that the directory is writable and the disk is not "
            "full, or choose another with OPSWRIGHT_STATE_DIR."
        ) from exc
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A write transaction that takes its lock at once, so that two processes never interleave."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def sqlite_engine(url: "URL | str", path: Path | None, **options: Any) -> "Engine":
    """A SQLAlchemy engine on a WAL file, which is made for its owner alone where `path` names it.

    A transaction with the execution option `writes` takes its lock at once. `options` go to
    `create_engine`. For members that have SQLAlchemy; the core itself needs it not.
    """
    from sqlalchemy import create_engine, event

    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            path.touch(mode=0o600)
    of_driver = {"factory": _Connection, **options.pop("connect_args", {})}
    engine = create_engine(url, connect_args=of_driver, **options)

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def begin(connection: "Connection") -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
