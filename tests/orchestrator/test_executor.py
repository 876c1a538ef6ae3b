"""Runs with real stdio agents: data flows, failures stay local, nothing undone is claimed."""

from pathlib import Path

import pytest
from tests.orchestrator.team import OpenSession, carry_out, make, plan_of

from opswright.report import make_report


@pytest.mark.usefixtures("knowledge")
async def test_a_step_gets_what_the_step_before_it_answered(
    open_session: OpenSession, things: Path
) -> None:
    plan = plan_of(make("house"), make("room", parent={"$ref": "house.outputs.path"}))
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan)
    assert run.status == "done"
    assert (things / "room").read_text() == str(things / "house")
    assert outcomes["room"].value["outputs"]["name"] == "room"
    assert run.unrecorded == []


async def test_a_failed_step_skips_its_dependents_and_nothing_else(
    open_session: OpenSession, things: Path
) -> None:
    plan = plan_of(
        make("good"),
        make("bad", fail=True),
        make("after_bad", agent="other", needs=("bad",)),
        make("after_that", agent="other", needs=("after_bad",)),
        make("after_good", agent="other", needs=("good",)),
    )
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan)
    assert run.status == "partial"
    assert {i: o.status for i, o in outcomes.items()} == {
        "good": "done",
        "bad": "failed",
        "after_bad": "skipped",
        "after_that": "skipped",
        "after_good": "done",
    }
    assert outcomes["after_that"].cause == "bad"
    report = make_report(run, outcomes)
    assert [(n.step, n.touches) for n in report.not_done if n.status == "failed"] == [
        ("bad", ["after_bad", "after_that"])
    ]
    assert "cannot be made today" in report.not_done[0].why
    assert not (things / "after_bad").exists()
