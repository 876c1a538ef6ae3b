"""What agents remember: found by full text, ranked also by importance and age."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, get_args

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
from opswright_knowledge.storage.schema import memories

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

EVERYBODY = "*"


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
        ids = [self._put_one(agent, record) for record in records]
        return ids, Recorded(revision=self._unit.revision, count=len(records))

    def _put_one(self, agent: str, record: MemoryRecord) -> str:
        text = kept(record.text, "the memory")
        memory_id = f"mm-{digest([agent, record.kind, text])[:16]}"
        expires_at = None
        if record.ttl_seconds is not None:
            end = self._unit.time + timedelta(seconds=record.ttl_seconds)
            expires_at = iso(end)
        c = memories.c
        same = (self._unit.own(memories), c.memory_id == memory_id)
        asked = select(c.number, c.run_id, c.importance, c.expires_at).where(*same)
        known = self._connection.execute(asked).first()
        run_id = self._unit.by.run_id
        if known and run_id and (known.run_id, known.importance) == (run_id, record.importance):
            return memory_id
        done: Operation = "updated" if known else "created"
        before = known and {"importance": known.importance, "expires_at": known.expires_at}
        (revision,) = self._unit.log("memory", [(key_of(agent, memory_id), done)], [before])
        values = {
            "importance": record.importance,
            "expires_at": expires_at,
            **self._unit.origin(revision),
        }
        if known is None:
            row = {
                "memory_id": memory_id,
                "agent": agent,
                "kind": record.kind,
                "text": text,
                **values,
            }
            made = self._connection.execute(insert(memories).values(**row).returning(c.number))
            entry = (made.scalar_one(), self._unit.full_text.of(text))
            self._unit.dialect.index(self._connection, "memory_words", [entry])
        else:
            self._connection.execute(update(memories).where(*same).values(**values))
        return memory_id

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
        rows = self._connection.execute(asked).all()
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
