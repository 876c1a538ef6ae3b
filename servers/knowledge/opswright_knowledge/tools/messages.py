"""Messages between agents."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.pages import Page
from opswright_core.tools import read_tool, record_tool
from opswright_knowledge.paging import cut, decode
from opswright_knowledge.records import (
    By,
    Intent,
    Message,
    MessageRecord,
    Name,
    Recorded,
    ShortId,
    Sought,
)
from opswright_knowledge.store import knowledge
from opswright_knowledge.tools.memories import DATA
from opswright_knowledge.tools.registry import Cursor


class Sent(BaseModel):
    """A message on its way."""

    model_config = ConfigDict(frozen=True)
    revision: int
    message_id: str
    thread: str


@record_tool
async def send_message(
    sender: Annotated[Name, Field(description="Agent that sends")],
    recipient: Annotated[Name, Field(description="Agent; * for all")],
    content: Annotated[str, Field(description="Text", min_length=1, max_length=4000)],
    intent: Annotated[Intent, Field(description="What for")] = "inform",
    data: Annotated[dict[str, Any] | None, Field(description="Facts with it")] = None,
    in_reply_to: Annotated[ShortId | None, Field(description="message_id")] = None,
    by: By = None,
) -> Sent:
    """Leave a message for an agent. A repeat by the same run and step sends nothing."""
    record = MessageRecord(
        recipient=recipient,
        content=content,
        intent=intent,
        data=data or {},
        in_reply_to=in_reply_to,
    )
    message_id, thread, recorded = await knowledge().write(
        by, lambda store: store.messages.send(sender, record)
    )
    return Sent(revision=recorded.revision, message_id=message_id, thread=thread)


@read_tool
def read_messages(
    recipient: Annotated[Name, Field(description="Agent")],
    unacknowledged_only: Annotated[bool, Field(description="Leave out what was dealt with")] = True,
    thread: Annotated[
        Sought | None, Field(description="All of this conversation instead", max_length=60)
    ] = None,
    limit: Annotated[int, Field(description="Most on a page", ge=1, le=100)] = 20,
    cursor: Cursor = None,
) -> Page[Message]:
    """Read an agent's messages, oldest first."""
    place = decode(cursor, [int])
    with knowledge().reading() as store:
        found, total = store.messages.find(
            recipient,
            thread=thread,
            unacknowledged_only=unacknowledged_only,
            after=place[0] if place else 0,
            limit=limit,
        )
    return cut(
        found,
        total=total,
        limit=limit,
        place=lambda item: [item.revision],
        summary=f"{total:,} messages for {recipient}. {DATA}" if total else "No message.",
    )


@record_tool
async def acknowledge_messages(
    ids: Annotated[list[Sought], Field(description="message_ids", min_length=1, max_length=100)],
    by: By = None,
) -> Recorded:
    """Mark messages as dealt with. For one to all, `by.agent` says for whom."""
    return await knowledge().write(by, lambda store: store.messages.acknowledge(ids))
