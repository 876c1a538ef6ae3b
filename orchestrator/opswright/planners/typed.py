"""Plans by typed unification: from the tools that are asked for back to what is known.

Each clause of a request asks for a tool. Its inputs are taken, in this order, from what is given,
the clause's words, the outputs of steps before it, the whole request, and further reads that answer
them; output and input unify by field name, type and description. A change is made only where a
clause's verb asks for it, never to get at an input. What is left is asked for, by name.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

from opswright.clauses import Clause, clauses
from opswright.fits import mismatches
from opswright.plan import Plan, Step, refs
from opswright.planners import delegate
from opswright.planners.goals import Goals
from opswright.planners.words import value_in
from opswright.registry import Agent, ToolInfo
from opswright.shapes import Shape, shape, without_null
from opswright_core.search import tokens

CLOSE, FAIR = 0.8, 0.5
"""Share of the best tool's score that another needs to be taken for it; FAIR where it is given
what a step before it made."""

LEAST_UNITY = 0.6
_SINGULAR = {"ids": "id", "arns": "arn"}
_SAYS_LITTLE = {"name", "summary", "status", "total", "cursor", "verdict", "region", "id", "target"}


@dataclass
class Draft:
    """A plan in the making: its steps, and the inputs that nobody gave."""

    steps: list[Step] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def new_id(self, tool: str) -> str:
        """An id for a step on this tool."""
        taken = {step.id for step in self.steps}
        return next(i for i in (tool, *(f"{tool}_{n}" for n in range(2, 99))) if i not in taken)


class TypedPlanner:
    """Plans requests over a team by its schemas alone."""

    def __init__(self, agents: Mapping[str, Agent], given: Mapping[str, Any], request: str) -> None:
        self._agents = agents
        self._given = given
        self._request = request
        self.goals = Goals(agents)

    def clauses(self) -> list[Clause]:
        """The request's clauses."""
        return clauses(self._request, self.goals.verbs)

    async def build(self, plan_id: str) -> Plan | dict[str, str] | None:
        """A plan; the inputs that are missing; or None when a clause asks for nothing here."""
        draft = Draft()
        if not await self.extend(draft, self.clauses()):
            return None
        if draft.missing:
            return draft.missing
        return Plan(id=plan_id, goal=self._request, planner="typed", steps=tuple(draft.steps))

    async def extend(self, draft: Draft, asked: Sequence[Clause]) -> bool:
        """Add a step for each clause, a tool's or a skill's; False when one asks for neither."""
        for clause in asked:
            goals = self.goals.of(clause)[:3]
            tries = [(self._try(draft, goal.agent, goal.tool, clause), goal) for goal in goals]
            # What is asked for first; another that fits nearly as well when its inputs are known.
            # What follows speaks of what was made before, so a tool that takes that is preferred.
            best = [
                (made, goal)
                for made, goal in tries
                if not made.missing
                and goal.score >= goals[0].score * (CLOSE if not takes(made) else FAIR)
            ]
            best.sort(key=lambda found: not (clause.follows and takes(found[0])))
            # A change that lacks inputs is asked about; a skill might make a larger one of it.
            hands_over = not best and not (tries and goals[0].tool.risk != "read")
            if hands_over and (step := await self._task(draft, clause)) is not None:
                draft.steps.append(step)
            elif tries:
                made = (best or tries)[0][0]
                draft.steps, draft.missing = made.steps, made.missing
            else:
                return False
        return True

    async def _task(self, draft: Draft, clause: Clause) -> Step | None:
        """The clause handed to the agent that has a skill for it."""
        step = await delegate.task(clause.text, self._agents, self._given, draft.new_id("task"))
        if step is None or not (clause.follows and draft.steps):
            return step
        return step.model_copy(update={"needs": (draft.steps[-1].id,)})

    def _try(self, draft: Draft, agent: str, tool: ToolInfo, clause: Clause) -> Draft:
        made = Draft(list(draft.steps), dict(draft.missing))
        last = draft.steps[-1:] if clause.follows else []
        args = self._arguments(made, agent, tool, clause.text)
        step = _step(made.new_id(tool.name), agent, tool, args)
        if last and last[0].id not in step.producers:
            step = step.model_copy(update={"needs": (last[0].id,)})
        made.steps.append(step)
        return made

    def _arguments(self, draft: Draft, agent: str, tool: ToolInfo, text: str) -> dict[str, Any]:
        required = set(tool.input_schema.get("required", []))
        args: dict[str, Any] = {}
        for name, schema in tool.arguments.items():
            if name in {"approval", "dry_run", "target", "cursor"}:
                continue
            must = name in required
            value = self._known(draft, tool, name, schema, text, must=must)
            if value is None and must:
                value = self._read(draft, tool, name, schema)
            if value is not None:
                args[name] = value
            elif must:
                what = str(schema.get("description") or name.replace("_", " "))
                draft.missing[name] = f"{what}, for {tool.name} of {agent}"
        return args

    def _known(
        self, draft: Draft, tool: ToolInfo, name: str, schema: Mapping[str, Any], text: str,
        *, must: bool,
    ) -> Any:  # fmt: skip
        if name in self._given:
            return _typed(self._given[name], schema)
        found = value_in(name, schema, text, tool.input_schema)
        if found is None:
            found = self._from_steps(draft, tool, name, schema, least=LEAST_UNITY if must else 1.0)
        if found is None and must:
            found = value_in(name, schema, self._request, tool.input_schema)
        return found

    def _from_steps(
        self, draft: Draft, tool: ToolInfo, name: str, schema: Mapping[str, Any], least: float
    ) -> Any:
        best, found = least, None
        for step in reversed(draft.steps):
            made = self._tool(step)
            if made is None:
                continue
            unity, ref = unify(step.id, made, tool, name, schema)
            if unity >= best and (found is None or unity > best):
                best, found = unity, ref
        return found

    def _tool(self, step: Step) -> ToolInfo | None:
        agent = self._agents.get(step.agent)
        return agent.tools.get(step.tool) if agent else None

    def _read(self, draft: Draft, tool: ToolInfo, name: str, schema: Mapping[str, Any]) -> Any:
        """Put a read before the step that answers an input and whose own inputs are known."""
        found: list[tuple[float, str, str, Any, dict[str, Any]]] = []
        for agent in self._agents.values():
            for read in agent.tools.values():
                if read.risk != "read" or not read.output_schema:
                    continue
                step_id = draft.new_id(read.name)
                unity, ref = unify(step_id, read, tool, name, schema)
                if unity < 1.0 or name in read.arguments:
                    continue
                inner = Draft(list(draft.steps))
                args = {}
                for need in read.input_schema.get("required", []):
                    of = read.arguments[need]
                    args[need] = self._known(inner, read, need, of, self._request, must=True)
                if all(value is not None for value in args.values()):
                    found.append((-unity, agent.name, read.name, ref, args))
        if not found:
            return None
        _, agent_name, read_name, ref, args = min(found, key=lambda f: (f[0], len(f[4]), f[1:3]))
        read = self._agents[agent_name].tools[read_name]
        draft.steps.append(_step(draft.new_id(read_name), agent_name, read, args))
        return ref


