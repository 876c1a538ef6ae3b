"""The plan format: references, order, what an approval is bound to."""

import pytest
from tests.orchestrator.team import make, plan_of

from opswright.plan import Plan, PlanError, Step, in_order, lookup, refs, resolve


def test_references_are_found_at_any_depth() -> None:
    value = {"a": [{"$ref": "x.y"}, {"b": {"$ref": "z"}}], "c": "plain"}
    assert list(refs(value)) == ["x.y", "z"]


def test_references_are_replaced_by_the_values_they_lead_to() -> None:
    answers = {"net": {"outputs": {"ids": ["a", "b"], "none": None}}}
    value = {
        "first": {"$ref": "net.outputs.ids.0"},
        "all": [{"$ref": "net.outputs.ids"}],
        "n": {"$ref": "net.outputs.none"},
    }
    assert resolve(value, answers) == {"first": "a", "all": [["a", "b"]], "n": None}


@pytest.mark.parametrize(
    "path", ["gone.x", "net.outputs.ids.9", "net.outputs.ids.x", "net.outputs.ids.0.deeper"]
)
def test_a_reference_that_leads_nowhere_is_an_error_that_names_it(path: str) -> None:
    with pytest.raises(PlanError, match=path.replace(".", r"\.")):
        lookup(path, {"net": {"outputs": {"ids": ["a"]}}})


def test_steps_come_after_what_they_wait_for() -> None:
    plan = plan_of(make("c", needs=("b",)), make("b", parent={"$ref": "a.outputs.path"}), make("a"))
    assert [step.id for step in in_order(plan)] == ["a", "b", "c"]


def test_a_circle_is_refused() -> None:
    with pytest.raises(PlanError, match="circle"):
        in_order(plan_of(make("a", needs=("b",)), make("b", needs=("a",))))


def test_an_approval_holds_for_the_changing_steps_and_their_arguments() -> None:
    read = Step(id="look", agent="maker", tool="count_things")
    assert plan_of(make("a"), read).approval_hash == plan_of(make("a")).approval_hash
    assert plan_of(make("a")).approval_hash != plan_of(make("a", seconds=1)).approval_hash


def test_a_plan_survives_its_json() -> None:
    plan = plan_of(make("a"), make("b", parent={"$ref": "a.outputs.path"}))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
