"""Reads resources kind by kind, a few kinds at a time, and names what could not be read."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.resource_kinds.kind import Items, ResourceKind, listed
from opswright_core.aws import Aws
from opswright_core.parallel import each
from opswright_core.verdicts import Unread, attempt

AT_ONCE = 8
"""Kinds of one region; where several regions are read side by side, each reads fewer."""

_TAG_PAGE = 100
"""Resources of one page of the Resource Groups Tagging API, at most."""

T = TypeVar("T")
Read = tuple[ResourceKind, dict[str, Any]]


@dataclass(frozen=True)
class Reading(Generic[T]):
    """What was read of some kinds, in their order, and what was not."""

    found: list[T]
    unread: list[str]
    failed: set[str] = field(default_factory=set)
    """Types of which nothing is known."""


def read_kinds(
    a: Aws,
    kinds: Iterable[ResourceKind],
    take: Callable[[ResourceKind, Items], list[T]],
    at_once: int = AT_ONCE,
) -> Reading[T]:
    """Read kinds and `take` of each what is wanted, so that no more is held than that."""
    kinds = list(kinds)

    def read(kind: ResourceKind) -> tuple[list[T], str] | Unread:
        items = attempt(lambda: kind.read(a) if kind.read else listed(a, kind))
        if isinstance(items, Unread):
            return items
        items, untagged = _with_tags(a, kind, items)
        return take(kind, items), untagged

    found: list[T] = []
    unread: list[str] = []
    failed: set[str] = set()
    for kind, answer in zip(kinds, each(kinds, read, at_once), strict=True):
        if isinstance(answer, Unread):
            unread.append(f"{kind.type} by {answer.reason}")
            failed.add(kind.type)
            continue
        taken, untagged = answer
        found += taken
        unread += [untagged] if untagged else []
    return Reading(found, unread, failed)


def read_all(a: Aws, kinds: Iterable[ResourceKind]) -> Reading[Read]:
    """Every resource of the kinds, as its service describes it, with its tags."""
    return read_kinds(a, kinds, lambda kind, items: [(kind, item) for item in items])


def read_named(a: Aws, wanted: Mapping[ResourceKind, Collection[str]]) -> Reading[Read]:
    """What of kinds that can be read one by one has those ids or names; what is not there is not.

    What a name of it means its kind's `one` knows.
    """
    asked = [(kind, name) for kind, names in wanted.items() for name in names]

    def read(which: tuple[ResourceKind, str]) -> tuple[Items, str] | Unread:
        kind, name = which
        one = kind.one or (lambda _, __: [])
        items = attempt(lambda: if_exists(lambda: one(a, name)) or [])
        return items if isinstance(items, Unread) else _with_tags(a, kind, items, alone=True)

    found: list[Read] = []
    unread: list[str] = []
    for (kind, _), answer in zip(asked, each(asked, read, AT_ONCE), strict=True):
        if isinstance(answer, Unread):
            unread.append(f"{kind.type} by {answer.reason}")
            continue
        found += [(kind, item) for item in answer[0]]
        unread += [answer[1]] if answer[1] else []
    return Reading(found, list(dict.fromkeys(unread)))


def _with_tags(
    a: Aws, kind: ResourceKind, items: Items, *, alone: bool = False
) -> tuple[Items, str]:
    """The same with tags, where the kind's own service lists none; and why not, if it was refused.

    A bucket's tags are known in the bucket's own region. `alone`: the tags of these items, not of
    all of their kind.
    """
    if not kind.tagged_as or not items:
        return items, ""
    regions: dict[str, Items] = defaultdict(list)
    for item in items:
        regions[item.get("BucketRegion") or a.region].append(item)

    def read(region: str) -> Items | Unread:
        which: dict[str, Any] = {
            "ResourceTypeFilters": [kind.tagged_as], "PaginationConfig": {"PageSize": _TAG_PAGE},
        }  # fmt: skip
        if alone:
            which = {"ResourceARNList": [item[kind.arn] for item in regions[region]]}
        return attempt(
            lambda: a.at(region).pages(
                "resourcegroupstaggingapi", "get_resources", "ResourceTagMappingList", **which
            )
        )

    tags: dict[str, Any] = {}
    refused = ""
    for answer in each(regions, read):
        if isinstance(answer, Unread):
            refused = f"tags of {kind.type} by {answer.reason}"
        else:
            tags |= {entry["ResourceARN"]: entry["Tags"] for entry in answer}
    return [{**item, kind.tags: tags.get(item[kind.arn], [])} for item in items], refused
