"""Runs that went well become blueprints of the same wording, with their values as parameters."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.orchestrator.team import OpenSession, carry_out, make
from tests.orchestrator.terminal import Terminal

from opswright.learning import learn
from opswright.library import Library, as_yaml, from_yaml, record_of
from opswright.plan import Plan, PlanError, Step
from opswright.planners.blueprint import Blueprint, build, fitting
from opswright.runs import Run, RunStatus
from opswright_core.scripted_model import ScriptedModel, calls

TAG = "Tag release v1.2.0 of shop and keep 3 copies of shop"


def run_of(goal: str, *steps: Step, planner: str = "claude", **more: Any) -> Run:
    plan = Plan(id="p", goal=goal, planner=planner, steps=steps, **more)
    return Run(run_id="run-1", goal=goal, plan=plan, status="done")


def tagging() -> Run:
    return run_of(
        TAG,
        Step(
            id="tag", agent="cicd", tool="create_tag", title="tag v1.2.0 of shop", risk="write",
            args={"repository": "shop", "version": "v1.2.0", "copies": 3, "message": "shop v1.2.0"},
        ),
        Step(id="after", agent="cicd", tool="get_tag", args={"name": {"$ref": "tag.outputs.shop"}}),
    )  # fmt: skip


def learned(run: Run) -> Blueprint:
    blueprint = learn(run)
    assert blueprint is not None
    return blueprint


def test_what_the_request_says_becomes_a_parameter_wherever_the_plan_has_it() -> None:
    blueprint = learned(tagging())
    assert list(blueprint.parameters) == ["version", "repository", "copies"]
    assert blueprint.parameters["copies"].type == "integer"
    tag, after = blueprint.steps
    assert tag["args"] == {
        "repository": "${repository}",
        "version": "${version}",
        "copies": "${copies}",
        "message": "${repository} ${version}",
    }
    assert after["args"] == {"name": {"$ref": "tag.outputs.shop"}}


def test_the_same_wording_with_other_values_makes_the_plan_for_them() -> None:
    request = "tag  release v2.0.0-rc.1 of web/store and keep 12 copies of web/store."
    plan = build(learned(tagging()), request, {}, "p")
    assert isinstance(plan, Plan)
    assert plan.step("tag").args == {
        "repository": "web/store",
        "version": "v2.0.0-rc.1",
        "copies": 12,
        "message": "web/store v2.0.0-rc.1",
    }


@pytest.mark.parametrize(
    "request_",
    [
        "Delete release v1.2.0 of shop and keep 3 copies of shop",
        "Tag release v1.2.0 of shop",
        "Do not tag release v1.2.0 of shop and keep 3 copies of shop",
        "Tag release v1.2.0 of shop and keep 3 copies of another",
        "Tag release v1.2.0 of shop and keep few copies of shop",
        "Tag release v1.2.0 of shop and keep 3 copies of shop, then delete it",
    ],
)
def test_another_wording_is_never_taken_for_what_was_learned(request_: str) -> None:
    blueprint = learned(tagging())
    assert fitting(TAG, [blueprint]) == [blueprint]
    assert fitting(request_, [blueprint]) == []


def test_a_value_that_was_given_apart_stays_what_it_was_unless_it_is_given_again() -> None:
    blueprint = learned(
        run_of(
            "Ship it",
            Step(id="s", agent="a", tool="t", args={"repo": "https://example.com/shop.git"}),
            parameters={"repository": "https://example.com/shop.git"},
        )
    )
    same = build(blueprint, "ship it!", {}, "p")
    assert isinstance(same, Plan)
    assert same.step("s").args == {"repo": "https://example.com/shop.git"}
    plan = build(blueprint, "ship it!", {"repository": "x"}, "p")
    assert isinstance(plan, Plan)
    assert plan.step("s").args == {"repo": "x"}


@pytest.mark.parametrize("planner", ["blueprint three_tier_application", "skill x of y", "undo"])
def test_what_needs_no_learning_is_not_learned(planner: str) -> None:
    assert learn(run_of("Do it", Step(id="s", agent="a", tool="t"), planner=planner)) is None


@pytest.mark.parametrize("status", ["partial", "failed", "cancelled", "waiting", "needs_human"])
def test_only_what_went_well_is_learned(status: RunStatus) -> None:
    assert learn(tagging().model_copy(update={"status": status})) is None


def test_a_text_that_looks_like_a_placeholder_keeps_a_plan_from_being_learned() -> None:
    assert learn(run_of("Do it", Step(id="s", agent="a", tool="t", args={"x": "${HOME}"}))) is None


def test_a_text_that_is_a_number_here_and_a_word_there_stays_as_it_was() -> None:
    steps = Step(id="s", agent="a", tool="t", args={"count": 2, "label": "2"})
    blueprint = learned(run_of("Make 2 of them", steps))
    assert blueprint.parameters == {}
    assert not fitting("Make 3 of them", [blueprint])


def test_reliability_rises_with_success_and_falls_with_failure() -> None:
    def runs(*statuses: RunStatus) -> list[Run]:
        run = run_of("Do it", Step(id="s", agent="a", tool="t"), planner="blueprint b")
        return [run.model_copy(update={"status": status}) for status in statuses]

    known = [record_of("b", runs(*s)).reliability for s in (
        ("failed", "failed"), ("failed",), (), ("cancelled", "waiting"), ("done",), ("done",) * 8,
    )]  # fmt: skip
    assert known == sorted(known)
    assert known[2] == known[3] == 0.5


async def test_a_repeat_is_planned_from_what_was_learned(open_session: OpenSession) -> None:
    goal = "furnish lamp"
    async with open_session() as session:
        plan = Plan(id="p", goal=goal, planner="claude", steps=(make("lamp"),))
        run, _ = await carry_out(session, plan)
        assert run.status == "done"
        again = await session.plan("furnish sofa", {})
        assert again.planner.startswith("blueprint furnish_lamp_")
        assert again.step("lamp").args == {"name": "sofa"}
        run, outcomes = await carry_out(session, again)
        assert run.status == "done", outcomes
        library = Library(session.store)
        (entry,) = [e for e in library.entries() if e.origin == "learned"]
        record = library.record(entry.blueprint.name)
        assert (record.runs, record.successes) == (1, 1)
        assert (record.steps[0].step, record.steps[0].success_rate) == ("lamp", 1.0)
        assert record.steps[0].p50_seconds is not None
        assert len([e for e in library.entries() if e.origin == "learned"]) == 1
        assert library.forget(entry.blueprint.name)
        assert not library.forget(entry.blueprint.name)


async def test_of_two_blueprints_the_one_that_works_is_chosen(open_session: OpenSession) -> None:
    goal = "furnish lamp"
    async with open_session() as session:
        for planner, step in (("claude", make("lamp")), ("typed", make("lamp", agent="other"))):
            plan = Plan(id=planner, goal=goal, planner=planner, steps=(step,))
            await carry_out(session, plan)
        names = {
            e.blueprint.steps[0]["agent"]: e.blueprint.name
            for e in session.library.entries()
            if e.origin == "learned"
        }
        assert set(names) == {"maker", "other"}
        for agent, fail in (("maker", True), ("other", False)):
            failing = Plan(
                id=f"again-{agent}", goal=goal, planner=f"blueprint {names[agent]}",
                steps=(make(f"thing-{agent}", agent=agent, fail=fail),),
            )  # fmt: skip
            await carry_out(session, failing)
        chosen = session.library.choose("furnish vase")
        assert chosen is not None
        assert chosen.name == names["other"]


async def test_the_router_hears_of_what_was_done_before(open_session: OpenSession) -> None:
    async with open_session() as session:
        for step in (make("lamp"), make("vase", agent="other", fail=True)):
            plan = Plan(id=step.id, goal=f"furnish {step.id}", planner="claude", steps=(step,))
            await carry_out(session, plan)
        told = {(p.goal, p.agents, p.succeeded) for p in session.library.past_runs()}
        assert told == {("furnish lamp", ("maker",), True), ("furnish vase", ("other",), False)}


def test_an_edited_blueprint_is_checked_before_it_is_kept() -> None:
    blueprint = learned(tagging())
    text = as_yaml(blueprint)
    assert from_yaml(text) == blueprint
    for wrong, told in (
        (text.replace("agent: cicd", "agnet: cicd", 1), "agent"),
        (text.replace("${version}", "${vrsion}"), "no parameter is called vrsion"),
        (text.replace("steps:", "stpes:"), "steps"),
        ("- a\n- b", "YAML"),
        ("{", "YAML"),
    ):
        with pytest.raises(PlanError, match=told):
            from_yaml(wrong)


def test_blueprints_are_listed_shown_edited_and_forgotten(
    terminal: Terminal, tmp_path: Path
) -> None:
    plan = Plan(id="p", goal="furnish lamp", planner="claude", steps=(make("lamp"),))
    path = tmp_path / "plan.json"
    path.write_text(plan.model_dump_json())
    carried = terminal("run", "--plan", str(path), "--yes", "--config", str(terminal.config))
    assert carried.returncode == 0, carried.stderr
    (name,) = re.findall(r"furnish_lamp_\w+", terminal("blueprints").stdout)
    assert "three_tier_application" in terminal("blueprints").stdout
    again = terminal.run("furnish sofa", "--yes")
    assert again.returncode == 0, again.stderr
    shown = terminal("blueprints", "show", name).stdout
    assert "1 of 1 runs went well, reliability 0.67" in shown
    assert "lamp" in shown
    assert "100%" in shown
    edited = "s/title: .*/&/;s/^description: .*/description: Furnish a room/"
    terminal.environment["EDITOR"] = f"sed -i '{edited}'"
    assert "is changed" in terminal("blueprints", "edit", name).stdout
    assert "Furnish a room" in terminal("blueprints").stdout
    terminal.environment["EDITOR"] = "sed -i 's/^steps:/stpes:/'"
    refused = terminal("blueprints", "edit", name)
    assert refused.returncode == 1
    assert "is unchanged" in refused.stderr
    draft = Path(refused.stderr.rpartition(" ")[2].strip())
    assert "stpes:" in draft.read_text()
    draft.unlink()
    terminal.environment["EDITOR"] = "no-such-editor-anywhere"
    assert "set EDITOR" in terminal("blueprints", "edit", name).stderr
    assert "is forgotten" in terminal("blueprints", "forget", name).stdout
    for command in ("show", "edit", "forget"):
        assert "no blueprint" in terminal("blueprints", command, name).stderr
    assert "cannot be forgotten" in terminal("blueprints", "forget", "deploy_version").stderr


async def test_what_a_model_planned_is_repeated_without_asking_it(
    open_session: OpenSession, monkeypatch: pytest.MonkeyPatch, things: Path
) -> None:
    step = {"id": "desk", "agent": "maker", "tool": "make_thing", "args": {"name": "oak"}}
    proposal = calls(("propose_plan", {"steps": [step]}))
    with ScriptedModel([proposal]) as model:
        for name, value in model.environment().items():
            monkeypatch.setenv(name, value)
        async with open_session() as session:
            plan = await session.plan("furnish the room with oak", {}, "claude")
            run, outcomes = await carry_out(session, plan)
            assert run.status == "done", outcomes
            again = await session.plan("furnish the room with pine", {})
            run, outcomes = await carry_out(session, again)
        assert run.status == "done", outcomes
        assert len(model.requests) == 1
    assert (things / "pine").exists()
