"""PostgreSQL: many machines share one store."""

import importlib.util
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from sqlalchemy import (
    BigInteger,
    Connection,
    Engine,
    Executable,
    Float,
    Select,
    Subquery,
    Table,
    create_engine,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from opswright_core.errors import BadInputError, OpswrightError
from opswright_knowledge.storage.dialect import EXAMPLES, WordIndex
from opswright_knowledge.storage.schema import namespaces

CONNECT_SECONDS = 10
SCHEMA_LOCK = 0x6F707377_72696768
"""The key of the advisory lock that one migrating process holds («opswrigh»)."""

CHANNEL = "opswright_knowledge"
NEWS_SECONDS = 0.5

MOST_PLACES = 255
"""How many places of a word PostgreSQL surely keeps: its documents allow 256 (section 12.11)."""

K1, B = 1.2, 0.75
"""BM25's parameters, as FTS5 has them."""

_ADVICE = {
    "25006": "Nothing was written: this server is a read-only standby. Name the primary in "
    "OPSWRIGHT_KNOWLEDGE_URL.",
    "28": "Correct the user and password in OPSWRIGHT_KNOWLEDGE_URL.",
    "3D000": "Create the database (createdb), or correct its name in OPSWRIGHT_KNOWLEDGE_URL.",
    "42501": "Grant the user CREATE and USAGE on the schema and all rights on its tables.",
    "54": "Nothing was written. The names in a record (its type and id, a tag's key, a relation) "
    "are too long together for an index of PostgreSQL; shorten them.",
    "53100": "Nothing was written. Free space on the database's disk and try again.",
    "53200": "Nothing was written. The database is out of memory; try again.",
    "53300": "It has too many connections; raise max_connections or put a pooler before it.",
    "57": "The database was stopped or restarts. What was under way may or may not have been "
    "written; look, then try again.",
}


class PostgreSQL:
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
        return create_engine(
            self._url,
            connect_args={key: v for key, v in given.items() if key not in self._url.query},
            pool_size=5,
            max_overflow=10,
            pool_pre_ping=True,
        )

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

    def lock(self, connection: Connection, namespace: int) -> None:
        """Lock the namespace's row."""
        c = namespaces.c
        connection.execute(select(c.number).where(c.number == namespace).with_for_update())

    def run(
        self, connection: Connection, statement: Executable, values: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        """By SQLAlchemy, as every other statement."""
        found = connection.execute(statement, values if len(values) > 1 else values[0])
        return [dict(row) for row in found.mappings()] if found.returns_rows else []

    def announce(self, connection: Connection) -> None:
        """NOTIFY, which is sent when the transaction commits."""
        connection.exec_driver_sql(f"NOTIFY {CHANNEL}")

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

    def index(
        self, connection: Connection, index: WordIndex, entries: Sequence[tuple[int, list[str]]]
    ) -> None:
        """Index the words of new (number, words)."""
        if not entries:
            return
        if index == "memory_words":
            statement = text(
                "INSERT INTO memory_words VALUES "
                "(:number, to_tsvector('opswright_words', :words), :length)"
            )
            rows = [{"number": n, "words": " ".join(w), "length": len(w)} for n, w in entries]
        else:
            statement = text(
                "INSERT INTO resource_words VALUES (:number, CAST(:words AS tsvector))"
            )
            rows = [{"number": n, "words": _vector(w)} for n, w in entries]
        connection.execute(statement, rows)

    def unindex(self, connection: Connection, index: WordIndex, numbers: Sequence[int]) -> None:
        """Take records out of an index."""
        if numbers:
            statement = text(f"DELETE FROM {index} WHERE number = ANY(:numbers)")  # noqa: S608
            connection.execute(statement, {"numbers": list(numbers)})

    def stems(self, connection: Connection, words: Sequence[str]) -> list[str]:
        """The words as PostgreSQL stems them."""
        asked = text("SELECT tsvector_to_array(to_tsvector('opswright_words', :words))")
        return list(connection.execute(asked, {"words": " ".join(words)}).scalar_one())

    def holding(self, stems: Sequence[str], *, every: bool) -> Select[Any]:
        """The number of each memory with every stem, or any; newest first."""
        query = (" & " if every else " | ").join(f"'{stem}'" for stem in stems)
        return _matching("memory_words", query, newest_first=True)

    def ranked(self, connection: Connection, held: Mapping[str, int]) -> Subquery:
        """BM25 as FTS5 has it, but for the mean length, which is that of what matches."""
        stored = connection.execute(text("SELECT max(number) FROM memory_words")).scalar_one() or 0
        return (
            text(
                "SELECT m.number AS number, sum(a.idf * t.n * (:k1 + 1) / "
                "(t.n + :k1 * (1 - :b + :b * m.length / m.mean))) AS relevance "
                "FROM (SELECT number, words, length, avg(length) OVER () AS mean "
                "FROM memory_words WHERE words @@ CAST(:query AS tsquery)) m "
                "CROSS JOIN LATERAL (SELECT lexeme, cardinality(positions) AS n "
                "FROM unnest(m.words)) t "
                "JOIN unnest(CAST(:stems AS text[]), CAST(:idfs AS float8[])) AS a(stem, idf) "
                "ON a.stem = t.lexeme GROUP BY m.number"
            )
            .bindparams(
                k1=K1,
                b=B,
                query=" | ".join(f"'{stem}'" for stem in held),
                stems=list(held),
                idfs=[_idf(count, stored) for count in held.values()],
            )
            .columns(number=BigInteger, relevance=Float)
            .subquery()
        )

    def phrased(self, phrases: Sequence[Sequence[str]], *, begun: bool) -> Select[Any]:
        """The number of each resource with every phrase; if `begun`, its last word may go on."""
        each = (_phrase(phrase, ":*" if begun else "") for phrase in phrases)
        return _matching("resource_words", " & ".join(f"({one})" for one in each))

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


def _idf(held: int, stored: int) -> float:
    """FTS5's: a word that most hold weighs next to nothing, but never less."""
    return max(math.log((max(stored, held) - held + 0.5) / (held + 0.5)), 1e-6)


def _vector(words: Sequence[str]) -> str:
    """The words, which are letters and digits alone, with their places.

    PostgreSQL forgets the places of a word beyond `MOST_PLACES`, so where one is that frequent, the
    pairs of words that follow each other are words of their own.
    """
    placed = " ".join(f"'{word}':{place}" for place, word in enumerate(words, 1))
    if max(Counter(words).values(), default=0) <= MOST_PLACES:
        return placed
    return " ".join([placed, *sorted(set(_pairs(words)))])


def _phrase(words: Sequence[str], star: str) -> str:
    """A query for words next to each other, by their places or, without those, by pairs."""
    placed = " <-> ".join(f"'{word}'" for word in words) + star
    pairs = " & ".join(_pairs(words))
    return f"({placed}) | ({pairs}{star})" if pairs else placed


def _pairs(words: Sequence[str]) -> Iterator[str]:
    return (f"'{one}~{following}'" for one, following in pairwise(words))


def _matching(index: WordIndex, query: str, *, newest_first: bool = False) -> Select[Any]:
    order = " ORDER BY number DESC" if newest_first else ""
    found = text(
        f"SELECT number FROM {index} WHERE words @@ CAST(:query AS tsquery){order}"  # noqa: S608
    )
    return select(found.bindparams(query=query).columns(number=BigInteger).subquery().c.number)
