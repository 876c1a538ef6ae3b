"""The registry of resources: what exists, where, tagged how."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    String,
    bindparam,
    cast,
    delete,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)

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
from opswright_knowledge.storage.schema import resource_relations, resource_tags, resources

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

CHUNK = 500
"""Keys asked for in one statement; SQLite takes 32,766 parameters, others fewer."""

Key = tuple[str, str]


class Named(NamedTuple):
    """What a resource goes by."""

    type: str
    id: str
    arn: str
    name: str


class Resources:
    """The resources, within a transaction."""

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
        latest: dict[Key, dict[str, Any]] = {}
        for record in records:
            key = (record.type, record.id)
            _expect(record, known.get(key))
            latest[key] = _merge(record, latest.get(key) or known.get(key))
        merged = [(known.get(key), new) for key, new in latest.items()]
        changed = [(old, new) for old, new in merged if old is None or _differs(old, new)]
        entries: list[tuple[str, Operation]] = [
            (f"{new['type']}/{new['id']}", _operation(old))
            for old, new in changed
        ]  # fmt: skip
        revisions = self._unit.log("resource", entries)
        rows = [
            {**new, **self._unit.origin(revision), "seen_at": self._unit.now, "deleted_at": None}
            for (_, new), revision in zip(changed, revisions, strict=True)
        ]
        self._replace(rows)
        self._touch([new for old, new in merged if old is not None and not _differs(old, new)])
        return Recorded(
            revision=self._unit.revision,
            count=len(merged),
            unchanged=len(merged) - len(changed),
        )

    def restore(self, rows: Sequence[dict[str, Any]]) -> int:
        """Write resources as they were elsewhere, provenance and all; returns how many.

        Rows hold every column but `revision` and `words`. Where one is there that was written as
        late or later, it stays; of one given twice the later row counts.
        """
        known = self._load([(row["type"], row["id"]) for row in rows])
        latest = {(row["type"], row["id"]): row for row in sorted(rows, key=lambda row: row["at"])}
        fresh = [
            row for key, row in latest.items() if key not in known or known[key]["at"] < row["at"]
        ]
        revisions = self._unit.log(
            "resource",
            [(f"{row['type']}/{row['id']}", _restored(known, row)) for row in fresh],
        )
        self._replace(
            [
                {**row, "words": _words(row), "revision": revision}
                for row, revision in zip(fresh, revisions, strict=True)
            ]
        )
        return len(fresh)

    def prune(self, before: str, *, dry_run: bool) -> int:
        """Drop resources that were marked as deleted before a time; returns how many."""
        c = resources.c
        asked = select(c.type, c.id).where(c.deleted_at < before)
        keys: list[Key] = [(row.type, row.id) for row in self._connection.execute(asked)]
        if not dry_run:
            pruned: Operation = "pruned"
            self._unit.log("resource", [("/".join(key), pruned) for key in keys])
            self._delete(keys)
        return len(keys)

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
        living = [key for key in wanted if key in known and not known[key]["deleted_at"]]
        gone: Operation = "deleted"
        revisions = self._unit.log("resource", [("/".join(key), gone) for key in living])
        for (kind, name), revision in zip(living, revisions, strict=True):
            self._connection.execute(
                update(resources)
                .where(resources.c.type == kind, resources.c.id == name)
                .values(deleted_at=self._unit.now, **self._unit.origin(revision))
            )
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

    def find(
        self,
        *,
        type: str | None = None,
        id: str | None = None,
        query: str | None = None,
        tag: str | None = None,
        attribute: str | None = None,
        status: str | None = None,
        account: str | None = None,
        region: str | None = None,
        related_to: str | None = None,
        after: Sequence[str] | None = None,
        limit: int = 50,
    ) -> tuple[list[Resource], dict[str, int]]:
        """Living resources that fit, by type and id.

        Returns at most `limit` + 1 of them, and how many there are by type.
        """
        c = resources.c
        fits: list[ColumnElement[bool]] = [c.deleted_at.is_(None)]
        fits += [
            column == value
            for column, value in (
                (c.type, type), (c.status, status), (c.account, account), (c.region, region),
            )
            if value is not None
        ]  # fmt: skip
        if id is not None:
            fits.append((c.id == id) | ((c.arn == id) & (c.arn != "")))
        fits += [c.words.contains(word, autoescape=True) for word in (query or "").lower().split()]
        if tag is not None:
            fits.append(tuple_(c.type, c.id).in_(_tagged(tag)))
        if attribute is not None:
            fits.append(_with_attribute(attribute))
        if related_to is not None:
            fits.append(tuple_(c.type, c.id).in_(self._neighbours(related_to)))
        counting = select(c.type, func.count()).where(*fits).group_by(c.type).order_by(c.type)
        counts = {kind: int(number) for kind, number in self._connection.execute(counting)}
        if after is not None:
            fits.append(tuple_(c.type, c.id) > tuple_(*after))
        listing = select(resources).where(*fits).order_by(c.type, c.id).limit(limit + 1)
        rows = self._connection.execute(listing).mappings()
        return [Resource.model_validate(dict(row)) for row in rows], counts

    def named(self, names: Iterable[str]) -> list[Named]:
        """Living resources whose id or ARN is among the names, by type and id."""
        c = resources.c
        found: set[Named] = set()
        for some in _chunks(sorted(set(names))):
            fits = c.id.in_(some) | (c.arn.in_(some) & (c.arn != ""))
            asked = select(c.type, c.id, c.arn, c.name).where(fits, c.deleted_at.is_(None))
            found.update(Named(*row) for row in self._connection.execute(asked))
        return sorted(found)

    def _neighbours(self, name: str) -> Any:
        """A query for the keys of what is related to a resource, either way."""
        r, n = resources.c, resource_relations.c
        names = {name} | {x for known in self.named([name]) for x in (known.id, known.arn) if x}
        sources = select(n.type, n.id).where(n.target.in_(names))
        targets = select(n.target).where(n.id.in_(names))
        pointed = select(r.type, r.id).where(
            r.id.in_(targets) | (r.arn.in_(targets) & (r.arn != ""))
        )
        return sources.union(pointed)

    def _load(self, keys: Sequence[Key]) -> dict[Key, dict[str, Any]]:
        found: dict[Key, dict[str, Any]] = {}
        for some in _chunks(keys):
            asked = select(resources).where(tuple_(resources.c.type, resources.c.id).in_(some))
            for row in self._connection.execute(asked).mappings():
                found[row["type"], row["id"]] = dict(row)
        return found

    def _replace(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        self._delete([(row["type"], row["id"]) for row in rows])
        self._connection.execute(insert(resources), rows)
        tags = [
            {"type": row["type"], "id": row["id"], "key": key, "value": value}
            for row in rows
            for key, value in row["tags"].items()
        ]
        relations = [
            {"type": row["type"], "id": row["id"], "kind": kind, "target": target}
            for row in rows
            for kind, target in sorted({(r["kind"], r["to"]) for r in row["relations"]})
        ]
        if tags:
            self._connection.execute(insert(resource_tags), tags)
        if relations:
            self._connection.execute(insert(resource_relations), relations)

    def _delete(self, keys: Sequence[Key]) -> None:
        named = [{"a_type": kind, "an_id": name} for kind, name in keys]
        for table in (resources, resource_tags, resource_relations) if named else ():
            same = (table.c.type == bindparam("a_type"), table.c.id == bindparam("an_id"))
            self._connection.execute(delete(table).where(*same), named)

    def _touch(self, rows: list[dict[str, Any]]) -> None:
        if rows:
            same = (resources.c.type == bindparam("a_type"), resources.c.id == bindparam("an_id"))
            self._connection.execute(
                update(resources).where(*same).values(seen_at=self._unit.now),
                [{"a_type": row["type"], "an_id": row["id"]} for row in rows],
            )


_FIELDS = (
    "type", "id", "arn", "account", "region", "name", "status", "attributes", "tags", "relations",
)  # fmt: skip


def _merge(record: ResourceRecord, current: dict[str, Any] | None) -> dict[str, Any]:
    sent = record.model_dump(exclude_unset=True, exclude={"expected_revision"})
    base = current or ResourceRecord(type=record.type, id=record.id).model_dump()
    merged = kept({**{name: base[name] for name in _FIELDS}, **sent}, f"{record.type} {record.id}")
    return {**merged, "words": _words(merged)}


def _words(row: dict[str, Any]) -> str:
    told = [row[name] for name in ("type", "id", "arn", "name", "region", "status")]
    return " ".join([*told, canonical_json([row["tags"], row["attributes"]])]).lower()


def _restored(known: dict[Key, dict[str, Any]], row: dict[str, Any]) -> Operation:
    if row["deleted_at"]:
        return "deleted"
    return _operation(known.get((row["type"], row["id"])))


def _operation(old: dict[str, Any] | None) -> Operation:
    return "updated" if old and not old["deleted_at"] else "created"


def _differs(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return bool(old["deleted_at"]) or any(old[name] != new[name] for name in _FIELDS)


def _expect(record: ResourceRecord, current: dict[str, Any] | None) -> None:
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


def _tagged(tag: str) -> Any:
    key, equals, value = tag.partition("=")
    asked = select(resource_tags.c.type, resource_tags.c.id).where(resource_tags.c.key == key)
    return asked.where(resource_tags.c.value == value) if equals else asked


def _with_attribute(text: str) -> ColumnElement[bool]:
    """Whether an attribute is there, or has a value: `size`, `size=3`, `network.public=true`.

    A name with dots is looked for as it stands and as a path into objects.
    """
    name, equals, value = text.partition("=")
    paths = {(name,), tuple(name.split("."))}
    found = [resources.c.attributes[path].as_string() for path in sorted(paths)]
    if not equals:
        return or_(*(one.is_not(None) for one in found))
    # SQLite reads JSON's true and false as 1 and 0, PostgreSQL as these words.
    meant = {"true": ("true", "1"), "false": ("false", "0")}.get(value.lower(), (value,))
    return or_(*(cast(one, String).in_(meant) for one in found))


def _chunks(items: Sequence[Any]) -> Iterable[list[Any]]:
    return (list(items[at : at + CHUNK]) for at in range(0, len(items), CHUNK))
