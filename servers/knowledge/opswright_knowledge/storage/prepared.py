"""Statements that are made once and handed to SQLite's driver as they are.

SQLAlchemy's way from a statement to the driver takes several times what SQLite takes to run it, and
a write has eight of them. Types are turned as SQLAlchemy turns them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, Executable
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

_DIALECT = SQLiteDialect_pysqlite(
    json_serializer=lambda value: to_json(value, inf_nan_mode="constants").decode()
)

Row = dict[str, Any]


class Prepared:
    """A statement as SQLite takes it, for values under some names."""

    def __init__(self, statement: Executable, names: Sequence[str]) -> None:
        compiled: Any = statement.compile(  # type: ignore[attr-defined]
            dialect=_DIALECT, column_keys=list(names)
        )
        self.sql = str(compiled)
        self._names = list(compiled.positiontup or ())
        turned = [_impl(compiled.binds[name]).bind_processor(_DIALECT) for name in self._names]
        self._turned = [(at, turn) for at, turn in enumerate(turned) if turn is not None]
        columns = getattr(statement, "exported_columns", ())
        self._columns = [
            (column.key, _impl(column).result_processor(_DIALECT, None)) for column in columns
        ]

    def run(
        self, connection: Connection, rows: Sequence[Mapping[str, Any]], own: Mapping[str, Any]
    ) -> list[Row]:
        """Run it for each of some values, and `own`; returns the rows that it returns, by column.

        What is sent is made as it goes, since all of a batch would take as much memory again.
        """
        driver: Any = connection.connection.dbapi_connection
        each = ({**row, **own} for row in rows) if own.keys() & self._names else rows
        sent = map(self._sent, each)
        if not self._columns:
            driver.executemany(self.sql, sent)
            return []
        return [
            {
                key: value if turned is None else turned(value)
                for (key, turned), value in zip(self._columns, found, strict=True)
            }
            for one in sent
            for found in driver.execute(self.sql, one).fetchall()
        ]

    def _sent(self, row: Mapping[str, Any]) -> list[Any]:
        values = [row[name] for name in self._names]
        for at, turn in self._turned:
            values[at] = turn(values[at])
        return values


made: dict[tuple[Executable, tuple[str, ...]], Prepared] = {}
"""Those that were needed so far; the statements are the modules' own, so that they are few."""


def prepared(statement: Executable, names: Sequence[str]) -> Prepared:
    """A statement for values under some names."""
    key = (statement, tuple(names))
    if key not in made:
        made[key] = Prepared(statement, names)
    return made[key]


def _impl(typed: Any) -> Any:
    return typed.type.dialect_impl(_DIALECT)
