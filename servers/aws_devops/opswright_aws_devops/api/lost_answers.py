"""Finds what a create made whose answer was lost, without taking up what somebody else made.

AWS's creates of these things fail when there is one of that name. So what was not there just before
the call, and says of itself that it was created within the call's minutes, is what the call made.
Where a thing does not tell when it was created nothing is certain, and the change says that its
outcome is not known.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from opswright_aws_devops.api.inverses import Look
from opswright_core.errors import OpswrightError
from opswright_core.verdicts import Unread, attempt

TAKES_AT_MOST = timedelta(minutes=10)
"""A call with all its retries; what was created later is somebody else's."""

CLOCKS_DIFFER = timedelta(minutes=1)

_CREATED = re.compile(r"creat(?:e|ed|ion)(?:date|time|datetime|at|timestamp)?", re.IGNORECASE)


def looked_before(look: Look, read: Callable[[Look], Any]) -> dict[str, Any]:
    """Whether it is there before it is made, for the journal: `there` (None: not read), `at`."""
    at = datetime.now(UTC).isoformat()
    seen = attempt(lambda: is_found(look, read(look)))
    return {"there": None if isinstance(seen, Unread) else seen, "at": at}


def is_found(look: Look, answer: Any) -> bool:
    """Whether an answer to the look has what was looked for; None is «no such thing»."""
    return bool(found_by(look, answer))


def made_since(before: dict[str, Any], look: Look, read: Callable[[Look], Any]) -> Any:
    """What was surely made by the call that followed `before`; None when nothing was.

    Raises OpswrightError when something is there and nothing tells whose it is.
    """
    if before["there"]:
        return None  # such a call is refused
    thing = found_by(look, read(look))
    if not thing:
        return None
    thing = thing[0] if isinstance(thing, list) and len(thing) == 1 else thing
    created = created_at(thing) if isinstance(thing, dict) else None
    sent = datetime.fromisoformat(before["at"])
    within = created and sent - CLOCKS_DIFFER <= created <= sent + TAKES_AT_MOST
    if before["there"] is None or not within:
        when = created.isoformat(timespec="seconds") if created else "at a time it does not tell"
        raise OpswrightError(
            f"{', '.join(map(str, look.parameters.values()))} is there, created {when}; whether "
            f"the call of {sent:%Y-%m-%d %H:%M:%S} UTC made it cannot be told. Look at it, and "
            "delete it by hand if it is not wanted."
        )
    return thing


def created_at(thing: dict[str, Any]) -> datetime | None:
    """When it was created, as its description tells, or that of the one thing in it."""
    for name, value in thing.items():
        if _CREATED.fullmatch(name):
            if isinstance(value, datetime):
                return value if value.tzinfo else value.replace(tzinfo=UTC)
            if isinstance(value, int | float) and value > 1e11:  # logs: milliseconds
                return datetime.fromtimestamp(value / 1000, UTC)
    inner = [value for value in thing.values() if isinstance(value, dict)]
    return created_at(inner[0]) if len(inner) == 1 else None


def found_by(look: Look, answer: Any) -> Any:
    """What of an answer to a look is what was looked for; None or empty when nothing is."""
    import jmespath

    if isinstance(answer, dict):
        answer = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    return jmespath.search(look.found, answer) if answer else None