def takes(draft: Draft) -> bool:
    """Whether the last step of a draft takes another one's output."""
    return any(True for _ in refs(draft.steps[-1].args))


def unify(
    step_id: str, made: ToolInfo, taker: ToolInfo, name: str, schema: Mapping[str, Any]
) -> tuple[float, Any]:
    """How sure it is (0-1) that an output of one tool is an input of another, and its reference."""
    best: tuple[float, Any] = (0.0, None)
    if name in _SAYS_LITTLE or schema.get("type") in {"number", "integer", "boolean"}:
        return best  # what one thing is called, or counts, is not what another does
    wanted = shape(dict(taker.input_schema)).of(dict(schema))
    words = _parts(name)
    listed = wanted.schema.get("type") == "array"
    for path, leaf in leaves(made):
        last = path[-1]
        if last in _SAYS_LITTLE:
            continue
        parts = _parts(last, short_for=words)
        unity = 1.0 if last == name else 0.0
        if not unity:
            extra = parts - words
            if not words <= parts:
                continue
            # What the output's name says beyond the input's has to be the taker's own topic.
            topic = set(tokens(f"{taker.name} {taker.description}"))
            shared = sum(bool(set(tokens(word)) & topic) for word in extra)
            unity = LEAST_UNITY + 0.3 * (shared / len(extra) if extra else 1)
        ref: Any = {"$ref": ".".join([step_id, *path])}
        fit = mismatches(leaf, wanted)
        if listed and any(m.kind == "wrong" for m in fit):
            fit = mismatches(leaf, wanted.of(wanted.schema.get("items", {})))
            ref = [ref]
        if all(m.kind == "unproven" for m in fit) and unity > best[0]:
            best = (unity, ref)
    return best


def leaves(tool: ToolInfo) -> Iterator[tuple[list[str], Shape]]:
    """The outputs of a tool that another may take: path and shape; a change's are its outputs."""
    if tool.output_schema is None:
        return
    whole = shape(dict(tool.output_schema))
    if not tool.is_journalled:
        yield from _inside([], whole, 2)
    elif "outputs" in whole.schema.get("properties", {}):
        yield from _inside(
            ["outputs"], without_null(whole.of(whole.schema["properties"]["outputs"])), 1
        )


def _inside(path: list[str], whole: Shape, depth: int) -> Iterator[tuple[list[str], Shape]]:
    for name, schema in whole.schema.get("properties", {}).items():
        field_ = whole.of(schema)
        yield [*path, name], field_
        if depth > 1 and field_.schema.get("type") == "object":
            yield from _inside([*path, name], field_, depth - 1)


def _parts(name: str, short_for: Collection[str] = ()) -> set[str]:
    """The words of a field's name; initials of the other's words (`sg_id`) stand for them."""
    words = {_SINGULAR.get(w, w.rstrip("s") if len(w) > 3 else w) for w in name.lower().split("_")}
    long = [word for word in short_for if word not in {"id", "arn"}]
    initials = {"".join(p) for p in permutations([w[0] for w in long])} if len(long) < 4 else set()
    return (words - initials) | set(long) if len(long) > 1 and words & initials else words


def _typed(value: Any, schema: Mapping[str, Any]) -> Any:
    """A value given as text, as its schema wants it."""
    if not isinstance(value, str):
        return value
    try:
        match schema.get("type"):
            case "integer":
                return int(value)
            case "number":
                return float(value)
            case "boolean":
                return value.lower() in {"true", "yes", "1"}
            case "array":
                return [item.strip() for item in value.split(",")]
    except ValueError:
        return value
    return value


def _step(step_id: str, agent: str, tool: ToolInfo, args: Mapping[str, Any]) -> Step:
    return Step(
        id=step_id,
        agent=agent,
        tool=tool.name,
        title=tool.description.split("\n")[0].rstrip("."),
        args=dict(args),
        risk=tool.risk if tool.risk in {"read", "record", "write"} else "destructive",
        irreversible=tool.risk in {"write", "destructive"} and not tool.is_journalled,
    )
