"""Refuses a plan before anything runs: every finding names the step, the rule and the mend."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from opswright.fits import mismatches
from opswright.plan import DEFAULT, REF, Plan, PlanError, Step, in_order, is_ref, refs
from opswright.registry import Agent, ToolInfo
from opswright.shapes import Kind, Mismatch, Shape, inner, shape, union, without_null

RISKS = ("read", "record", "write", "destructive")

Rule = Literal[
    "unique-id", "known-step", "no-cycle", "agent", "tool", "alternative", "risk", "compensation",
    "required", "argument", "reference", "reference-type", "reference-absent", "condition",
    "unproven",
]  # fmt: skip


@dataclass(frozen=True)
class Finding:
    """Why a plan may not run, or (`unproven`) what only its run can show; says the mend."""

    step: str
    rule: Rule
    message: str


@dataclass
class Verdict:
    """What there is to say about a plan. It may run when there are no findings.

    `unproven` are references whose value is looked at when it is there: a step is not called with
    a value of the wrong shape, it fails and says so.
    """

    findings: list[Finding] = field(default_factory=list)
    unproven: list[Finding] = field(default_factory=list)

    def add(self, step: str, rule: Rule, message: str) -> None:
        """Put down a finding."""
        (self.unproven if rule == "unproven" else self.findings).append(
            Finding(step, rule, message)
        )


def verify(plan: Plan, agents: Mapping[str, Agent]) -> list[Finding]:
    """Check a plan against what the agents offer; an empty list lets it run.

    A step on an agent that is down is not a finding: it is skipped at run time and reported.
    """
    return examine(plan, agents).findings


def examine(plan: Plan, agents: Mapping[str, Agent]) -> Verdict:
    """All there is to say about a plan, with what cannot be proven before it runs."""
    verdict = Verdict()
    _structure(plan, verdict)
    if verdict.findings:
        return verdict
    for step in [*plan.previews, *plan.steps]:
        for name in (step.agent, *step.alternatives):
            agent = agents.get(name)
            if agent is None:
                there = f"there is no agent {name!r}; use one of {', '.join(agents)}"
                verdict.add(step.id, "agent" if name == step.agent else "alternative", there)
            elif agent.is_up:
                _call(_Reader(step, plan, agents), agent, verdict)
    for step in plan.steps:
        _conditions(step, plan, agents, verdict)
    for owner, value in _told(plan):
        for path in refs(value):
            try:
                _at(path, plan, agents)
            except PlanError as exc:
                verdict.add(owner, "reference", str(exc))
    return verdict


@dataclass(frozen=True)
class _Reader:
    """A step among the plan and the agents that its references are read with."""

    step: Step
    plan: Plan
    agents: Mapping[str, Agent]

    def made(self, value: Any) -> Shape:
        """The shape that an argument's value will have. Raises PlanError for a false path."""
        if is_ref(value):
            found, _ = _at(str(value[REF]), self.plan, self.agents)
            if DEFAULT not in value:
                return found
            return union([without_null(found), shape({"const": value[DEFAULT]})])
        if not any(True for _ in refs(value)):
            return shape({"const": value})
        if isinstance(value, Mapping):
            fields = {name: self.made(item) for name, item in value.items()}
            closed = {"required": list(fields), "additionalProperties": False}
            return Shape({"type": "object", "properties": fields, **closed}, {})
        items = [self.made(item) for item in value]
        size = {"minItems": len(items), "maxItems": len(items)}
        return Shape({"type": "array", "prefixItems": items, "items": False, **size}, {})

    def doubts(self, value: Any) -> Iterator[tuple[str, Kind]]:
        """The references whose path may end early, and how sure that is."""
        for path, has_default in _paths(value):
            doubt = _at(path, self.plan, self.agents)[1]
            if doubt is not None and not has_default:
                yield path, doubt


