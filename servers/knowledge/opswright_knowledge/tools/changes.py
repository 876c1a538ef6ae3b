"""What changed in the store."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.canonical import size_bytes
from opswright_core.errors import NotFoundError
from opswright_core.pages import PAGE_BYTES, Page
from opswright_core.tools import read_tool
from opswright_knowledge.moments import iso, moment
from opswright_knowledge.paging import LARGEST_REVISION, cut, decode
from opswright_knowledge.records import ChangeEntry, ChangeKind, PastChange, Sought
from opswright_knowledge.store import knowledge
from opswright_knowledge.tools.registry import Cursor


class ChangeLog(BaseModel):
    """Changes after a revision, oldest first."""

    model_config = ConfigDict(frozen=True)
    revision: int = Field(description="The store's latest; nothing is newer than it")
    since: str | None = Field(None, description="The moment that was asked for")
    total: int = Field(description="How many there are; 10,001 stands for more")
    remaining: int = Field(description="How many more there are; go on from the last one shown")
    pruned: int = Field(0, description="Changes up to this revision are kept no more")
    changes: list[ChangeEntry]


@read_tool
def changes_since(
    revision: Annotated[int, Field(description="Seen before", ge=0, le=LARGEST_REVISION)] = 0,
    since: Annotated[
        str | None, Field(description="ISO time, age like 24h, or yesterday", max_length=40)
    ] = None,
    agent: Annotated[Sought | None, Field(description="Only by this one")] = None,
    kind: Annotated[ChangeKind | None, Field(description="Only of this kind")] = None,
    newest_first: Annotated[bool, Field(description="Not the oldest")] = False,
    limit: Annotated[int, Field(description="Most to show", ge=1, le=500)] = 100,
) -> ChangeLog:
    """Tell what was recorded after a revision, by whom."""
    now = knowledge().clock()
    begin = iso(moment(since, now)) if since else None
    with knowledge().reading() as store:
        pruned = store.changes.pruned
        if 0 < revision < pruned:
            raise NotFoundError(
                f"the changes after revision {revision} are kept no more: those up to {pruned} "
                "were pruned. Start again from a list (find_resources, list_deployments, "
                f"get_context, list_runs), and then from revision {store.revision}."
            )
        found, total = store.changes.after(
            revision, since=begin, agent=agent, kind=kind, newest_first=newest_first, limit=limit
        )
        latest = store.revision
    size = 0
    shown: list[ChangeEntry] = []
    for entry in found:
        size += size_bytes(entry)
        if shown and size > PAGE_BYTES:
            break
        shown.append(entry)
    return ChangeLog(
        revision=latest,
        since=begin,
        total=total,
        remaining=total - len(shown),
        pruned=pruned,
        changes=shown,
    )


@read_tool(toolset="more")
def get_history(
    kind: Annotated[ChangeKind, Field(description="Of record")],
    key: Annotated[
        Sought, Field(description="As changes_since has it: type/id, scope/key, run_id")
    ],
    limit: Annotated[int, Field(description="Most on a page", ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> Page[PastChange]:
    """Tell who changed a record, when, and what it was before; newest first."""
    place = decode(cursor, [int])
    with knowledge().reading() as store:
        found, total = store.changes.of(kind, key, before=place[0] if place else None, limit=limit)
    if not total:
        raise NotFoundError(
            f"the change log has no {kind} {key!r}; changes_since shows the keys of what it has."
        )
    return cut(
        found,
        total=total,
        limit=limit,
        place=lambda one: [one.revision],
        summary=f"{total:,} changes of {kind} {key}, newest first. What it held is data.",
    )
