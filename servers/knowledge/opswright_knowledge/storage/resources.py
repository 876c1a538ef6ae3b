"""The registry of resources: what exists, where, tagged how."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, tuple_, update

from opswright_core.canonical import canonical_json
from opswright_core.errors import ConflictError, NotFoundError
from opswright_knowledge.kept import kept
from opswright_knowledge.records import (
    Marked,
    Operation,
    Recorded,
    Resource,
    ResourceKey,
    ResourceRecord,
)
from opswright_knowledge.storage.schema import (
    resource_counts,
    resource_relations,
    resource_tags,
    resources,
)

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

CHUNK = 500
"""Keys asked for in one statement; SQLite takes 32,766 parameters, others fewer."""

Key = tuple[str, str]
Row = dict[str, Any]


class Named(NamedTuple):
    """What a resource goes by."""

    type: str
    id: str
    arn: str
    name: str


class Resources:
    """The resources, within a transaction. `ResourceSearch` finds them."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def put(self, records: Sequence[ResourceRecord]) -> Recorded:
        """Record resources: fields that were sent replace what is known, the others stay.

        One that says nothing new gets no revision, only a later `seen_at`; of one given twice
        the later fields count. Raises BadInputError for one that is too large, ConflictError where
        `expected_revision` is not the current one.
        """
        known = self._load([(record.type, record.id) for record in records])
        latest: dict[Key, Row] = {}
        for record in records:
            key = (record.type, record.id)
            _expect(record, known.get(key))
            latest[key] = _merge(record, latest.get(key) or known.get(key))
        merged = [(known.get(key), new) for key, new in latest.items()]
        changed = [(old, new) for old, new in merged if old is None or _differing(old, new)]
        entries: list[tuple[str, Operation]] = [
            (f"{new['type']}/{new['id']}", "created" if _is_gone(old) else "updated")
            for old, new in changed
        ]
        before = [old and _differing(old, new) for old, new in changed]
        revisions = self._unit.log("resource", entries, before)
        rows = [
            {**new, **self._unit.origin(revision), "seen_at": self._unit.now, "deleted_at": None}
            for (_, new), revision in zip(changed, revisions, strict=True)
        ]
        self._write([(old, row) for (old, _), row in zip(changed, rows, strict=True)])
        self._touch([old for old, new in merged if old is not None and not _differing(old, new)])
        return Recorded(
            revision=self._unit.revision,
            count=len(merged),
            unchanged=len(merged) - len(changed),
        )

    def restore(self, rows: Sequence[Row]) -> int:
        """Write resources as they were elsewhere, provenance and all; returns how many.

        Rows hold every column but `number`, `namespace` and `revision`. Where one is there that was
        written as late or later, it stays; of one given twice the later row counts.
        """
        known = self._load([(row["type"], row["id"]) for row in rows])
        latest = {(row["type"], row["id"]): row for row in sorted(rows, key=lambda row: row["at"])}
        fresh = [
            (known.get(key), row)
            for key, row in latest.items()
            if key not in known or known[key]["at"] < row["at"]
        ]
        revisions = self._unit.log(
            "resource",
            [(f"{row['type']}/{row['id']}", _restored(old, row)) for old, row in fresh],
            [old and _differing(old, row) for old, row in fresh],
        )
        own = {"namespace": self._unit.namespace}
        self._write(
            [
                (old, {**row, **own, "revision": revision})
                for (old, row), revision in zip(fresh, revisions, strict=True)
            ]
        )
        return len(fresh)

    def prune(self, before: str, *, dry_run: bool) -> int:
        """Drop resources that were marked as deleted before a time; returns how many."""
        c = resources.c
        asked = select(c.type, c.id, c.number).where(
            self._unit.own(resources), c.deleted_at < before
        )
        rows = [dict(row) for row in self._connection.execute(asked).mappings()]
        if rows and not dry_run:
            pruned: Operation = "pruned"
            self._unit.log("resource", [(f"{row['type']}/{row['id']}", pruned) for row in rows])
            self._forget(rows)
            for some in _chunks([row["number"] for row in rows]):
                of_them = c.number.in_(some)
                self._connection.execute(
                    delete(resources).where(self._unit.own(resources), of_them)
                )
        return len(rows)

    def mark_deleted(self, keys: Sequence[ResourceKey]) -> Marked:
        """Note that resources are gone: readable by their key still, left out of lists and walks.

        Raises NotFoundError when none of them was ever recorded.
        """
        wanted = list(dict.fromkeys((key.type, key.id) for key in keys))
        known = self._load(wanted)
        unknown = ["/".join(key) for key in wanted if key not in known]
        if wanted and not known:
            raise NotFoundError(
                f"never recorded: {', '.join(unknown[:5])}. find_resources shows what is."
            )
        living = [key for key in wanted if key in known and not _is_gone(known[key])]
        entries: list[tuple[str, Operation]] = [("/".join(key), "deleted") for key in living]
        revisions = self._unit.log("resource", entries, [{"deleted_at": None} for _ in living])
        for key, revision in zip(living, revisions, strict=True):
            self._connection.execute(
                update(resources)
                .where(self._unit.own(resources), resources.c.number == known[key]["number"])
                .values(deleted_at=self._unit.now, **self._unit.origin(revision))
            )
        self._count(Counter({kind: -many for kind, many in Counter(k for k, _ in living).items()}))
        return Marked(
            revision=self._unit.revision,
            count=len(known),
            unchanged=len(known) - len(living),
            unknown=unknown[:50],
        )

    def unknown(self, records: Sequence[ResourceRecord]) -> list[ResourceRecord]:
        """Those that were never recorded."""
        known = self._load([(record.type, record.id) for record in records])
        return [record for record in records if (record.type, record.id) not in known]

    def get(self, kind: str, name: str) -> Resource:
        """One resource by its key, deleted or not. Raises NotFoundError."""
        row = self._load([(kind, name)]).get((kind, name))
        if row is None:
            raise NotFoundError(
                f"no resource {kind}/{name} is recorded; find_resources shows what is."
            )
        return Resource.model_validate(row)

    def named(self, names: Iterable[str]) -> list[Named]:
        """Living resources whose id or ARN is among the names, by type and id."""
        c = resources.c
        found: set[Named] = set()
        for some in _chunks(sorted(set(names))):
            fits = (c.id.in_(some) | (c.arn.in_(some) & (c.arn != ""))) & c.deleted_at.is_(None)
            asked = select(c.type, c.id, c.arn, c.name).where(self._unit.own(resources), fits)
            found.update(Named(*row) for row in self._connection.execute(asked))
        return sorted(found)

    def _load(self, keys: Sequence[Key]) -> dict[Key, Row]:
        found: dict[Key, Row] = {}
        c = resources.c
        for some in _chunks(keys):
            asked = select(resources).where(
                self._unit.own(resources), tuple_(c.type, c.id).in_(some)
            )
            for row in self._connection.execute(asked).mappings():
                found[row["type"], row["id"]] = dict(row)
        return found

    def _write(self, pairs: Sequence[tuple[Row | None, Row]]) -> None:
        """Write rows, each beside the one that it replaces."""
        self._add([row for old, row in pairs if old is None])
        self._change([{**row, "number": old["number"]} for old, row in pairs if old is not None])
        more: Counter[str] = Counter()
        for old, row in pairs:
            more[row["type"]] += _is_gone(old) - _is_gone(row)
        self._count(more)

    def _add(self, rows: list[Row]) -> None:
        if not rows:
            return
        c = resources.c
        made = self._connection.execute(insert(resources).returning(c.type, c.id, c.number), rows)
        numbers = {(kind, name): number for kind, name, number in made}
        self._look_up([{**row, "number": numbers[row["type"], row["id"]]} for row in rows])

    def _change(self, rows: list[Row]) -> None:
        if not rows:
            return
        same = resources.c.number == bindparam("a_number")
        self._connection.execute(
            update(resources)
            .where(self._unit.own(resources), same)
            .values({name: bindparam(name) for name in rows[0] if name != "number"}),
            [{**row, "a_number": row["number"]} for row in rows],
        )
        self._forget(rows)
        self._look_up(rows)

    def _look_up(self, rows: list[Row]) -> None:
        """Make rows findable by their tags, relations and words."""
        keyed = [
            ({"namespace": self._unit.namespace, "type": row["type"], "id": row["id"]}, row)
            for row in rows
        ]
        tags = [
            {**key, "key": tag, "value": value}
            for key, row in keyed
            for tag, value in row["tags"].items()
        ]
        relations = [
            {**key, "kind": kind, "target": target}
            for key, row in keyed
            for kind, target in sorted({(r["kind"], r["to"]) for r in row["relations"]})
        ]
        if tags:
            self._connection.execute(insert(resource_tags), tags)
        if relations:
            self._connection.execute(insert(resource_relations), relations)
        entries = [(row["number"], self._unit.full_text.of(_text(row))) for row in rows]
        self._unit.dialect.index(self._connection, "resource_words", entries)

    def _forget(self, rows: list[Row]) -> None:
        """Undo `_look_up`."""
        keys = [{"a_type": row["type"], "an_id": row["id"]} for row in rows]
        for table in (resource_tags, resource_relations):
            of_it = (table.c.type == bindparam("a_type"), table.c.id == bindparam("an_id"))
            self._connection.execute(delete(table).where(self._unit.own(table), *of_it), keys)
        numbers = [row["number"] for row in rows]
        self._unit.dialect.unindex(self._connection, "resource_words", numbers)

    def _count(self, more: Counter[str]) -> None:
        """Note how many more living resources there are of each type."""
        c = resource_counts.c
        for kind, number in sorted(more.items()):
            if not number:
                continue
            new = self._unit.dialect.insert(resource_counts).values(
                namespace=self._unit.namespace, type=kind, living=number
            )
            self._connection.execute(
                new.on_conflict_do_update(
                    index_elements=[c.namespace, c.type],
                    set_={"living": c.living + new.excluded.living},
                )
            )

    def _touch(self, rows: list[Row]) -> None:
        if rows:
            same = resources.c.number == bindparam("a_number")
            self._connection.execute(
                update(resources)
                .where(self._unit.own(resources), same)
                .values(seen_at=self._unit.now),
                [{"a_number": row["number"]} for row in rows],
            )


