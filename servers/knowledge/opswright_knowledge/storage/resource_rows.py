"""Writes resources and what makes them findable: tags, relations, words, counts.

Its statements are made once: making one takes longer than running it.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, text, update

from opswright_core.canonical import canonical_json
from opswright_knowledge.storage.lookup import looked_up
from opswright_knowledge.storage.schema import (
    owned,
    resource_relations,
    resource_tags,
    resources,
)

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

CHUNK = 1000
"""Keys asked for in one statement; SQLite takes 32,766 parameters, others more."""

Key = tuple[str, str]
Row = dict[str, Any]

_r = resources.c
_of_number = (owned(resources), _r.number == bindparam("a_number"))
_KNOWN = select(resources).where(
    owned(resources), _r.type == bindparam("a_type"), _r.id == bindparam("an_id")
)
_WITH_IDS = select(resources).where(owned(resources), _r.id.in_(bindparam("ids", expanding=True)))
_ADD = insert(resources).returning(_r.type, _r.id, _r.number)
_CHANGE = (
    update(resources)
    .where(*_of_number)
    .values({c.name: bindparam(c.name) for c in _r if c.name != "number"})
)
_TOUCH = update(resources).where(*_of_number).values(seen_at=bindparam("now"))
_REMOVE = delete(resources).where(*_of_number)
_COUNT = text(
    "INSERT INTO resource_counts (namespace, type, living) VALUES (:own_namespace, :type, :more) "
    "ON CONFLICT (namespace, type) DO UPDATE SET living = resource_counts.living + excluded.living"
)
_LOOKED_UP = {
    table: (
        insert(table),
        delete(table).where(
            owned(table),
            table.c.type == bindparam("a_type"),
            table.c.id == bindparam("an_id"),
        ),
    )
    for table in (resource_tags, resource_relations)
}


class ResourceRows:
    """The rows of resources, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit

    def load(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """The rows that there are of some (type, id)."""
        wanted = set(keys)
        if len(wanted) == 1:
            ((kind, name),) = wanted
            rows = self._unit.run(_KNOWN, {"a_type": kind, "an_id": name})
            return {(row["type"], row["id"]): row for row in rows}
        found: dict[Key, Row] = {}
        own = {"own_namespace": self._unit.namespace}
        for some in chunks(list({name for _, name in keys})):
            for row in self._unit.connection.execute(_WITH_IDS, {"ids": some, **own}).mappings():
                if (key := (row["type"], row["id"])) in wanted:
                    found[key] = dict(row)
        return found

    def write(self, pairs: Sequence[tuple[Row | None, Row]]) -> None:
        """Write rows, each beside the one that it replaces; new ones are given their number."""
        added = [row for old, row in pairs if old is None]
        changed = [(old, {**row, "number": old["number"]}) for old, row in pairs if old is not None]
        if added:
            made = self._unit.run(_ADD, added)
            numbers = {(row["type"], row["id"]): row["number"] for row in made}
            for row in added:
                row["number"] = numbers[row["type"], row["id"]]
        if changed:
            self._unit.run(_CHANGE, [{**row, "a_number": row["number"]} for _, row in changed])
        self._look_up(added, changed)
        more: Counter[str] = Counter()
        for old, row in pairs:
            more[row["type"]] += is_gone(old) - is_gone(row)
        self.count(more)

    def touch(self, rows: Sequence[Row]) -> None:
        """Note that rows were seen again as they are."""
        if rows:
            now = self._unit.now
            self._unit.run(_TOUCH, [{"a_number": row["number"], "now": now} for row in rows])

    def remove(self, rows: Sequence[Row]) -> None:
        """Drop rows, and all that found them."""
        if rows:
            for table in _LOOKED_UP:
                self._unit.run(_LOOKED_UP[table][1], [_key(row) for row in rows])
            self._unindex(rows)
            self._unit.run(_REMOVE, [{"a_number": row["number"]} for row in rows])

    def count(self, more: Counter[str]) -> None:
        """Note how many more living resources there are of each type."""
        if entries := [{"type": kind, "more": n} for kind, n in sorted(more.items()) if n]:
            self._unit.run(_COUNT, entries)

    def _look_up(self, added: Sequence[Row], changed: Sequence[tuple[Row, Row]]) -> None:
        """Make new rows, and those that changed, findable by what they hold now."""
        for table, field, entries_of in (
            (resource_tags, "tags", _tags),
            (resource_relations, "relations", _relations),
        ):
            add, drop = _LOOKED_UP[table]
            anew = [(old, row) for old, row in changed if old[field] != row[field]]
            if stale := [_key(old) for old, _ in anew if old[field]]:
                self._unit.run(drop, stale)
            fresh = [*added, *(row for _, row in anew)]
            namespace = self._unit.namespace
            entries = [
                {"namespace": namespace, "type": row["type"], "id": row["id"], **entry}
                for row in fresh
                for entry in entries_of(row)
            ]
            if entries:
                self._unit.run(add, entries)
        worded = [(row, _text(row)) for row in added]
        said = [(old, row, _text(row)) for old, row in changed]
        reworded = [(row, told) for old, row, told in said if told != _text(old)]
        self._unindex([row for row, _ in reworded])
        of = self._unit.full_text.of
        words = ((row["number"], of(told)) for row, told in [*worded, *reworded])
        self._unit.dialect.index(self._unit.connection, "resource_words", words)

    def _unindex(self, rows: Sequence[Row]) -> None:
        numbers = [row["number"] for row in rows]
        self._unit.dialect.unindex(self._unit.connection, "resource_words", numbers)


def is_gone(row: Row | None) -> bool:
    """Whether there is no such resource, or it was marked as deleted."""
    return row is None or bool(row["deleted_at"])


def chunks(items: Sequence[Any]) -> Iterable[list[Any]]:
    """The items in pieces of `CHUNK`."""
    return (list(items[at : at + CHUNK]) for at in range(0, len(items), CHUNK))


def _key(row: Row) -> Row:
    return {"a_type": row["type"], "an_id": row["id"]}


def _tags(row: Row) -> Iterable[Row]:
    return ({"key": key, "value": looked_up(value)} for key, value in row["tags"].items())


def _relations(row: Row) -> Iterable[Row]:
    pairs = sorted({(one["kind"], one["to"]) for one in row["relations"]})
    return ({"kind": kind, "target": target} for kind, target in pairs)


def _text(row: Row) -> str:
    """What a query looks in."""
    told = [row[name] for name in ("type", "id", "arn", "name", "region", "status")]
    return " ".join([*told, canonical_json([row["tags"], row["attributes"]])])
