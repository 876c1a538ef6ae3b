"""Widens a graph by the kinds that are read on request: those asked about, and those beside."""

from collections.abc import Iterable

from opswright_aws_devops.graph.graph import Graph
from opswright_aws_devops.graph.relations import RELATIONS
from opswright_aws_devops.resource_kinds import ON_REQUEST, ResourceKind
from opswright_aws_devops.resource_kinds.reading import read_all
from opswright_core.aws import Aws


def with_asked(a: Aws, graph: Graph, asked: str, unread: list[str]) -> Graph:
    """The same graph, with kinds on request where nothing else is called as `asked`.

    Adds to `unread` what was refused.
    """
    return graph if graph.find(asked) else _with(a, graph, kinds_meant(asked), unread)


def with_beside(a: Aws, graph: Graph, node: int, unread: list[str]) -> Graph:
    """The same graph, with the kinds on request that a node, or what hangs on it, may be part of.

    Nodes keep their numbers. Adds to `unread` what was refused.
    """
    needs, needed = (
        {graph.read[step.node][0].type for step in graph.reached(node, edges)}
        for edges in (graph.depends_on, graph.needed_by)
    )
    known = {kind.type for kind, _ in graph.read}
    beside = kinds_beside(graph.read[node][0].type, needs, needed)
    return _with(a, graph, [kind for kind in beside if kind.type not in known], unread)


def kinds_meant(asked: str) -> list[ResourceKind]:
    """The kinds that an id may be of, by how it begins; all where nothing tells."""
    meant = [
        kind
        for kind in ON_REQUEST
        if asked.startswith(f"{kind.type}/") or (kind.prefix and asked.startswith(kind.prefix))
    ]
    return meant or list(ON_REQUEST)


def kinds_beside(own: str, needs: Iterable[str], needed: Iterable[str]) -> list[ResourceKind]:
    """The kinds on request that relations may lead to, by types.

    `own` is the type asked about, `needs` are those it depends on and `needed` those that depend
    on it: what these depend on, or are needed by, is of interest in turn.
    """
    down, up = {own, *needs}, {own, *needed}
    chosen = {
        kind.type
        for kind in ON_REQUEST
        if kind.type in _targets(own, is_loose=True) or own in _targets(kind.type, is_loose=True)
    }
    is_growing = True
    while is_growing:
        is_growing = False
        for type_ in {kind.type for kind in ON_REQUEST} - (down & up):
            is_down = type_ not in down and any(type_ in _targets(one) for one in down)
            is_up = type_ not in up and not up.isdisjoint(_targets(type_))
            down |= {type_} if is_down else set()
            up |= {type_} if is_up else set()
            is_growing |= is_down or is_up
    return [kind for kind in ON_REQUEST if kind.type in chosen | down | up]


def _targets(type_: str, *, is_loose: bool = False) -> set[str]:
    """The types that a type's relations lead to, of one sort."""
    return {
        target
        for relation in RELATIONS.get(type_, ())
        if not relation.is_reversed and relation.is_loose == is_loose
        for target in relation.targets
    }


def _with(a: Aws, graph: Graph, kinds: Iterable[ResourceKind], unread: list[str]) -> Graph:
    reading = read_all(a, kinds)
    unread += reading.unread
    return Graph([*graph.read, *reading.found], graph.region) if reading.found else graph
