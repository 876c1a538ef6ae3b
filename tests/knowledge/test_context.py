from typing import Any

import pytest

PROD = {"scope": "env:prod", "key": "db_url"}


@pytest.mark.parametrize(
    "value", ["postgres://db", 5, True, [1, {"a": None}], {"nested": {"x": 1.5}}, ""]
)
async def test_a_shared_value_is_read_back_as_it_was_set(ask: Any, value: Any) -> None:
    await ask("set_context", **PROD, value=value)
    (entry,) = (await ask("get_context", **PROD))["items"]
    assert entry["value"] == value
    assert (entry["revision"], entry["recorded_by"]) == (1, "host")


async def test_a_stale_write_is_refused_and_shows_the_current_value(ask: Any, fail: Any) -> None:
    await ask("set_context", **PROD, value={"a": 1}, by={"agent": "security"})
    await ask("set_context", **PROD, value={"a": 2}, expected_revision=1, by={"agent": "cicd"})
    text = await fail("set_context", **PROD, value={"a": 3}, expected_revision=1)
    assert "revision 2, not 1" in text
    assert 'Current value: {"a":2}' in text
    assert "cicd" in text
    assert (await ask("get_context", **PROD))["items"][0]["value"] == {"a": 2}


async def test_expected_revision_0_sets_only_what_is_not_set(ask: Any, fail: Any) -> None:
    await ask("set_context", **PROD, value=1, expected_revision=0)
    assert "not 0" in await fail("set_context", **PROD, value=2, expected_revision=0)
    assert "is not set" in await fail(
        "set_context", scope="s", key="k", value=2, expected_revision=4
    )


async def test_null_removes_a_value_and_the_same_value_again_is_no_change(ask: Any) -> None:
    await ask("set_context", **PROD, value=1)
    assert (await ask("set_context", **PROD, value=1)) == {
        "revision": 1,
        "count": 1,
        "unchanged": 1,
    }
    assert (await ask("set_context", **PROD, value=None))["revision"] == 2
    assert (await ask("get_context", **PROD))["items"] == []
    assert (await ask("set_context", **PROD, value=None))["unchanged"] == 1


async def test_a_scope_is_read_whole_by_key_in_pages(ask: Any) -> None:
    for number in range(60):
        await ask("set_context", scope="env:prod", key=f"k{number:02}", value="x" * 300)
    await ask("set_context", scope="env:test", key="other", value=1)
    first = await ask("get_context", scope="env:prod")
    second = await ask("get_context", scope="env:prod", cursor=first["cursor"])
    keys = [entry["key"] for entry in first["items"] + second["items"]]
    assert first["total"] == 60
    assert keys == sorted(keys) == [f"k{n:02}" for n in range(len(keys))]


async def test_an_empty_answer_names_the_scopes_there_are(ask: Any) -> None:
    await ask("set_context", **PROD, value=1)
    assert "env:prod" in (await ask("get_context", scope="env:pord"))["summary"]
    assert (
        "env:prod/nothing" in (await ask("get_context", scope="env:prod", key="nothing"))["summary"]
    )


async def test_what_cannot_be_set_is_refused(fail: Any) -> None:
    assert "at most 10,000" in await fail("set_context", **PROD, value="x" * 10_001)
    assert "value is required" in await fail("set_context", **PROD)
    assert "expected_revision" in await fail("set_context", **PROD, value=1, expected_revision=-1)
