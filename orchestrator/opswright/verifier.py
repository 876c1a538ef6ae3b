"""Refuses a plan before anything runs: every finding names the step, the rule and the mend."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opswright.plan import REF, Plan, PlanError, Step, in_order, refs
from opswright.registry import Agent, ToolInfo


@dataclass(frozen=True)
class Finding:
    """Why a plan may not run."""

    step: str
    rule: str
    message: str


def verify(plan: Plan, agents: Mapping[str, Agent]) -> list[Finding]:
    """Check a plan against what the agents offer; an empty list lets it run.

    A step on an agent that is down is not a finding: it is skipped at run time and reported.
    """
    findings = _structure(plan)
    if findings:
        return findings
    for step in [*plan.previews, *plan.steps]:
        agent = agents.get(step.agent)
        if agent is None:
            known = ", ".join(agents)
            findings.append(
                Finding(
                    step.id, "agent", f"there is no agent {step.agent!r}; configured are {known}"
                )
            )
        elif agent.is_up:
            findings += _call(step, plan, agents, agent)
    return findings


def _structure(plan: Plan) -> list[Finding]:
    ids = [step.id for step in plan.steps]
    findings = [
        Finding(i, "unique-id", "two steps have this id; rename one")
        for i in set(ids)
        if ids.count(i) > 1
    ]
    for step in plan.steps:
        findings += [
            Finding(step.id, "known-step", f"it waits for {p!r}, which is no step of the plan")
            for p in step.producers
            if p not in ids
        ]
    for message in plan.messages:
        wanted = {*message.after, *(path.split(".")[0] for path in refs(message.data))}
        findings += [
            Finding(p, "known-step", "a message waits for this step, which is not there")
            for p in wanted - set(ids)
        ]
    if not findings:
        try:
            in_order(plan)
        except PlanError as exc:
            findings.append(Finding("*", "no-cycle", str(exc)))
    return findings


def _call(step: Step, plan: Plan, agents: Mapping[str, Agent], agent: Agent) -> list[Finding]:
    tool = agent.tools.get(step.tool)
    if tool is None:
        offered = ", ".join(sorted(agent.tools))
        return [
            Finding(step.id, "tool", f"{step.agent} offers no {step.tool!r}; it offers {offered}")
        ]
    findings = []
    if tool.risk in {"write", "destructive"} and not step.changes_things:
        findings.append(
            Finding(step.id, "risk", f"{step.tool} is {tool.risk}, but the step says {step.risk}")
        )
    return findings + _arguments(step, plan, agents, tool)


def _arguments(
    step: Step, plan: Plan, agents: Mapping[str, Agent], tool: ToolInfo
) -> list[Finding]:
    properties = tool.input_schema.get("properties", {})
    findings = [
        Finding(step.id, "required", f"{step.tool} needs {name!r}")
        for name in tool.input_schema.get("required", [])
        if name not in step.args
    ]
    for name, value in step.args.items():
        if name not in properties:
            findings.append(
                Finding(
                    step.id,
                    "argument",
                    f"{step.tool} takes no {name!r}; it takes {', '.join(properties)}",
                )
            )
            continue
        findings += _value(step, name, value, properties[name], plan, agents, tool.input_schema)
    return findings


def _value(
    step: Step,
    name: str,
    value: Any,
    schema: Mapping[str, Any],
    plan: Plan,
    agents: Mapping[str, Agent],
    root: Mapping[str, Any],
) -> list[Finding]:
    if isinstance(value, Mapping) and set(value) == {REF}:
        path = str(value[REF])
        try:
            produced = _schema_at(path, plan, agents)
        except PlanError as exc:
            return [Finding(step.id, "reference", f"{name}: {exc}")]
        if produced is not None and not _fits(produced, schema):
            return [
                Finding(
                    step.id,
                    "reference-type",
                    f"{name}: {path} is {_kind(produced)}, not {_kind(schema)}",
                )
            ]
        return []
    if any(True for _ in refs(value)):
        return []  # references inside a literal: their paths are checked when they are resolved
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator({**schema, "$defs": root.get("$defs", {})})
    return [
        Finding(step.id, "argument", f"{name}: {error.message}")
        for error in validator.iter_errors(value)
    ]


def _schema_at(path: str, plan: Plan, agents: Mapping[str, Agent]) -> Mapping[str, Any] | None:
    """The schema of what a reference leads to, or None where its producer does not say."""
    head, *parts = path.split(".")
    producer = plan.step(head)
    agent = agents.get(producer.agent)
    tool = agent.tools.get(producer.tool) if agent and agent.is_up else None
    if tool is None or tool.output_schema is None:
        return None
    root = schema = tool.output_schema
    for part in parts:
        schema = _solid(schema, root)
        if part.isdigit() and "items" in schema:
            schema = schema["items"]
        elif part in schema.get("properties", {}):
            schema = schema["properties"][part]
        elif isinstance(schema.get("additionalProperties"), Mapping):
            schema = schema["additionalProperties"]
        elif schema.get("additionalProperties") is True or "properties" not in schema:
            return None
        else:
            raise PlanError(
                f"{path!r}: {producer.tool} answers no {part!r}, "
                f"only {', '.join(schema['properties'])}"
            )
    return _solid(schema, root)


def _solid(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow `$ref`, and drop the null of an optional."""
    if "$ref" in schema:
        return _solid(root["$defs"][str(schema["$ref"]).rpartition("/")[2]], root)
    real = [option for option in schema.get("anyOf", []) if option.get("type") != "null"]
    return _solid(real[0], root) if len(real) == 1 else schema


def _types(schema: Mapping[str, Any]) -> set[str]:
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return set().union(*(_types(option) for option in options))
    kind = schema.get("type")
    if kind is None:
        return set()
    kinds = {kind} if isinstance(kind, str) else set(kind)
    return kinds | ({"integer"} if "number" in kinds else set())


def _fits(produced: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    made, takes = _types(produced) - {"null"}, _types(wanted)
    return not made or not takes or bool(made & takes)


def _kind(schema: Mapping[str, Any]) -> str:
    return " or ".join(sorted(_types(schema))) or "anything"
