"""The registry of resources: record, find, walk."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.canonical import canonical_json
from opswright_core.pages import PAGE_BYTES, Page
from opswright_core.tools import read_tool, record_tool
from opswright_knowledge.paging import cut, decode
from opswright_knowledge.records import (
    By,
    Direction,
    Identifier,
    Marked,
    Reached,
    Recorded,
    Resource,
    ResourceKey,
    ResourceRecord,
)
from opswright_knowledge.store import knowledge

PAGE_ITEMS = 50
NAMED_TYPES = 8

Cursor = Annotated[str | None, Field(description="From the last page", max_length=2000)]


class Walk(BaseModel):
    """What hangs together with a resource."""

    model_config = ConfigDict(frozen=True)
    summary: str
    found: int = Field(description="How many were reached")
    complete: bool = Field(description="False when the walk, or this answer, leaves some out")
    resources: list[Reached] = Field(description="Nearest first")


@record_tool
def record_resources(
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
    with knowledge().writing(by) as store:
        return store.resources.put(resources)


@record_tool(toolset="more")
def mark_deleted(
    resources: Annotated[
        list[ResourceKey], Field(description="By type and id", min_length=1, max_length=1000)
    ],
    by: By = None,
) -> Marked:
    """Note that recorded resources are gone; this deletes nothing in the cloud."""
    with knowledge().writing(by) as store:
        return store.resources.mark_deleted(resources)


@read_tool
def find_resources(
    type: Annotated[str | None, Field(description="As in ec2:vpc")] = None,
    query: Annotated[
        str | None, Field(description="Words in id, name, tags", max_length=200)
    ] = None,
    tag: Annotated[str | None, Field(description="key or key=value")] = None,
    account: Annotated[str | None, Field(description="Only in it")] = None,
    region: Annotated[str | None, Field(description="Only in it")] = None,
    related_to: Annotated[str | None, Field(description="Id of a neighbour")] = None,
    cursor: Cursor = None,
) -> Page[Resource]:
    """Find recorded resources; the record may lag behind the cloud (seen_at)."""
    after = decode(cursor, [str, str])
    with knowledge().reading() as store:
        found, counts = store.resources.find(
            type=type, query=query, tag=tag, account=account, region=region, related_to=related_to,
            after=after, limit=PAGE_ITEMS,
        )  # fmt: skip
    return cut(
        found,
        total=sum(counts.values()),
        limit=PAGE_ITEMS,
        place=lambda item: [item.type, item.id],
        summary=in_words(counts),
    )


@read_tool
def walk_relations(
    id: Annotated[Identifier, Field(description="Id or ARN")],
    direction: Annotated[Direction, Field(description="in: what relies on it")] = "in",
    depth: Annotated[int, Field(description="Steps", ge=1, le=10)] = 3,
) -> Walk:
    """Follow relations from a resource: what breaks if it goes, or what it needs."""
    with knowledge().reading() as store:
        reached, complete = store.relations.walk(id, direction, depth)
    shown = _fitting(reached)
    direct = sum(one.depth == 1 for one in reached)
    how = {"in": "rely on", "out": "are relied on by", "both": "hang together with"}[direction]
    many = f"{len(reached):,}" if complete else f"more than {len(reached):,}"
    return Walk(
        summary=f"{many} resources {how} {id} within {depth} steps, {direct:,} of them directly.",
        found=len(reached),
        complete=complete and len(shown) == len(reached),
        resources=shown,
    )


def in_words(counts: dict[str, int]) -> str:
    """«5 resources: 3 ec2:instance, 2 ec2:vpc»; at most `NAMED_TYPES` types by name."""
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    named = [f"{number:,} {kind}" for kind, number in ordered[:NAMED_TYPES]]
    if rest := sum(number for _, number in ordered[NAMED_TYPES:]):
        named.append(f"{rest:,} of {len(ordered) - NAMED_TYPES} other types")
    total = sum(counts.values())
    if not total:
        return "Nothing recorded fits; that does not mean that nothing exists."
    return f"{total:,} resource{'s' * (total != 1)}: {', '.join(named)}"


def _fitting(reached: list[Reached]) -> list[Reached]:
    size = 0
    for at, one in enumerate(reached):
        size += len(canonical_json(one))
        if size > PAGE_BYTES:
            return reached[:at]
    return reached
