from typing import Any


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
    assert "since='soon'" in await fail("changes_since", since="soon")
    assert "revision" in await fail("changes_since", revision=-1)


async def test_changes_are_narrowed_to_an_agent_and_a_kind(ask: Any) -> None:
    await ask("set_context", scope="s", key="a", value=1, by={"agent": "cicd"})
    await ask("set_context", scope="s", key="b", value=1, by={"agent": "cost"})
    await ask("record_run", run_id="r", goal="g", by={"agent": "cicd"})
    by_cicd = await ask("changes_since", agent="cicd")
    assert [c["key"] for c in by_cicd["changes"]] == ["s/a", "r"]
    assert [c["key"] for c in (await ask("changes_since", kind="run"))["changes"]] == ["r"]
    both = await ask("changes_since", agent="cost", kind="run")
    assert (both["changes"], both["total"], both["revision"]) == ([], 0, 3)


async def test_the_answer_says_from_when_on(ask: Any) -> None:
    told = await ask("changes_since", since="yesterday")
    assert told["since"] == "2026-11-01T00:00:00.000+00:00"
    assert (await ask("changes_since"))["since"] is None


async def test_no_two_records_share_a_key(ask: Any, read: Any) -> None:
    twins = [{"type": "a/b", "id": "c"}, {"type": "a", "id": "b/c"}, {"type": "a%2Fb", "id": "c"}]
    await ask("record_resources", resources=twins)
    await ask("set_context", scope="a/b", key="c", value=1)
    await ask("set_context", scope="a", key="b/c", value=1)
    keys = [change["key"] for change in (await ask("changes_since"))["changes"]]
    assert keys == ["a%2Fb/c", "a/b/c", "a%252Fb/c", "a%2Fb/c", "a/b/c"]
    for key in keys[:3]:
        assert (await ask("get_history", kind="resource", key=key))["total"] == 1
    assert '"total":1' in await read("knowledge://history/resource/a%252Fb/c")
    assert '"name":""' in await read("knowledge://resources/a%2Fb/c")
