"""Shared values by scope and key, with compare-and-set."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from opswright_core.canonical import canonical_json
from opswright_core.errors import ConflictError
from opswright_knowledge.addresses import key_of
from opswright_knowledge.kept import kept
from opswright_knowledge.records import ContextEntry, ContextScope, Operation, Recorded
from opswright_knowledge.storage.names import MOST_NAMES
from opswright_knowledge.storage.schema import context

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork


class Context:
    """The shared values, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def put(
        self, scope: str, key: str, value: Any, expected_revision: int | None = None
    ) -> Recorded:
        """Set a value; None removes it. The same value again gets no revision.

        Raises ConflictError, showing the current value, when `expected_revision` (0: not there yet)
        is not the current one; BadInputError when the value is too large.
        """
        current = self.get(scope, key)
        found = current.revision if current else 0
        if expected_revision is not None and expected_revision != found:
            raise ConflictError(_conflict(scope, key, expected_revision, current))
        value = kept({"value": value}, f"{scope}/{key}")["value"]
        if (value is None and current is None) or (current and value == current.value):
            return Recorded(revision=self._unit.revision, unchanged=1)
        done: Operation = "deleted" if value is None else "updated" if current else "created"
        before = {"value": current.value} if current else None
        (revision,) = self._unit.log("context", [(key_of(scope, key), done)], [before])
        row = {"value": value, **self._unit.origin(revision)}
        if current is None:
            self._connection.execute(insert(context).values(scope=scope, key=key, **row))
        elif value is None:
            self._connection.execute(delete(context).where(*self._at(scope, key)))
        else:
            self._connection.execute(update(context).where(*self._at(scope, key)).values(**row))
        return Recorded(revision=revision)

    def get(self, scope: str, key: str) -> ContextEntry | None:
        """One value, or None."""
        asked = select(context).where(*self._at(scope, key))
        row = self._connection.execute(asked).mappings().first()
        return ContextEntry.model_validate(dict(row)) if row else None

    def find(
        self, scope: str, *, after: str | None = None, limit: int = 50
    ) -> tuple[list[ContextEntry], int]:
        """The values of a scope by key: at most `limit` + 1, and how many there are."""
        fits = [self._unit.own(context), context.c.scope == scope]
        total = self._unit.counted(select(context.c.key).where(*fits))
        if after is not None:
            fits.append(context.c.key > after)
        asked = select(context).where(*fits).order_by(context.c.key).limit(limit + 1)
        rows = self._connection.execute(asked).mappings()
        return [ContextEntry.model_validate(dict(row)) for row in rows], total

    def scopes(
        self, *, after: str | None = None, limit: int = 50
    ) -> tuple[list[ContextScope], int]:
        """The scopes that hold values, by name: at most `limit` + 1, and how many (see `Names`).

        The values of each are counted up to `MOST_NAMES` and one.
        """
        scopes, total = self._unit.names.beginning("scope", after=after, limit=limit)
        return [self._scope(scope) for scope in scopes], total

    def _scope(self, scope: str) -> ContextScope:
        c = context.c
        fits = (self._unit.own(context), c.scope == scope)
        latest = self._connection.execute(select(func.max(c.at)).where(*fits)).scalar_one()
        count = self._unit.counted(select(c.key).where(*fits), MOST_NAMES)
        return ContextScope(scope=scope, count=count, at=latest)

    def _at(self, scope: str, key: str) -> tuple[ColumnElement[bool], ...]:
        return self._unit.own(context), context.c.scope == scope, context.c.key == key


def _conflict(scope: str, key: str, expected: int, current: ContextEntry | None) -> str:
    if current is None:
        return (
            f"{scope}/{key} is not set, so it has no revision {expected}. "
            "Send expected_revision=0 to set it first."
        )
    return (
        f"{scope}/{key} is at revision {current.revision}, not {expected}: {current.recorded_by} "
        f"set it at {current.at}. Current value: {canonical_json(current.value)[:2000]}. "
        f"Merge with it and send expected_revision={current.revision}."
    )
