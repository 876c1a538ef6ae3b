"""A step waits for a verdict: where that does not hold, it is skipped and nothing is changed."""

import io
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from rich.console import Console
from tests.orchestrator.team import OpenSession, carry_out, make, nobody, plan_of
from tests.orchestrator.test_resume import read_until, start

from opswright.conditions import held_back_by, unmet
from opswright.facade.answers import state_of
from opswright.plan import Condition, Plan, Step
from opswright.planners import blueprint
from opswright.render.plans import show_plan, show_previews
from opswright.render.reports import show_report
from opswright.report import make_report
from opswright.runs import Run, StepOutcome
from opswright.verifier import verify

PASSED = {"$ref": "check.verdict"}
COUNT = Step(id="count", agent="maker", tool="count_things")
SOME = Condition(value={"$ref": "count.count"}, is_not=0)


def conditioned(step: Step, *conditions: Condition) -> Step:
    return step.model_copy(update={"when": conditions})


def console() -> Console:
    return Console(record=True, width=160, file=io.StringIO())


@pytest.mark.parametrize(
    ("answer", "is_not_fail", "equals_pass"),
    [
        ({"verdict": "PASS"}, True, True),
        ({"verdict": "FAIL"}, False, False),
        ({"verdict": "UNKNOWN"}, True, False),
        ({"verdict": None}, True, False),
        ({}, True, False),
    ],
)
def test_unknown_goes_on_unless_the_condition_is_strict(
    answer: Mapping[str, Any], is_not_fail: bool, equals_pass: bool
) -> None:
    answers = {"check": answer}
    assert Condition(value=PASSED, is_not="FAIL").holds(answers) is is_not_fail
    assert Condition(value=PASSED, equals="PASS").holds(answers) is equals_pass


