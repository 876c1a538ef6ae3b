"""One transaction: who writes, when, the next revision, and the records it reaches."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    Select,
    Table,
    bindparam,
    func,
    insert,
    select,
    update,
)

from opswright_knowledge.kept import RECORD_BYTES, bounded
from opswright_knowledge.moments import iso
from opswright_knowledge.records import MOST_COUNTED, Operation, Provenance
from opswright_knowledge.storage.broadcasts import Broadcasts
from opswright_knowledge.storage.changes import Changes
from opswright_knowledge.storage.context import Context
from opswright_knowledge.storage.deployments import Deployments
from opswright_knowledge.storage.dialect import Dialect
from opswright_knowledge.storage.full_text import FullText
from opswright_knowledge.storage.memories import Memories
from opswright_knowledge.storage.messages import Messages
from opswright_knowledge.storage.names import Names
from opswright_knowledge.storage.relations import Relations
from opswright_knowledge.storage.resource_search import ResourceSearch
from opswright_knowledge.storage.resources import Resources
from opswright_knowledge.storage.runs import Runs
from opswright_knowledge.storage.schema import changes, namespaces
from opswright_knowledge.storage.transfer import Transfer

_OWN = namespaces.c.number == bindparam("own_namespace")
_REVISION = select(namespaces.c.revision).where(_OWN)
_ADVANCE = (
    update(namespaces)
    .where(_OWN)
    .values(revision=namespaces.c.revision + bindparam("many"))
    .returning(namespaces.c.revision)
)
_LOG = insert(changes)


class UnitOfWork:
    """A namespace of the store within one transaction."""

    def __init__(
        self,
        connection: Connection,
        dialect: Dialect,
        namespace: int,
        by: Provenance,
        now: datetime,
    ) -> None:
        self.connection = connection
        self.dialect = dialect
        self.namespace = namespace
        self.by = by
        self.time = now
        self.now = iso(now)
        self._began: int | None = None
        self._logged: int | None = None

    @property
    def has_news(self) -> bool:
        """Whether there is anything new in the change log."""
        return self._logged is not None

    @property
    def has_grown(self) -> bool:
        """Whether the change log has passed a power of ten, from a hundred on, in here."""
        if self._began is None or self._logged is None:
            return False
        return self._logged >= 100 and len(str(self._logged)) > len(str(self._began))

    @cached_property
    def resources(self) -> Resources:
        """The registry of resources."""
        return Resources(self)

    @cached_property
    def resource_search(self) -> ResourceSearch:
        """Finds resources."""
        return ResourceSearch(self)

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
    def broadcasts(self) -> Broadcasts:
        """Which messages to all a reader is done with."""
        return Broadcasts(self)

    @cached_property
    def runs(self) -> Runs:
        """The orchestrator's runs."""
        return Runs(self)

    @cached_property
    def full_text(self) -> FullText:
        """The word indexes."""
        return FullText(self)

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

    def own(self, table: Table) -> ColumnElement[bool]:
        """Whether a row is of this namespace; every statement asks."""
        return table.c.namespace == self.namespace

    def run(
        self, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] = {}
    ) -> list[dict[str, Any]]:
        """Run a statement that was made once (with `owned`) within this namespace.

        `values` are those of one run, or of each of several. Returns the rows, by column.
        """
        own = {"own_namespace": self.namespace}
        each = [values] if isinstance(values, Mapping) else values
        return self.dialect.run(self.connection, statement, each, own)

    @property
    def revision(self) -> int:
        """The namespace's latest revision, this transaction's own included."""
        if self._logged is not None:
            return self._logged
        found = self.run(_REVISION)
        return int(found[0]["revision"]) if found else 0

    def counted(self, found: Select[Any], most: int | None = None) -> int:
        """How many rows a query finds, counted as far as `most` (`MOST_COUNTED`) and one."""
        most = MOST_COUNTED if most is None else most
        some = found.limit(most + 1).subquery()
        return int(self.connection.execute(select(func.count()).select_from(some)).scalar_one())

    def log(
        self,
        kind: str,
        entries: Sequence[tuple[str, Operation]],
        before: Sequence[dict[str, Any] | None] | None = None,
    ) -> list[int]:
        """Give each (key, operation) the next revision, in the change log; return the revisions.

        `before` holds, for each, the fields that change as they were (None: there were none); what
        is longer than a record may be is kept shortened.
        """
        if not entries:
            return []
        last = int(self.run(_ADVANCE, {"many": len(entries)})[0]["revision"])
        revisions = list(range(last - len(entries) + 1, last + 1))
        by = {**self.by.model_dump(), "at": self.now, "namespace": self.namespace, "kind": kind}
        self.run(
            _LOG,
            [
                {
                    "revision": revision,
                    "key": key,
                    "operation": operation,
                    "before": old and bounded(old, RECORD_BYTES),
                    **by,
                }
                for revision, (key, operation), old in zip(
                    revisions, entries, before or [None] * len(entries), strict=True
                )
            ],
        )
        if self._began is None:
            self._began = revisions[0] - 1
        self._logged = last
        return revisions

    def origin(self, revision: int) -> dict[str, Any]:
        """The columns that say whose a record is, and who wrote it."""
        return {
            "namespace": self.namespace,
            "revision": revision,
            "recorded_by": self.by.agent,
            "run_id": self.by.run_id,
            "step": self.by.step,
            "at": self.now,
        }
