"""What agents remember: found by full text, ranked also by importance and age."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, true, update

from opswright_core.canonical import digest
from opswright_core.errors import NotFoundError
from opswright_knowledge.addresses import key_of
from opswright_knowledge.kept import kept
from opswright_knowledge.moments import iso
from opswright_knowledge.ranking import CANDIDATES, Candidate, rank
from opswright_knowledge.records import (
    MemoryKind,
    MemoryRecord,
    Operation,
    Recorded,
    RememberedMemory,
)
from opswright_knowledge.storage.merged import merged
from opswright_knowledge.storage.resource_rows import chunks
from opswright_knowledge.storage.schema import memories, owned

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

EVERYBODY = "*"

_m = memories.c
_HELD = (_m.memory_id, _m.run_id, _m.importance, _m.expires_at)
_THIS = (owned(memories), _m.memory_id == bindparam("an_id"))
_KNOWN = select(*_HELD).where(*_THIS)
_ADD = insert(memories).returning(_m.memory_id, _m.number)
_RENEW = (
    update(memories)
    .where(*_THIS)
    .values({c.name: bindparam(c.name) for c in _m if c.name not in {"number", "memory_id"}})
)


class Memories:
    """The memories, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def put(self, agent: str, records: Sequence[MemoryRecord]) -> tuple[list[str], Recorded]:
        """Remember: returns (ids in the order given, place in the log). Drops what has expired.

        The same kind and text of one agent is one memory; remembering it again renews it, but a
        repeat within one run does nothing.
        """
        self.expire()
        ids = [_id_of(agent, record) for record in records]
        by_id = dict(zip(ids, records, strict=True))
        known = self._known(list(by_id))
        due = {
            memory_id: record
            for memory_id, record in by_id.items()
            if not self._is_repeated(known.get(memory_id), record)
        }
        entries: list[tuple[str, Operation]] = [
            (key_of(agent, one), "updated" if one in known else "created") for one in due
        ]
        before = [self._before(known.get(one)) for one in due]
        rows = [
            {
                "memory_id": memory_id,
                "agent": agent,
                "kind": record.kind,
                "text": _text_of(record),
                "importance": record.importance,
                "expires_at": self._end_of(record),
                **self._unit.origin(revision),
            }
            for (memory_id, record), revision in zip(
                due.items(), self._unit.log("memory", entries, before), strict=True
            )
        ]
        if renewed := [row for row in rows if row["memory_id"] in known]:
            self._unit.run(_RENEW, [{**row, "an_id": row["memory_id"]} for row in renewed])
        if fresh := [row for row in rows if row["memory_id"] not in known]:
            made = self._unit.run(_ADD, fresh)
            numbers = {row["memory_id"]: row["number"] for row in made}
            of = self._unit.full_text.of
            words = [(numbers[row["memory_id"]], of(row["text"])) for row in fresh]
            self._unit.dialect.index(self._connection, "memory_words", words)
        return ids, Recorded(revision=self._unit.revision, count=len(records))

    def _known(self, memory_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is there of some memories, by their ids."""
        if len(memory_ids) == 1:
            rows = self._unit.run(_KNOWN, {"an_id": memory_ids[0]})
            return {row["memory_id"]: row for row in rows}
        asked = select(*_HELD).where(self._unit.own(memories))
        found: dict[str, dict[str, Any]] = {}
        for some in chunks(memory_ids):
            named = asked.where(memories.c.memory_id.in_(some))
            for row in self._connection.execute(named).mappings():
                found[row["memory_id"]] = dict(row)
        return found

    def _is_repeated(self, known: dict[str, Any] | None, record: MemoryRecord) -> bool:
        """Whether this run has remembered it already."""
        run_id = self._unit.by.run_id
        if known is None or run_id is None:
            return False
        return bool((known["run_id"], known["importance"]) == (run_id, record.importance))

    def _before(self, known: dict[str, Any] | None) -> dict[str, Any] | None:
        return known and {name: known[name] for name in ("importance", "expires_at")}

    def _end_of(self, record: MemoryRecord) -> str | None:
        if record.ttl_seconds is None:
            return None
        return iso(self._unit.time + timedelta(seconds=record.ttl_seconds))

    def search(
        self,
        words: list[str],
        *,
        agent: str | None = None,
        kind: str | None = None,
        since: str | None = None,
        min_importance: float = 0,
        limit: int = 10,
    ) -> tuple[list[RememberedMemory], int]:
        """The memories that fit the words best, and how many were ranked (see `FullText.memories`).

        `agent` narrows to its own and those of `*`, `since` to those renewed at that time or later.
        """
        matching = self._unit.full_text.memories(words)
        c = memories.c
        fits = [*self._fits(agent, kind), c.importance >= min_importance]
        if since is not None:
            fits.append(c.at >= since)
        joined = memories.join(matching, matching.c.number == c.number)
        total = self._connection.execute(
            select(func.count()).select_from(joined).where(*fits)
        ).scalar_one()
        asked = (
            select(memories, matching.c.relevance)
            .select_from(joined)
            .where(*fits)
            .order_by(matching.c.relevance.desc(), c.number.desc())
            .limit(CANDIDATES)
        )
        found = {row["memory_id"]: dict(row) for row in self._connection.execute(asked).mappings()}
        candidates = [
            Candidate(
                key=key,
                relevance=row["relevance"],
                importance=row["importance"],
                age_days=(self._unit.time - datetime.fromisoformat(row["at"])) / timedelta(days=1),
            )
            for key, row in found.items()
        ]
        ranked = rank(candidates)[:limit]
        return [
            RememberedMemory.model_validate({**found[key], "score": score}) for key, score in ranked
        ], total

    def newest(
        self,
        agent: str | None = None,
        *,
        kind: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> tuple[list[RememberedMemory], int]:
        """An agent's memories, newest first: at most `limit` + 1, and how many there are."""
        c = memories.c
        whose = [c.agent == one for one in sorted({agent, EVERYBODY})] if agent else [true()]
        kinds = [kind] if kind is not None else get_args(MemoryKind)
        lists = [
            [*self._fits(None, one), of] for of in whose for one in kinds
        ]  # each in the order of an index
        total = self._unit.counted(merged([select(c.revision).where(*fits) for fits in lists]))
        begun = [c.revision < before] if before is not None else []
        pages = [
            select(memories).where(*fits, *begun).order_by(c.revision.desc()).limit(limit + 1)
            for fits in lists
        ]
        found = merged(pages).subquery()
        asked = select(found).order_by(found.c.revision.desc()).limit(limit + 1)
        rows = self._connection.execute(asked).mappings()
        return [RememberedMemory.model_validate(dict(row)) for row in rows], total

    def count(self, agent: str, most: int) -> int:
        """How many memories an agent has, counted as far as `most` and one."""
        asked = select(memories.c.number).where(*self._fits(agent, None))
        return self._unit.counted(asked, most)

    def forget(self, memory_id: str) -> Recorded:
        """Delete a memory. Raises NotFoundError."""
        c = memories.c
        asked = select(c.number, c.agent).where(self._unit.own(memories), c.memory_id == memory_id)
        row = self._connection.execute(asked).first()
        if row is None:
            raise NotFoundError(f"there is no memory {memory_id!r}; recall shows their ids.")
        (revision,) = self._unit.log("memory", [(key_of(row.agent, memory_id), "deleted")])
        self._delete([row.number])
        return Recorded(revision=revision)

    def _fits(self, agent: str | None, kind: str | None) -> list[ColumnElement[bool]]:
        c = memories.c
        fits = [
            self._unit.own(memories),
            c.expires_at.is_(None) | (c.expires_at > self._unit.now),
        ]
        if agent is not None:
            fits.append(c.agent.in_([agent, EVERYBODY]))
        if kind is not None:
            fits.append(c.kind == kind)
        return fits

    def expire(self, *, dry_run: bool = False) -> int:
        """Drop the memories whose time is up; returns how many."""
        c = memories.c
        asked = select(c.number, c.agent, c.memory_id).where(
            self._unit.own(memories), c.expires_at <= self._unit.now
        )
        rows = self._connection.execute(asked.order_by(c.expires_at, c.number)).all()
        if dry_run:
            return len(rows)
        gone: Operation = "expired"
        self._unit.log("memory", [(key_of(row.agent, row.memory_id), gone) for row in rows])
        self._delete([row.number for row in rows])
        return len(rows)

    def _delete(self, numbers: list[int]) -> None:
        if numbers:
            self._unit.dialect.unindex(self._connection, "memory_words", numbers)
            same = memories.c.number == bindparam("a_number")
            self._connection.execute(
                delete(memories).where(self._unit.own(memories), same),
                [{"a_number": number} for number in numbers],
            )


def _text_of(record: MemoryRecord) -> str:
    return kept(record.text, "the memory")


def _id_of(agent: str, record: MemoryRecord) -> str:
    """A kind and text of an agent are one memory."""
    return f"mm-{digest([agent, record.kind, _text_of(record)])[:16]}"
