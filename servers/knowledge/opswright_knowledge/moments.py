"""Times as people and agents write them: ISO 8601, ages, and days by name. Days begin in UTC."""

import re
from datetime import UTC, datetime, timedelta

from opswright_core.errors import BadInputError

_UNITS = {
    "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1),
    "w": timedelta(weeks=1), "mo": timedelta(days=30),
}  # fmt: skip
_UNIT = r"(m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?|months?)"
_AGE = re.compile(
    rf"(?:(?:the )?(?:last|past) )?(\d{{1,5}}) ?{_UNIT}(?: ago)?|(?:last|past) {_UNIT}"
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def moment(text: str, now: datetime) -> datetime:
    """The moment that a text names, in UTC.

    An ISO 8601 time (UTC unless it says otherwise); an age (30m, 24h, 7d, 2w, «3 hours», «last
    week», where a month is 30 days); or the beginning of a day: today, yesterday, monday (the last
    one, today included). Raises BadInputError for anything else.
    """
    said = " ".join(text.lower().split())
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if said in {"today", "yesterday"}:
        return today - timedelta(days=said == "yesterday")
    if (day := said.removeprefix("last ")) in _DAYS:
        back = (now.weekday() - _DAYS.index(day)) % 7
        return today - timedelta(days=back or 7 * (day != said))
    try:
        if age := _AGE.fullmatch(said):
            unit = age[2] or age[3]
            one = _UNITS["mo"] if unit.startswith("mo") else _UNITS[unit[0]]
            return now - int(age[1] or 1) * one
        time = datetime.fromisoformat(text.strip())
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise BadInputError(
            f"since={text[:60]!r} is no time; send one like 2026-11-02T09:00Z, an age like 24h or "
            "7d, or today, yesterday or a weekday."
        ) from None


def iso(time: datetime) -> str:
    """A time as it is stored: ISO 8601 with milliseconds; all are in UTC, so they sort as text."""
    return time.isoformat(timespec="milliseconds")
