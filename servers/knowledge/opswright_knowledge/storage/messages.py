"""Messages between agents. One to `*` is for all, and each reader acknowledges it alone."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, insert, select, update

from opswright_core.canonical import digest
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.journal import new_id
from opswright_knowledge.addresses import key_of
from opswright_knowledge.kept import kept
from opswright_knowledge.records import (
    MOST_COUNTED,
    NOBODY,
    Message,
    MessageRecord,
    Operation,
    Recorded,
)
from opswright_knowledge.storage.broadcasts import EVERYBODY
from opswright_knowledge.storage.merged import Fits, merged
from opswright_knowledge.storage.schema import acknowledgements, messages

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork


class Messages:
    """The messages, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def send(self, sender: str, record: MessageRecord) -> tuple[str, str, Recorded]:
        """Send a message: returns (message_id, thread, where it stands in the log).

        The same message of the same run and step is one message. Raises NotFoundError when
        `in_reply_to` names none.
        """
        row = kept(record.model_dump(), "the message")
        by = self._unit.by
        same = digest([by.run_id, by.step, sender, row])[:16]
        message_id = new_id("ms") if by.run_id is None else f"ms-{same}"
        if (sent := self._row(message_id)) is not None:
            unchanged = Recorded(revision=self._unit.revision, unchanged=1)
            return message_id, sent["thread"], unchanged
        thread = message_id
        if record.in_reply_to is not None:
            thread = self._known(record.in_reply_to)["thread"]
        (revision,) = self._unit.log("message", [(key_of(record.recipient, message_id), "created")])
        row |= {"message_id": message_id, "sender": sender, "thread": thread}
        self._connection.execute(insert(messages).values(**row, **self._unit.origin(revision)))
        if record.recipient == EVERYBODY:
            self._unit.broadcasts.note_read(sender, revision)
        return message_id, thread, Recorded(revision=revision)

    def find(
        self,
        recipient: str,
        *,
        thread: str | None = None,
        unacknowledged_only: bool = True,
        after: int = 0,
        limit: int = 20,
    ) -> tuple[list[Message], int]:
        """Messages to an agent or to all, oldest first: at most `limit` + 1, and the total.

        With `thread` those of all sides of that conversation, acknowledged or not. The total is
        counted as `UnitOfWork.counted` does.
        """
        if thread is not None:
            mine: Fits = [self._unit.own(messages), messages.c.thread == thread]
            found = self._page(recipient, [[*mine, messages.c.revision > after]], limit + 1)
            total = self._counted([mine], MOST_COUNTED)
        else:
            to_it, to_all = self._inbox(recipient, unacknowledged_only, after)
            found = []
            for lists in to_all:
                found += self._page(recipient, lists, limit + 1)
                if len(found) > limit:
                    break
            found += self._page(recipient, [to_it], limit + 1)
            total = self._count(recipient, unacknowledged_only, MOST_COUNTED)
        found.sort(key=lambda row: row["revision"])
        return [Message.model_validate(row) for row in found[: limit + 1]], total

    def count(self, recipient: str, most: int) -> int:
        """How many messages an agent has yet to acknowledge, counted up to `most` and one."""
        return self._count(recipient, True, most)

    def _inbox(
        self, recipient: str, unacknowledged_only: bool, after: int
    ) -> tuple[Fits, Iterator[list[Fits]]]:
        """What its own messages fulfil, and those to all: each is in an index's order."""
        m, own = messages.c, self._unit.own(messages)
        to_it = [own, m.recipient == recipient, m.revision > after]
        if unacknowledged_only:
            to_it.append(m.read_at.is_(None))
        if recipient == EVERYBODY:
            return to_it, iter(())
        if unacknowledged_only:
            return to_it, self._unit.broadcasts.waiting(recipient, after)
        to_all = [own, m.recipient == EVERYBODY, m.sender != recipient, m.revision > after]
        return to_it, iter([[to_all]])

    def _page(self, reader: str, lists: Sequence[Fits], most: int) -> list[dict[str, Any]]:
        """The first messages of some lists, each with when the reader acknowledged it."""
        m, a = messages.c, acknowledgements.c
        same = (a.namespace == m.namespace) & (a.message_id == m.message_id) & (a.reader == reader)
        beside = messages.outerjoin(acknowledgements, same)
        parts = [
            select(messages, a.at.label("acknowledged_at"))
            .select_from(beside)
            .where(*fits)
            .order_by(m.revision)
            .limit(most)
            for fits in lists
        ]
        found = merged(parts).subquery()
        asked = select(found).order_by(found.c.revision).limit(most)
        return [dict(row) for row in self._connection.execute(asked).mappings()]

    def _count(self, recipient: str, unacknowledged_only: bool, most: int) -> int:
        to_it, to_all = self._inbox(recipient, unacknowledged_only, 0)
        total = self._counted([to_it], most)
        for lists in to_all:
            if total > most:
                break
            total += self._counted(lists, most - total)
        return total

    def _counted(self, lists: Sequence[Fits], most: int) -> int:
        parts = [select(messages.c.revision).where(*fits) for fits in lists]
        return self._unit.counted(merged(parts), most)

    def acknowledge(self, message_ids: Sequence[str]) -> Recorded:
        """Note that messages were dealt with; again is no harm.

        One to `*` is acknowledged for the agent that calls. Raises NotFoundError for an id that is
        not one and BadInputError when that agent is not named; nothing is acknowledged then.
        """
        wanted = list(dict.fromkeys(message_ids))
        fresh: list[tuple[str, str]] = []
        to_all: list[tuple[str, int]] = []
        for message_id in wanted:
            message = self._known(message_id)
            recipient = message["recipient"]
            reader = recipient if recipient != EVERYBODY else self._unit.by.agent
            if reader == NOBODY:
                raise BadInputError(
                    f"{message_id} is a message to all: say who read it, as by={{agent: …}}."
                )
            a = acknowledgements.c
            done = select(a.at).where(
                self._unit.own(acknowledgements), a.message_id == message_id, a.reader == reader
            )
            if self._connection.execute(done).first() is None:
                fresh.append((message_id, reader))
                if recipient == EVERYBODY:
                    to_all.append((reader, message["revision"]))
        news: Operation = "updated"
        self._unit.log(
            "message", [(key_of(reader, message_id), news) for message_id, reader in fresh]
        )
        if fresh:
            at = self._unit.now
            own = {"namespace": self._unit.namespace, "at": at}
            rows = [{"message_id": m, "reader": reader, **own} for m, reader in fresh]
            self._connection.execute(insert(acknowledgements), rows)
            self.note_read(rows)
            for reader, revision in to_all:
                self._unit.broadcasts.note_read(reader, revision)
        return Recorded(
            revision=self._unit.revision, count=len(wanted), unchanged=len(wanted) - len(fresh)
        )

    def note_read(self, acknowledged: Sequence[Mapping[str, Any]]) -> None:
        """Note (message_id, reader, at) on the messages whose recipient the reader is."""
        c = messages.c
        done = (
            update(messages)
            .where(
                self._unit.own(messages),
                c.message_id == bindparam("an_id"),
                c.recipient == bindparam("a_reader"),
            )
            .values(read_at=bindparam("a_time"))
        )
        rows = [
            {"an_id": one["message_id"], "a_reader": one["reader"], "a_time": one["at"]}
            for one in acknowledged
            if one["reader"] != EVERYBODY
        ]
        if rows:
            self._connection.execute(done, rows)

    def prune(self, before: str, everybody: Sequence[str], *, dry_run: bool) -> int:
        """Drop messages that were acknowledged before a time; returns how many.

        One to all goes when each of `everybody`, but who sent it, acknowledged it by then.
        """
        m, a = messages.c, acknowledgements.c
        asked = (
            select(m.message_id, m.sender, m.recipient, a.reader)
            .join_from(
                messages,
                acknowledgements,
                (a.namespace == m.namespace) & (a.message_id == m.message_id),
            )
            .where(self._unit.own(messages), a.at < before)
            .order_by(m.revision)
        )
        readers: dict[tuple[str, str, str], set[str]] = {}
        for message_id, sender, recipient, reader in self._connection.execute(asked):
            readers.setdefault((message_id, sender, recipient), set()).add(reader)
        done = [
            (message_id, recipient)
            for (message_id, sender, recipient), read in readers.items()
            if recipient != EVERYBODY or read >= {*everybody} - {sender}
        ]
        if done and not dry_run:
            pruned: Operation = "pruned"
            self._unit.log("message", [(key_of(to, message_id), pruned) for message_id, to in done])
            named = [{"an_id": message_id} for message_id, _ in done]
            for table in (acknowledgements, messages):
                same = table.c.message_id == bindparam("an_id")
                self._connection.execute(delete(table).where(self._unit.own(table), same), named)
        return len(done)

    def _row(self, message_id: str) -> dict[str, Any] | None:
        asked = select(messages).where(
            self._unit.own(messages), messages.c.message_id == message_id
        )
        row = self._connection.execute(asked).mappings().first()
        return dict(row) if row else None

    def _known(self, message_id: str) -> dict[str, Any]:
        row = self._row(message_id)
        if row is None:
            raise NotFoundError(
                f"there is no message {message_id!r}; read_messages shows their ids."
            )
        return row
