"""The plan: typed steps on agents, data flowing between them by reference. Immutable plain JSON."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from opswright_core.canonical import digest

Risk = Literal["read", "record", "write", "destructive"]
OnError = Literal["fail", "skip_dependents", "continue", "replan", "compensate"]

REF, DEFAULT = "$ref", "default"


class PlanError(Exception):
    """A request cannot be planned, or a plan cannot run; says why and what to do."""


class Compensation(BaseModel):
    """The call that takes a step back, for a tool without `undo_change`; refs as in `args`."""

    model_config = ConfigDict(frozen=True)
    tool: str
    args: dict[str, Any] = Field(default_factory=dict)


class Condition(BaseModel):
    """What has to hold of an earlier step's answer for a step to begin, such as a verdict.

    A value that is not there is not known: `is_not` lets the step begin then, `equals` does not.
    So of PASS, FAIL and UNKNOWN, `is_not: FAIL` stops at FAIL alone and `equals: PASS` is strict.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    value: dict[str, Any] = Field(description='{"$ref": "step.path"} of a step that only reads')
    equals: str | int | float | bool | None = None
    is_not: str | int | float | bool | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> "Condition":
        if not is_ref(self.value):
            raise ValueError('`value` is a reference, like {"$ref": "quotas.verdict"}')
        if (self.equals is None) == (self.is_not is None):
            raise ValueError("give `equals` or `is_not`, one of them")
        return self

    @property
    def gate(self) -> str:
        """Id of the step whose answer decides."""
        return str(self.value[REF]).split(".")[0]

    @property
    def in_words(self) -> str:
        """When the step begins."""
        path = self.value[REF]
        if self.equals is not None:
            return f"begins only when {path} is {self.equals}"
        return f"does not begin when {path} is {self.is_not}"

    def found(self, answers: Mapping[str, Any]) -> Any:
        """The value that decides; None where it is not known."""
        try:
            return resolve(self.value, answers)
        except PlanError:
            return None

    def holds(self, answers: Mapping[str, Any]) -> bool:
        """Whether the step may begin."""
        found = self.found(answers)
        return bool(found != self.is_not if self.equals is None else found == self.equals)


class Step(BaseModel):
    """One tool call of a plan.

    An argument `{"$ref": "network.outputs.vpc_id"}` is the value at that path of another step's
    answer; `{"$ref": …, "default": …}` takes the default where there is none, or null. A step
    starts when all it refers to and all in `needs` has finished well, and all in `when` holds.
    """

    model_config = ConfigDict(frozen=True)
    id: str
    agent: str
    tool: str
    title: str = ""
    args: dict[str, Any] = Field(default_factory=dict)
    needs: tuple[str, ...] = ()
    when: tuple[Condition, ...] = Field(
        (), description="What has to hold for it to begin; else it is skipped"
    )
    risk: Risk = "read"
    on_error: OnError = "skip_dependents"
    alternatives: tuple[str, ...] = Field(
        (), description="Agents with the same tool that may do it when its own is down"
    )
    compensate: Compensation | None = None
    irreversible: bool = Field(False, description="Nothing takes it back; known and accepted")
    awaits_reply: bool = Field(
        False, description="The requests that its agent sends are answered before it is done"
    )
    attempts: int = Field(2, ge=1, le=10, description="Tries in all when the agent dies under it")
    idle_seconds: float = Field(
        120, gt=0, description="Longest silence of one call; progress extends it"
    )
    timeout_seconds: float = Field(3600, gt=0, description="Longest time for the whole step")

    @property
    def producers(self) -> tuple[str, ...]:
        """Ids of the steps that this one waits for, those referred to and those named."""
        referred = (path.split(".")[0] for path in refs(self.args))
        gates = (condition.gate for condition in self.when)
        return tuple(dict.fromkeys([*self.needs, *gates, *referred]))

    @property
    def changes_things(self) -> bool:
        """Whether the step needs an approval."""
        return self.risk in {"write", "destructive"}

    @property
    def input_hash(self) -> str:
        """What an approval of this step is bound to: who does what, when, and how it is undone."""
        back = [self.compensate.model_dump()] if self.compensate else []
        when = [condition.model_dump() for condition in self.when]
        return digest([self.agent, self.tool, self.args, *self.alternatives, *back, *when])


