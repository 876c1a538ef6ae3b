"""Reads the change log."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, get_args

from sqlalchemy import delete, func, select

from opswright_knowledge.moments import iso
from opswright_knowledge.records import ChangeEntry, ChangeKind, PastChange
from opswright_knowledge.storage.merged import merged
from opswright_knowledge.storage.schema import changes

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

LATE = timedelta(hours=1)
"""How far the clocks of writers may differ; times follow revisions but for that."""

RECENT = 10_000
"""How many changes are looked through for the times of the last ones."""


class Changes:
    """The change log, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit

    def after(
        self,
        revision: int,
        *,
        since: str | None = None,
        agent: str | None = None,
        kind: str | None = None,
        newest_first: bool = False,
        limit: int = 100,
    ) -> tuple[list[ChangeEntry], int]:
        """Changes after a revision, and a time, by an agent, of a kind; oldest or newest first.

        An agent's are read kind by kind: one index leads to its changes, all or of a kind.
        Returns at most `limit`, and how many there are (see `UnitOfWork.counted`).
        """
        begin = revision if since is None else max(revision, self._long_before(since))
        c = changes.c
        fits = [self._unit.own(changes), c.revision > begin]
        if since is not None:
            fits.append(c.at >= since)
        if kind is not None:
            fits.append(c.kind == kind)
        lists = [fits]
        if agent is not None:
            kinds = [kind] if kind is not None else get_args(ChangeKind)
            lists = [[*fits, c.agent == agent, c.kind == one] for one in kinds]
        order = c.revision.desc() if newest_first else c.revision
        total = self._unit.counted(merged([select(c.revision).where(*one) for one in lists]))
        pages = [select(changes).where(*one).order_by(order).limit(limit) for one in lists]
        found = merged(pages).subquery()
        by = found.c.revision.desc() if newest_first else found.c.revision
        rows = self._unit.connection.execute(select(found).order_by(by).limit(limit)).mappings()
        return [ChangeEntry.model_validate(dict(row)) for row in rows], total

    def _long_before(self, time: str) -> int:
        """The revision that was the latest `LATE` before a time: where to begin to look."""
        c = changes.c
        moment = datetime.fromisoformat(time)
        begin = iso(moment - LATE) if moment.year > 1 else time
        asked = select(c.revision).where(self._unit.own(changes), c.at < begin)
        last = self._unit.connection.execute(asked.order_by(c.at.desc()).limit(1))
        return int(last.scalar_one_or_none() or 0)

    def keys_after(self, revision: int, limit: int) -> list[tuple[int, str, str]]:
        """The (revision, kind, key) of the changes after a revision, oldest first."""
        c = changes.c
        asked = select(c.revision, c.kind, c.key).where(
            self._unit.own(changes), c.revision > revision
        )
        rows = self._unit.connection.execute(asked.order_by(c.revision).limit(limit))
        return [(number, kind, key) for number, kind, key in rows]

    @property
    def pruned(self) -> int:
        """The last revision whose change was pruned, 0 when none was.

        What is pruned comes before all that stays, and the newest stays, so the log itself tells.
        """
        asked = select(func.min(changes.c.revision)).where(self._unit.own(changes))
        return int(self._unit.connection.execute(asked).scalar_one() or 1) - 1

    def prune(self, before: str, *, dry_run: bool) -> int:
        """Drop the changes that were made before a time, but the newest; returns how many."""
        c = changes.c
        own = self._unit.own(changes)
        asked = select(func.min(c.revision)).where(own, c.at >= before)
        kept = self._unit.connection.execute(asked).scalar_one() or self._unit.revision
        last = min(kept, self._unit.revision) - 1
        many = max(0, last - self.pruned)
        if many and not dry_run:
            self._unit.connection.execute(delete(changes).where(own, c.revision <= last))
        return many

    def latest(self, before: int | None = None, limit: int = 50) -> list[ChangeEntry]:
        """Changes before a revision, newest first: at most `limit` + 1."""
        asked = select(changes).where(self._unit.own(changes))
        asked = asked.order_by(changes.c.revision.desc()).limit(limit + 1)
        if before is not None:
            asked = asked.where(changes.c.revision < before)
        rows = self._unit.connection.execute(asked).mappings()
        return [ChangeEntry.model_validate(dict(row)) for row in rows]

    def of(
        self, kind: str, key: str, *, before: int | None = None, limit: int = 20
    ) -> tuple[list[PastChange], int]:
        """The changes of one record, newest first: at most `limit` + 1, and how many there are."""
        fits = [self._unit.own(changes), changes.c.kind == kind, changes.c.key == key]
        total = self._unit.counted(select(changes.c.revision).where(*fits))
        if before is not None:
            fits.append(changes.c.revision < before)
        asked = select(changes).where(*fits).order_by(changes.c.revision.desc()).limit(limit + 1)
        rows = self._unit.connection.execute(asked).mappings()
        return [PastChange.model_validate(dict(row)) for row in rows], total

    def last_times(self) -> dict[str, str]:
        """When each kind of record was written last, by the latest `RECENT` changes.

        A kind that was not written among them is left out.
        """
        c = changes.c
        newest = select(c.kind, c.at).where(self._unit.own(changes)).order_by(c.revision.desc())
        recent = newest.limit(RECENT).subquery()
        asked = select(recent.c.kind, func.max(recent.c.at).label("at")).group_by(recent.c.kind)
        rows = self._unit.connection.execute(asked)
        return {row.kind: row.at for row in rows}
