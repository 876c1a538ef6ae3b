"""What a failure leads to is what the plan says: stop, take back, plan anew; and no more."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.orchestrator.team import OpenSession, carry_out, make, plan_of

from opswright.budget import spent
from opswright.plan import OnError, Plan, PlanError, Step
from opswright.recovery import MOST_VERSIONS
from opswright.runs import Halted, Run, StepOutcome
from opswright_core.scripted_model import ScriptedModel, calls


def bad(on_error: OnError, *, needs: tuple[str, ...] = ()) -> Step:
    return make("bad", fail=True, needs=needs).model_copy(update={"on_error": on_error})


def statuses(outcomes: Mapping[str, StepOutcome]) -> dict[str, str]:
    return {step_id: outcome.status for step_id, outcome in outcomes.items()}


async def test_fail_starts_nothing_further(open_session: OpenSession, things: Path) -> None:
    plan = plan_of(
        make("first"), bad("fail", needs=("first",)),
        make("slow", agent="other", seconds=1.0), make("later", agent="other", needs=("slow",)),
    )  # fmt: skip
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan)
    assert run.status == "partial"
    assert statuses(outcomes) == {
        "first": "done", "bad": "failed", "slow": "done", "later": "skipped",
    }  # fmt: skip
    assert outcomes["later"].cause == "bad"


async def test_continue_runs_the_dependents_all_the_same(
    open_session: OpenSession, things: Path
) -> None:
    async with open_session() as session:
        run, outcomes = await carry_out(
            session, plan_of(bad("continue"), make("after", needs=("bad",)))
        )
    assert run.status == "partial", "what was not done keeps it from being done"
    assert statuses(outcomes) == {"bad": "failed", "after": "done"}


async def test_compensate_takes_back_what_was_done_in_reverse_order(
    open_session: OpenSession, things: Path
) -> None:
    plan = plan_of(
        make("house"), make("room", parent={"$ref": "house.outputs.path"}),
        bad("compensate", needs=("room",)), make("after", needs=("bad",)),
    )  # fmt: skip
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan)
        assert run.status == "partial"
        assert run.undone_by
        undoing = session.store.load(run.undone_by)
        assert (undoing.status, undoing.undoes) == ("done", run.run_id)
        ended = [
            session.store.step(undoing.run_id, f"undo_{s}").ended_at for s in ("room", "house")
        ]
    assert statuses(outcomes)["after"] == "skipped"
    assert ended == sorted(filter(None, ended))
    assert not (things / "house").exists()
    assert not (things / "room").exists()


async def test_a_compensation_that_fails_asks_for_a_person_and_says_what_is_left(
    open_session: OpenSession, things: Path
) -> None:
    stuck = make("house", stuck=True)
    async with open_session() as session:
        run, _ = await carry_out(session, plan_of(stuck, bad("compensate", needs=("house",))))
    assert run.status == "needs_human"
    assert run.undone_by is None
    assert run.halted is not None
    assert "undo_house" in run.halted.why
    assert "is stuck" in run.halted.why
    assert (things / "house").exists()


async def test_replan_goes_on_with_a_new_version_that_keeps_what_was_done(
    open_session: OpenSession, things: Path
) -> None:
    plan = plan_of(make("first"), bad("replan", needs=("first",)), make("last", needs=("bad",)))

    async def planner(run: Run, outcomes: Mapping[str, StepOutcome]) -> Plan:
        assert statuses(outcomes) == {"first": "done", "bad": "failed", "last": "skipped"}
        look = Step(id="look", agent="other", tool="count_things", needs=("first",))
        return run.plan.model_copy(update={"steps": (run.plan.step("first"), look)})

    async with open_session() as session:
        session.replanner = planner
        run, outcomes = await carry_out(session, plan)
    # The new version changes less than was approved, but not the same: a person has to say yes.
    assert (run.status, run.plan.version, run.plan.parent_version) == ("waiting", 2, 1)
    assert [earlier.version for earlier in run.earlier] == [1]
    assert run.halted is not None
    assert run.halted.reason == "plan_not_approved"
    async with open_session() as session:
        again = session.approve(session.store.load(run.run_id), "test")

        async def nobody(*_: object) -> bool:
            return False

        ended = await session.execute(again, lambda _: None, nobody, resumed=True)
        outcomes = session.store.steps(ended)
    assert ended.status == "done"
    assert statuses(outcomes) == {"first": "done", "look": "done"}
    assert outcomes["look"].value["names"] == ["first"]
    assert (things / "calls.log").read_text().split() == ["first"]


async def test_replan_of_reads_goes_on_by_itself(open_session: OpenSession, things: Path) -> None:
    few = Step(
        id="few", agent="maker", tool="count_things", args={"at_least": 5}, on_error="replan"
    )
    versions: list[int] = []

    async def planner(run: Run, _: Mapping[str, StepOutcome]) -> Plan:
        versions.append(run.plan.version)
        at_least = 5 if run.plan.version == 1 else 0
        step = few.model_copy(update={"args": {"at_least": at_least}})
        return run.plan.model_copy(update={"steps": (step,)})

    async with open_session() as session:
        session.replanner = planner
        run, outcomes = await carry_out(session, plan_of(few))
    assert (run.status, run.plan.version, versions) == ("done", 3, [1, 2])
    assert outcomes["few"].value["count"] == 0


async def test_replanning_ends_after_some_versions_and_never_drops_what_was_done(
    open_session: OpenSession, things: Path
) -> None:
    few = Step(
        id="few", agent="maker", tool="count_things", args={"at_least": 5}, on_error="replan"
    )

    async def same(run: Run, _: Mapping[str, StepOutcome]) -> Plan:
        return run.plan

    async def forgetful(run: Run, _: Mapping[str, StepOutcome]) -> Plan:
        return run.plan.model_copy(update={"steps": (few,)})

    async def at_a_loss(_: Run, __: Mapping[str, StepOutcome]) -> Plan:
        raise PlanError("no idea")

    async with open_session() as session:
        session.replanner = same
        run, _ = await carry_out(session, plan_of(few))
        assert (run.status, run.plan.version) == ("failed", MOST_VERSIONS)
        session.replanner = forgetful
        run, _ = await carry_out(session, plan_of(make("house"), few))
        assert (run.status, run.plan.version) == ("partial", 1)
        assert run.halted is not None
        assert "keep house" in run.halted.why
        session.replanner = at_a_loss
        run, _ = await carry_out(session, plan_of(few))
        assert run.status == "failed"
        assert run.halted == Halted(
            reason="not_replanned", why="it could not be planned anew: no idea"
        )


async def test_a_model_finds_another_way_and_what_it_used_counts(
    open_session: OpenSession, things: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Step(
        id="few", agent="maker", tool="count_things", args={"at_least": 5}, on_error="replan"
    )
    again = {
        "id": "look", "agent": "other", "tool": "count_things", "title": "count all of them",
        "args": {"at_least": 0}, "needs": ["seen"],
    }  # fmt: skip
    seen = Step(id="seen", agent="maker", tool="count_things")
    with ScriptedModel([calls(("propose_plan", {"steps": [again]}))]) as model:
        for name, value in model.environment().items():
            monkeypatch.setenv(name, value)
        async with open_session() as session:
            run, outcomes = await carry_out(session, plan_of(seen, few))
    assert (run.status, run.plan.version) == ("done", 2), outcomes
    assert statuses(outcomes) == {"seen": "done", "look": "done"}
    assert run.plan.planner.startswith("claude ")
    assert spent(run, outcomes).tokens == run.plan.planning_tokens > 0
    (request,) = model.requests
    opening = str(request["messages"][0]["content"])
    assert '"id":"seen"' in opening, "what is done stays"
    assert "few" in opening.partition("<untrusted")[2], "an error's text is data"


async def test_without_a_model_a_person_is_told_what_to_do(
    open_session: OpenSession, things: Path
) -> None:
    few = Step(
        id="few", agent="maker", tool="count_things", args={"at_least": 5}, on_error="replan"
    )
    async with open_session() as session:
        run, _ = await carry_out(session, plan_of(few))
    assert (run.status, run.plan.version) == ("failed", 1)
    assert run.halted is not None
    assert "mend what failed, then resume" in run.halted.why
