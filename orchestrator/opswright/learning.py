"""Makes a blueprint of a run that went well: its literals become parameters of the same wording.

A learned blueprint is meant by the wording it was learned from, with other values in the places of
its parameters, and by no other: `requires` matches such a request as a whole. So a repeat needs no
planner, and a request that means something else is never taken for it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from opswright.plan import Plan, Step, is_ref
from opswright.planners.blueprint import Blueprint, Missing, Parameter, build
from opswright.runs import Run
from opswright_core.canonical import digest

NOT_LEARNED = ("blueprint ", "skill ", "undo")
"""Planners whose plans need no learning: they cost nothing, and are the same again."""

_WORDS_IN_NAME = 5
_FIXED = frozenset({"id", "agent", "tool", "risk", "needs", "when", "after", "sender", "recipient"})
"""What of a step or message is never a value of the request."""


@dataclass(frozen=True)
class _Value:
    """A literal of the plan that the request says, or that was given with it."""

    name: str
    text: str
    kind: str
    spans: tuple[tuple[int, int], ...]
    """Where the request says it."""


def learn(run: Run) -> Blueprint | None:
    """The blueprint of a finished run; None where there is nothing to learn, or none that is sound.

    Sound is one that makes exactly the same steps of the same request and values again.
    """
    plan = run.plan
    body = [
        step.model_dump(mode="json", exclude_defaults=True)
        for step in (*plan.steps, *plan.previews, *plan.messages)
    ]
    if (
        run.status != "done"
        or run.undoes
        or plan.planner.startswith(NOT_LEARNED)
        or any("${" in text for text in _texts(body))
    ):
        return None
    values = _values(plan)
    names = {value.text: value.name for value in values}
    steps = [
        _put(step.model_dump(mode="json", exclude_defaults=True), names) for step in plan.steps
    ]
    wording = _wording(plan.goal, values, None)
    blueprint = Blueprint(
        name=_name(plan.goal, wording, steps),
        description=f"Learned from {run.run_id}: {plan.goal}",
        examples=(plan.goal,),
        requires=wording,
        parameters={value.name: _parameter(plan.goal, value, values) for value in values},
        previews=tuple(
            _put(step.model_dump(mode="json", exclude_defaults=True), names)
            for step in plan.previews
        ),
        steps=tuple(steps),
        messages=tuple(
            _put(message.model_dump(mode="json", exclude_defaults=True), names)
            for message in plan.messages
        ),
        report=plan.report,
    )
    return blueprint if _is_sound(blueprint, plan) else None


def _values(plan: Plan) -> list[_Value]:
    """The literals to make parameters of, in the order of the request, then those given apart."""
    given = {
        str(v): (n, v) for n, v in plan.parameters.items() if _is_scalar(v) and n != "installation"
    }
    found: dict[str, tuple[str, Any]] = dict(given)
    kinds: dict[str, set[str]] = {}
    for step in (*plan.steps, *plan.previews):
        for name, literal in _literals(step.args, "value"):
            kinds.setdefault(str(literal), set()).add(_kind(literal))
            found.setdefault(str(literal), (name, literal))
    taken: set[int] = set()
    values: list[_Value] = []
    used = {"installation"}
    for text in sorted(found, key=len, reverse=True):
        if len(kinds.get(text, {""})) > 1 or not text.strip():
            continue  # the same text as a number here and as a string there
        spans = []
        for match in re.finditer(rf"(?<![\w-]){re.escape(text)}(?![\w-])", plan.goal):
            if not taken & set(range(*match.span())):
                taken |= set(range(*match.span()))
                spans.append(match.span())
        if spans or (text in given and text in kinds):
            name = re.sub(r"\W", "_", found[text][0])
            while name in used:
                name += "_2"
            used.add(name)
            values.append(_Value(name, text, _kind(found[text][1]), tuple(spans)))
    return sorted(values, key=lambda value: value.spans[0][0] if value.spans else len(plan.goal))


def _parameter(goal: str, value: _Value, values: list[_Value]) -> Parameter:
    """What the request said is found in its wording; what was given apart is what it was then."""
    said = f"as in {value.text!r}"
    if not value.spans:
        return Parameter(description=said, type=value.kind, default=value.text)
    pattern = _wording(goal, values, value)
    return Parameter(description=said, type=value.kind, pattern=pattern, required=True)


def _wording(goal: str, values: list[_Value], captured: _Value | None) -> str:
    """The request as a regular expression, with the shape of each value in its place.

    The value that is captured is group 1; without one, a value said twice has to be the same.
    """
    spans = sorted((*span, value) for value in values for span in value.spans)
    parts, end, seen = [], 0, set()
    for start, stop, value in spans:
        parts.append(_words(goal[end:start]))
        shape = _shape(value.text)
        if captured is None:
            parts.append(f"(?P={value.name})" if value in seen else f"(?P<{value.name}>{shape})")
        elif value is captured:
            parts.append(r"\1" if value in seen else f"({shape})")
        else:
            parts.append(f"(?:{shape})")
        seen.add(value)
        end = stop
    parts.append(_words(goal[end:].rstrip(" .!?\n")))
    return rf"^\s*{''.join(parts)}[\s.!?]*$"


def _words(text: str) -> str:
    """A stretch of the request that has to be said again, whatever its white space."""
    return r"\s+".join(re.escape(word) for word in re.split(r"\s+", text))


def _shape(text: str) -> str:
    if re.fullmatch(r"\d+", text):
        return r"\d+"
    if re.fullmatch(r"\d+\.\d+", text):
        return r"\d+(?:\.\d+)?"
    if re.search(r"\s", text):
        return r".+?"
    return r"\S*[\w/]"


def _put(value: Any, names: Mapping[str, str]) -> Any:
    """The same with `${name}` in the place of each value, alone or as a word of a longer text."""
    if isinstance(value, Mapping):
        if is_ref(value):
            return dict(value)
        return {key: v if key in _FIXED else _put(v, names) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_put(inner, names) for inner in value]
    if not _is_scalar(value):
        return value
    if str(value) in names:
        return f"${{{names[str(value)]}}}"
    if isinstance(value, str) and names:
        longest = "|".join(re.escape(text) for text in sorted(names, key=len, reverse=True))
        return re.sub(
            rf"(?<!\w)(?:{longest})(?!\w)", lambda found: f"${{{names[found.group()]}}}", value
        )
    return value


def _literals(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        if not is_ref(value):
            for key, inner in value.items():
                yield from _literals(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _literals(inner, name)
    elif _is_scalar(value):
        yield name, value


def _texts(value: Any) -> Iterator[str]:
    return (str(literal) for _, literal in _literals(value, ""))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    return {int: "integer", float: "number"}.get(type(value), "string")


def _name(goal: str, wording: str, steps: list[Any]) -> str:
    words = re.findall(r"[a-z0-9]+", goal.lower())[:_WORDS_IN_NAME]
    return f"{'_'.join(words)}_{digest([wording, steps])[:6]}"


def _is_sound(blueprint: Blueprint, plan: Plan) -> bool:
    made = build(blueprint, plan.goal, plan.parameters, plan.id)
    if isinstance(made, Missing) or not re.fullmatch(str(blueprint.requires), plan.goal, re.I):
        return False
    return [_call(s) for s in (*made.steps, *made.previews)] == [
        _call(s) for s in (*plan.steps, *plan.previews)
    ]


def _call(step: Step) -> tuple[Any, ...]:
    return step.id, step.agent, step.tool, step.args, step.needs, step.when, step.risk
