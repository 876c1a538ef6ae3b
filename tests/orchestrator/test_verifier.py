"""A plan that cannot run is refused before anything does, with the step, the rule and the mend."""

from tests.orchestrator.team import OpenSession, make, plan_of

from opswright.plan import Step
from opswright.session import Session
from opswright.verifier import verify


def rules(session: Session, *steps: Step) -> list[tuple[str, str]]:
    return [(f.step, f.rule) for f in verify(plan_of(*steps), session.registry.agents)]


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


async def test_the_finding_says_what_there_is_instead(open_session: OpenSession) -> None:
    async with open_session() as session:
        (finding,) = verify(plan_of(make("a", agent="nobody")), session.registry.agents)
    assert "maker" in finding.message
