"""What there is: resources of every kind, and how they hang together."""

from collections import Counter
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.graph.graph import Edge, Graph
from opswright_aws_devops.graph.requested import with_asked
from opswright_aws_devops.graph.surroundings import load_graph
from opswright_aws_devops.resource_kinds import (
    INVENTORY,
    KINDS,
    ON_REQUEST,
    Items,
    Resource,
    ResourceKind,
    as_resource,
    has_tag,
    in_vpc,
)
from opswright_aws_devops.resource_kinds.reading import Reading, read_kinds
from opswright_core.aws import HERE, Aws, Target
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.pages import Page, page
from opswright_core.regions import WideTarget, is_wide, over_regions
from opswright_core.runtime import aws, runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread

_ONE_OF_MANY = 4
"""Kinds at once of a region that is read beside others."""

MOST_SAID = 3000
"""Characters of an error that say what was not read: each kind gets its share."""

Cursor = Annotated[str, Field(description="From the page before")] | None


class Link(BaseModel):
    """Another resource that this one hangs together with."""

    type: str
    id: str
    name: str
    relation: str = Field(description="What holds of the one that needs the other: in, guarded by")


class ResourceDetails(BaseModel):
    """One resource with all that its service says of it."""

    resource: Resource
    details: dict[str, Any]
    depends_on: list[Link] = Field(description="What it cannot do without")
    needed_by: list[Link] = Field(description="What cannot do without it")
    related: list[Link] = Field(description="Copies and origins; neither needs the other")
    unread: list[str] = Field(description="What could not be read, so links there are unknown")


@read_tool
def list_resources(
    types: Annotated[list[str], Field(description="Like ec2:vpc, rds:db")] | None = None,
    tag: Annotated[str, Field(description="key or key=value")] | None = None,
    vpc_id: Annotated[str, Field(description="Only in this VPC")] | None = None,
    cursor: Cursor = None,
    target: WideTarget = HERE,
) -> Page[Resource]:
    """List what is there, by type, tag or VPC."""
    kinds = [kind for kind in _chosen(types) if not vpc_id or kind.vpc]
    wide = is_wide(target)
    once = [kind for kind in kinds if kind.is_account_wide and wide]
    each_region = [kind for kind in kinds if kind not in once]

    def read(a: Aws) -> Reading[Resource] | Unread:
        found = _matching(a, each_region, tag, vpc_id, *([_ONE_OF_MANY] if wide else []))
        if wide and len(found.failed) == len(each_region) > 0:
            return Unread(operation="", reason=f"nothing could be read, first {found.unread[0]}")
        return found

    def read_everywhere() -> tuple[list[Resource], list[str], str]:
        found = over_regions(target, read)
        account = _matching(found.home, once, tag, vpc_id)
        return (
            [r for part in found.read.values() for r in part.found] + account.found,
            [*found.unread(lambda part: part.unread), *account.unread],
            found.where,
        )

    key = ("list_resources", types, tag, vpc_id, target)
    resources, unread, where = runtime().snapshots.get(cursor, key, read_everywhere)
    counts = Counter(resource.type for resource in resources)
    said = ", ".join(f"{counts[k.type]} {k.type}" for k in KINDS if counts[k.type])
    summary = f"{where}: {said or 'nothing'}"
    if not types:
        summary += f". Only by types: {', '.join(kind.type for kind in ON_REQUEST)}"
    return page(resources, cursor=cursor, summary=summary, unread=unread)


def _matching(
    a: Aws, kinds: list[ResourceKind], tag: str | None, vpc_id: str | None, *at_once: int
) -> Reading[Resource]:
    """The resources of one region that fit, and what could not be read there."""
    subnet_ids: list[str] = []
    if vpc_id and kinds:
        here = [{"Name": "vpc-id", "Values": [vpc_id]}]
        subnet_ids = [
            s["SubnetId"] for s in a.pages("ec2", "describe_subnets", "Subnets", Filters=here)
        ]

    def take(kind: ResourceKind, items: Items) -> list[Resource]:
        found = ((as_resource(kind, item, a.region), item) for item in items)
        return [
            resource
            for resource, item in found
            if (not tag or has_tag(resource, tag))
            and (not vpc_id or in_vpc(resource, item, vpc_id, subnet_ids))
        ]

    return read_kinds(a, kinds, take, *at_once)


@read_tool
def get_resource(
    resource_id: Annotated[str, Field(description="Id, ARN or name", min_length=1, max_length=300)],
    target: Target = HERE,
) -> ResourceDetails:
    """Read one resource with what it depends on and what needs it."""
    a = aws(target)
    graph, unread = load_graph(a)
    graph = with_asked(a, graph, resource_id, unread)
    node = must_be_one(graph, resource_id, unread)
    kind, item = graph.read[node]
    return ResourceDetails(
        resource=graph.resource(node),
        details=_cleaned({key: value for key, value in item.items() if key != kind.tags}),
        depends_on=links(graph, graph.depends_on.get(node, []), node),
        needed_by=links(graph, graph.needed_by.get(node, []), node),
        related=links(graph, graph.related.get(node, []), node),
        unread=unread,
    )


def must_be_one(graph: Graph, asked: str, unread: list[str]) -> int:
    """The node that is meant. Raises NotFoundError, and BadInputError where several may be."""
    found = graph.find(asked)
    if not found:
        room = MOST_SAID // max(len(unread), 1)
        hint = f" Not read: {'; '.join(one[:room] for one in unread)}." if unread else ""
        raise NotFoundError(
            f"No resource {clean(asked, 300)!r} in {graph.region}; list_resources shows what there "
            f"is.{hint}"
        )
    if len(found) > 1:
        ids = ", ".join(f"{r.type}/{r.id}" for r in map(graph.resource, found[:10]))
        raise BadInputError(f"{asked!r} names several resources; give one of {ids}.")
    return found[0]


def links(graph: Graph, edges: list[Edge], node: int) -> list[Link]:
    """The other ends of a node's edges."""
    found = []
    for edge in edges:
        other = graph.resource(edge.target if edge.source == node else edge.source)
        found.append(Link(type=other.type, id=other.id, name=other.name, relation=edge.relation))
    return found


def _chosen(types: list[str] | None) -> list[ResourceKind]:
    """The kinds named, in full (`ec2:vpc`) or without the service (`vpc`); the inventory for none.

    Raises BadInputError for a name that no kind has, or several.
    """
    if not types:
        return list(INVENTORY)
    chosen = []
    for name in types:
        named = [k for k in KINDS if name in (k.type, k.type.partition(":")[2])]
        if len(named) != 1:
            several = ", ".join(k.type for k in named)
            known = ", ".join(k.type for k in KINDS)
            raise BadInputError(
                f"types: {name} may be {several}; write it in full."
                if named
                else f"types: no {clean(name, 60)}; there are {known}."
            )
        chosen += named
    return [kind for kind in KINDS if kind in chosen]


def _cleaned(value: Any) -> Any:
    """A description as JSON, its text cleaned."""
    if isinstance(value, dict):
        return {clean(str(key), 200): _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return clean(str(value), 1000)
