"""Moves records out of a store and into another, with their provenance."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Table, delete, insert, select, tuple_, update

from opswright_core.errors import BadInputError
from opswright_knowledge.addresses import key_of
from opswright_knowledge.exchange import (
    MODELS,
    ContextLine,
    DeploymentLine,
    MemoryLine,
    MessageLine,
    RecordKind,
    RecordLine,
    ResourceLine,
    RunLine,
)
from opswright_knowledge.kept import RECORD_BYTES, RUN_BYTES, kept
from opswright_knowledge.storage.broadcasts import EVERYBODY
from opswright_knowledge.storage.schema import (
    acknowledgements,
    context,
    deployments,
    memories,
    messages,
    resources,
    runs,
)

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

CHUNK = 500
LINE_BYTES = RECORD_BYTES + 2_000
"""A record and who wrote it."""

_ORDER: dict[RecordKind, tuple[Column[Any], ...]] = {
    "resource": (resources.c.type, resources.c.id),
    "deployment": (deployments.c.first_revision,),
    "memory": (memories.c.number,),
    "context": (context.c.scope, context.c.key),
    "message": (messages.c.revision,),
    "run": (runs.c.first_revision,),
}
"""The order of the lines: that in which deployments, messages and runs were made is kept."""


class Transfer:
    """What goes out of and into the store, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def lines(
        self, kind: RecordKind, after: Sequence[Any] | None = None
    ) -> Iterator[tuple[list[Any], dict[str, Any]]]:
        """The records of a kind as lines, in order, each with its place; deleted ones too.

        Raises BadInputError when `after` is no place of this kind.
        """
        order = _ORDER[kind]
        if after is not None and [type(one) for one in after] != [
            c.type.python_type for c in order
        ]:
            raise BadInputError("this cursor is not of this export; begin without it.")
        fields = MODELS[kind].model_fields.keys() - {"record", "acknowledged"}
        while True:
            table = order[0].table
            asked = select(table).where(table.c.namespace == self._unit.namespace)
            asked = asked.order_by(*order).limit(CHUNK)
            if after is not None:
                asked = asked.where(tuple_(*order) > tuple_(*after))
            rows = self._connection.execute(asked).mappings().all()
            read = (
                self._acknowledged([row["message_id"] for row in rows]) if kind == "message" else {}
            )
            for row in rows:
                line = {"record": kind, **{name: row[name] for name in fields}}
                if kind == "message":
                    line["acknowledged"] = read.get(row["message_id"], {})
                after = [row[column.name] for column in order]
                yield after, line
            if len(rows) < CHUNK:
                return

    def restore(self, records: Sequence[RecordLine]) -> tuple[int, int]:
        """Write records as they were: returns how many were written, and how many were left.

        Of a record that is there the one written later stays, so the same again changes nothing.
        """
        found = [_row(record) for record in records if isinstance(record, ResourceLine)]
        written = self._unit.resources.restore(found)
        for record in records:
            if not isinstance(record, ResourceLine):
                written += self._restore(record)
        return written, len(records) - written

    def _restore(
        self, record: DeploymentLine | MemoryLine | ContextLine | MessageLine | RunLine
    ) -> bool:
        match record:
            case DeploymentLine():
                key = key_of(record.application, record.environment, record.deployment_id)
                return self._plain(deployments, ("deployment_id",), "deployment", key, record)
            case MemoryLine():
                return self._memory(record)
            case ContextLine():
                key = key_of(record.scope, record.key)
                return self._plain(context, ("scope", "key"), "context", key, record)
            case MessageLine():
                return self._message(record)
            case RunLine():
                return self._plain(runs, ("run_id",), "run", record.run_id, record)

    def _plain(
        self, table: Table, keys: tuple[str, ...], kind: str, key: str, record: RecordLine
    ) -> bool:
        row = {"namespace": self._unit.namespace, **_row(record)}
        same = [self._unit.own(table), *(table.c[name] == row[name] for name in keys)]
        current = self._connection.execute(select(table).where(*same)).mappings().first()
        if current is not None and current["at"] >= row["at"]:
            return False
        before = (
            {name: current[name] for name in row if current[name] != row[name]} if current else None
        )
        (revision,) = self._unit.log(kind, [(key, "updated" if current else "created")], [before])
        row["revision"] = revision
        if current is not None:
            self._connection.execute(update(table).where(*same).values(**row))
        else:
            first = {"first_revision": revision} if "first_revision" in table.c else {}
            self._connection.execute(insert(table).values(**row, **first))
        return True

    def _memory(self, record: MemoryLine) -> bool:
        if record.expires_at is not None and record.expires_at <= self._unit.now:
            return False
        row = {"namespace": self._unit.namespace, **_row(record)}
        m = memories.c
        known = select(m.number, m.at).where(
            self._unit.own(memories), m.memory_id == row["memory_id"]
        )
        current = self._connection.execute(known).first()
        if current is not None and current.at >= row["at"]:
            return False
        key = key_of(row["agent"], row["memory_id"])
        (revision,) = self._unit.log("memory", [(key, "updated" if current else "created")])
        if current is not None:
            self._unit.dialect.unindex(self._connection, "memory_words", [current.number])
            same = (self._unit.own(memories), m.number == current.number)
            self._connection.execute(delete(memories).where(*same))
        made = self._connection.execute(
            insert(memories).values(**row, revision=revision).returning(m.number)
        )
        entry = (made.scalar_one(), self._unit.full_text.of(row["text"]))
        self._unit.dialect.index(self._connection, "memory_words", [entry])
        return True

    def _message(self, record: MessageLine) -> bool:
        read = record.acknowledged
        plain = record.model_copy(update={"acknowledged": {}})
        key = key_of(record.recipient, record.message_id)
        written = self._plain(messages, ("message_id",), "message", key, plain)
        known = self._acknowledged([record.message_id]).get(record.message_id, {})
        own = {"namespace": self._unit.namespace}
        fresh = [
            {**own, "message_id": record.message_id, "reader": reader, "at": at}
            for reader, at in read.items()
            if reader not in known
        ]
        if fresh:
            if not written:
                self._unit.log("message", [(key, "updated")])
            self._connection.execute(insert(acknowledgements), fresh)
            self._unit.messages.note_read(fresh)
        if record.recipient == EVERYBODY and (written or fresh):
            m = messages.c
            asked = select(m.revision).where(
                self._unit.own(messages), m.message_id == record.message_id
            )
            revision = self._connection.execute(asked).scalar_one()
            for reader in {record.sender, *known, *read}:
                self._unit.broadcasts.note_read(reader, revision)
        return written or bool(fresh)

    def _acknowledged(self, message_ids: Sequence[str]) -> dict[str, dict[str, str]]:
        a = acknowledgements.c
        found: dict[str, dict[str, str]] = {}
        asked = select(a.message_id, a.reader, a.at).where(
            self._unit.own(acknowledgements), a.message_id.in_(message_ids)
        )
        for message_id, reader, at in self._connection.execute(asked):
            found.setdefault(message_id, {})[reader] = at
        return found


def _row(record: RecordLine) -> dict[str, Any]:
    most_bytes = 3 * RUN_BYTES if isinstance(record, RunLine) else LINE_BYTES
    return kept(
        record.model_dump(exclude={"record", "acknowledged"}), f"the {record.record}", most_bytes
    )
