"""What there is: resources of every kind, and how they hang together."""

from collections import Counter
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.resource_kinds import (
    KINDS,
    Items,
    Resource,
    ResourceKind,
    as_resource,
    in_vpc,
    values_in,
)
from opswright_aws_devops.resource_kinds.reading import Reading, read_all, read_kinds
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

Cursor = Annotated[str, Field(description="From the page before")] | None


class Link(BaseModel):
    """Another resource that this one hangs together with."""

    type: str
    id: str
    name: str


class ResourceDetails(BaseModel):
    """One resource with all that its service says of it."""

    resource: Resource
    details: dict[str, Any]
    depends_on: list[Link] = Field(description="Resources that its description names")
    needed_by: list[Link] = Field(description="Resources whose description names it")
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
            if (not tag or _has_tag(resource, tag))
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
    reading = read_all(a, KINDS)
    read, unread = reading.found, reading.unread
    matches = [(kind, item) for kind, item in read if str(item[kind.id]) == resource_id]
    if not matches:
        named = [
            (kind, item)
            for kind, item in read
            if as_resource(kind, item, a.region).name == resource_id
        ]
        matches = named if len(named) == 1 else []
        if len(named) > 1:
            ids = ", ".join(f"{kind.type} {item[kind.id]}" for kind, item in named[:10])
            raise BadInputError(f"{resource_id!r} names several resources; give an id: {ids}.")
    if not matches:
        hint = f" Not read: {'; '.join(unread)}." if unread else ""
        raise NotFoundError(
            f"No resource {resource_id!r} in {a.region}; list_resources shows what there is.{hint}"
        )
    kind, item = matches[0]
    own_id = str(item[kind.id])
    named_here = _ids_named(item)
    depends_on, needed_by = [], []
    for other_kind, other in read:
        other_id = str(other[other_kind.id])
        name = as_resource(other_kind, other, a.region).name
        link = Link(type=other_kind.type, id=other_id, name=name)
        if other_id != own_id and other_id in named_here:
            depends_on.append(link)
        elif other_id != own_id and own_id in _ids_named(other):
            needed_by.append(link)
    return ResourceDetails(
        resource=as_resource(kind, item, a.region),
        details=_cleaned(_untagged(item)),
        depends_on=depends_on,
        needed_by=needed_by,
        unread=unread,
    )


def _chosen(types: list[str] | None) -> list[ResourceKind]:
    """The kinds named, in full (`ec2:vpc`) or without the service (`vpc`).

    Raises BadInputError for a name that no kind has, or several.
    """
    if not types:
        return list(KINDS)
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


def _has_tag(resource: Resource, tag: str) -> bool:
    wanted, has_value, value = tag.partition("=")
    return wanted in resource.tags and (not has_value or resource.tags[wanted] == value)


def _untagged(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key not in {"Tags", "TagList"}}


def _ids_named(item: dict[str, Any]) -> set[str]:
    """What in a description is an id or ARN for sure; a bare name may be another kind's."""
    prefixes = ("arn:", *(kind.prefix for kind in KINDS if kind.prefix))
    return {value for value in values_in(_untagged(item)) if value.startswith(prefixes)}


def _cleaned(value: Any) -> Any:
    """A description as JSON, its text cleaned."""
    if isinstance(value, dict):
        return {clean(str(key), 200): _cleaned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return clean(str(value), 1000)
