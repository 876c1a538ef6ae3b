"""What a database does in its own way, and which one a URL names."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from sqlalchemy import ColumnElement, Connection, Engine, Executable, Select, Subquery, Table
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from opswright_core.errors import BadInputError, OpswrightError

WordIndex = Literal["memory_words", "resource_words"]
"""Memories are found by words in any form, resources by phrases and how their last word begins."""

EXAMPLES = "sqlite:////path/to/knowledge.db or postgresql://user:password@host/database"


class News(Protocol):
    """Whether somebody has written."""

    def wait(self) -> bool:
        """Wait a moment (a second at most) for news; true when there may be some."""


class Dialect(Protocol):
    """One kind of database."""

    where: str
    """The database as people name it, without a password."""

    def engine(self) -> Engine:
        """Make the engine; raises OSError or OpswrightError when that cannot be done."""

    def lane(self, namespace: str) -> str:
        """Writers in one lane follow each other; those in different ones need not."""

    def writing(self) -> dict[str, Any]:
        """The execution options of a transaction that writes."""

    def reading(self) -> dict[str, Any]:
        """The execution options of a transaction that sees one moment and writes nothing."""

    def lock_schema(self, connection: Connection) -> None:
        """Let no other process migrate until this transaction ends."""

    def create(self, connection: Connection) -> bool:
        """Make the newest schema in an empty database; False leaves it to the migrations."""

    def lock(self, connection: Connection, namespace: int) -> None:
        """Let no other process write to the namespace until this transaction ends."""

    def run(
        self,
        connection: Connection,
        statement: Executable,
        values: Sequence[Mapping[str, Any]],
        own: Mapping[str, Any],
    ) -> list[dict[str, Any]]:
        """Run a statement that was made once for each of some values; the rows, by column.

        `own` are values for each of them.
        """

    def announce(self, connection: Connection) -> None:
        """Let other processes know, when this transaction ends, that there is news."""

    def analyze(self, connection: Connection) -> None:
        """Have the planner look how much there is, where it needs that; the store has grown."""

    def news(self, engine: Engine) -> AbstractContextManager[News]:
        """Listen for news from here on."""

    def insert(self, table: Table) -> Any:
        """An insert that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""

    def index(
        self, connection: Connection, index: WordIndex, entries: Iterable[tuple[int, list[str]]]
    ) -> None:
        """Index the words of new (number, words)."""

    def unindex(self, connection: Connection, index: WordIndex, numbers: Sequence[int]) -> None:
        """Take records out of an index."""

    def stems(self, connection: Connection, words: Sequence[str]) -> list[str]:
        """The words as `memory_words` knows them, each once."""

    def holding(
        self, connection: Connection, stems: Sequence[str], *, every: bool, most: int
    ) -> Select[Any]:
        """The `number` of the newest `most` memories with every stem, or any."""

    def ranked(self, connection: Connection, held: Mapping[str, int]) -> Subquery:
        """(number, relevance) of each memory with any of the stems: BM25, higher is better.

        `held` tells how many memories hold each stem.
        """

    def phrased(
        self,
        connection: Connection,
        phrases: Sequence[Sequence[str]],
        *,
        begun: bool,
        sure: Sequence[Sequence[str]] = (),
    ) -> Select[Any]:
        """The `number` of each resource with every phrase; if `begun`, its last word may go on.

        What has a phrase of `sure` is looked at besides, so that more may be told than have those.
        """

    def is_boolean(self, within: Any, name: str) -> ColumnElement[bool]:
        """Whether what a JSON object holds under a name is true or false; may be NULL for no."""

    def explain(self, exc: Exception) -> OpswrightError:
        """Turn a driver's error into one that says what to do."""


def dialect_of(url: str) -> Dialect:
    """The dialect of a database URL.

    Raises BadInputError for one that cannot be parsed, is not supported, or lacks its driver.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadInputError(
            f"OPSWRIGHT_KNOWLEDGE_URL is not a database URL; it looks like {EXAMPLES}"
        ) from None
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        from opswright_knowledge.storage.sqlite import SQLite

        return SQLite(parsed)
    if parsed.drivername in {"postgres", "postgresql", "postgresql+psycopg"}:
        from opswright_knowledge.storage.postgresql import PostgreSQL

        return PostgreSQL(parsed)
    raise BadInputError(
        f"OPSWRIGHT_KNOWLEDGE_URL names {parsed.drivername}; only sqlite and postgresql are "
        f"supported, as in {EXAMPLES}"
    )
