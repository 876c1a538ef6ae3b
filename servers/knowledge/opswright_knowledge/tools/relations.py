"""How resources rely on each other: what breaks if one goes, ways between two, circles."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.canonical import size_bytes
from opswright_core.pages import PAGE_BYTES
from opswright_core.tools import read_tool
from opswright_knowledge.records import Direction, Identifier, Reached
from opswright_knowledge.store import knowledge

WALK_STEPS, PATH_STEPS = 3, 10
MOST_RELATIONS = 200_000
"""How many relations are searched for circles: about 100 MB of memory at the most."""

T = TypeVar("T", bound=BaseModel)


class Walk(BaseModel):
    """What hangs together with a resource."""

    model_config = ConfigDict(frozen=True)
    summary: str
    found: int = Field(description="How many were reached")
    complete: bool = Field(description="False when the walk, or this answer, leaves some out")
    resources: list[Reached] = Field(description="Nearest first; of a path, in its order")


class Cycle(BaseModel):
    """Resources that rely on each other in a circle."""

    model_config = ConfigDict(frozen=True)
    ids: list[str] = Field(description="Each relies on the next, the last on the first")
    group: int = Field(description="How many resources are entangled with it")


class Cycles(BaseModel):
    """The circles of relations."""

    model_config = ConfigDict(frozen=True)
    summary: str
    found: int
    complete: bool = Field(description="False when not all relations were searched or shown")
    cycles: list[Cycle] = Field(description="The most entangled first")


@read_tool
def walk_relations(
    id: Annotated[Identifier, Field(description="Id or ARN")],
    direction: Annotated[Direction, Field(description="in: what relies on it")] = "in",
    depth: Annotated[
        int | None, Field(description="Steps; 3, or 10 with `to`", ge=1, le=10)
    ] = None,
    to: Annotated[Identifier | None, Field(description="Only the shortest way to it")] = None,
) -> Walk:
    """Follow relations from a resource: what breaks if it goes, or what it needs."""
    if to is not None:
        return _way(id, to, direction, depth or PATH_STEPS)
    depth = depth or WALK_STEPS
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


def _way(begin: str, end: str, direction: Direction, depth: int) -> Walk:
    with knowledge().reading() as store:
        way, complete = store.relations.path(begin, end, direction, depth)
    if way:
        summary = f"{len(way)} steps: " + "; ".join(one.through for one in way[:10])
    else:
        other = "" if direction == "both" else "; direction `both` takes relations either way"
        looked = "" if complete else " among the nearest resources; there are too many to walk all"
        summary = f"No way from {begin} to {end} within {depth} steps{looked}{other}."
    return Walk(summary=summary, found=len(way), complete=complete, resources=way)


@read_tool(toolset="more")
def find_cycles() -> Cycles:
    """Find resources that rely on each other in a circle, which cannot be removed one by one."""
    with knowledge().reading() as store:
        found, complete = store.relations.circles(MOST_RELATIONS)
    cycles = [Cycle(ids=ids, group=group) for ids, group in found]
    shown = _fitting(cycles)
    rest = "" if complete else f" Only {MOST_RELATIONS:,} relations were searched."
    return Cycles(
        summary=f"{len(cycles):,} circles of relations.{rest}",
        found=len(cycles),
        complete=complete and len(shown) == len(cycles),
        cycles=shown,
    )


def _fitting(items: Sequence[T]) -> list[T]:
    size = 0
    for at, one in enumerate(items):
        size += size_bytes(one)
        if size > PAGE_BYTES:
            return list(items[:at])
    return list(items)
