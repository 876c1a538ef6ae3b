"""The registry of resources: record, find, mark as gone."""

from typing import Annotated

from pydantic import Field

from opswright_core.pages import Page
from opswright_core.tools import read_tool, record_tool
from opswright_knowledge.paging import cut, decode
from opswright_knowledge.records import (
    By,
    Counts,
    Marked,
    Recorded,
    Resource,
    ResourceKey,
    ResourceRecord,
    Sought,
)
from opswright_knowledge.store import knowledge

PAGE_ITEMS = 50
NAMED_TYPES = 8

Cursor = Annotated[str | None, Field(description="From the last page", max_length=2000)]


@record_tool
async def record_resources(
    resources: Annotated[
        list[ResourceRecord],
        Field(
            description="By type and id; account, region, name, status, attributes, tags; "
            "relations {kind, to: id or ARN}; expected_revision to write only over that one",
            min_length=1,
            max_length=1000,
        ),
    ],
    by: By = None,
) -> Recorded:
    """Record what exists, all or nothing. Fields left out keep their value."""
    return await knowledge().write(by, lambda store: store.resources.put(resources))


@record_tool(toolset="more")
async def mark_deleted(
    resources: Annotated[
        list[ResourceKey], Field(description="By type and id", min_length=1, max_length=1000)
    ],
    by: By = None,
) -> Marked:
    """Note that recorded resources are gone; this deletes nothing in the cloud."""
    return await knowledge().write(by, lambda store: store.resources.mark_deleted(resources))


@read_tool
def find_resources(
    type: Annotated[Sought | None, Field(description="As in ec2:vpc")] = None,
    id: Annotated[Sought | None, Field(description="Id or ARN", max_length=600)] = None,
    query: Annotated[
        Sought | None, Field(description="Words in id, name, tags", max_length=200)
    ] = None,
    tag: Annotated[Sought | None, Field(description="key or key=value")] = None,
    attribute: Annotated[Sought | None, Field(description="key or key=value")] = None,
    status: Annotated[Sought | None, Field(description="Only with it")] = None,
    account: Annotated[Sought | None, Field(description="Only in it")] = None,
    region: Annotated[Sought | None, Field(description="Only in it")] = None,
    related_to: Annotated[Sought | None, Field(description="Id of a neighbour")] = None,
    cursor: Cursor = None,
) -> Page[Resource]:
    """Find recorded resources; the record may lag behind the cloud (seen_at)."""
    after = decode(cursor, [str, str])
    with knowledge().reading() as store:
        found, counts = store.resource_search.find(
            type=type, id=id, query=query, tag=tag, attribute=attribute, status=status,
            account=account, region=region, related_to=related_to, after=after, limit=PAGE_ITEMS,
        )  # fmt: skip
    return cut(
        found,
        total=counts.total,
        limit=PAGE_ITEMS,
        place=lambda item: [item.type, item.id],
        summary=in_words(counts),
    )


def in_words(counts: Counts) -> str:
    """«5 resources: 3 ec2:instance, 2 ec2:vpc»; at most `NAMED_TYPES` types by name."""
    ordered = sorted(counts.by_type.items(), key=lambda entry: (-entry[1], entry[0]))
    named = [f"{number:,} {kind}" for kind, number in ordered[:NAMED_TYPES]]
    if rest := sum(number for _, number in ordered[NAMED_TYPES:]):
        named.append(f"{rest:,} of {len(ordered) - NAMED_TYPES} other types")
    total = counts.total
    if not total:
        return "Nothing recorded fits; that does not mean that nothing exists."
    if not counts.complete:
        return f"More than {total - 1:,} resources; of {total:,}: {', '.join(named)}"
    return f"{total:,} resource{'s' * (total != 1)}: {', '.join(named)}"