def _structure(plan: Plan, verdict: Verdict) -> None:
    ids = [step.id for step in plan.steps]
    for name in {name for name in ids if ids.count(name) > 1}:
        verdict.add(name, "unique-id", "two steps have this id; rename one")
    for step in plan.steps:
        for producer in step.producers:
            if producer not in ids:
                verdict.add(
                    step.id,
                    "known-step",
                    f"it waits for {producer!r}, which is no step of the plan; "
                    f"name one of {', '.join(ids)}",
                )
        for path in refs(step.compensate.args if step.compensate else {}):
            if path.split(".")[0] not in {step.id, *step.producers}:
                why = f"its compensation refers to {path}; refer to itself or what it waits for"
                verdict.add(step.id, "known-step", why)
    for preview in plan.previews:
        if preview.when:
            verdict.add(preview.id, "condition", "a preview is always read; leave its `when` out")
        for path in refs(preview.args):
            why = f"a preview runs before all steps, so it cannot refer to {path}; give the value"
            verdict.add(preview.id, "known-step", why)
    for message in plan.messages:
        for after in message.after:
            if after not in ids:
                why = "a message waits for this step, which is not there; name one that is"
                verdict.add(after, "known-step", why)
    for owner, value in _told(plan):
        for path in refs(value):
            if path.split(".")[0] not in ids:
                why = f"it refers to {path}, and no step has that id; name one of {', '.join(ids)}"
                verdict.add(owner, "known-step", why)
    if not verdict.findings:
        try:
            in_order(plan)
        except PlanError as exc:
            verdict.add("*", "no-cycle", f"{exc}; take one of their references or needs away")


def _told(plan: Plan) -> Iterator[tuple[str, Any]]:
    """What refers to steps without being one: each message's data, and the report."""
    for number, message in enumerate(plan.messages, 1):
        yield f"message {number}", message.data
    yield "report", plan.report


def _call(reader: _Reader, agent: Agent, verdict: Verdict) -> None:
    step = reader.step
    tool = agent.tools.get(step.tool)
    if tool is None:
        offered = ", ".join(sorted(agent.tools))
        rule: Rule = "tool" if agent.name == step.agent else "alternative"
        why = f"{agent.name} offers no {step.tool!r}; use one that it offers: {offered}"
        verdict.add(step.id, rule, why)
        return
    if RISKS.index(tool.risk) > RISKS.index(step.risk) and tool.name != "handle_task":
        why = f"{step.tool} is {tool.risk}, but the step says {step.risk}; say risk: {tool.risk}"
        verdict.add(step.id, "risk", why)
    _taking_back(reader, agent, tool, verdict)
    _arguments(reader, tool, step.args, verdict)


def _conditions(step: Step, plan: Plan, agents: Mapping[str, Agent], verdict: Verdict) -> None:
    """What decides can be read again on resume, and can be what it is held against."""
    for condition in step.when:
        path = str(condition.value[REF])
        if plan.step(condition.gate).changes_things:
            why = (
                f"when: {path} is of a step that changes things, which a resume does not do again; "
                "refer to one that only reads"
            )
            verdict.add(step.id, "condition", why)
            continue
        try:
            made, _ = _at(path, plan, agents)
        except PlanError as exc:
            verdict.add(step.id, "condition", f"when: {exc}")
            continue
        literal = condition.is_not if condition.equals is None else condition.equals
        held = shape({"const": literal})
        if any(m.kind == "wrong" for m in mismatches(held, without_null(made), path)):
            allowed = made.schema.get("enum")
            instead = f"; it is one of {', '.join(map(str, allowed))}" if allowed else ""
            verdict.add(step.id, "condition", f"when: {path} is never {literal!r}{instead}")


def _taking_back(reader: _Reader, agent: Agent, tool: ToolInfo, verdict: Verdict) -> None:
    """A change without a journal's inverse needs a compensation, or a person's eyes open."""
    step, back = reader.step, reader.step.compensate
    if back is not None:
        undoing = agent.tools.get(back.tool)
        if undoing is None:
            why = f"its compensation {back.tool!r} is no tool of {agent.name}; name one that is"
            verdict.add(step.id, "compensation", why)
        else:
            own = Verdict()
            _arguments(reader, undoing, back.args, own)
            for found in own.findings:
                verdict.add(step.id, "compensation", f"{back.tool}: {found.message}")
    elif step.changes_things and not (
        step.irreversible or tool.is_journalled or tool.name == "handle_task"
    ):
        why = (
            f"nothing takes {step.tool} back: give it `compensate: {{tool, args}}`, "
            "or mark it `irreversible: true`"
        )
        verdict.add(step.id, "compensation", why)


