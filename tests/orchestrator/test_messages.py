"""Messages between agents go through the knowledge server into the recipient's next task."""

from typing import Any

from tests.orchestrator.team import OpenSession, carry_out, make, plan_of

from opswright.plan import Plan, PlannedMessage, Step


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
