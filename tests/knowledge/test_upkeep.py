"""Pruning drops what is over, counts it first, and leaves the rest."""

from typing import Any

import pytest


@pytest.fixture
async def old(ask: Any, clock: Any) -> None:
    await ask(
        "record_resources",
        resources=[{"type": "t", "id": name} for name in ("live", "gone", "new")],
    )
    await ask("mark_deleted", resources=[{"type": "t", "id": "gone"}])
    await ask(
        "remember",
        agent="cost",
        memories=[{"text": "tonight", "ttl_seconds": 60}, {"text": "ever"}],
    )
    for content in ("read", "unread"):
        await ask("send_message", sender="cost", recipient="cicd", content=content)
    await ask("send_message", sender="cost", recipient="*", content="to all")
    inbox = (await ask("read_messages", recipient="cicd"))["items"]
    ids = {message["content"]: message["message_id"] for message in inbox}
    await ask("acknowledge_messages", ids=[ids["read"], ids["to all"]], by={"agent": "cicd"})
    clock.forward(days=31)
    await ask("mark_deleted", resources=[{"type": "t", "id": "new"}])


@pytest.mark.usefixtures("old")
async def test_pruning_counts_before_it_drops_and_drops_what_it_counted(
    ask: Any, fail: Any, read: Any
) -> None:
    before = await ask("changes_since", limit=500)
    looked = await ask("prune_records")
    counts = {"expired_memories": 1, "deleted_resources": 1, "acknowledged_messages": 2}
    assert looked == {**looked, **counts, "done": False}
    assert (await ask("changes_since", limit=500))["revision"] == before["revision"]
    done = await ask("prune_records", dry_run=False, by={"agent": "ops"})
    assert done == {**done, **counts, "done": True}
    log = await ask("changes_since", revision=before["revision"])
    assert sorted((c["kind"], c["operation"]) for c in log["changes"]) == [
        ("memory", "expired"),
        ("message", "pruned"),
        ("message", "pruned"),
        ("resource", "pruned"),
    ]
    assert {change["agent"] for change in log["changes"]} == {"ops"}
    again = await ask("prune_records", dry_run=False)
    assert again["summary"].startswith("Dropped 0 expired memories, 0 resources")


@pytest.mark.usefixtures("old")
async def test_what_is_alive_recent_or_unread_stays(ask: Any, read: Any) -> None:
    await ask("prune_records", dry_run=False)
    assert (await ask("find_resources"))["items"][0]["id"] == "live"
    assert "deleted_at" in await read("knowledge://resources/t/new")
    unread = await ask("read_messages", recipient="cicd", unacknowledged_only=False)
    assert [message["content"] for message in unread["items"]] == ["unread"]
    assert (await ask("recall", query="ever"))["total"] == 1
    with pytest.raises(Exception, match="no resource t/gone"):
        await read("knowledge://resources/t/gone")


async def test_a_message_to_all_stays_until_every_known_agent_acknowledged_it(
    ask: Any, clock: Any
) -> None:
    sent = await ask("send_message", sender="cost", recipient="*", content="to all")
    for agent in ("cicd", "metrics"):
        await ask("remember", agent=agent, memories=[{"text": "x"}])
    await ask("acknowledge_messages", ids=[sent["message_id"]], by={"agent": "cicd"})
    clock.forward(days=40)
    assert (await ask("prune_records"))["acknowledged_messages"] == 0
    await ask("acknowledge_messages", ids=[sent["message_id"]], by={"agent": "metrics"})
    assert (await ask("prune_records"))["acknowledged_messages"] == 0
    clock.forward(days=40)
    assert (await ask("prune_records"))["acknowledged_messages"] == 1
    assert (await ask("prune_records", older_than_days=100))["acknowledged_messages"] == 0


async def test_days_out_of_bounds_are_refused(fail: Any) -> None:
    for days in (0, -1, 10**9):
        assert "older_than_days" in await fail("prune_records", older_than_days=days)


async def test_the_change_log_is_pruned_when_asked_and_its_readers_are_told(
    ask: Any, fail: Any, read: Any, clock: Any
) -> None:
    for number in range(5):
        await ask("set_context", scope="s", key="k", value=number)
        clock.forward(days=10)
    assert (await ask("prune_records", dry_run=False))["log_changes"] == 0
    looked = await ask("prune_records", log_older_than_days=25)
    assert (looked["log_changes"], looked["done"]) == (3, False)
    assert (await ask("changes_since"))["pruned"] == 0
    done = await ask("prune_records", log_older_than_days=25, dry_run=False)
    assert done["log_changes"] == 3
    assert "3 changes of the log older than 25 days" in done["summary"]

    log = await ask("changes_since")
    assert ([c["revision"] for c in log["changes"]], log["revision"], log["pruned"]) == (
        [4, 5],
        5,
        3,
    )
    assert [c["revision"] for c in (await ask("changes_since", revision=3))["changes"]] == [4, 5]
    for revision in (1, 2):
        said = await fail("changes_since", revision=revision)
        assert "Start again from a list" in said
        assert "from revision 5" in said
    assert (await ask("get_history", kind="context", key="s/k"))["total"] == 2
    assert '"total":2' in await read("knowledge://changes")
    assert (await ask("get_context", scope="s"))["items"][0]["value"] == 4

    clock.forward(days=1000)  # the newest stays: it tells how far the log was pruned
    await ask("prune_records", log_older_than_days=1, dry_run=False)
    assert (await ask("changes_since"))["pruned"] == 4
    assert (await ask("set_context", scope="s", key="k", value=9))["revision"] == 6
    assert (await ask("prune_records", log_older_than_days=1))["log_changes"] == 1
