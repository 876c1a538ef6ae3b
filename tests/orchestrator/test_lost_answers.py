"""A lost answer is looked into, and never repeated blindly or taken for success."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from tests.orchestrator.commands import ask, run_plan
from tests.orchestrator.team import OpenSession, carry_out, make, plan_of, undo

from opswright.plan import Compensation, PlanError, Step
from opswright.report import make_report


def strange(step_id: str, tool: str, **more: Any) -> Step:
    fields = {name: more.pop(name) for name in ("needs", "compensate", "on_error") if name in more}
    return Step(id=step_id, agent="stranger", tool=tool, args=more, **fields)


def noting(step_id: str, tool: str = "note", **more: Any) -> Step:
    step = strange(step_id, tool, text=step_id, **more)
    return step.model_copy(update={"risk": "write", "irreversible": step.compensate is None})


@pytest.mark.usefixtures("stranger")
async def test_a_third_partys_write_without_an_answer_waits_for_a_person(
    open_session: OpenSession, things: Path
) -> None:
    plan = plan_of(noting("lost", die=True), noting("after", needs=("lost",)), make("elsewhere"))
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan)
    assert run.status == "needs_human"
    assert {i: o.status for i, o in outcomes.items()} == {
        "lost": "unknown", "after": "skipped", "elsewhere": "done",
    }  # fmt: skip
    assert "not known" in (outcomes["lost"].error or "")
    assert (things / "notes.log").read_text().split() == ["lost"], "it was not repeated"
    report = make_report(run, outcomes)
    assert [(n.step, n.touches) for n in report.not_done] == [("lost", ["after"]), ("after", [])]
    assert any("put it right" in line for line in report.next)


@pytest.mark.usefixtures("stranger")
async def test_a_read_is_repeated_and_so_is_a_write_that_takes_an_idempotency_key(
    open_session: OpenSession, things: Path
) -> None:
    plan = plan_of(
        strange("seen", "fragile_look", name="x"),
        noting("kept", "note_once", die=True, needs=("seen",)),
    )
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan)
    assert run.status == "done", outcomes
    assert [o.attempts for o in outcomes.values()] == [2, 2]
    assert (things / "notes.log").read_text().split() == ["kept"]


async def test_a_change_whose_answer_was_lost_is_found_in_the_journal_and_can_be_undone(
    open_session: OpenSession, config: Path, things: Path
) -> None:
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan_of(make("fragile", die_after=True)))
        assert run.status == "done"
        assert outcomes["fragile"].attempts == 2
        assert (things / "calls.log").read_text().split() == ["fragile"], "made once"
        assert outcomes["fragile"].change_ids
        assert not outcomes["fragile"].reused
        await undo(session, run)
    assert not (things / "fragile").exists()


async def test_another_agent_that_the_plan_names_takes_over_from_one_that_is_down(
    open_session: OpenSession, config: Path, things: Path
) -> None:
    servers = json.loads(config.read_text())
    servers["mcpServers"]["other"]["command"] = "no-such-program-anywhere"
    config.write_text(json.dumps(servers))
    step = make("house", agent="other").model_copy(update={"alternatives": ("maker",)})
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan_of(step))
        assert (run.status, outcomes["house"].agent) == ("done", "maker")
        undone, _ = await undo(session, run)
        assert undone.status == "done"
    assert not (things / "house").exists()


@pytest.mark.usefixtures("stranger")
async def test_a_third_partys_step_is_taken_back_by_what_the_plan_says(
    open_session: OpenSession, things: Path
) -> None:
    back = Compensation(tool="tear_out", args={"text": {"$ref": "one.result"}})
    plan = plan_of(noting("one", compensate=back), noting("two"))
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan)
        assert run.status == "done", outcomes
        undone, undo_plan = await undo(session, run)
        report = make_report(undone, session.store.steps(undone))
    assert [(s.tool, s.args) for s in undo_plan.steps] == [("tear_out", {"text": "one"})]
    assert undone.status == "done"
    assert (things / "notes.log").read_text().split() == ["two"]
    assert report.highlights == {"not taken back": "two (stranger.note)"}


@pytest.mark.usefixtures("stranger")
async def test_where_nothing_takes_a_change_back_the_undo_says_so(
    open_session: OpenSession, things: Path
) -> None:
    back = Compensation(tool="tear_out", args={"text": {"$ref": "lost.result"}})
    async with open_session() as session:
        lost = noting("lost", die=True, compensate=back)
        run, _ = await carry_out(session, plan_of(noting("one"), lost))
        with pytest.raises(PlanError, match=r"nothing takes back .* lost .*, one"):
            await undo(session, run)


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("status", ["working", "needs_approval"])
async def test_a_third_partys_own_status_field_means_nothing_here(
    open_session: OpenSession, status: str
) -> None:
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan_of(strange("s", "status", status=status)))
    assert run.status == "done", outcomes


@pytest.mark.usefixtures("stranger")
def test_a_third_partys_write_under_way_at_a_crash_is_not_repeated_until_a_person_says_so(
    tmp_path: Path, things: Path
) -> None:
    running = run_plan(tmp_path, plan_of(noting("late", seconds=4.0)), "--yes")
    run_id = running.until(event="plan")["run_id"]
    running.until(step_id="late", status="running")
    deadline = time.monotonic() + 60
    while not (things / "notes.log").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.kill()
    code, report = ask(tmp_path, "resume", run_id)
    assert (code, report["status"]) == (4, "needs_human")
    assert "died" in report["not_done"][0]["why"]
    assert (things / "notes.log").read_text().split() == ["late"]
    code, report = ask(tmp_path, "resume", run_id)  # the person has looked, and wants it again
    assert (code, report["status"]) == (0, "done")
    assert (things / "notes.log").read_text().split() == ["late", "late"]
