"""The registry of resources: what exists, where, tagged how."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import select, union_all, update

from opswright_core.canonical import canonical_json
from opswright_core.errors import ConflictError, NotFoundError
from opswright_knowledge.addresses import key_of
from opswright_knowledge.kept import kept
from opswright_knowledge.records import (
    Marked,
    Operation,
    Recorded,
    Resource,
    ResourceKey,
    ResourceRecord,
)
from opswright_knowledge.storage.resource_rows import Key, ResourceRows, Row, chunks, is_gone
from opswright_knowledge.storage.schema import resources

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork


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
        self._rows = ResourceRows(unit)

    def put(self, records: Sequence[ResourceRecord]) -> Recorded:
        """Record resources: fields that were sent replace what is known, the others stay.

        One that says nothing new gets no revision, only a later `seen_at`; of one given twice
        the later fields count. Raises BadInputError for one that is too large, ConflictError where
        `expected_revision` is not the current one.
        """
        known = self._rows.load([(record.type, record.id) for record in records])
        latest: dict[Key, Row] = {}
        for record in records:
            key = (record.type, record.id)
            _expect(record, known.get(key))
            latest[key] = _merge(record, latest.get(key) or known.get(key))
        told = [
            (old := known.get(key), new, old and _differing(old, new))
            for key, new in latest.items()
        ]
        changed = [(old, new, before) for old, new, before in told if old is None or before]
        revisions = self._unit.log(
            "resource",
            [
                (key_of(new["type"], new["id"]), "created" if is_gone(old) else "updated")
                for old, new, _ in changed
            ],
            [before for _, _, before in changed],
        )
        seen = {"seen_at": self._unit.now, "deleted_at": None}
        self._rows.write(
            [
                (old, {**new, **self._unit.origin(revision), **seen})
                for (old, new, _), revision in zip(changed, revisions, strict=True)
            ]
        )
        self._rows.touch([old for old, _, before in told if old is not None and not before])
        return Recorded(
            revision=self._unit.revision,
            count=len(told),
            unchanged=len(told) - len(changed),
        )

    def restore(self, rows: Sequence[Row]) -> int:
        """Write resources as they were elsewhere, provenance and all; returns how many.

        Rows hold every column but `number`, `namespace` and `revision`. Where one is there that was
        written as late or later, it stays; of one given twice the later row counts.
        """
        known = self._rows.load([(row["type"], row["id"]) for row in rows])
        latest = {(row["type"], row["id"]): row for row in sorted(rows, key=lambda row: row["at"])}
        fresh = [
            (known.get(key), row)
            for key, row in latest.items()
            if key not in known or known[key]["at"] < row["at"]
        ]
        revisions = self._unit.log(
            "resource",
            [(key_of(row["type"], row["id"]), _restored(old, row)) for old, row in fresh],
            [old and _differing(old, row) for old, row in fresh],
        )
        own = {"namespace": self._unit.namespace}
        self._rows.write(
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
        asked = asked.order_by(c.deleted_at, c.number)
        rows = [dict(row) for row in self._connection.execute(asked).mappings()]
        if rows and not dry_run:
            pruned: Operation = "pruned"
            self._unit.log("resource", [(key_of(row["type"], row["id"]), pruned) for row in rows])
            self._rows.remove(rows)
        return len(rows)

    def mark_deleted(self, keys: Sequence[ResourceKey]) -> Marked:
        """Note that resources are gone: readable by their key still, left out of lists and walks.

        Raises NotFoundError when none of them was ever recorded.
        """
        wanted = list(dict.fromkeys((key.type, key.id) for key in keys))
        known = self._rows.load(wanted)
        unknown = ["/".join(key) for key in wanted if key not in known]
        if wanted and not known:
            raise NotFoundError(
                f"never recorded: {', '.join(unknown[:5])}. find_resources shows what is."
            )
        living = [key for key in wanted if key in known and not is_gone(known[key])]
        entries: list[tuple[str, Operation]] = [(key_of(*key), "deleted") for key in living]
        revisions = self._unit.log("resource", entries, [{"deleted_at": None} for _ in living])
        for key, revision in zip(living, revisions, strict=True):
            self._connection.execute(
                update(resources)
                .where(self._unit.own(resources), resources.c.number == known[key]["number"])
                .values(deleted_at=self._unit.now, **self._unit.origin(revision))
            )
        self._rows.count(
            Counter({kind: -many for kind, many in Counter(k for k, _ in living).items()})
        )
        return Marked(
            revision=self._unit.revision,
            count=len(known),
            unchanged=len(known) - len(living),
            unknown=unknown[:50],
        )

    def unknown(self, records: Sequence[ResourceRecord]) -> list[ResourceRecord]:
        """Those that were never recorded."""
        known = self._rows.load([(record.type, record.id) for record in records])
        return [record for record in records if (record.type, record.id) not in known]

    def get(self, kind: str, name: str) -> Resource:
        """One resource by its key, deleted or not. Raises NotFoundError."""
        row = self._rows.load([(kind, name)]).get((kind, name))
        if row is None:
            raise NotFoundError(
                f"no resource {kind}/{name} is recorded; find_resources shows what is."
            )
        return Resource.model_validate(row)

    def named(self, names: Iterable[str]) -> list[Named]:
        """Living resources whose id or ARN is among the names, by type and id."""
        c = resources.c
        found: set[Named] = set()
        for some in chunks(sorted(set(names))):
            asked = select(c.type, c.id, c.arn, c.name).where(
                self._unit.own(resources), c.deleted_at.is_(None)
            )
            both = union_all(  # each by its own index
                asked.where(c.id.in_(some)), asked.where(c.arn.in_(some), c.arn != "")
            )
            found.update(Named(*row) for row in self._connection.execute(both))
        return sorted(found)


_FIELDS = (
    "type", "id", "arn", "account", "region", "name", "status", "attributes", "tags", "relations",
)  # fmt: skip


_UNKNOWN = ResourceRecord(type="-", id="-").model_dump(include={*_FIELDS})


def _merge(record: ResourceRecord, current: Row | None) -> Row:
    sent = record.model_dump(exclude_unset=True, exclude={"expected_revision"})
    base = {name: current[name] for name in _FIELDS} if current else _UNKNOWN
    return kept({**base, **sent}, f"{record.type} {record.id}")


def _restored(old: Row | None, row: Row) -> Operation:
    if row["deleted_at"]:
        return "deleted"
    return "created" if is_gone(old) else "updated"


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
