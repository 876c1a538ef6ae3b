"""Widens a graph by the kinds that are read on request: those asked about, and those beside."""

from collections.abc import Iterable, Sequence

from opswright_aws_devops.graph.graph import Graph
from opswright_aws_devops.graph.relations import RELATIONS
from opswright_aws_devops.graph.surroundings import LOOKED_INTO
from opswright_aws_devops.resource_kinds import ON_REQUEST, ResourceKind, own_name
from opswright_aws_devops.resource_kinds.reading import Read, Reading, read_all, read_named
from opswright_aws_devops.resource_kinds.requested import LOG_GROUP
from opswright_core.aws import Aws


def with_asked(a: Aws, graph: Graph, asked: str, unread: list[str]) -> Graph:
    """The same graph, with kinds on request where nothing else is called as `asked`.

    Where `asked` tells the kind, it alone is read if its service can. Adds to `unread` what was
    refused.
    """
    if graph.find(asked):
        return graph
    meant = kinds_meant(asked)
    if len(meant) == 1 and meant[0].one:
        (kind,) = meant
        return _extended(graph, read_named(a, {kind: [own_name(kind, asked)]}), unread)
    return _extended(graph, read_all(a, meant), unread)


def with_beside(a: Aws, graph: Graph, node: int, unread: list[str]) -> Graph:
    """The same graph, with the kinds on request that a node, or what hangs on it, may be part of.

    Not those that it only names (`with_named`). Nodes keep their numbers. Adds to `unread` what was
    refused.
    """
    known = {kind.type for kind, _ in graph.read}
    whole, _ = _beside(graph, node)
    wanted = [kind for kind in whole if kind.type not in known]
    return _extended(graph, read_all(a, wanted), unread)


def with_named(a: Aws, graph: Graph, node: int, unread: list[str]) -> Graph:
    """The same graph, with what a node, and what it needs, name of the other kinds on request.

    Each is read by its name: a function's one log group, not all there are.
    """
    _, kinds = _beside(graph, node)
    tried: dict[ResourceKind, set[str]] = {kind: set() for kind in kinds}
    while True:
        near = [node, *(step.node for step in graph.reached(node, graph.depends_on))]
        wanted = {
            kind: {own_name(kind, name) for one in near for name in graph.unknown(one, kind.type)}
            - tried[kind]
            for kind in kinds
        }
        if not any(wanted.values()):
            return graph
        for kind, names in wanted.items():
            tried[kind] |= names
        graph = _extended(graph, read_named(a, wanted), unread)


def _beside(graph: Graph, node: int) -> tuple[list[ResourceKind], list[ResourceKind]]:
    """The kinds on request that matter beside a node: to be read whole, and by name alone."""
    needs, needed = (
        {graph.read[step.node][0].type for step in graph.reached(node, edges)}
        for edges in (graph.depends_on, graph.needed_by)
    )
    own = graph.read[node][0].type
    beside = kinds_beside(own, needs, needed)
    whole = whole_kinds(own, beside)
    return [kind for kind in beside if kind.type in whole], [
        kind for kind in beside if kind.type not in whole
    ]


def whole_kinds(own: str, beside: Sequence[ResourceKind]) -> set[str]:
    """Types of which all are read, since any of them may name the one asked about, of type `own`.

    So may what names those; what has parts to be looked into, or cannot be read by name, goes with
    them.
    """
    whole = {kind.type for kind in beside if kind.one is None or kind.type in LOOKED_INTO}
    reached = {own}
    while more := {
        kind.type for kind in beside
        if kind.type not in reached and not reached.isdisjoint(
            _targets(kind.type) | _targets(kind.type, is_loose=True)
        )
    }:  # fmt: skip
        reached |= more
    return whole | (reached - {own}) | ({own} & {kind.type for kind in beside})


def kinds_meant(asked: str) -> list[ResourceKind]:
    """The kinds that an id may be of, by how it begins or its ARN; all where nothing tells."""
    is_arn = asked.startswith("arn:")
    meant = [
        kind
        for kind in ON_REQUEST
        if asked.startswith(f"{kind.type}/")
        or (kind.prefix and asked.startswith(kind.prefix))
        or (is_arn and kind.arn_part and kind.arn_part in asked)
        or (kind is LOG_GROUP and asked.startswith("/"))
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


def _extended(graph: Graph, reading: Reading[Read], unread: list[str]) -> Graph:
    unread += reading.unread
    return Graph([*graph.read, *reading.found], graph.region) if reading.found else graph
