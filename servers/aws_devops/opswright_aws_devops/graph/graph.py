"""The graph of how an account's resources hang together, drawn from their descriptions. Pure."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.graph.relations import ALSO_KNOWN_AS, RELATIONS, SUBNET, TABLES
from opswright_aws_devops.networking.routing import tables_of
from opswright_aws_devops.resource_kinds import KINDS, Resource, as_resource, found_at
from opswright_aws_devops.resource_kinds.reading import Read

_PREFIXES = ("arn:", *(kind.prefix for kind in KINDS if kind.prefix))
"""What begins so is told apart from every other kind's."""


@dataclass(frozen=True)
class Edge:
    """`source` … `target`, as `relation` says; both are numbers of nodes."""

    source: int
    relation: str
    target: int


@dataclass(frozen=True)
class Missing:
    """What a description names and was not found: gone, another account's, or not read."""

    relation: str
    types: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class Step:
    """A node that hangs together with the one asked about, over `edge`, so many edges away."""

    node: int
    edge: Edge
    distance: int


class Graph:
    """Nodes are the resources read, by number; edges are what `relations` finds in them."""

    def __init__(self, read: Sequence[Read], region: str) -> None:
        self.read = read
        self.region = region
        self.depends_on: dict[int, list[Edge]] = defaultdict(list)
        self.needed_by: dict[int, list[Edge]] = defaultdict(list)
        self.related: dict[int, list[Edge]] = defaultdict(list)
        """By either end: edges of which neither end suffers when the other goes."""
        self.missing: dict[int, list[Missing]] = defaultdict(list)
        self._known: set[tuple[int, int]] = set()
        self._named: dict[tuple[str, str], int] = {}
        for node, (kind, item) in enumerate(read):
            for name in _names(kind, item):
                self._named.setdefault((kind.type, name), node)
        for node in range(len(read)):
            self._relate(node)
        self._route_by_main_tables()
        self._of_stacks()

    def resource(self, node: int) -> Resource:
        """A node in the form that lists have."""
        kind, item = self.read[node]
        return as_resource(kind, item, self.region)

    def find(self, asked: str) -> list[int]:
        """Nodes of that id or ARN, or of `type/id`; else those of that name, or `type/name`."""
        by_id = [
            node
            for node, (kind, item) in enumerate(self.read)
            if asked in (item[kind.id], item.get(kind.arn), f"{kind.type}/{item[kind.id]}")
        ]
        return by_id or [
            node
            for node, (kind, _) in enumerate(self.read)
            if asked in ((name := self.resource(node).name), f"{kind.type}/{name}")
        ]

    def names_of(self, node: int) -> Iterator[str]:
        """What others may call a node: id, ARN, name and more."""
        return _names(*self.read[node])

    def unknown(self, node: int, type_: str) -> Iterator[str]:
        """What a node names of a type and no node is called, also where neither needs the other."""
        kind, item = self.read[node]
        for relation in RELATIONS.get(kind.type, ()):
            if type_ in relation.targets and not relation.is_reversed:
                for name in _texts(found_at(relation.path, item)):
                    if self._lookup(relation.targets, name) is None:
                        yield name

    def reached(self, start: int, edges: dict[int, list[Edge]]) -> Iterator[Step]:
        """All that `start` depends on (`depends_on`) or is needed by, nearest first, each once."""
        seen, waiting = {start}, deque([(start, 0)])
        while waiting:
            node, distance = waiting.popleft()
            for edge in edges.get(node, []):
                other = edge.target if edge.source == node else edge.source
                if other not in seen:
                    seen.add(other)
                    waiting.append((other, distance + 1))
                    yield Step(other, edge, distance + 1)

    def _relate(self, node: int) -> None:
        kind, item = self.read[node]
        for relation in RELATIONS.get(kind.type, ()):
            for name in _texts(found_at(relation.path, item)):
                other = self._lookup(relation.targets, name)
                if relation.is_loose:
                    if other is not None:
                        self._connect(node, relation.name, other, self.related, self.related)
                elif other is None:
                    if name != "local" and not relation.is_reversed:
                        self.missing[node].append(Missing(relation.name, relation.targets, name))
                elif relation.is_reversed:
                    self._join(other, relation.name, node)
                else:
                    self._join(node, relation.name, other)

    def _lookup(self, types: Iterable[str], name: str) -> int | None:
        """By id, ARN or name; what follows its ARN (a stream, path, version) is left off."""
        for kind in types:
            if (found := self._named.get((kind, name))) is not None:
                return found
        if name.startswith("arn:"):
            for cut in ("/stream/", "/", ":"):
                whole = name.rpartition(cut)[0]
                if whole and (found := self._by_arn(types, whole)) is not None:
                    return found
        return None

    def _by_arn(self, types: Iterable[str], arn: str) -> int | None:
        return next((n for t in types if (n := self._named.get((t, arn))) is not None), None)

    def _join(self, source: int, relation: str, target: int) -> None:
        self._connect(source, relation, target, self.depends_on, self.needed_by)

    def _connect(
        self,
        source: int,
        relation: str,
        target: int,
        of_source: dict[int, list[Edge]],
        of_target: dict[int, list[Edge]],
    ) -> None:
        if source == target or (source, target) in self._known:
            return
        self._known.add((source, target))
        edge = Edge(source, relation, target)
        of_source[source].append(edge)
        of_target[target].append(edge)

    def _route_by_main_tables(self) -> None:
        """Subnets that no table names are routed by their VPC's main one."""
        by_vpc: dict[str, list[dict[str, Any]]] = defaultdict(list)
        subnets: dict[str, list[str]] = defaultdict(list)
        for kind, item in self.read:
            if kind.type == TABLES:
                by_vpc[item["VpcId"]].append(item)
            elif kind.type == SUBNET:
                subnets[item["VpcId"]].append(item["SubnetId"])
        for vpc_id, tables in by_vpc.items():
            for subnet_id, table in tables_of(subnets[vpc_id], tables).items():
                if table:
                    source = self._named[SUBNET, subnet_id]
                    self._join(source, "routed by", self._named[TABLES, table["RouteTableId"]])

    def _of_stacks(self) -> None:
        """What CloudFormation tagged as its own goes with its stack."""
        for node, (kind, item) in enumerate(self.read):
            for tag in item.get(kind.tags) or []:
                if tag.get("Key") == "aws:cloudformation:stack-name":
                    stack = self._named.get(("cloudformation:stack", tag["Value"]))
                    if stack is not None:
                        self._join(node, "made by", stack)


def _names(kind: Any, item: dict[str, Any]) -> Iterator[str]:
    """What others may call a resource."""
    yield str(item[kind.id])
    yield from _texts([item.get(kind.arn), item.get(kind.name)])
    if kind.type in ALSO_KNOWN_AS:
        yield from _texts(found_at(ALSO_KNOWN_AS[kind.type], item))


def _texts(found: Any) -> Iterator[str]:
    """The names in what a path led to; a comma-separated list is taken apart."""
    for value in found if isinstance(found, list) else [found]:
        if isinstance(value, list):
            yield from _texts(value)
        elif isinstance(value, str) and value:
            yield from value.split(",") if value.startswith("subnet-") else [value]
