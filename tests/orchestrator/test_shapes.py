"""What the verifier proves holds for every value: fits, references, and whole random plans."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.orchestrator.schemas import SCHEMAS, near, objects, paths, values

from opswright.config import Server
from opswright.fits import mismatches
from opswright.plan import Plan, PlanError, Step, refs, resolve
from opswright.registry import Agent, ToolInfo
from opswright.shapes import misfits, shape
from opswright.verifier import examine

many = settings(
    max_examples=250, deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)  # fmt: skip


def fit(made: dict[str, Any], wanted: dict[str, Any]) -> set[str]:
    return {mismatch.kind for mismatch in mismatches(shape(made), shape(wanted))}


TEXT, NUMBER, NULL = {"type": "string"}, {"type": "integer"}, {"type": "null"}
STARTS = {"type": "string", "pattern": "^v"}


def an_object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields)}


@pytest.mark.parametrize(
    ("made", "wanted", "kinds"),
    [
        (TEXT, {}, set()),
        (TEXT, TEXT, set()),
        (TEXT, NUMBER, {"wrong"}),
        (NUMBER, {"type": "number"}, set()),
        ({"type": "number"}, NUMBER, {"unproven"}),
        ({}, TEXT, {"unproven"}),
        ({"anyOf": [TEXT, NULL]}, TEXT, {"absent"}),
        ({"anyOf": [TEXT, NULL]}, {"anyOf": [TEXT, NULL]}, set()),
        ({"type": ["string", "null"]}, TEXT, {"absent"}),
        ({"anyOf": [TEXT, NUMBER]}, TEXT, {"unproven"}),
        ({"enum": ["a", "b"]}, {"enum": ["b", "a", "c"]}, set()),
        ({"enum": ["a", "d"]}, {"enum": ["a", "c"]}, {"unproven"}),
        ({"enum": ["d"]}, {"enum": ["a"]}, {"wrong"}),
        (NUMBER, {"enum": ["a"]}, {"wrong"}),
        ({"const": "v1"}, STARTS, set()),
        ({"const": "1"}, STARTS, {"wrong"}),
        (TEXT, STARTS, {"unproven"}),
        (STARTS, STARTS, set()),
        ({"type": "string", "format": "date"}, TEXT, set()),
        (TEXT, {"type": "string", "format": "date"}, {"unproven"}),
        ({"type": "integer", "minimum": 2}, {"type": "integer", "minimum": 1}, set()),
        (NUMBER, {"type": "integer", "minimum": 1}, {"unproven"}),
        ({"type": "integer", "minimum": 9}, {"type": "integer", "maximum": 5}, {"wrong"}),
        ({"type": "array", "items": TEXT}, {"type": "array", "items": TEXT}, set()),
        ({"type": "array", "items": NUMBER}, {"type": "array", "items": TEXT}, {"wrong"}),
        ({"type": "array", "items": TEXT}, {"type": "array", "minItems": 1}, {"unproven"}),
        (TEXT, {"type": "array", "items": TEXT}, {"wrong"}),
        (an_object(id=TEXT), an_object(id=TEXT), set()),
        (an_object(id=NUMBER), an_object(id=TEXT), {"wrong"}),
        ({"type": "object", "properties": {"id": TEXT}}, an_object(id=TEXT), {"absent"}),
        (an_object(), {**an_object(id=TEXT)}, {"unproven"}),
        ({**an_object(), "additionalProperties": False}, an_object(id=TEXT), {"wrong"}),
        (TEXT, {"type": "string", "contentEncoding": "base64"}, {"unproven"}),
        ({"allOf": [TEXT, {"minLength": 1}]}, TEXT, set()),
        (TEXT, {"allOf": [TEXT, NUMBER]}, {"wrong"}),
        (TEXT, {"oneOf": [TEXT, {"type": "string"}]}, {"unproven"}),
        (TEXT, {"oneOf": [NUMBER, TEXT]}, set()),
    ],
)  # fmt: skip
def test_a_fit_is_proven_refused_or_left_to_the_value(
    made: dict[str, Any], wanted: dict[str, Any], kinds: set[str]
) -> None:
    assert fit(made, wanted) == kinds


def test_a_schema_that_contains_itself_fits_itself() -> None:
    under = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    tree = {"$ref": "#/$defs/Tree", "$defs": {"Tree": an_object(name=TEXT, under=under)}}
    assert fit(tree, tree) == set()


@many
@given(SCHEMAS, st.data())
def test_what_is_proven_to_fit_fits_whatever_the_value(
    made: dict[str, Any], data: st.DataObject
) -> None:
    wanted = data.draw(near(made) if data.draw(st.integers(0, 3)) else SCHEMAS)
    kinds = fit(made, wanted)
    value = data.draw(values(made))
    is_valid = Draft202012Validator(wanted).is_valid(value)
    if not kinds:
        assert is_valid
    if kinds == {"wrong"} and "[]" not in repr(value):  # an empty list is of every item's type
        assert not is_valid


@many
@given(SCHEMAS)
def test_every_schema_fits_itself_or_is_left_to_the_value(schema: dict[str, Any]) -> None:
    assert fit(schema, schema) <= {"unproven"}


@st.composite
def _argument(draw: st.DrawFn, before: dict[str, dict[str, Any]]) -> tuple[Any, dict[str, Any]]:
    """A value for an argument, and the argument's schema, which often is near the value's."""
    if not before or not draw(st.integers(0, 3)):
        schema = draw(SCHEMAS)
        return draw(values(schema)), schema
    step = draw(st.sampled_from(sorted(before)))
    parts = draw(st.sampled_from(paths(before[step])))
    made = _at(before[step], parts)
    value: Any = {"$ref": ".".join([step, *parts])}
    if not draw(st.integers(0, 3)):
        value["default"] = draw(values(made))
    wanted = draw(near(made) if draw(st.integers(0, 5)) else SCHEMAS)
    match draw(st.integers(0, 3)):
        case 0:
            return [value], {"type": "array", "items": wanted}
        case 1:
            return {"id": value}, an_object(id=wanted)
    return value, wanted


def _at(schema: dict[str, Any], parts: list[str]) -> dict[str, Any]:
    for number, part in enumerate(parts):
        if "anyOf" in schema:
            inside = [o for o in schema["anyOf"] if parts[number:] in paths(o)]
            schema = inside[0]
            return _at(schema, parts[number:])
        schema = schema["items"] if part == "0" else schema["properties"][part]
    return schema


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, Agent]:
    """A plan of two or three steps on tools of random schemas."""
    tools: dict[str, ToolInfo] = {}
    steps: list[Step] = []
    outputs: dict[str, dict[str, Any]] = {}
    for number in range(draw(st.integers(2, 3))):
        step_id = f"s{number}"
        given_here = {name: draw(_argument(outputs)) for name in ("x", "y")[: 1 + number % 2]}
        takes = {name: schema for name, (_, schema) in given_here.items()}
        gives = draw(objects(SCHEMAS, least=1))
        whole = {**an_object(**takes), "additionalProperties": False}
        tools[step_id] = ToolInfo(step_id, step_id, whole, gives, "read")
        args = {name: value for name, (value, _) in given_here.items()}
        steps.append(Step(id=step_id, agent="a", tool=step_id, args=args))
        outputs[step_id] = gives
    agent = Agent("a", Server(), {}, Path(), tools=tools, _client=object())
    return Plan(id="p", goal="g", planner="t", steps=tuple(steps)), agent


@settings(many, max_examples=300)
@given(plans(), st.data())
def test_a_plan_that_passes_never_calls_with_a_value_of_the_wrong_shape(
    made: tuple[Plan, Agent], data: st.DataObject
) -> None:
    plan, agent = made
    verdict = examine(plan, {"a": agent})
    if verdict.findings:
        return
    in_doubt = {finding.step for finding in verdict.unproven}
    answers: dict[str, Any] = {}
    for step in plan.steps:
        tool = agent.tools[step.tool]
        answers[step.id] = data.draw(values(dict(tool.output_schema or {})))
        try:
            args = resolve(step.args, answers)
        except PlanError:
            assert step.id in in_doubt
            continue
        names = [name for name, value in step.args.items() if any(True for _ in refs(value))]
        told = misfits(args, names, tool.input_schema)
        assert not told or step.id in in_doubt
        if not told:
            Draft202012Validator(tool.input_schema).validate(args)
