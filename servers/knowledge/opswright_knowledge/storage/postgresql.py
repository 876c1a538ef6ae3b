"""PostgreSQL: many machines share one store."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Table,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from opswright_core.errors import BadInputError, OpswrightError
from opswright_knowledge.storage.dialect import EXAMPLES
from opswright_knowledge.storage.postings import WORD_TABLES, PostedWords
from opswright_knowledge.storage.schema import metadata, namespaces

CONNECT_SECONDS = 10
SCHEMA_LOCK = 0x6F707377_72696768
"""The key of the advisory lock that one migrating process holds («opswrigh»)."""

CHANNEL = "opswright_knowledge"
NEWS_SECONDS = 0.5

BY_INDEX = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_hashagg": "off",
    "random_page_cost": "1.1",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
}
"""Each statement goes by an index, whose order is that of its page. The planner would gather all
that fits and sort it where it takes that for few, and its statistics lag behind a growing store."""
FOR_THESE_VALUES = {"plan_cache_mode": "force_custom_plan"}
"""A read is planned for its values: a word may be in one record or in all. A write is not: it goes
by a key, and has a thousand rows."""

_ADVICE = {
    "25006": "Nothing was written: it is a standby, or was set read-only "
    "(default_transaction_read_only), as when its disk is nearly full. Name the primary in "
    "OPSWRIGHT_KNOWLEDGE_URL, or mend that.",
    "28": "Correct the user and password in OPSWRIGHT_KNOWLEDGE_URL.",
    "3D000": "Create the database (createdb), or correct its name in OPSWRIGHT_KNOWLEDGE_URL.",
    "42501": "Grant the user CREATE and USAGE on the schema and all rights on its tables.",
    "42P01": "Its tables are not as this server left them. Restore a backup, or name another "
    "database in OPSWRIGHT_KNOWLEDGE_URL.",
    "42703": "Its tables are not as this server left them. Restore a backup, or name another "
    "database in OPSWRIGHT_KNOWLEDGE_URL.",
    "54": "Nothing was written. The names in a record (its type and id, a tag's key, a relation) "
    "are too long together for an index of PostgreSQL; shorten them.",
    "53100": "Nothing was written. Free space on the database's disk and try again.",
    "53200": "Nothing was written. The database is out of memory; try again.",
    "53300": "It has too many connections; raise max_connections or put a pooler before it.",
    "57": "The database was stopped or restarts. What was under way may or may not have been "
    "written; look, then try again.",
}


class PostgreSQL(PostedWords):
    """A PostgreSQL database, by psycopg."""

    def __init__(self, url: URL) -> None:
        """Raises BadInputError when the driver is missing, or the URL names no database."""
        if importlib.util.find_spec("psycopg") is None:
            raise BadInputError(
                "OPSWRIGHT_KNOWLEDGE_URL names PostgreSQL, whose driver is not installed: "
                "pip install 'opswright-knowledge[postgres]'"
            )
        if not url.database:
            raise BadInputError(
                f"OPSWRIGHT_KNOWLEDGE_URL names no database; it looks like {EXAMPLES}"
            )
        self._url = url.set(drivername="postgresql+psycopg")
        self.where = url.render_as_string(hide_password=True)

    @property
    def _dsn(self) -> str:
        """The URL as psycopg takes it, with the password."""
        return self._url.set(drivername="postgresql").render_as_string(hide_password=False)

    def engine(self) -> Engine:
        """Make the engine; connections that a restart of the database ended are made anew."""
        given = {"connect_timeout": CONNECT_SECONDS, "application_name": "opswright-knowledge"}
        engine = create_engine(
            self._url,
            connect_args={key: v for key, v in given.items() if key not in self._url.query},
            pool_size=5,
            max_overflow=10,
            pool_pre_ping=True,
        )
        event.listen(engine, "begin", _plan_by_index)
        event.listen(engine, "checkin", _as_the_database_says)
        return engine

    def lane(self, namespace: str) -> str:
        """One writer at a time in each namespace."""
        return namespace

    def writing(self) -> dict[str, Any]:
        """What others committed is seen as soon as the lock is held."""
        return {"isolation_level": "READ COMMITTED"}

    def reading(self) -> dict[str, Any]:
        """A transaction that sees what was there at its first look."""
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

    def lock_schema(self, connection: Connection) -> None:
        """Take the advisory lock of migrations."""
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SCHEMA_LOCK})

    def create(self, connection: Connection) -> bool:
        """The migrations do."""
        return False

    def lock(self, connection: Connection, namespace: int) -> None:
        """Lock the namespace's row."""
        c = namespaces.c
        connection.execute(select(c.number).where(c.number == namespace).with_for_update())

    def run(
        self,
        connection: Connection,
        statement: Executable,
        values: Sequence[Mapping[str, Any]],
        own: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """By SQLAlchemy, as every other statement."""
        each = [{**one, **own} for one in values]
        found = connection.execute(statement, each if len(each) > 1 else each[0])
        return [dict(row) for row in found.mappings()] if found.returns_rows else []

    def announce(self, connection: Connection) -> None:
        """NOTIFY, which is sent when the transaction commits."""
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")

    def analyze(self, connection: Connection) -> None:
        """ANALYZE: autovacuum comes after a minute, and until then one row is expected of any."""
        tables = ", ".join([*metadata.tables, *WORD_TABLES])
        connection.exec_driver_sql(f"ANALYZE (SKIP_LOCKED) {tables}")  # it waits for no VACUUM

    @contextmanager
    def news(self, engine: Engine) -> Iterator["_Notifications"]:
        """LISTEN on a connection of its own."""
        import psycopg

        with psycopg.connect(
            self._dsn, autocommit=True, connect_timeout=CONNECT_SECONDS
        ) as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            yield _Notifications(connection)

    def insert(self, table: Table) -> Any:
        """PostgreSQL's own insert."""
        return insert(table)

    def is_boolean(self, within: Any, name: str) -> ColumnElement[bool]:
        """By its type."""
        return func.json_typeof(within[name]) == "boolean"

    def explain(self, exc: Exception) -> OpswrightError:
        """Turn a driver's error into one that says what to do."""
        cause = exc.orig if isinstance(exc, DBAPIError) else exc
        code = getattr(cause, "sqlstate", None) or ""
        advice = next(
            (advice for begin, advice in _ADVICE.items() if code.startswith(begin)),
            "Check that it runs and can be reached from here, and OPSWRIGHT_KNOWLEDGE_URL.",
        )
        said = " ".join(str(cause).split())[:500].rstrip(".")
        return OpswrightError(f"The knowledge store {self.where} cannot be used: {said}. {advice}")


class _Notifications:
    """What NOTIFY sent."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def wait(self) -> bool:
        return any(True for _ in self._connection.notifies(timeout=NEWS_SECONDS, stop_after=1))


def _plan_by_index(connection: Connection) -> None:
    reads = connection.get_execution_options().get("postgresql_readonly")
    settings = {**BY_INDEX, **FOR_THESE_VALUES} if reads else BY_INDEX
    each = (f"SET LOCAL {name} = {value}" for name, value in settings.items())
    connection.exec_driver_sql("; ".join(each))


def _as_the_database_says(driver: Any, _: Any) -> None:
    """Of a connection that was used to read, SQLAlchemy makes one that writes in any case."""
    if driver is not None:
        driver.read_only = None
