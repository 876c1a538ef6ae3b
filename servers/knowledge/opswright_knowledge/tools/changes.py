"""What changed in the store."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.canonical import canonical_json
from opswright_core.errors import BadInputError
from opswright_core.pages import PAGE_BYTES
from opswright_core.tools import read_tool
from opswright_knowledge.records import ChangeEntry
from opswright_knowledge.store import knowledge

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class ChangeLog(BaseModel):
    """Changes after a revision, oldest first."""

    model_config = ConfigDict(frozen=True)
    revision: int = Field(description="The store's latest; nothing is newer than it")
    remaining: int = Field(description="How many more there are; go on from the last one shown")
    changes: list[ChangeEntry]


@read_tool
def changes_since(
    revision: Annotated[int, Field(description="Seen before", ge=0)] = 0,
    since: Annotated[
        str | None, Field(description="ISO time, or age like 24h, 7d", max_length=40)
    ] = None,
    limit: Annotated[int, Field(description="Most to show", ge=1, le=500)] = 100,
) -> ChangeLog:
    """Tell what was recorded after a revision, by whom."""
    now = knowledge().clock()
    begin = moment(since, now).isoformat(timespec="milliseconds") if since else None
    with knowledge().reading() as store:
        found, total = store.changes.after(revision, since=begin, limit=limit)
        latest = store.revision
    size = 0
    shown: list[ChangeEntry] = []
    for entry in found:
        size += len(canonical_json(entry))
        if shown and size > PAGE_BYTES:
            break
        shown.append(entry)
    return ChangeLog(revision=latest, remaining=total - len(shown), changes=shown)


def moment(text: str, now: datetime) -> datetime:
    """The moment of an ISO 8601 time (UTC unless it says otherwise) or an age (30m, 24h, 7d, 2w).

    Raises BadInputError for anything else.
    """
    if age := re.fullmatch(r"(\d{1,5})\s*([mhdw])", text.strip().lower()):
        return now - timedelta(**{_UNITS[age[2]]: int(age[1])})
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInputError(
            f"since={text!r} is no time; send one like 2026-11-02T09:00Z, or an age like 24h or 7d."
        ) from None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
