import time
from typing import Any

import pytest

from opswright_metrics.server import create_server
from opswright_metrics.tools.log_templates import event, level_of, safe_line, template_of, templates

GROUP = "/app/web"
NOON_MS = 1_777_896_000_000


@pytest.fixture
def log(client_of: Any) -> None:
    """Sixty lines of the last minute: forty requests, nineteen timeouts, one with a password."""
    logs = client_of("logs")
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="i-1")
    now = int(time.time() * 1000) - 60_000
    lines = [f"GET /orders/{i} took 0.{i} s" for i in range(40)]
    lines += [f"ERROR order {i} timed out after 30 s" for i in range(19)]
    lines.append("WARN retry with password=hunter2 \u202eevil\x07")
    logs.put_log_events(
        logGroupName=GROUP, logStreamName="i-1",
        logEvents=[{"timestamp": now + i, "message": line} for i, line in enumerate(lines)],
    )  # fmt: skip


async def call(connect: Any, tool: str, **arguments: Any) -> Any:
    async with connect(create_server) as client:
        return await client.call_tool(tool, arguments, raise_on_error=False)


async def test_a_log_is_summed_up_errors_first(connect: Any, log: None) -> None:
    found = (await call(connect, "summarize_logs", log_group=GROUP)).structured_content
    assert (found["lines_read"], found["distinct"], found["complete"]) == (60, 3, True)
    assert (found["errors"], found["warnings"]) == (19, 1)
    error, warning, other = found["templates"]
    assert (error["template"], error["count"]) == ("ERROR order <n> timed out after <n> s", 19)
    assert error["first_seen"] < error["last_seen"]
    assert other["count"] == 40
    assert warning["example"] == "WARN retry with password=[redacted] evil"


async def test_matching_lines_come_page_by_page_oldest_first(connect: Any, log: None) -> None:
    first = (await call(connect, "search_logs", log_group=GROUP)).structured_content
    assert len(first["lines"]) == 25
    seen = [line["message"] for line in first["lines"]]
    cursor = first["cursor"]
    while cursor:
        page = await call(connect, "search_logs", log_group=GROUP, cursor=cursor)
        seen += [line["message"] for line in page.structured_content["lines"]]
        cursor = page.structured_content["cursor"]
    assert len(seen) == 60
    assert seen[0] == "GET /orders/0 took 0.0 s"
    errors = await call(connect, "search_logs", log_group=GROUP, pattern="ERROR")
    assert len(errors.structured_content["lines"]) == 19


async def test_log_groups_are_listed_with_their_retention(
    connect: Any, client_of: Any, log: None
) -> None:
    client_of("logs").create_log_group(logGroupName="/other")
    client_of("logs").put_retention_policy(logGroupName="/other", retentionInDays=30)
    found = (await call(connect, "list_log_groups")).structured_content
    assert [(g["name"], g["retention_days"]) for g in found["items"]] == [
        (GROUP, None),
        ("/other", 30),
    ]
    assert found["summary"] == "2 log groups, 1 kept for ever"
    only = (await call(connect, "list_log_groups", prefix="/app")).structured_content
    assert only["total"] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"log_group": "/nope"}, "ResourceNotFound"),
        ({"log_group": "a b"}, "log_group"),
        ({"log_group": GROUP, "minutes": 0}, "minutes"),
        ({"log_group": GROUP, "cursor": "nonsense"}, "without a cursor"),
    ],
)
async def test_bad_input_says_what_is_wrong(
    connect: Any, log: None, arguments: dict[str, Any], said: str
) -> None:
    answer = await call(connect, "search_logs", **arguments)
    assert answer.is_error
    assert said in answer.content[0].text


@pytest.mark.parametrize(
    ("line", "template"),
    [
        ("2026-05-04T12:00:00.123Z GET /a/17", "<time> GET /a/<n>"),
        ("from 10.0.0.7:443 id 9f1c2b3a-0000-4111-8222-123456789abc", "from <ip> id <uuid>"),
        ("commit deadbeef12 by a.b@example.org", "commit <hex> by <email>"),
        ("took 0.35 s on web2", "took <n> s on web2"),
    ],
)
def test_what_varies_is_masked(line: str, template: str) -> None:
    assert template_of(line) == template


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("ERROR no route", "error"),
        ("java.lang.NullPointerException: x", "error"),
        ("job failed", "error"),
        ('10.0.0.1 "GET / HTTP/1.1" 502 12', "error"),
        ("[warning] slow", "warning"),
        ("GET / 200", "other"),
    ],
)
def test_the_words_of_a_line_tell_its_level(line: str, level: str) -> None:
    assert level_of(line) == level


@pytest.mark.parametrize(
    "line",
    [
        "password=hunter2",
        'db_password: "hunter2 is long"',
        '{"api_key": "hunter2"}',
        "Authorization: Bearer hunter2",
        "x-auth-token=hunter2;a=b",
    ],
)
def test_credentials_in_log_lines_are_masked(line: str) -> None:
    shown = safe_line(line, 200)
    assert "hunter2" not in shown
    assert "[redacted]" in shown


def test_a_long_line_is_cut() -> None:
    assert len(event(NOON_MS, "s", "x" * 5000).message) == 400


def test_templates_count_first_and_last_and_keep_the_latest_example() -> None:
    lines = [event(NOON_MS + i * 1000, "s", f"took {i} s") for i in (2, 0, 1)]
    (only,) = templates(lines)
    assert (only.count, only.example) == (3, "took 2 s")
    assert (only.last_seen - only.first_seen).total_seconds() == 2
