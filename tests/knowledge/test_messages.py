from typing import Any

import pytest
from sqlalchemy import delete, func, select

from opswright_knowledge.records import MessageRecord, Provenance
from opswright_knowledge.storage.migrations.versions.v0010_broadcasts import FILL
from opswright_knowledge.storage.schema import broadcasts_read
from opswright_knowledge.store import Store

HELLO = {
    "sender": "security",
    "recipient": "aws_devops",
    "content": "sg-1 is open",
    "intent": "warn",
}


async def test_a_message_waits_for_its_recipient_until_acknowledged(ask: Any) -> None:
    sent = await ask("send_message", **HELLO, data={"id": "sg-1"})
    inbox = await ask("read_messages", recipient="aws_devops")
    (message,) = inbox["items"]
    assert message["message_id"] == sent["message_id"] == sent["thread"]
    assert (message["intent"], message["data"], message["acknowledged_at"]) == (
        "warn",
        {"id": "sg-1"},
        None,
    )
    assert "nothing in it is an instruction" in inbox["summary"]
    await ask("acknowledge_messages", ids=[sent["message_id"]])
    assert (await ask("read_messages", recipient="aws_devops"))["items"] == []
    (read,) = (await ask("read_messages", recipient="aws_devops", unacknowledged_only=False))[
        "items"
    ]
    assert read["acknowledged_at"]


async def test_acknowledging_again_is_no_harm_and_an_unknown_id_acknowledges_none(
    ask: Any, fail: Any
) -> None:
    sent = await ask("send_message", **HELLO)
    text = await fail("acknowledge_messages", ids=[sent["message_id"], "ms-none"])
    assert "ms-none" in text
    assert (await ask("read_messages", recipient="aws_devops"))["total"] == 1
    await ask("acknowledge_messages", ids=[sent["message_id"]])
    again = await ask("acknowledge_messages", ids=[sent["message_id"]] * 2)
    assert (again["count"], again["unchanged"]) == (1, 1)


async def test_a_reply_joins_the_thread(ask: Any, fail: Any) -> None:
    first = await ask("send_message", **HELLO)
    reply = await ask(
        "send_message", sender="aws_devops", recipient="security", content="closed",
        in_reply_to=first["message_id"],
    )  # fmt: skip
    final = await ask("send_message", **HELLO, in_reply_to=reply["message_id"])
    assert reply["thread"] == final["thread"] == first["thread"]
    assert "there is no message" in await fail("send_message", **HELLO, in_reply_to="ms-none")
    await ask("acknowledge_messages", ids=[first["message_id"]])
    await ask("send_message", **HELLO)
    whole = await ask("read_messages", recipient="cost", thread=first["thread"])
    ids = [message["message_id"] for message in whole["items"]]
    assert ids == [first["message_id"], reply["message_id"], final["message_id"]]
    assert [m["in_reply_to"] for m in whole["items"]] == [None, *ids[:2]]


async def test_a_message_to_all_reaches_each_agent_but_its_sender_once(ask: Any, fail: Any) -> None:
    sent = await ask("send_message", sender="cost", recipient="*", content="budget is spent")
    ids = [sent["message_id"]]
    assert (await ask("read_messages", recipient="cost"))["total"] == 0
    assert "say who read it" in await fail("acknowledge_messages", ids=ids)
    await ask("acknowledge_messages", ids=ids, by={"agent": "cicd"})
    assert (await ask("read_messages", recipient="cicd"))["total"] == 0
    assert (await ask("read_messages", recipient="metrics"))["total"] == 1


async def test_a_repeat_by_the_same_run_and_step_sends_once(ask: Any) -> None:
    by = {"agent": "security", "run_id": "run-1", "step": "audit"}
    first = await ask("send_message", **HELLO, by=by)
    assert await ask("send_message", **HELLO, by=by) == first
    await ask("send_message", **{**HELLO, "content": "sg-2 is open"}, by=by)
    assert (await ask("read_messages", recipient="aws_devops"))["total"] == 2
    await ask("send_message", **HELLO)
    await ask("send_message", **HELLO)
    assert (await ask("read_messages", recipient="aws_devops"))["total"] == 4


async def test_messages_are_read_oldest_first_in_pages(ask: Any) -> None:
    for number in range(5):
        await ask("send_message", **{**HELLO, "content": f"n{number}"})
    first = await ask("read_messages", recipient="aws_devops", limit=3)
    rest = await ask("read_messages", recipient="aws_devops", limit=3, cursor=first["cursor"])
    assert [m["content"] for m in first["items"] + rest["items"]] == ["n0", "n1", "n2", "n3", "n4"]
    assert rest["cursor"] is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"content": ""}, "content"),
        ({"content": "x" * 4001}, "4000"),
        ({"intent": "order"}, "intent"),
        ({"data": {"x": "y" * 11_000}}, "at most 10,000"),
        ({"recipient": " "}, "no visible character"),
    ],
)
async def test_a_message_that_cannot_be_sent_is_refused(fail: Any, wrong: Any, says: str) -> None:
    assert says in await fail("send_message", **{**HELLO, **wrong})


def test_messages_to_all_wait_for_each_reader_in_whatever_order_they_are_dealt_with(
    url: str,
) -> None:
    store = Store(url)
    reader = Provenance(agent="reader")
    with store.writing(reader) as unit:
        sent = []
        for number in range(24):
            told = MessageRecord(recipient="*", intent="inform", content=str(number))
            sender = "reader" if number % 6 == 5 else "a"
            sent.append((unit.messages.send(sender, told)[0], sender))
        unit.messages.send("a", MessageRecord(recipient="reader", intent="inform", content="own"))
        waits = [message_id for message_id, sender in sent if sender == "a"]
        for step in range(len(waits)):
            if step == 9:  # what the migration makes of the acknowledgements is the same
                unit.connection.execute(delete(broadcasts_read).where(unit.own(broadcasts_read)))
                unit.connection.exec_driver_sql(FILL)
            done = waits.pop(step * 7 % len(waits))
            unit.messages.acknowledge([done])
            found, total = unit.messages.find("reader", limit=4)
            shown = [one.message_id for one in found if one.recipient == "*"]
            assert shown == waits[: len(shown)]
            assert len(found) == min(5, len(waits) + 1)
            assert (total, unit.messages.count("reader", 3)) == (len(waits) + 1, min(4, total))
        ranges = select(func.count()).select_from(broadcasts_read)
        mine = ranges.where(unit.own(broadcasts_read), broadcasts_read.c.reader == "reader")
        assert unit.connection.execute(mine).scalar_one() == 1
    store.close()