_FIELDS = (
    "type", "id", "arn", "account", "region", "name", "status", "attributes", "tags", "relations",
)  # fmt: skip


def _merge(record: ResourceRecord, current: Row | None) -> Row:
    sent = record.model_dump(exclude_unset=True, exclude={"expected_revision"})
    base = current or ResourceRecord(type=record.type, id=record.id).model_dump()
    return kept({**{name: base[name] for name in _FIELDS}, **sent}, f"{record.type} {record.id}")


def _text(row: Row) -> str:
    """What a query looks in."""
    told = [row[name] for name in ("type", "id", "arn", "name", "region", "status")]
    return " ".join([*told, canonical_json([row["tags"], row["attributes"]])])


def _restored(old: Row | None, row: Row) -> Operation:
    if row["deleted_at"]:
        return "deleted"
    return "created" if _is_gone(old) else "updated"


def _is_gone(old: Row | None) -> bool:
    return old is None or bool(old["deleted_at"])


def _differing(old: Row, new: Row) -> Row:
    """The fields that change, as they were."""
    before = {name: old[name] for name in _FIELDS if old[name] != new[name]}
    gone = old["deleted_at"]
    return before | ({"deleted_at": gone} if gone != new.get("deleted_at") else {})


def _expect(record: ResourceRecord, current: Row | None) -> None:
    expected, found = record.expected_revision, current["revision"] if current else 0
    if expected is None or expected == found:
        return
    if current is None:
        raise ConflictError(
            f"{record.type} {record.id} is not recorded, so it has no revision {expected}. "
            "Send expected_revision=0 to create it. Nothing of this call was recorded."
        )
    shown = canonical_json({name: current[name] for name in _FIELDS})
    raise ConflictError(
        f"{record.type} {record.id} is at revision {found}, not {expected}: "
        f"{current['recorded_by']} wrote it at {current['at']}. Current value: "
        f"{shown[:2000]}. Merge with it and send expected_revision={found}. "
        "Nothing of this call was recorded."
    )


def _chunks(items: Sequence[Any]) -> Iterable[list[Any]]:
    return (list(items[at : at + CHUNK]) for at in range(0, len(items), CHUNK))
