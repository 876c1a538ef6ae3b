from datetime import UTC, datetime
from typing import Any

import pytest

from opswright_core.errors import BadInputError
from opswright_knowledge.tools.changes import moment

NOW = datetime(2026, 11, 2, 9, 0, tzinfo=UTC)


async def test_every_write_takes_the_next_revision_and_says_who(ask: Any) -> None:
    by = {"agent": "cicd", "run_id": "run-1", "step": "build"}
    await ask(
        "record_resources", resources=[{"type": "t", "id": "a"}, {"type": "t", "id": "b"}], by=by
    )
    await ask("set_context", scope="s", key="k", value=1)
    deployment = await ask("record_deployment", application="x", environment="y", version="1")
    (memory,) = (await ask("remember", agent="cost", memories=[{"text": "m"}]))["memory_ids"]
    message = await ask("send_message", sender="a", recipient="b", content="c")
    await ask("acknowledge_messages", ids=[message["message_id"]])
    await ask("record_run", run_id="run-1", goal="g")
    log = await ask("changes_since")
    assert [(c["revision"], c["kind"], c["key"], c["operation"]) for c in log["changes"]] == [
        (1, "resource", "t/a", "created"),
        (2, "resource", "t/b", "created"),
        (3, "context", "s/k", "created"),
        (4, "deployment", f"x/y/{deployment['deployment_id']}", "created"),
        (5, "memory", f"cost/{memory}", "created"),
        (6, "message", f"b/{message['message_id']}", "created"),
        (7, "message", f"b/{message['message_id']}", "updated"),
        (8, "run", "run-1", "created"),
    ]
    assert {**log["changes"][0], **by} == log["changes"][0]
    assert (log["revision"], log["remaining"]) == (8, 0)


async def test_changes_are_read_on_from_a_revision_or_a_time(ask: Any, clock: Any) -> None:
    for number in range(3):
        await ask("set_context", scope="s", key=str(number), value=1)
        clock.forward(hours=1)
    assert [c["key"] for c in (await ask("changes_since", revision=1))["changes"]] == ["s/1", "s/2"]
    assert [c["key"] for c in (await ask("changes_since", since="90m"))["changes"]] == ["s/2"]
    since = await ask("changes_since", since="2026-11-02T10:00Z")
    assert [c["key"] for c in since["changes"]] == ["s/1", "s/2"]
    limited = await ask("changes_since", limit=1)
    assert (len(limited["changes"]), limited["remaining"], limited["revision"]) == (1, 2, 3)


async def test_a_time_that_is_none_is_refused(fail: Any) -> None:
    assert "since='yesterday'" in await fail("changes_since", since="yesterday")
    assert "revision" in await fail("changes_since", revision=-1)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("30m", "2026-11-02T08:30:00+00:00"),
        ("24h", "2026-11-01T09:00:00+00:00"),
        ("7 d", "2026-10-26T09:00:00+00:00"),
        ("2W", "2026-10-19T09:00:00+00:00"),
        ("2026-11-01", "2026-11-01T00:00:00+00:00"),
        ("2026-11-01T12:00:00+02:00", "2026-11-01T10:00:00+00:00"),
    ],
)
def test_a_moment_is_a_time_or_an_age(text: str, time: Any) -> None:
    assert moment(text, NOW).isoformat() == time


def test_a_moment_cannot_be_made_up() -> None:
    with pytest.raises(BadInputError, match="24h"):
        moment("soon", NOW)