class PlannedMessage(BaseModel):
    """A message from one agent to another, sent when the steps it tells of have finished."""

    model_config = ConfigDict(frozen=True)
    after: tuple[str, ...]
    sender: str
    recipient: str
    intent: Literal["inform", "request", "warn"] = "inform"
    content: str
    data: dict[str, Any] = Field(default_factory=dict)

    @property
    def waits_for(self) -> set[str]:
        """Ids of the steps that it tells of."""
        return {*self.after, *(path.split(".")[0] for path in refs(self.data))}


class Plan(BaseModel):
    """A whole plan. `previews` are reads made before it is approved, like the cost estimate."""

    model_config = ConfigDict(frozen=True)
    id: str
    goal: str
    planner: str
    version: int = 1
    parent_version: int | None = None
    planning_tokens: int = Field(0, description="What the planner's model used for it")
    planning_usd: float | None = Field(0.0, description="What that cost; null: price not known")
    catalogue_hash: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)
    why: dict[str, str] = Field(default_factory=dict, description="Agent → why it was chosen")
    previews: tuple[Step, ...] = ()
    steps: tuple[Step, ...]
    messages: tuple[PlannedMessage, ...] = ()
    report: dict[str, Any] = Field(
        default_factory=dict, description="Label → reference to show at the end"
    )

    def step(self, step_id: str) -> Step:
        """One step by id."""
        return next(step for step in self.steps if step.id == step_id)

    @property
    def gates(self) -> frozenset[str]:
        """Ids of the steps whose answers decide whether others begin."""
        return frozenset(condition.gate for step in self.steps for condition in step.when)

    @property
    def read_early(self) -> tuple[Step, ...]:
        """What is read before the plan is approved: the previews, and the gates that need nothing.

        A gate is read again in its turn.
        """
        ready = [s for s in self.steps if s.id in self.gates and not s.producers]
        return (*self.previews, *ready)

    @property
    def agents(self) -> frozenset[str]:
        """Who may be called to carry it out."""
        steps = [*self.previews, *self.steps]
        return frozenset(name for s in steps for name in (s.agent, *s.alternatives))

    @property
    def changes_things(self) -> bool:
        """Whether any step needs an approval."""
        return any(step.changes_things for step in self.steps)

    @property
    def approval_hash(self) -> str:
        """What a person's yes to the whole plan is bound to: its changes, and what gates them."""
        gates = self.gates
        bound = [s for s in self.steps if s.changes_things or s.id in gates]
        return digest([step.input_hash for step in bound])


def is_ref(value: Any) -> bool:
    """Whether an argument value is a reference to another step's answer."""
    return isinstance(value, Mapping) and REF in value and set(value) <= {REF, DEFAULT}


def refs(value: Any) -> Iterator[str]:
    """Every reference path inside an argument value."""
    if is_ref(value):
        yield str(value[REF])
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from refs(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from refs(inner)


def resolve(value: Any, answers: Mapping[str, Any]) -> Any:
    """Put the referred values in place. Raises PlanError for a path that leads nowhere."""
    if is_ref(value):
        try:
            found = lookup(str(value[REF]), answers)
        except PlanError:
            if DEFAULT not in value:
                raise
            found = None
        return value[DEFAULT] if found is None and DEFAULT in value else found
    if isinstance(value, Mapping):
        return {key: resolve(inner, answers) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(inner, answers) for inner in value]
    return value


def lookup(path: str, answers: Mapping[str, Any]) -> Any:
    """Follow `step.field.0.field` into the answers. Raises PlanError where it ends."""
    value: Any = answers
    for part in path.split("."):
        if isinstance(value, Mapping) and part in value:
            value = value[part]
        elif (
            isinstance(value, list | tuple)
            and re.fullmatch(r"\d+", part)
            and int(part) < len(value)
        ):
            value = value[int(part)]
        else:
            raise PlanError(f"{path!r} leads nowhere: there is no {part!r} in what was answered")
    return value


def in_order(plan: Plan) -> list[Step]:
    """The steps so that each comes after what it waits for. Raises PlanError for a cycle."""
    left = {step.id: step for step in plan.steps}
    done: list[Step] = []
    while left:
        ready = [s for s in left.values() if not any(p in left for p in s.producers)]
        if not ready:
            raise PlanError(f"the steps wait for each other in a circle: {', '.join(left)}")
        done += ready
        for step in ready:
            del left[step.id]
    return done
