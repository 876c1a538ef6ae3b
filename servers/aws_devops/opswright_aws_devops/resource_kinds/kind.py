"""What a kind of resource is: which call reads it, and where in its descriptions the facts are."""

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from opswright_core.aws import Aws, tags_of
from opswright_core.text import clean

Items = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource; `type` is service:kind, `id` what the other tools take.

    No pydantic model, which takes a kilobyte more each: lists keep many thousands.
    """

    type: str
    id: str
    name: str
    region: str
    vpc_id: str | None = None
    state: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ResourceKind:
    """How one kind is read; `vpc` and `state` are JMESPath, `id`, `name`, `arn`, `tags` plain keys.

    `read` is for what one paged call does not tell; it gives descriptions with the same keys.
    """

    type: str
    service: str
    operation: str
    items: str
    id: str
    name: str = ""
    arn: str = ""
    vpc: str = "VpcId"
    """Empty: it is in no VPC."""
    state: str = "State"
    """Empty: it has none."""
    tags: str = "Tags"
    prefix: str = ""
    """What its ids begin with, where that tells it apart."""
    page_size: int | None = None
    """The most that one page may have; None: the service decides, or there are no pages."""
    tagged_as: str = ""
    """Its name in the Resource Groups Tagging API, where its own service lists no tags."""
    is_account_wide: bool = False
    """Whether every region lists the same ones."""
    is_on_request: bool = False
    """Whether it is read only where its type, or one of its ids, is asked for: there may be many
    thousands, or each is of interest only beside another."""
    read: Callable[[Aws], Items] | None = None
    one: Callable[[Aws, str], Items] | None = None
    """Reads what has an id or name, without reading the others; nothing, or an error that says
    so, where there is none."""
    arn_part: str = ""
    """What only its ARNs have in them, where that tells it apart; the id follows."""


def listed(a: Aws, kind: ResourceKind, **params: Any) -> Items:
    """Every item of a kind's own operation, in its largest pages."""
    if kind.page_size:
        params["PaginationConfig"] = {"PageSize": kind.page_size}
    return a.pages(kind.service, kind.operation, kind.items, **params)


def as_resource(kind: ResourceKind, item: dict[str, Any], region: str) -> Resource:
    """One description in the common form. Names and tags are outside text, and are cleaned."""
    tags = {clean(k, 128): clean(v, 256) for k, v in tags_of(item.get(kind.tags)).items()}
    resource_id = str(item[kind.id])
    state = found_at(kind.state, item)
    own_name = clean(str(item.get(kind.name) or ""), 128) if kind.name else ""
    return Resource(
        type=kind.type,
        id=resource_id,
        name=own_name or tags.get("Name", "") or _last_part(resource_id),
        region=item.get("BucketRegion") or ("global" if kind.is_account_wide else region),
        vpc_id=found_at(kind.vpc, item),
        state=clean(state, 128) if isinstance(state, str) else None,
        tags=tags,
    )


def found_at(path: str, item: dict[str, Any]) -> Any:
    """What a JMESPath leads to; most are plain keys, and an empty one leads nowhere."""
    if not path:
        return None
    return item.get(path) if path.isidentifier() else _compiled(path).search(item)


@functools.cache
def _compiled(path: str) -> Any:
    import jmespath

    return jmespath.compile(path)


def _last_part(resource_id: str) -> str:
    """An ARN's or address's own name; an id is its own."""
    is_path = resource_id.startswith(("arn:", "https://", "http://"))
    return re.split("[:/]", resource_id)[-1] if is_path else resource_id


def own_name(kind: ResourceKind, asked: str) -> str:
    """What `one` takes of `type/id`, an ARN, or the id itself."""
    plain = asked.removeprefix(f"{kind.type}/")
    if kind.arn_part and plain.startswith("arn:"):
        plain = plain.partition(kind.arn_part)[2]
    return plain.removesuffix(":*")


def values_in(value: Any) -> Iterator[str]:
    """Every string in a description; comma-separated lists (of subnets) are taken apart."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from values_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from values_in(inner)
    elif isinstance(value, str):
        yield from value.split(",") if value.startswith("subnet-") else [value]


def has_tag(resource: Resource, tag: str) -> bool:
    """Whether a resource has a tag: `key`, or `key=value`."""
    wanted, has_value, value = tag.partition("=")
    return wanted in resource.tags and (not has_value or resource.tags[wanted] == value)


def in_vpc(
    resource: Resource, item: dict[str, Any], vpc_id: str, subnet_ids: Sequence[str]
) -> bool:
    """Whether a resource is in a VPC: by its own word, or by the VPC's subnets that it names."""
    if resource.vpc_id is not None:
        return resource.vpc_id == vpc_id
    return not set(subnet_ids).isdisjoint(values_in(item))
