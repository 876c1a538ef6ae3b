"""Messages between agents go through the knowledge server into the recipient's next task."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.orchestrator.team import OpenSession, carry_out, make, plan_of

from opswright.plan import Plan, PlannedMessage, Step

pytestmark = pytest.mark.usefixtures("knowledge")


async def quiet(_: str) -> None:
    return None


async def inbox(session: Any, agent: str) -> list[dict[str, Any]]:
    answer = await session.registry.agents["knowledge"].call(
        "read_messages", {"recipient": agent}, 30, quiet
    )
    items: list[dict[str, Any]] = answer.value["items"]
    return items


def task(words: str) -> Plan:
    step = Step(id="task", agent="other", tool="handle_task", args={"task": words}, risk="write")
    return plan_of(step)


async def test_a_message_is_sent_when_what_it_tells_of_is_done(open_session: OpenSession) -> None:
    message = PlannedMessage(
        after=("house",),
        sender="maker",
        recipient="other",
        content="The house is there.",
        data={"path": {"$ref": "house.outputs.path"}},
    )
    async with open_session() as session:
        run, _ = await carry_out(session, plan_of(make("house"), messages=(message,)))
        (received,) = await inbox(session, "other")
        assert (received["sender"], received["content"]) == ("maker", "The house is there.")
        assert received["data"]["path"].endswith("/house")
        assert received["run_id" if "run_id" in received else "thread"]
        assert session.store.sent(run.run_id) == {0}


async def test_a_message_about_what_failed_is_not_sent(open_session: OpenSession) -> None:
    message = PlannedMessage(after=("bad",), sender="maker", recipient="other", content="There.")
    async with open_session() as session:
        await carry_out(session, plan_of(make("bad", fail=True), messages=(message,)))
        assert await inbox(session, "other") == []


async def test_the_recipients_next_task_gets_the_message_and_acknowledges_it(
    open_session: OpenSession,
) -> None:
    message = PlannedMessage(
        after=("house",),
        sender="maker",
        recipient="other",
        intent="request",
        content="Make a thing of this name.",
        data={"name": "shed"},
    )
    async with open_session() as session:
        await carry_out(session, plan_of(make("house"), messages=(message,)))
        plan = task("count the things")
        run, outcomes = await carry_out(session, plan)
        assert run.status == "done", outcomes["task"].error
        assert await inbox(session, "other") == []


def asking(**facts: Any) -> Plan:
    args = {"task": "inquire with a colleague", "context": {"facts": facts}}
    asks = Step(id="ask", agent="maker", tool="handle_task", args=args, awaits_reply=True)
    return plan_of(asks)


async def knowledge(session: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await session.registry.agents["knowledge"].call(tool, arguments, 30, quiet)
    assert not answer.is_error, answer.text
    value: dict[str, Any] = answer.value
    return value


async def test_a_step_that_awaits_a_reply_gets_it(open_session: OpenSession) -> None:
    async with open_session() as session:
        run, outcomes = await carry_out(session, asking())
        (reply,) = outcomes["ask"].value["outputs"]["replies"]
        assert (reply["status"], reply["sender"]) == ("answered", "other")
        assert reply["data"] == {"count": 0, "names": []}
        assert run.status == "done"
        assert await inbox(session, "other") == []
        assert await inbox(session, "maker") == []
        kept = await knowledge(
            session, "read_messages", recipient="maker", unacknowledged_only=False
        )
        (said,) = kept["items"]
        assert (said["sender"], said["content"]) == ("other", "There are 0 things.")
        assert said["in_reply_to"]


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"whom": "nobody"}, "no agent 'nobody'"),
        ({"whom": "maker"}, "the sender itself"),
        ({"question": "paint the office green"}, "needs_input|failed"),
        ({"question": "make a thing called lamp"}, "needs_approval"),
    ],
)
async def test_no_reply_is_said_with_the_reason_and_never_made_up(
    open_session: OpenSession, things: Path, facts: dict[str, str], why: str
) -> None:
    async with open_session() as session:
        run, outcomes = await carry_out(session, asking(**facts))
        (reply,) = outcomes["ask"].value["outputs"]["replies"]
        assert (reply["status"], reply["content"], reply["data"]) == ("no_reply", "", {})
        assert re.search(why, reply["why"]), reply
        assert run.status == "done"
    assert not (things / "lamp").exists()


async def test_an_agent_gets_its_preferences_always_and_what_fits_the_request(
    open_session: OpenSession,
) -> None:
    async with open_session() as session:
        for agent, kind, text in (
            ("other", "preference", "Blue before green"),
            ("maker", "preference", "Not for the other one"),
            ("other", "fact", "The recital hall holds everything known"),
            ("other", "fact", "Bananas are yellow"),
        ):
            memory = {"kind": kind, "text": text}
            await knowledge(session, "remember", agent=agent, memories=[memory])
        plan = task("recite everything known").model_copy(
            update={"goal": "recite everything known"}
        )
        _, outcomes = await carry_out(session, plan)
        known = outcomes["task"].value["outputs"]["known"]
        assert known[0] == "preference: Blue before green"
        assert "fact: The recital hall holds everything known" in known
        assert not any("other one" in text or "Bananas" in text for text in known)


async def test_a_message_says_who_sent_it_and_when(open_session: OpenSession) -> None:
    message = PlannedMessage(after=("house",), sender="maker", recipient="other", content="There.")
    async with open_session() as session:
        await carry_out(session, plan_of(make("house"), messages=(message,)))
        _, outcomes = await carry_out(session, task("recite everything known"))
        (received,) = outcomes["task"].value["outputs"]["inbox"]
        assert (received["sender"], received["content"]) == ("maker", "There.")
        assert received["at"]
