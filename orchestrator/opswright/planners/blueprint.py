"""Plans from templates: YAML with parameters, chosen by the words of the request."""

import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from opswright.plan import Plan, PlanError, PlannedMessage, Step
from opswright_core.canonical import digest
from opswright_core.search import Ranker

LEAST_COVERAGE = 0.6
"""Share of the request's weight that a blueprint's words must cover. A blueprint does much, so it
is held to more than a skill; the requests of tests/orchestrator/test_blueprints.py decide."""


class Parameter(BaseModel):
    """An input of a blueprint, taken from what is set, from the request's words, or the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    description: str
    type: Literal["string", "integer", "number", "boolean"] = "string"
    pattern: str | None = Field(
        None, description="Finds it in the request: group 1, or presence for a boolean"
    )
    default: Any = None
    required: bool = False
    slug: bool = Field(False, description="Lower-case words joined by dashes")


class Blueprint(BaseModel):
    """A plan template. `${name}` stands for a parameter; alone in a value it keeps its type."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    description: str
    examples: tuple[str, ...]
    requires: str | None = Field(
        None, description="Regular expression the request must match to mean this"
    )
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    previews: tuple[dict[str, Any], ...] = ()
    steps: tuple[dict[str, Any], ...]
    messages: tuple[dict[str, Any], ...] = ()
    report: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Missing:
    """Parameters that a person has to give, by name."""

    blueprint: str
    parameters: dict[str, str]


def load() -> list[Blueprint]:
    """Read the blueprints that come with opswright. Raises PlanError for a faulty one."""
    import yaml

    found = []
    for entry in sorted(files("opswright").joinpath("blueprints").iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".yaml"):
            try:
                found.append(Blueprint(**yaml.safe_load(entry.read_text())))
            except (ValidationError, yaml.YAMLError, TypeError) as exc:
                raise PlanError(f"the blueprint {entry.name} is not well made: {exc}") from exc
    return found


def fitting(request: str, blueprints: Sequence[Blueprint]) -> list[Blueprint]:
    """The blueprints that a request means, best first.

    One whose `requires` matches the request as a whole is meant, whatever else its words are.
    """
    whole = [
        b for b in blueprints if b.requires and re.fullmatch(b.requires, request, re.IGNORECASE)
    ]
    meant = {
        b.name: b
        for b in blueprints
        if b.requires is None or re.search(b.requires, request, re.IGNORECASE)
    }
    ranker = Ranker(
        {b.name: (b.name.replace("_", " "), b.description, *b.examples) for b in blueprints}
    )
    worded = [h for h in ranker.rank(request) if h.coverage >= LEAST_COVERAGE and h.key in meant]
    return [*whole, *(meant[h.key] for h in worded[:1] if meant[h.key] not in whole)]


def choose(request: str, blueprints: Sequence[Blueprint]) -> Blueprint | None:
    """The blueprint that a request means best, or None."""
    return next(iter(fitting(request, blueprints)), None)


def placeholders(blueprint: Blueprint) -> set[str]:
    """The names that `${name}` stands for anywhere in a blueprint."""
    return set(re.findall(r"\$\{(\w+)\}", blueprint.model_dump_json()))


def build(
    blueprint: Blueprint, request: str, given: Mapping[str, Any], plan_id: str
) -> Plan | Missing:
    """Fill a blueprint in. Raises PlanError for a value of the wrong type."""
    values, missing = _parameters(blueprint, request, given)
    if missing:
        return Missing(blueprint.name, missing)
    return Plan(
        id=plan_id,
        goal=request,
        planner=f"blueprint {blueprint.name}",
        parameters=values,
        previews=tuple(Step(**_fill(step, values)) for step in blueprint.previews),
        steps=tuple(Step(**_fill(step, values)) for step in blueprint.steps),
        messages=tuple(PlannedMessage(**_fill(message, values)) for message in blueprint.messages),
        report=_fill(blueprint.report, values),
    )


def said_in(blueprint: Blueprint, request: str) -> set[str]:
    """The parameters that the request itself gives."""
    return {
        name for name, p in blueprint.parameters.items() if _from_request(p, request) is not None
    }


def _parameters(
    blueprint: Blueprint, request: str, given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {"installation": digest([socket.gethostname(), os.getuid()])[:8]}
    missing = {}
    for name, parameter in blueprint.parameters.items():
        raw = given[name] if name in given else _from_request(parameter, request)
        if raw is None and parameter.default is not None:
            raw = _fill(parameter.default, values)
        if raw is None and parameter.required:
            missing[name] = parameter.description
            continue
        values[name] = _typed(name, parameter, raw)
    return values, missing


def _from_request(parameter: Parameter, request: str) -> Any:
    if parameter.pattern is None:
        return None
    match = re.search(parameter.pattern, request, re.IGNORECASE)
    if parameter.type == "boolean":
        return True if match else None
    return match.group(1) if match else None


def _typed(name: str, parameter: Parameter, raw: Any) -> Any:
    if raw is None:
        return None
    try:
        match parameter.type:
            case "integer":
                return int(raw)
            case "number":
                return float(raw)
            case "boolean":
                return (
                    raw
                    if isinstance(raw, bool)
                    else {"true": True, "yes": True, "false": False, "no": False}[str(raw).lower()]
                )
    except (ValueError, KeyError):
        raise PlanError(
            f"{name} is {raw!r}, which is no {parameter.type}: {parameter.description}"
        ) from None
    text = str(raw)
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") if parameter.slug else text


def _fill(value: Any, values: Mapping[str, Any]) -> Any:
    """Put parameters in place of `${name}`; one without a value leaves its argument out."""
    if isinstance(value, Mapping):
        filled = {key: _fill(inner, values) for key, inner in value.items()}
        return {key: inner for key, inner in filled.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [_fill(inner, values) for inner in value]
    if not isinstance(value, str):
        return value
    if alone := re.fullmatch(r"\$\{(\w+)\}", value):
        return values[alone.group(1)]
    return re.sub(r"\$\{(\w+)\}", lambda m: str(values[m.group(1)]), value)