@pytest.mark.parametrize(
    "fields",
    [
        {"value": PASSED},
        {"value": PASSED, "equals": "PASS", "is_not": "FAIL"},
        {"value": {"verdict": "PASS"}, "equals": "PASS"},
        {"value": PASSED, "at_least": 1},
    ],
)
def test_a_condition_says_one_thing_of_one_answer(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Condition(**fields)


def test_why_it_does_not_hold_names_each_check_that_failed_and_what_to_do() -> None:
    check = {
        "verdict": "FAIL",
        "summary": "1 FAIL, 1 PASS",
        "checks": [
            {"name": "Elastic IPs", "verdict": "PASS", "evidence": ""},
            {"name": "VPCs", "verdict": "FAIL", "evidence": "5 of 5 used. Ask for more."},
        ],
    }
    held = unmet(conditioned(make("a"), Condition(value=PASSED, is_not="FAIL")), {"check": check})
    assert held is not None
    assert held.gate == "check"
    assert held.why == (
        "it does not begin when check.verdict is FAIL, and that is FAIL; "
        "VPCs: 5 of 5 used. Ask for more."
    )


def test_an_approval_is_bound_to_the_conditions_and_to_what_they_ask() -> None:
    plain, waiting = plan_of(COUNT, make("a")), plan_of(COUNT, conditioned(make("a"), SOME))
    asks = COUNT.model_copy(update={"args": {"at_least": 1}})
    hashes = {
        p.approval_hash for p in (plain, waiting, plan_of(asks, conditioned(make("a"), SOME)))
    }
    assert len(hashes) == 3
    assert Plan.model_validate_json(waiting.model_dump_json()) == waiting


def test_whatever_three_tier_changes_waits_for_room_in_the_quotas() -> None:
    (template,) = [b for b in blueprint.load() if b.name == "three_tier_application"]
    plan = blueprint.build(template, "deploy", {"repository": "/srv/shop"}, "plan-1")
    assert isinstance(plan, Plan)
    waiting = {"quotas"}
    for _ in plan.steps:
        waiting |= {s.id for s in plan.steps if waiting & set(s.producers)}
    assert {s.id for s in plan.steps if s.changes_things} <= waiting
    (gate,) = [s for s in plan.read_early if s.id in plan.gates]
    assert held_back_by(gate, {"verdict": "FAIL"}, plan) == ["network", "artifacts"]
    assert held_back_by(gate, {"verdict": "UNKNOWN"}, plan) == []


def test_a_check_is_shown_before_the_approval_with_what_it_would_come_to() -> None:
    plan = plan_of(COUNT, conditioned(make("house"), SOME))
    shown = console()
    show_plan(shown, plan)
    show_previews(shown, {"count": {"verdict": "FAIL", "summary": "none", "count": 0}}, plan)
    show_previews(shown, {"count": {"verdict": "UNKNOWN", "summary": "not read"}}, plan)
    show_previews(shown, {"count": {"error": "the agent is down"}}, plan)
    told = shown.export_text()
    assert "does not begin when count.count is 0" in told
    assert told.count("As it stands, the run would not begin house") == 2
    assert "Warning: not all of it could be read; the run goes on." in told
    assert "unknown: the agent is down" in told
    run = Run(run_id="r", goal="g", plan=plan, previews={"count": {"verdict": "FAIL"}})
    seen = state_of(run, {s.id: StepOutcome(step_id=s.id) for s in plan.steps})
    assert seen.checked == {"count": "FAIL: "}
    assert [step.when for step in seen.steps] == [[], ["does not begin when count.count is 0"]]


async def test_what_does_not_hold_is_skipped_and_read_again_on_resume(
    open_session: OpenSession, things: Path
) -> None:
    plan = plan_of(
        COUNT, conditioned(make("house"), SOME), make("room", parent={"$ref": "house.outputs.path"})
    )
    async with open_session() as session:
        run, outcomes = await carry_out(session, plan)
        assert run.status == "failed", "nothing was done but the checking"
        assert [o.status for o in outcomes.values()] == ["done", "skipped", "skipped"]
        assert {outcomes[s].cause for s in ("house", "room")} == {"count"}
        report = make_report(run, outcomes)
        assert not report.changed
        shown = console()
        show_report(shown, report)
        told = shown.export_text()
        assert "why: it does not begin when count.count is 0, and that is 0" in told
        assert "Nothing was changed." in told
        assert "once that is mended: reads count again, and goes on" in told
        (things / "mended").touch()
        again = await session.execute(run, lambda _: None, nobody, resumed=True)
        assert again.status == "done"
        assert make_report(again, session.store.steps(again)).changed
    assert (things / "calls.log").read_text().split() == ["house", "room"]


async def test_a_condition_that_cannot_be_judged_is_refused(open_session: OpenSession) -> None:
    async with open_session() as session:
        agents = session.registry.agents

        def found(condition: Condition, *others: Step) -> list[tuple[str, str]]:
            plan = plan_of(COUNT, *others, conditioned(make("a"), condition))
            return [(f.rule, f.message) for f in verify(plan, agents)]

        assert found(SOME) == []
        (never,) = found(Condition(value={"$ref": "count.count"}, equals="none"))
        assert never == ("condition", "when: count.count is never 'none'")
        (false,) = found(Condition(value={"$ref": "count.colour"}, equals="red"))
        assert false[0] == "condition"
        assert "refer to one of count, names" in false[1]
        (changing,) = found(Condition(value={"$ref": "b.status"}, equals="done"), make("b"))
        assert changing[0] == "condition"
        assert "refer to one that only reads" in changing[1]
        ((unknown, _),) = found(Condition(value={"$ref": "ghost.count"}, equals=1))
        assert unknown == "known-step"
        later = COUNT.model_copy(update={"id": "later", "needs": ("a",)})
        ((circle, _),) = found(Condition(value={"$ref": "later.count"}, equals=1), later)
        assert circle == "no-cycle"


async def test_after_a_crash_what_was_found_stands(
    open_session: OpenSession, config: Path, things: Path, tmp_path: Path
) -> None:
    house = conditioned(make("house", needs=("slow",)), SOME)
    plan = plan_of(COUNT, make("slow", seconds=2, needs=("count",)), house)
    (tmp_path / "state").mkdir()
    process = start(tmp_path / "state", config, plan)
    run_id = read_until(process, "slow running")[0].split()[1]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    async with open_session() as session:
        for status, made in (("partial", ["slow"]), ("done", ["slow", "house"])):
            run = session.store.load(run_id)
            ended = await session.execute(run, lambda _: None, nobody, resumed=True)
            assert ended.status == status
            assert (things / "calls.log").read_text().split() == made
