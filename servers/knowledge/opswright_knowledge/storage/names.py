"""The names in use: of types, ids, applications, agents and so on, by how they begin."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, literal, select

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


MOST_NAMES = 1_000
"""How far names are counted: `MOST_NAMES` + 1 stands for more."""


class Source(NamedTuple):
    """A column that holds names; an index begins with the namespace, what `fits` fixes, and it."""

    column: ColumnElement[str]
    fits: Sequence[ColumnElement[bool]]
    lead: str = ""
    """What the column's values begin with that is no part of the name."""
    but: str | None = None
    """What is no name; it is left out of what was found, since many rows may hold it."""


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
        `type` of an `id`). At most `limit` + 1; for anything else there are none. They are counted
        as far as `MOST_NAMES` + 1.
        """
        sources = self._sources(what, given or {})
        names = self._first(sources, prefix, after, limit + 1)
        if after is None and len(names) <= limit:
            return names, len(names)
        return names, len(self._first(sources, prefix, None, MOST_NAMES + 1))

    def agents(self, *, after: str | None = None, limit: int = 50) -> tuple[list[KnownAgent], int]:
        """The agents, by name: at most `limit` + 1, and how many there are."""
        names, total = self.beginning("agent", after=after, limit=limit)
        found = [
            KnownAgent(
                agent=name,
                memories=self._unit.memories.count(name, MOST_NAMES),
                unacknowledged=self._unit.messages.count(name, MOST_NAMES),
            )
            for name in names
        ]
        return found, total

    def _first(
        self, sources: Sequence[Source], prefix: str, after: str | None, most: int
    ) -> list[str]:
        found: set[str] = set()
        for source in sources:
            asked = steps(source, prefix=prefix, after=after, most=most + (source.but is not None))
            names = self._connection.execute(asked).scalars()
            found.update(str(name)[len(source.lead) :] for name in names if str(name) != source.but)
        return sorted(found)[:most]

    def _sources(self, what: str, given: Mapping[str, str]) -> list[Source]:
        d, c, m = deployments.c, context.c, messages.c
        own = self._unit.own
        match what:
            case "type":
                t = resource_counts.c
                return [Source(t.type, [own(resource_counts), t.living > 0])]
            case "id":
                r, kind = resources.c, given.get("type")
                of_kind = [r.type == kind] if kind else []
                return [Source(r.id, [own(resources), r.deleted_at.is_(None), *of_kind])]
            case "application":
                return [Source(d.application, [own(deployments)])]
            case "environment":
                if of := given.get("application"):
                    return [Source(d.environment, [own(deployments), d.application == of])]
                deployed = Source(d.environment, [own(deployments)])
                return [deployed, Source(c.scope, [own(context)], ENVIRONMENT_SCOPE)]
            case "agent":
                sides = (
                    (memories, memories.c.agent),
                    (messages, m.sender),
                    (messages, m.recipient),
                )
                return [Source(name, [own(table)], but=EVERYBODY) for table, name in sides]
            case "scope":
                return [Source(c.scope, [own(context)])]
            case "key":
                scope = given.get("scope")
                return [Source(c.key, [own(context), *([c.scope == scope] if scope else [])])]
            case "record":
                of_all = Source(changes.c.kind, [own(changes)])
                kinds = [given["kind"]] if "kind" in given else self._first([of_all], "", None, 100)
                return [
                    Source(changes.c.key, [own(changes), changes.c.kind == kind]) for kind in kinds
                ]
            case "run_id":
                return [Source(runs.c.run_id, [own(runs)])]
            case "thread":
                return [Source(m.thread, [own(messages)])]
        return []


def steps(
    source: Source, *, prefix: str = "", after: str | None = None, most: int
) -> Select[tuple[str]]:
    """A query for the distinct values of a column from one to the next, by its index.

    DISTINCT would read every row: all deployments for the names of the few applications.
    """
    begin = source.lead + prefix
    until = [source.column < end] if (end := first_after(begin)) else []

    def least(*beyond: ColumnElement[bool]) -> ScalarSelect[Any]:
        return (
            select(func.min(source.column)).where(*source.fits, *beyond, *until).scalar_subquery()
        )

    fits = [source.column >= begin]
    if after is not None:
        fits.append(source.column > source.lead + after)
    step = select(least(*fits).label("name"), literal(1).label("number")).cte(
        "step", recursive=True
    )
    following = select(least(source.column > step.c.name), step.c.number + 1)
    step = step.union_all(following.where(step.c.name.is_not(None), step.c.number < most))
    return select(step.c.name).where(step.c.name.is_not(None))


def first_after(prefix: str) -> str:
    """The first text after all that begin so, in the order of code points; "" when there is none.

    >>> first_after("vpc-1")
    'vpc-2'
    """
    begin = prefix.rstrip("\U0010ffff")
    if not begin:
        return ""
    last = ord(begin[-1]) + 1
    return begin[:-1] + chr(0xE000 if 0xD800 <= last <= 0xDFFF else last)
