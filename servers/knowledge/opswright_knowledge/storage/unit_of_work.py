"""One transaction: who writes, when, the next revision, and the records it reaches."""

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, insert, select, update

from opswright_knowledge.moments import iso
from opswright_knowledge.records import Operation, Provenance
from opswright_knowledge.storage.changes import Changes
from opswright_knowledge.storage.context import Context
from opswright_knowledge.storage.deployments import Deployments
from opswright_knowledge.storage.dialect import SQLite
from opswright_knowledge.storage.memories import Memories
from opswright_knowledge.storage.messages import Messages
from opswright_knowledge.storage.names import Names
from opswright_knowledge.storage.relations import Relations
from opswright_knowledge.storage.resources import Resources
from opswright_knowledge.storage.runs import Runs
from opswright_knowledge.storage.schema import changes, state
from opswright_knowledge.storage.transfer import Transfer


class UnitOfWork:
    """The store within one transaction."""

    def __init__(
        self, connection: Connection, dialect: SQLite, by: Provenance, now: datetime
    ) -> None:
        self.connection = connection
        self.dialect = dialect
        self.by = by
        self.time = now
        self.now = iso(now)
        self.logged: list[tuple[str, str]] = []
        """(kind, key) of what this transaction wrote."""

    @cached_property
    def resources(self) -> Resources:
        """The registry of resources."""
        return Resources(self)

    @cached_property
    def relations(self) -> Relations:
        """How resources rely on each other."""
        return Relations(self)

    @cached_property
    def deployments(self) -> Deployments:
        """The history of deployments."""
        return Deployments(self)

    @cached_property
    def memories(self) -> Memories:
        """What agents remember."""
        return Memories(self)

    @cached_property
    def context(self) -> Context:
        """Shared values by scope and key."""
        return Context(self)

    @cached_property
    def messages(self) -> Messages:
        """Messages between agents."""
        return Messages(self)

    @cached_property
    def runs(self) -> Runs:
        """The orchestrator's runs."""
        return Runs(self)

    @cached_property
    def changes(self) -> Changes:
        """The change log."""
        return Changes(self)

    @cached_property
    def names(self) -> Names:
        """The names in use."""
        return Names(self)

    @cached_property
    def transfer(self) -> Transfer:
        """What goes out of and into the store."""
        return Transfer(self)

    @property
    def revision(self) -> int:
        """The latest revision, this transaction's own included."""
        return int(self.connection.execute(select(state.c.revision)).scalar_one())

    def log(self, kind: str, entries: Sequence[tuple[str, Operation]]) -> list[int]:
        """Give each (key, operation) the next revision, in the change log; return the revisions."""
        if not entries:
            return []
        taking = update(state).values(revision=state.c.revision + len(entries))
        last = int(self.connection.execute(taking.returning(state.c.revision)).scalar_one())
        revisions = list(range(last - len(entries) + 1, last + 1))
        by = {**self.by.model_dump(), "at": self.now}
        lines = [
            {"revision": revision, "kind": kind, "key": key, "operation": operation, **by}
            for revision, (key, operation) in zip(revisions, entries, strict=True)
        ]  # fmt: skip
        self.connection.execute(insert(changes), lines)
        self.logged += [(kind, key) for key, _ in entries]
        return revisions

    def origin(self, revision: int) -> dict[str, Any]:
        """The columns that say who wrote a record."""
        return {
            "revision": revision,
            "recorded_by": self.by.agent,
            "run_id": self.by.run_id,
            "at": self.now,
        }
