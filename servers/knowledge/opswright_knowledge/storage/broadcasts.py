"""Which messages to all a reader is done with, as ranges of revisions.

An inbox leaves these out without going through them: between two ranges there is at least one that
waits, so a page meets no more ranges than messages. What a reader sent itself does not wait for it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, delete, func, insert, select, update

from opswright_knowledge.storage.merged import Fits
from opswright_knowledge.storage.schema import broadcasts_read, messages

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

EVERYBODY = "*"
RANGES = 50
"""How many gaps between ranges are asked for in one statement."""

_r, _m = broadcasts_read.c, messages.c


class Broadcasts:
    """The ranges, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def note_read(self, reader: str, revision: int) -> None:
        """Note that a reader is done with the message to all that has a revision."""
        mine = (self._unit.own(broadcasts_read), _r.reader == reader)
        reaching = select(_r.first_revision, _r.last_revision).where(*mine)
        left = self._connection.execute(
            reaching.where(_r.first_revision <= revision)
            .order_by(_r.first_revision.desc())
            .limit(1)
        ).first()
        if left is not None and left.last_revision >= revision:
            return
        right = self._connection.execute(
            reaching.where(_r.first_revision > revision).order_by(_r.first_revision).limit(1)
        ).first()
        last = revision
        if right is not None and not self._between(revision, right.first_revision):
            last = right.last_revision
            gone = delete(broadcasts_read).where(*mine, _r.first_revision == right.first_revision)
            self._connection.execute(gone)
        if left is not None and not self._between(left.last_revision, revision):
            longer = update(broadcasts_read).where(*mine, _r.first_revision == left.first_revision)
            self._connection.execute(longer.values(last_revision=last))
            return
        row = {"first_revision": revision, "last_revision": last, "reader": reader}
        self._connection.execute(
            insert(broadcasts_read).values(**row, namespace=self._unit.namespace)
        )

    def waiting(self, reader: str, after: int) -> Iterator[list[Fits]]:
        """What the messages to all after a revision fulfil that a reader has yet to deal with.

        Each is a list in an index's order, and they follow each other; several at a time.
        """
        to_all: list[ColumnElement[bool]] = [
            self._unit.own(messages),
            _m.recipient == EVERYBODY,
            _m.sender != reader,
        ]
        begin: int | None = after
        while begin is not None:
            ranges = self._connection.execute(
                select(_r.first_revision, _r.last_revision)
                .where(self._unit.own(broadcasts_read), _r.reader == reader)
                .where(_r.last_revision > begin)
                .order_by(_r.first_revision)
                .limit(RANGES)
            ).all()
            gaps = []
            for first, last in ranges:
                gaps.append([*to_all, _m.revision > begin, _m.revision < first])
                begin = int(last)
            if len(ranges) < RANGES:
                gaps.append([*to_all, _m.revision > begin])
                begin = None
            yield gaps

    def _between(self, after: int, before: int) -> bool:
        """Whether there is a message to all between two revisions."""
        asked = select(func.min(_m.revision)).where(
            self._unit.own(messages), _m.recipient == EVERYBODY, _m.revision > after
        )
        following = self._connection.execute(asked).scalar_one()
        return following is not None and following < before
