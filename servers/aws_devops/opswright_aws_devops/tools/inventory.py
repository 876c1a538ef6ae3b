"""What there is: resources of every kind, and how they hang together."""

from collections import Counter
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.resource_kinds import (
    KINDS,
    Resource,
    ResourceKind,
    as_resource,
    in_vpc,
    read_kind,
    values_in,
)
from opswright_core.aws import HERE, Aws, Target
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.pages import Page, page
from opswright_core.parallel import each
from opswright_core.regions import WideTarget, is_wide, over_regions
from opswright_core.runtime import aws, runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, attempt

_KINDS_AT_ONCE = 4
"""Of each region; several regions are read side by side as well."""

Read = tuple[ResourceKind, dict[str, Any]]
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
    kinds = _chosen(types)
    account_wide = [kind for kind in kinds if kind.is_account_wide and not vpc_id]
    regional = [kind for kind in kinds if not kind.is_account_wide]
    wide = is_wide(target)

    def read(a: Aws) -> tuple[list[Resource], list[str]] | Unread:
        found, unread = _matching(a, regional, tag, vpc_id)
        if wide and len(unread) == len(regional) > 0:
            return Unread(operation="", reason=f"nothing could be read, first {unread[0]}")
        return found, unread

    def read_everywhere() -> tuple[list[Resource], list[str], str]:
        found = over_regions(target, read)
        resources, unread = _matching(found.home, account_wide, tag, vpc_id)
        return (
            [r for part, _ in found.read.values() for r in part] + resources,
            [*found.unread(lambda part: part[1]), *unread],
            found.where,
        )

    key = ("list_resources", types, tag, vpc_id, target)
    resources, unread, where = runtime().snapshots.get(cursor, key, read_everywhere)
    counts = Counter(resource.type for resource in resources)
    said = ", ".join(f"{counts[k.type]} {k.type}" for k in KINDS if counts[k.type])
    summary = f"{where}: {said or 'nothing'}"
    return page(resources, cursor=cursor, summary=summary, unread=unread)


def _matching(
    a: Aws, kinds: list[ResourceKind], tag: str | None, vpc_id: str | None
) -> tuple[list[Resource], list[str]]:
    """The resources of one region that fit, and what could not be read there."""
    read, unread = read_all(a, kinds)
    if tag:
        read = _with_bucket_tags(a, read, unread)
    subnet_ids: list[str] = []
    if vpc_id and kinds:
        here = [{"Name": "vpc-id", "Values": [vpc_id]}]
        subnet_ids = [
            s["SubnetId"] for s in a.pages("ec2", "describe_subnets", "Subnets", Filters=here)
        ]
    found: list[Resource] = []
    for kind, item in read:
        resource = as_resource(kind, item, a.region)
        if (not tag or _has_tag(resource, tag)) and (
            not vpc_id or in_vpc(resource, item, vpc_id, subnet_ids)
        ):
            found.append(resource)
    return found, unread


@read_tool
def get_resource(
    resource_id: Annotated[str, Field(description="Id, ARN or name", min_length=1, max_length=300)],
    target: Target = HERE,
) -> ResourceDetails:
    """Read one resource with what it depends on and what needs it."""
    a = aws(target)
    read, unread = read_all(a, KINDS)
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
    """The kinds named, in full (`ec2:vpc`) or without the service (`vpc`). Raises BadInputError."""
    if not types:
        return list(KINDS)
    names = {name: kind for kind in KINDS for name in (kind.type, kind.type.partition(":")[2])}
    if unknown := [name for name in types if name not in names]:
        known = ", ".join(kind.type for kind in KINDS)
        raise BadInputError(f"types: no {', '.join(unknown)}; there are {known}.")
    return [kind for kind in KINDS if kind in [names[name] for name in types]]


def read_all(
    a: Aws, kinds: list[ResourceKind] | tuple[ResourceKind, ...]
) -> tuple[list[Read], list[str]]:
    """Every resource of the kinds, and a line for each kind that could not be read."""
    read: list[Read] = []
    unread: list[str] = []
    answers = each(kinds, lambda kind: attempt(lambda: read_kind(a, kind)), _KINDS_AT_ONCE)
    for kind, items in zip(kinds, answers, strict=True):
        if isinstance(items, Unread):
            unread.append(f"{kind.type}: {items.reason}")
        else:
            read += [(kind, item) for item in items]
    return read, unread


def _with_bucket_tags(a: Aws, read: list[Read], unread: list[str]) -> list[Read]:
    """The same, each bucket with its tags, which S3 gives by a call of their own for each."""

    def tags(bucket: dict[str, Any]) -> Any:
        return attempt(lambda: a.client("s3").get_bucket_tagging(Bucket=bucket["Name"])["TagSet"])

    buckets = [item for kind, item in read if kind.type == "s3:bucket"]
    tagged = []
    for bucket, answer in zip(buckets, each(buckets, tags), strict=True):
        refused = isinstance(answer, Unread)
        if refused and "NoSuchTagSet" not in answer.reason:
            unread.append(f"tags of bucket {bucket['Name']}: {answer.reason}")
        tagged.append({**bucket, "Tags": [] if refused else answer})
    bucket_kinds = [kind for kind, _ in read if kind.type == "s3:bucket"]
    others = [(kind, item) for kind, item in read if kind.type != "s3:bucket"]
    return [*others, *zip(bucket_kinds, tagged, strict=True)]


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
