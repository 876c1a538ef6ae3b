from datetime import UTC, datetime

import pytest

from opswright_core.errors import BadInputError
from opswright_knowledge.moments import moment

NOW = datetime(2026, 11, 4, 9, 30, tzinfo=UTC)
"""A Wednesday."""


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30m", "2026-11-04T09:00"),
        ("24h", "2026-11-03T09:30"),
        ("7 d", "2026-10-28T09:30"),
        ("2W", "2026-10-21T09:30"),
        ("3 hours", "2026-11-04T06:30"),
        ("last 3 hours", "2026-11-04T06:30"),
        ("the past 2 days", "2026-11-02T09:30"),
        ("90 minutes ago", "2026-11-04T08:00"),
        ("last hour", "2026-11-04T08:30"),
        ("last week", "2026-10-28T09:30"),
        ("1 month", "2026-10-05T09:30"),
        ("today", "2026-11-04T00:00"),
        ("Yesterday", "2026-11-03T00:00"),
        ("monday", "2026-11-02T00:00"),
        ("last Monday", "2026-11-02T00:00"),
        ("wednesday", "2026-11-04T00:00"),
        ("last wednesday", "2026-10-28T00:00"),
        ("thursday", "2026-10-29T00:00"),
        ("2026-11-01", "2026-11-01T00:00"),
        ("2026-11-01T12:00:00+02:00", "2026-11-01T10:00"),
        ("2026-11-01T12:00Z", "2026-11-01T12:00"),
    ],
)
def test_a_moment_is_a_time_an_age_or_a_day_by_name(text: str, time: str) -> None:
    assert moment(text, NOW) == datetime.fromisoformat(time).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "maybe",
        "",
        "h",
        "hours",
        "99999 months",
        "-3h",
        "2026-13-01",
        "9999-12-31T23:00-05:00",
    ],
)
def test_a_moment_cannot_be_made_up(text: str) -> None:
    with pytest.raises(BadInputError, match="24h"):
        moment(text, NOW)
