"""Turns log lines into templates, so that a thousand lines become a few. Pure."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.text import clean

Level = Literal["error", "warning", "other"]
_ORDER: dict[str, int] = {"error": 0, "warning": 1, "other": 2}

_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<uuid>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<ip>"),
    (re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.]+\b"), "<email>"),
    (re.compile(r"\b(?:0x[0-9a-f]+|(?=[0-9a-f]*\d)[0-9a-f]{8,})\b", re.IGNORECASE), "<hex>"),
    (re.compile(r"(?<![A-Za-z<])\d+(?:\.\d+)?"), "<n>"),
)
"""In this order: the longer and more telling shapes first, any other number last."""

_ERROR = re.compile(
    r"\b(?:error|fatal|critical|panic|exception|traceback|severe|fail(?:ed|ure)?)\b|[a-z](?:Error|Exception)\b"
    r"|\" 5\d\d ",
    re.IGNORECASE,
)
_WARNING = re.compile(r"\bwarn(?:ing)?\b", re.IGNORECASE)


class LogEvent(BaseModel):
    """One line, cleaned and with credentials masked."""

    model_config = ConfigDict(frozen=True)
    at: datetime
    stream: str = ""
    message: str


class LogTemplate(BaseModel):
    """Lines that differ only in numbers and ids."""

    model_config = ConfigDict(frozen=True)
    template: str
    level: Level
    count: int
    first_seen: datetime
    last_seen: datetime
    example: str = Field(description="The latest such line")


def safe_line(text: str, limit: int) -> str:
    """A log line as it may be shown: one line, no control characters, credentials masked, cut."""
    return clean(re.sub(r"\s+", " ", text[:20_000]).strip(), limit)


def event(timestamp_ms: int, stream: str, message: str, limit: int = 400) -> LogEvent:
    """An event of CloudWatch Logs, made safe to show."""
    at = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return LogEvent(at=at, stream=clean(stream, 120), message=safe_line(message, limit))


def template_of(message: str) -> str:
    """The line with what varies masked: `GET /orders/17 took 0.3 s` → `GET /orders/<n> took …`."""
    for pattern, mask in _MASKS:
        message = pattern.sub(mask, message)
    return message[:200]


def level_of(message: str) -> Level:
    """Whether a line tells of an error or a warning, by its words."""
    if _ERROR.search(message):
        return "error"
    return "warning" if _WARNING.search(message) else "other"


def templates(events: Iterable[LogEvent]) -> list[LogTemplate]:
    """Group lines by template: errors first, then warnings, the most frequent first in each."""
    groups: dict[str, list[LogEvent]] = {}
    for found in events:
        groups.setdefault(template_of(found.message), []).append(found)
    made = [_template(template, members) for template, members in groups.items()]
    return sorted(made, key=lambda t: (_ORDER[t.level], -t.count, t.template))


def _template(template: str, members: list[LogEvent]) -> LogTemplate:
    latest = max(members, key=lambda member: member.at)
    return LogTemplate(
        template=template,
        level=level_of(latest.message),
        count=len(members),
        first_seen=min(member.at for member in members),
        last_seen=latest.at,
        example=latest.message[:300],
    )
