"""Keeps the store small: drops what nobody needs any more."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.tools import record_tool
from opswright_knowledge.moments import iso
from opswright_knowledge.records import By
from opswright_knowledge.store import knowledge

MOST_AGENTS = 10_000


class Pruned(BaseModel):
    """What was dropped, or would be."""

    model_config = ConfigDict(frozen=True)
    summary: str
    revision: int
    done: bool = Field(description="False when this was only a look")
    expired_memories: int
    deleted_resources: int
    acknowledged_messages: int
    log_changes: int = Field(description="Of the change log; readers that were there begin anew")


@record_tool(toolset="more")
def prune_records(
    older_than_days: Annotated[
        int, Field(description="Deleted or acknowledged before", ge=1, le=36_500)
    ] = 30,
    log_older_than_days: Annotated[
        int | None, Field(description="Also the change log before this", ge=1, le=36_500)
    ] = None,
    dry_run: Annotated[bool, Field(description="Only count")] = True,
    by: By = None,
) -> Pruned:
    """Drop expired memories, and what was deleted or acknowledged long ago, for good.

    The change log stays whole unless `log_older_than_days` says otherwise.
    """
    now = knowledge().clock()
    before = iso(now - timedelta(days=older_than_days))
    with knowledge().reading() if dry_run else knowledge().writing(by) as store:
        everybody, _ = store.names.beginning("agent", limit=MOST_AGENTS)
        memories = store.memories.expire(dry_run=dry_run)
        resources = store.resources.prune(before, dry_run=dry_run)
        messages = store.messages.prune(before, everybody, dry_run=dry_run)
        changes = 0
        if log_older_than_days is not None:
            log_before = iso(now - timedelta(days=log_older_than_days))
            changes = store.changes.prune(log_before, dry_run=dry_run)
        revision = store.revision
    told = (
        f"{memories:,} expired memories, {resources:,} resources deleted and {messages:,} messages "
        f"acknowledged more than {older_than_days} days ago"
    )
    if log_older_than_days is not None:
        told += f", and {changes:,} changes of the log older than {log_older_than_days} days"
    return Pruned(
        summary=f"Would drop {told}; dry_run=false does." if dry_run else f"Dropped {told}.",
        revision=revision,
        done=not dry_run,
        expired_memories=memories,
        deleted_resources=resources,
        acknowledged_messages=messages,
        log_changes=changes,
    )
