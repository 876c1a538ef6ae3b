"""What is too long, too deep, too many or odd is refused with the reason, and kept nowhere."""

from typing import Any

import pytest

GOOD = {"type": "t", "id": "good"}


def nested(levels: int, kind: Any) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value} if kind is dict else [value]
    return value


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"attributes": nested(50, dict)}, "more than 40 levels deep"),
        ({"attributes": {"a": nested(200, list)}}, "more than 40 levels deep"),
        ({"attributes": {"a": "x" * 10_000}}, "at most 10,000 are kept"),
        ({"relations": [{"kind": "in", "to": "v"}] * 201}, "200"),
        ({"relations": [{"kind": "in", "to": "\x00"}]}, "no visible character"),
        ({"relations": [{"kind": "", "to": "v"}]}, "kind"),
        ({"name": "x" * 501}, "500"),
        ({"type": ".."}, "no address"),
        ({"id": "\x00\u200b"}, "no visible character"),
        ({"tags": {"a": 1}}, "tags.a"),
        ({"expected_revision": -1}, "expected_revision"),
        ({"expected_revision": 10**30}, "no revision 1"),
    ],
)
async def test_one_bad_record_refuses_the_batch_and_nothing_is_half_written(
    ask: Any, fail: Any, bad: Any, says: str
) -> None:
    batch = [GOOD, {"type": "t", "id": "bad", **bad}]
    assert says in await fail("record_resources", resources=batch)
    assert (await ask("find_resources"))["total"] == 0
    assert (await ask("changes_since"))["revision"] == 0


async def test_a_batch_takes_1000_records_and_no_more(ask: Any, fail: Any) -> None:
    records = [{"type": "t", "id": f"n{number}"} for number in range(1001)]
    assert "at most 1000" in await fail("record_resources", resources=records)
    assert (await ask("find_resources"))["total"] == 0
    assert (await ask("record_resources", resources=records[:1000]))["count"] == 1000


@pytest.mark.parametrize("kept", ["a\x00b", "\x00ab", "a\u202eb", "a\U000e0041b", "\ufeffab"])
async def test_nul_bytes_and_hidden_characters_are_dropped_from_names(ask: Any, kept: str) -> None:
    by = {"agent": kept, "run_id": kept, "step": kept}
    await ask(
        "record_resources", resources=[{"type": kept, "id": kept, "tags": {kept: kept}}], by=by
    )
    for asked in ({"id": kept}, {"type": kept}, {"tag": f"{kept}={kept}"}, {"query": kept}):
        (found,) = (await ask("find_resources", **asked))["items"]
        assert (found["type"], found["id"], found["tags"]) == ("ab", "ab", {"ab": "ab"})
    (change,) = (await ask("changes_since", agent=kept))["changes"]
    assert (change["agent"], change["run_id"], change["step"]) == ("ab", "ab", "ab")


@pytest.mark.parametrize(
    "name",
    ["a b", "a/b//c", "/aws/lambda/x", "100%", "%2F", "ümläut ✓", "a?b#c", "'; DROP--", "a&b=c"],
)
async def test_reserved_characters_are_kept_as_they_are(ask: Any, name: str) -> None:
    await ask("record_resources", resources=[{"type": name, "id": name, "tags": {name: name}}])
    await ask("set_context", scope=name, key=name, value=name)
    assert (await ask("find_resources", id=name, type=name))["items"][0]["id"] == name
    assert (await ask("get_context", scope=name, key=name))["items"][0]["value"] == name


@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("changes_since", {"revision": 10**30}, "revision"),
        ("find_resources", {"cursor": "WzFlOTld"}, "not a cursor"),
        ("list_deployments", {"cursor": "WzEwMDAwMDAwMDAwMDAwMDAwMDAwMDBd"}, "not a cursor"),
        ("set_context", {"scope": "s", "key": "k", "value": nested(60, list)}, "levels deep"),
        ("set_context", {"scope": "s", "key": "x" * 201, "value": 1}, "at most 200"),
        ("remember", {"agent": "a", "memories": [{"text": "x"}] * 101}, "100"),
        ("acknowledge_messages", {"ids": ["m"] * 101}, "100"),
        (
            "record_run",
            {"run_id": "r", "goal": "g", "plan": {"p": "x" * 1_000_001}},
            "at most 1,000,000",
        ),
        ("forget_memory", {"memory_id": "mm-none"}, "there is no memory"),
        ("get_run", {"run_id": "none"}, "list_runs shows"),
    ],
)
async def test_what_is_out_of_bounds_is_refused_with_the_bound(
    ask: Any, fail: Any, tool: str, arguments: Any, says: str
) -> None:
    assert says in await fail(tool, **arguments)
    assert (await ask("changes_since"))["revision"] == 0
