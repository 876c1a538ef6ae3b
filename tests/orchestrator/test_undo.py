"""Undo takes back what a run made, last first, and only that."""

from pathlib import Path

import pytest
from tests.orchestrator.team import OpenSession, carry_out, make, plan_of, undo

from opswright.plan import PlanError


async def test_undo_reverses_the_run_in_reverse_order_and_reads_that_it_is_gone(
    open_session: OpenSession, things: Path
) -> None:
    plan = plan_of(
        make("house"),
        make("room", parent={"$ref": "house.outputs.path"}),
        make("lamp", agent="other", needs=("room",)),
    )
    async with open_session() as session:
        run, _ = await carry_out(session, plan)
        undone, undo_plan = await undo(session, run)
        outcomes = session.store.steps(undone)
        assert [(s.id, s.needs) for s in undo_plan.steps] == [
            ("undo_lamp", ()), ("undo_room", ("undo_lamp",)), ("undo_house", ("undo_room",)),
        ]  # fmt: skip
        assert undone.status == "done"
        assert all(c["verdict"] == "PASS" for o in outcomes.values() for c in o.value["checks"])
        assert sorted(p.name for p in things.iterdir()) == ["calls.log"]
        assert session.store.load(run.run_id).undone_by == undone.run_id
        with pytest.raises(PlanError, match="undone already"):
            session.undo_plan(session.store.load(run.run_id))


async def test_undo_leaves_alone_what_was_there_before_the_run(
    open_session: OpenSession, things: Path
) -> None:
    async with open_session() as session:
        await carry_out(session, plan_of(make("house")))
        second, outcomes = await carry_out(session, plan_of(make("house"), make("shed")))
        assert outcomes["house"].reused
        await undo(session, second)
    assert (things / "house").exists()
    assert not (things / "shed").exists()


async def test_a_half_failed_run_can_be_undone(open_session: OpenSession, things: Path) -> None:
    async with open_session() as session:
        run, _ = await carry_out(session, plan_of(make("good"), make("bad", fail=True)))
        undone, _ = await undo(session, run)
    assert undone.status == "done"
    assert not (things / "good").exists()


async def test_a_run_that_only_read_has_nothing_to_undo(open_session: OpenSession) -> None:
    from opswright.plan import Step

    async with open_session() as session:
        run, _ = await carry_out(
            session, plan_of(Step(id="count", agent="maker", tool="count_things"))
        )
        with pytest.raises(PlanError, match="nothing to undo"):
            session.undo_plan(session.store.load(run.run_id))


async def test_undo_follows_what_depends_on_what_and_not_the_order_of_writing(
    open_session: OpenSession, things: Path
) -> None:
    plan = plan_of(make("room", parent={"$ref": "house.outputs.path"}), make("house"))
    async with open_session() as session:
        run, _ = await carry_out(session, plan)
        undone, undo_plan = await undo(session, run)
    assert [(s.id, s.needs) for s in undo_plan.steps] == [
        ("undo_room", ()), ("undo_house", ("undo_room",)),
    ]  # fmt: skip
    assert undone.status == "done"
