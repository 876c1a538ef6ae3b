"""Servers that are missing, crash at start or die: the rest goes on, the report says what not."""

import json
from pathlib import Path

import pytest
from tests.orchestrator.team import OpenSession, carry_out, make, plan_of

from opswright.plan import Step
from opswright.report import make_report

AGENT = Path(__file__).with_name("agent.py")


def edit(config: Path, name: str, **entry: object) -> None:
    servers = json.loads(config.read_text())
    servers["mcpServers"][name] |= entry
    config.write_text(json.dumps(servers))


async def test_a_missing_server_stops_nobody_else(
    open_session: OpenSession, config: Path, things: Path
) -> None:
    edit(config, "other", command="no-such-program-anywhere")
    plan = plan_of(make("good"), make("lost", agent="other"), make("after_lost", needs=("lost",)))
    async with open_session() as session:
        assert list(session.down) == ["other"]
        run, outcomes = await carry_out(session, plan)
    assert run.status == "partial"
    assert [o.status for o in outcomes.values()] == ["done", "failed", "skipped"]
    assert "did not start" in (outcomes["lost"].error or "")
    assert (things / "good").exists()


async def test_a_server_that_crashes_at_start_is_reported_with_its_last_words(
    open_session: OpenSession, config: Path
) -> None:
    edit(config, "other", env={"OPSWRIGHT_TEST_CRASH": "start"})
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan_of(make("good"), make("lost", agent="other")))
    assert run.status == "partial"
    assert "the test wants it so" in (outcomes["lost"].error or "")


async def test_a_server_that_dies_under_a_step_is_started_again_and_the_step_resumed(
    open_session: OpenSession, things: Path
) -> None:
    async with open_session() as session:
        run, outcomes = await carry_out(
            session, plan_of(make("fragile", die=True), make("after", needs=("fragile",)))
        )
    assert run.status == "done"
    assert outcomes["fragile"].attempts == 2
    assert (things / "calls.log").read_text().split() == ["fragile", "after"]


@pytest.mark.usefixtures("knowledge")
async def test_without_the_knowledge_server_the_report_says_what_is_not_recorded(
    open_session: OpenSession, config: Path
) -> None:
    edit(config, "knowledge", command="no-such-program-anywhere")
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan_of(make("house")))
    assert run.status == "done"
    assert any(
        lost.startswith("record_resources") for lost in make_report(run, outcomes).unrecorded
    )


async def test_a_reference_that_leads_nowhere_fails_its_step_and_never_passes_on(
    open_session: OpenSession,
) -> None:
    plan = plan_of(
        Step(id="count", agent="maker", tool="count_things"),
        make("named", parent={"$ref": "count.names.7"}),
    )
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan)
    assert run.status == "partial"
    assert "count.names.7" in (outcomes["named"].error or "")


async def test_error_text_of_a_failed_step_is_never_data_for_the_next(
    open_session: OpenSession, things: Path
) -> None:
    count = Step(id="count", agent="maker", tool="count_things", args={"at_least": 99})
    async with open_session() as session:
        run, outcomes = await carry_out(
            session, plan_of(count, make("after", parent={"$ref": "count.names.0"}))
        )
    assert run.status == "failed"
    assert outcomes["count"].value == {}
    assert outcomes["after"].status == "skipped"
    assert not (things / "after").exists()


async def test_a_change_that_nobody_approved_is_not_made_and_the_run_waits(
    open_session: OpenSession, things: Path
) -> None:
    async with open_session() as session:
        plan = plan_of(make("house"))
        run = session.record(plan, {})

        async def nobody(_: Step, __: object) -> bool:
            return False

        ended = await session.execute(run, lambda _: None, nobody)
    assert ended.status == "waiting"
    assert not (things / "house").exists()


async def test_one_death_under_many_steps_is_one_failure_and_all_are_resumed(
    open_session: OpenSession, things: Path
) -> None:
    steps = [make(f"thing{number}", seconds=1.0) for number in range(3)]
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan_of(make("fragile", die=True), *steps))
    assert run.status == "done", {i: o.error for i, o in outcomes.items()}
    assert sorted((things / "calls.log").read_text().split()) == [
        "fragile",
        "thing0",
        "thing1",
        "thing2",
    ]


async def test_a_server_that_dies_at_every_call_is_left_alone_after_a_while(
    open_session: OpenSession, config: Path, things: Path
) -> None:
    from opswright.registry import AgentDownError, OutcomeUnknownError

    edit(config, "maker", args=[str(AGENT), "--allow-writes", "--approvals", "auto"])

    async def quiet(_: str) -> None:
        return None

    async with open_session() as session:
        agent = session.registry.agents["maker"]
        for number in range(3):
            with pytest.raises(OutcomeUnknownError):
                await agent.call("make_thing", {"name": f"x{number}", "die": True}, 60, quiet)
        with pytest.raises(AgentDownError, match="left alone"):
            await agent.call("count_things", {}, 60, quiet)
