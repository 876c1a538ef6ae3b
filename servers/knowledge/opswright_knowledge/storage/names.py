"""The names in use: of types, ids, applications, agents and so on, by how they begin."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, union

from opswright_knowledge.addresses import ENVIRONMENT_SCOPE
from opswright_knowledge.records import KnownAgent
from opswright_knowledge.storage.memories import EVERYBODY
from opswright_knowledge.storage.schema import (
    changes,
    context,
    deployments,
    memories,
    messages,
    resource_counts,
    resources,
    runs,
)

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork


class Names:
    """The names in use, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit
        self._connection = unit.connection

    def beginning(
        self,
        what: str,
        prefix: str = "",
        given: Mapping[str, str] | None = None,
        *,
        after: str | None = None,
        limit: int = 100,
    ) -> tuple[list[str], int]:
        """The names of a kind that begin so (letter case counts), in order, and how many they are.

        `what` is a parameter of an address: type, id, application, environment, agent, scope,
        key, run_id, thread or record; `given` are others of the same address that narrow it (the
        `type` of an `id`). At most `limit` + 1; for anything else there are none.
        """
        if (source := self._source(what, given or {})) is None:
            return [], 0
        names = source.subquery()
        fits = [names.c.name >= prefix] if prefix else []
        if end := _following(prefix):
            fits.append(names.c.name < end)
        total = self._unit.counted(select(names.c.name).where(*fits))
        if after is not None:
            fits.append(names.c.name > after)
        asked = select(names.c.name).where(*fits).order_by(names.c.name).limit(limit + 1)
        return list(self._connection.execute(asked).scalars()), total

    def agents(self, *, after: str | None = None, limit: int = 50) -> tuple[list[KnownAgent], int]:
        """The agents, by name: at most `limit` + 1, and how many there are."""
        names, total = self.beginning("agent", after=after, limit=limit)
        found = [
            KnownAgent(
                agent=name,
                memories=self._unit.memories.newest(name, limit=1)[1],
                unacknowledged=self._unit.messages.find(name, limit=1)[1],
            )
            for name in names
        ]
        return found, total

    def _source(self, what: str, given: Mapping[str, str]) -> Any:
        r, d, c = resources.c, deployments.c, context.c
        own = self._unit.own
        match what:
            case "type":
                t = resource_counts.c
                return select(t.type.label("name")).where(own(resource_counts), t.living > 0)
            case "id":
                kind = given.get("type")
                fits = [own(resources), r.deleted_at.is_(None), *([r.type == kind] if kind else [])]
                return select(r.id.label("name")).where(*fits).distinct()
            case "application":
                return select(d.application.label("name")).where(own(deployments)).distinct()
            case "environment":
                of = given.get("application")
                deployed = select(d.environment.label("name")).where(
                    own(deployments), *([d.application == of] if of else [])
                )
                begin = len(ENVIRONMENT_SCOPE) + 1
                configured = select(func.substr(c.scope, begin)).where(
                    own(context), func.substr(c.scope, 1, begin - 1) == ENVIRONMENT_SCOPE
                )
                return deployed.distinct() if of else union(deployed, configured)
            case "agent":
                m = messages.c
                of_all: Any = union(
                    select(memories.c.agent.label("name")).where(own(memories)),
                    select(m.sender).where(own(messages)),
                    select(m.recipient).where(own(messages)),
                ).subquery()
                return select(of_all.c.name).where(of_all.c.name != EVERYBODY)
            case "scope":
                return select(c.scope.label("name")).where(own(context)).distinct()
            case "key":
                scope = given.get("scope")
                fits = [own(context), *([c.scope == scope] if scope else [])]
                return select(c.key.label("name")).where(*fits).distinct()
            case "record":
                kind = given.get("kind")
                fits = [own(changes), *([changes.c.kind == kind] if kind else [])]
                return select(changes.c.key.label("name")).where(*fits).distinct()
            case "run_id":
                return select(runs.c.run_id.label("name")).where(own(runs))
            case "thread":
                return select(messages.c.thread.label("name")).where(own(messages)).distinct()
        return None


def _following(prefix: str) -> str:
    """The first text after all that begin so, in the order of code points; "" when there is none.

    >>> _following("vpc-1")
    'vpc-2'
    """
    begin = prefix.rstrip("\U0010ffff")
    if not begin:
        return ""
    last = ord(begin[-1]) + 1
    return begin[:-1] + chr(0xE000 if 0xD800 <= last <= 0xDFFF else last)