def _arguments(reader: _Reader, tool: ToolInfo, args: Mapping[str, Any], verdict: Verdict) -> None:
    step, wanted = reader.step, shape(tool.input_schema)
    for name in tool.input_schema.get("required", []):
        if name not in args:
            verdict.add(step.id, "required", f"{tool.name} needs {name!r}; give it a value")
    for name, value in args.items():
        if name not in tool.arguments:
            takes = ", ".join(tool.arguments) or "no arguments"
            why = f"{tool.name} takes no {name!r}; leave it out, it takes {takes}"
            verdict.add(step.id, "argument", why)
            continue
        try:
            found = mismatches(reader.made(value), wanted.of(tool.arguments[name]), name)
            doubts = list(reader.doubts(value))
        except PlanError as exc:
            verdict.add(step.id, "reference", f"{name}: {exc}")
            continue
        for path, doubt in doubts:
            _doubt(step, name, path, doubt, verdict)
        for mismatch in _worth_telling(found):
            _mismatch(step, value, mismatch, verdict)


def _doubt(step: Step, name: str, path: str, doubt: Kind, verdict: Verdict) -> None:
    if doubt == "unproven":
        why = f"{name}: whether there is a {path} shows when its step has answered"
        verdict.add(step.id, "unproven", why)
    else:
        why = (
            f"{name}: there may be no {path}; give the reference a default, "
            f'{{"$ref": "{path}", "default": …}}, or refer to what is always there'
        )
        verdict.add(step.id, "reference-absent", why)


def _mismatch(step: Step, value: Any, mismatch: Mismatch, verdict: Verdict) -> None:
    paths = list(refs(value))
    at = mismatch.where
    if not paths:
        verdict.add(step.id, "argument", f"{at}: {mismatch.why}; give a value that fits")
        return
    of = ", ".join(dict.fromkeys(paths))
    if mismatch.kind == "unproven":
        verdict.add(step.id, "unproven", f"{at}: of {of}: {mismatch.why}")
    elif mismatch.kind == "absent":
        why = f"{at}: of {of}: {mismatch.why}; give the reference a default that fits"
        verdict.add(step.id, "reference-absent", why)
    else:
        why = f"{at}: of {of}: {mismatch.why}; refer to an output that fits"
        verdict.add(step.id, "reference-type", why)


def _worth_telling(found: list[Mismatch]) -> list[Mismatch]:
    """The certain ones; where all are in doubt, the first."""
    sure = [m for m in found if m.kind != "unproven"]
    return sure or found[:1]


def _paths(value: Any) -> Iterator[tuple[str, bool]]:
    """Every reference path inside a value, and whether it has a default."""
    if is_ref(value):
        yield str(value[REF]), DEFAULT in value
    elif isinstance(value, Mapping | list | tuple):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _paths(item)


def _at(path: str, plan: Plan, agents: Mapping[str, Agent]) -> tuple[Shape, Kind | None]:
    """The shape that a reference leads to, and whether the way there is in doubt.

    Raises PlanError when it leads nowhere.
    """
    head, *parts = path.split(".")
    producer = plan.step(head)
    made, doubt = _answer(producer, agents)
    if producer.on_error == "continue":  # those that refer to it run though it failed
        doubt = "unproven"
    for part in parts:
        found, more = inner(made, part)
        if found is None:
            known = made.schema.get("properties")
            instead = f"; refer to one of {', '.join(known)}" if known else ""
            raise PlanError(f"{path!r}: {producer.tool} answers no {part!r} there{instead}")
        made = found
        doubt = "absent" if "absent" in {doubt, more} else doubt or more
    return made, doubt


def _answer(step: Step, agents: Mapping[str, Agent]) -> tuple[Shape, Kind | None]:
    """The shape of what a step answers when it is done; anything where its producer does not say.

    A change or a task that is done has its outputs; they are left out only before.
    """
    agent = agents.get(step.agent)
    tool = agent.tools.get(step.tool) if agent and agent.is_up else None
    if tool is None or tool.output_schema is None:
        return shape({}), "unproven" if tool is None else None
    whole = shape(tool.output_schema)
    keeps_protocol = tool.is_journalled or tool.name == "handle_task"
    if not keeps_protocol or "outputs" not in whole.schema.get("properties", {}):
        return whole, None
    outputs = without_null(whole.of(whole.schema["properties"]["outputs"]))
    fields = {**whole.schema["properties"], "outputs": outputs}
    required = [*whole.schema.get("required", []), "outputs"]
    done = {**whole.schema, "properties": fields, "required": required}
    return Shape(done, whole.root), None
