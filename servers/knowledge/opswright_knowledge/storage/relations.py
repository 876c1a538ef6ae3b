"""Walks how resources rely on each other, breadth first."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import ColumnElement, exists, select

from opswright_core.errors import NotFoundError
from opswright_knowledge.cycles import circles
from opswright_knowledge.records import Direction, Reached, Resource
from opswright_knowledge.storage.resource_rows import CHUNK
from opswright_knowledge.storage.resources import Named
from opswright_knowledge.storage.schema import resource_relations, resources

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

MOST_REACHED = 2_000
"""Where a walk stops and says so; in practice everything of an account hangs together."""


MOST_EDGES = 2 * MOST_REACHED
"""How many relations of one step are looked at: a network may have a hundred thousand."""


class _Step(NamedTuple):
    """One resource of a walk, and the one that it was reached from."""

    reached: Reached
    before: str


class Relations:
    """The relations, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit

    def walk(self, name: str, direction: Direction, depth: int) -> tuple[list[Reached], bool]:
        """What is reached from a resource (its id or ARN), nearest first, and whether that is all.

        `in` follows relations backwards, to what relies on it; `out` forwards, to what it relies
        on. Raises NotFoundError for a name that is neither recorded nor referred to.
        """
        steps, complete = self._steps(name, direction, depth)
        order = sorted((step.reached for step in steps.values()), key=_nearest_first)
        return order[:MOST_REACHED], complete

    def path(
        self, name: str, to: str, direction: Direction, depth: int
    ) -> tuple[list[Reached], bool]:
        """The shortest way between two resources, empty when there is none that short.

        Also whether all that is so near was looked at. Raises NotFoundError as `walk` does, for
        both.
        """
        end = self._named_or_referred_to(to)
        steps, complete = self._steps(name, direction, depth, until=end)
        way: list[Reached] = []
        while (step := steps.get(end)) is not None:
            way.append(step.reached)
            end = step.before
        return way[::-1], complete or bool(way)

    def circles(self, limit: int) -> tuple[list[tuple[list[str], int]], bool]:
        """The circles of relations, and whether all relations (`limit` at most) were looked at."""
        n = resource_relations.c
        asked = (
            select(n.id, n.target, resources.c.arn)
            .join_from(resource_relations, resources, _living())
            .where(self._unit.own(resource_relations), resources.c.deleted_at.is_(None))
            .order_by(n.type, n.id)
            .limit(limit + 1)
        )
        rows = self._unit.connection.execute(asked).all()
        alias = {arn: source for source, _, arn in rows if arn}
        edges = ((source, alias.get(target, target)) for source, target, _ in rows[:limit])
        return circles(edges), len(rows) <= limit

    def _steps(
        self, name: str, direction: Direction, depth: int, until: str = ""
    ) -> "tuple[dict[str, _Step], bool]":
        """Each resource that is reached, and whether these are all; `until` ends it early."""
        begin = self._unit.resources.named([name])
        alias = {name: begin[0].id if begin else name}
        self._learn(alias, begin)
        steps: dict[str, _Step] = {}
        complete = True
        frontier = set(alias.values())
        seen = set(frontier)
        for level in range(1, depth + 1):
            names = [n for n, node in alias.items() if node in frontier]
            edges = self._edges(names, direction)
            complete = complete and len(edges) < MOST_EDGES
            found = self._unit.resources.named({end for a, _, b in edges for end in (a, b)})
            self._learn(alias, found)
            known = {resource.id: resource for resource in found}
            following = set()
            for source, kind, target in edges:
                a, b = alias.setdefault(source, source), alias.setdefault(target, target)
                for node, before in ((a, b), (b, a)):
                    if node not in seen and before in frontier:
                        seen.add(node)
                        following.add(node)
                        reached = _reached(node, known.get(node), level, f"{a} {kind} {b}")
                        steps[node] = _Step(reached, before)
            frontier = following
            if not frontier or len(steps) >= MOST_REACHED or until in steps:
                break
        if not begin and not steps:
            raise _unknown(name)
        return steps, complete and len(steps) < MOST_REACHED

    def _named_or_referred_to(self, name: str) -> str:
        if named := self._unit.resources.named([name]):
            return named[0].id
        if not self._edges([name], "in"):
            raise _unknown(name)
        return name

    def relying_on(self, resource: Resource) -> list[tuple[str, str]]:
        """What relies on a resource directly, as (id, kind); at most `MOST_EDGES`."""
        names = [name for name in (resource.id, resource.arn) if name]
        return [(source, kind) for source, kind, _ in self._edges(names, "in")]

    def _edges(self, names: list[str], direction: Direction) -> list[tuple[str, str, str]]:
        """Relations of living resources that end at (in) or begin at (out) a name, sorted."""
        n = resource_relations.c
        found: set[tuple[str, str, str]] = set()
        for at in range(0, len(names), CHUNK):
            some = names[at : at + CHUNK]
            ends: list[ColumnElement[bool]] = []
            if direction in {"in", "both"}:
                ends.append(n.target.in_(some))
            if direction in {"out", "both"}:
                ends.append(n.id.in_(some))
            for end in ends:
                own = self._unit.own(resource_relations)
                # Not a join: SQLite would go through all resources for these few relations.
                living = exists().where(_living(), resources.c.deleted_at.is_(None))
                asked = select(n.id, n.kind, n.target).where(
                    own, end, living.correlate(resource_relations)
                )
                rows = self._unit.connection.execute(asked.limit(MOST_EDGES))
                found.update((source, kind, target) for source, kind, target in rows)
        return sorted(found)

    def _learn(self, alias: dict[str, str], found: Iterable[Named]) -> None:
        """Take a resource's ARN for another name of its id."""
        for resource in found:
            alias[resource.id] = resource.id
            if resource.arn:
                alias[resource.arn] = resource.id


def _reached(node: str, resource: Named | None, depth: int, through: str) -> Reached:
    kind, name = (resource.type, resource.name) if resource else ("", "")
    return Reached(type=kind, id=node, name=name, depth=depth, through=through)


def _nearest_first(one: Reached) -> tuple[int, str, str]:
    return one.depth, one.type, one.id


def _living() -> Any:
    n, r = resource_relations.c, resources.c
    return (r.namespace == n.namespace) & (r.type == n.type) & (r.id == n.id)


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(
        f"no resource {name!r} is recorded or referred to; find_resources searches by words."
    )
