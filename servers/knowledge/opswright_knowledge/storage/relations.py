"""Walks how resources rely on each other, breadth first."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, select

from opswright_core.errors import NotFoundError
from opswright_knowledge.records import Direction, Reached, Resource
from opswright_knowledge.storage.resources import CHUNK, Named
from opswright_knowledge.storage.schema import resource_relations, resources

if TYPE_CHECKING:
    from opswright_knowledge.storage.unit_of_work import UnitOfWork

MOST_REACHED = 2_000
"""Where a walk stops and says so; in practice everything of an account hangs together."""


class Relations:
    """The relations, within a transaction."""

    def __init__(self, unit: "UnitOfWork") -> None:
        self._unit = unit

    def walk(self, name: str, direction: Direction, depth: int) -> tuple[list[Reached], bool]:
        """What is reached from a resource (its id or ARN), nearest first, and whether that is all.

        `in` follows relations backwards, to what relies on it; `out` forwards, to what it relies
        on. Raises NotFoundError for a name that is neither recorded nor referred to.
        """
        begin = self._unit.resources.named([name])
        alias = {name: begin[0].id if begin else name}
        self._learn(alias, begin)
        reached: dict[str, Reached] = {}
        frontier = set(alias.values())
        seen = set(frontier)
        for level in range(1, depth + 1):
            names = [n for n, node in alias.items() if node in frontier]
            edges = self._edges(names, direction)
            found = self._unit.resources.named({end for a, _, b in edges for end in (a, b)})
            self._learn(alias, found)
            known = {resource.id: resource for resource in found}
            following = set()
            for source, kind, target in edges:
                a, b = alias.setdefault(source, source), alias.setdefault(target, target)
                for node in (a, b):
                    if node not in seen:
                        seen.add(node)
                        following.add(node)
                        reached[node] = _reached(node, known.get(node), level, f"{a} {kind} {b}")
            frontier = following
            if not frontier or len(reached) >= MOST_REACHED:
                break
        if not begin and not reached:
            raise NotFoundError(
                f"no resource {name!r} is recorded or referred to; "
                "find_resources searches by words."
            )
        complete = len(reached) < MOST_REACHED
        order = sorted(reached.values(), key=lambda one: (one.depth, one.type, one.id))
        return order[:MOST_REACHED], complete

    def relying_on(self, resource: Resource) -> list[tuple[str, str]]:
        """What relies on a resource directly, as (id, kind) of the relation."""
        names = [name for name in (resource.id, resource.arn) if name]
        return [(source, kind) for source, kind, _ in self._edges(names, "in")]

    def _edges(self, names: list[str], direction: Direction) -> list[tuple[str, str, str]]:
        """Relations of living resources that end at (in) or begin at (out) a name, sorted."""
        n = resource_relations.c
        living = (resources.c.type == n.type) & (resources.c.id == n.id)
        found: set[tuple[str, str, str]] = set()
        for at in range(0, len(names), CHUNK):
            some = names[at : at + CHUNK]
            ends: list[ColumnElement[bool]] = []
            if direction in {"in", "both"}:
                ends.append(n.target.in_(some))
            if direction in {"out", "both"}:
                ends.append(n.id.in_(some))
            for end in ends:
                asked = select(n.id, n.kind, n.target).join_from(
                    resource_relations, resources, living
                )
                rows = self._unit.connection.execute(
                    asked.where(end, resources.c.deleted_at.is_(None))
                )
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
