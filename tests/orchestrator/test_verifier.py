"""A plan that cannot run is refused before anything does, with the step, the rule and the mend."""

import dataclasses
from pathlib import Path

from tests.orchestrator.team import OpenSession, carry_out, make, plan_of

from opswright.plan import Compensation, PlannedMessage, Step
from opswright.session import Session
from opswright.verifier import examine, verify


def rules(session: Session, *steps: Step) -> list[tuple[str, str]]:
    return [(f.step, f.rule) for f in verify(plan_of(*steps), session.registry.agents)]


def _named(name: object) -> Step:
    return Step(id="b", agent="maker", tool="make_thing", args={"name": name}, risk="write")


async def test_each_fault_of_a_plan_is_found_and_named(open_session: OpenSession) -> None:
    count = Step(id="count", agent="maker", tool="count_things")
    async with open_session() as session:
        assert rules(session, make("a"), make("b", parent={"$ref": "a.outputs.path"}), count) == []
        assert rules(session, make("a"), make("a")) == [("a", "unique-id")]
        assert rules(session, make("a", needs=("ghost",))) == [("a", "known-step")]
        assert rules(session, make("a", needs=("b",)), make("b", needs=("a",))) == [
            ("*", "no-cycle")
        ]
        assert rules(session, make("a", agent="nobody")) == [("a", "agent")]
        assert rules(session, Step(id="a", agent="maker", tool="fly")) == [("a", "tool")]
        assert rules(session, make("a").model_copy(update={"risk": "read"})) == [("a", "risk")]
        assert rules(session, Step(id="a", agent="maker", tool="make_thing", risk="write")) == [
            ("a", "required")
        ]
        assert rules(session, make("a", colour="red")) == [("a", "argument")]
        assert rules(session, make("a", seconds="long")) == [("a", "argument")]
        assert rules(session, make("a"), make("b", parent={"$ref": "a.outputs.colour"})) == [
            ("b", "reference")
        ]
        assert rules(session, make("a"), make("b", parent={"$ref": "a.outputs.size"})) == [
            ("b", "reference-type")
        ]
        assert rules(session, count, make("b", parent={"$ref": "count.names.0"})) == []
        assert rules(session, count, make("b", parent={"$ref": "count.names"})) == [
            ("b", "reference-type")
        ]


async def test_references_inside_values_in_messages_and_in_the_report_are_checked(
    open_session: OpenSession,
) -> None:
    async with open_session() as session:
        agents = session.registry.agents
        inside = make("b", parent=[{"$ref": "a.outputs.path"}])
        assert rules(session, make("a"), inside) == [("b", "reference-type")]
        false_path = {"$ref": "a.outputs.colour"}
        news = PlannedMessage(
            after=("a",), sender="maker", recipient="other", content="made", data={"is": false_path}
        )
        plan = plan_of(make("a"), messages=(news,), report={"colour": false_path})
        found = [(f.step, f.rule) for f in verify(plan, agents)]
        assert found == [("message 1", "reference"), ("report", "reference")]
        ghost = plan_of(make("a"), report={"x": {"$ref": "ghost.outputs"}})
        assert [(f.step, f.rule) for f in verify(ghost, agents)] == [("report", "known-step")]


async def test_what_may_be_null_needs_a_default(open_session: OpenSession) -> None:
    async with open_session() as session:
        null = _named({"$ref": "a.error"})
        (finding,) = verify(plan_of(make("a"), null), session.registry.agents)
        assert (finding.step, finding.rule) == ("b", "reference-absent")
        assert "name" in finding.message
        assert "default" in finding.message
        mended = _named({"$ref": "a.error", "default": "b"})
        assert rules(session, make("a"), mended) == []


async def test_what_only_the_run_can_show_is_said_and_looked_at_then(
    open_session: OpenSession,
) -> None:
    count = Step(id="count", agent="maker", tool="count_things")
    first = _named({"$ref": "count.names.0"})
    async with open_session() as session:
        verdict = examine(plan_of(count, first), session.registry.agents)
        assert not verdict.findings
        assert {f.step for f in verdict.unproven} == {"b"}
        run, outcomes = await carry_out(session, plan_of(count, first))
    assert run.status == "partial"
    assert "count.names.0" in str(outcomes["b"].error)


async def test_a_value_of_the_wrong_shape_never_reaches_a_tool(
    open_session: OpenSession, things: Path
) -> None:
    task = Step(id="task", agent="maker", tool="handle_task", args={"task": "count the things"})
    wrong = _named({"$ref": "task.outputs.count"})
    async with open_session() as session:
        _, outcomes = await carry_out(session, plan_of(task, wrong))
    assert outcomes["b"].status == "failed"
    assert "not called: name" in str(outcomes["b"].error)
    assert not (things / "calls.log").exists()


async def test_a_change_without_a_way_back_is_marked_or_refused(open_session: OpenSession) -> None:
    by_hand = make("a").model_copy(update={"tool": "break_thing"})
    async with open_session() as session:
        maker = session.registry.agents["maker"]
        maker.tools["break_thing"] = dataclasses.replace(
            maker.tools["count_things"],
            name="break_thing",
            input_schema={"properties": {"name": {"type": "string"}}},
            risk="write",
        )
        assert rules(session, by_hand) == [("a", "compensation")]
        assert rules(session, by_hand.model_copy(update={"irreversible": True})) == []
        back = Compensation(tool="break_thing", args={"name": {"$ref": "a.names.0"}})
        assert rules(session, by_hand.model_copy(update={"compensate": back})) == []
        unknown = Compensation(tool="mend_thing")
        assert rules(session, by_hand.model_copy(update={"compensate": unknown})) == [
            ("a", "compensation")
        ]


async def test_who_else_may_do_a_step_is_checked_like_the_first(open_session: OpenSession) -> None:
    async with open_session() as session:
        assert rules(session, make("a").model_copy(update={"alternatives": ("other",)})) == []
        for other in ("knowledge", "ghost"):
            step = make("a").model_copy(update={"alternatives": (other,)})
            assert rules(session, step) == [("a", "alternative")]


async def test_the_finding_says_what_there_is_instead(open_session: OpenSession) -> None:
    async with open_session() as session:
        (finding,) = verify(plan_of(make("a", agent="nobody")), session.registry.agents)
    assert "maker" in finding.message
