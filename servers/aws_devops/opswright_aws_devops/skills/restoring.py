"""Skills that bring databases back."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import Field

from opswright_core.agent.place import InRegion
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker
from opswright_core.errors import BadInputError

_CLOCK = r"\d{1,2}:\d\d(?::\d\d)?"
_WHEN = rf"((?:yesterday|today|\d{{4}}-\d\d-\d\d)(?:T|\s+|\s+at\s+)?(?:{_CLOCK})?)"


class RestoreWanted(InRegion):
    """Which database to restore, and to when."""

    source_id: Annotated[
        str,
        Field(description="Id of the DB instance or cluster to restore"),
        FromText(r"(?:database|cluster|instance)\s+[\"'`]?([a-z][a-z0-9-]*[a-z0-9])"),
    ]
    name: Annotated[
        str | None,
        Field(description="Id of the restored one; default: SOURCE-restored"),
        FromText(r"(?:\bas|named|called)\s+[\"'`]?([a-z][a-z0-9-]*[a-z0-9])"),
    ] = None
    to: Annotated[
        str | None,
        Field(description="To when (UTC): `yesterday 10:00`, `2026-11-20 08:15`; else a snapshot"),
        FromText(rf"\b(?:to|as of|of|from)\s+{_WHEN}"),
    ] = None


def moment(said: str, now: datetime) -> datetime:
    """`yesterday 10:00`, `today 08:00` or `2026-11-20 08:15`, in UTC.

    Raises BadInputError for what is no time, has no clock time, or has not come yet.
    """
    match = re.fullmatch(
        rf"\s*(yesterday|today|\d{{4}}-\d\d-\d\d)(?:T|\s+at\s+|\s+)({_CLOCK})\s*(?:UTC|Z)?\s*",
        said,
        re.IGNORECASE,
    )
    if match is None:
        raise BadInputError(
            f"{said!r} is no point in time; say it in UTC as `yesterday 10:00` or "
            "`2026-11-20 08:15`."
        )
    day, clock = match[1].lower(), match[2]
    days = {"today": now, "yesterday": now - timedelta(days=1)}
    try:
        date = f"{days[day]:%Y-%m-%d}" if day in days else day
        hour, _, rest = clock.partition(":")
        time = datetime.fromisoformat(f"{date}T{hour:0>2}:{rest}").replace(tzinfo=UTC)
    except ValueError as exc:
        raise BadInputError(f"{said!r} is no point in time: {exc}.") from exc
    if time > now:
        raise BadInputError(f"{said!r} has not come yet ({now:%Y-%m-%d %H:%M} UTC now).")
    return time


@skill(
    "restore database shop from its latest snapshot",
    "restore the database shop to yesterday 10:00",
    "bring back cluster orders as of 2026-11-20 08:15 as orders-copy",
    risk="write",
)
async def restore_from_backup(worker: Worker, inputs: RestoreWanted) -> Outcome:
    """Restore a database from a snapshot or to a point in time, beside the one it comes from."""
    name = inputs.name or f"{inputs.source_id}-restored"
    asked = {"name": name, "source_id": inputs.source_id}
    if inputs.to:
        asked["restore_time"] = moment(inputs.to, datetime.now(UTC)).isoformat()
    change = await worker.call("restore_database", **asked, **inputs.where)
    made = change["outputs"]
    said = f"Database {made['database_id']}: {made['restored']}"
    return Outcome(
        summary=f"{said}, at {made['endpoint']}:{made['port']}; its password is in "
        f"{made['secret_arn']}. {inputs.source_id} is untouched.",
        outputs=made,
        memories=[Memory(kind="fact", text=said)],
    )
