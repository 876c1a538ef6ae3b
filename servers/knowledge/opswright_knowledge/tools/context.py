"""Shared values: facts that several agents read and change."""

from typing import Annotated, Any

from pydantic import Field

from opswright_core.pages import Page
from opswright_core.tools import read_tool, record_tool
from opswright_knowledge.paging import cut, decode
from opswright_knowledge.records import By, ContextEntry, Name, Recorded, Sought
from opswright_knowledge.store import knowledge
from opswright_knowledge.tools.registry import PAGE_ITEMS, Cursor

Scope = Annotated[Name, Field(description="Like env:prod")]


@record_tool
async def set_context(
    scope: Scope,
    key: Annotated[Name, Field(description="Name of the value")],
    value: Annotated[Any, Field(description="JSON; null removes")],
    expected_revision: Annotated[int | None, Field(description="0: not set yet", ge=0)] = None,
    by: By = None,
) -> Recorded:
    """Set a shared value; with expected_revision only if nobody changed it since."""
    return await knowledge().write(
        by, lambda store: store.context.put(scope, key, value, expected_revision)
    )


@read_tool
def get_context(
    scope: Scope,
    key: Annotated[Sought | None, Field(description="Only this value")] = None,
    cursor: Cursor = None,
) -> Page[ContextEntry]:
    """Read shared values with their revisions."""
    place = decode(cursor, [str])
    with knowledge().reading() as store:
        if key is not None:
            entry = store.context.get(scope, key)
            found, total = ([entry], 1) if entry else ([], 0)
        else:
            found, total = store.context.find(
                scope, after=place[0] if place else None, limit=PAGE_ITEMS
            )
        scopes = [] if found else store.context.scopes()[0]
    summary = f"{total:,} values in {scope}"
    if not found:
        missing = f"{scope}/{key}" if key is not None else scope
        known = ", ".join(one.scope for one in scopes[:20]) or "none"
        summary = f"Nothing is set at {missing}. Scopes: {known}"
    return cut(found, total=total, limit=PAGE_ITEMS, place=lambda item: [item.key], summary=summary)
