"""From a request to a verified plan: blueprints, skills, typed unification, Claude, in that order.

A request may mix them: a blueprint does its first part, and what is asked for after it («…, and
then check its cost») is planned by unification and attached to the steps that it refers to.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from opswright.clauses import Clause
from opswright.plan import Plan, PlanError, Step, refs
from opswright.planners import blueprint, claude, delegate
from opswright.planners.blueprint import Blueprint
from opswright.planners.typed import Draft, TypedPlanner
from opswright.registry import Agent
from opswright.router import Candidate, PastRun, route
from opswright.verifier import verify
from opswright_core.journal import new_id

PlannerName = Literal["auto", "blueprint", "typed", "claude"]


class NotPlannedError(PlanError):
    """No plan could be made; the message says what is possible or missing."""


class MissingInputsError(NotPlannedError):
    """The plan needs inputs that nobody gave; `inputs` is all of them, by name with what for."""

    def __init__(self, inputs: Mapping[str, str]) -> None:
        self.inputs = dict(inputs)
        asked = "\n".join(f"  --set {name}=…    {what}" for name, what in inputs.items())
        super().__init__(f"the plan needs to know:\n{asked}")


class Library(Protocol):
    """The blueprints that a request may mean."""

    def choose(self, request: str) -> Blueprint | None:
        """The blueprint that a request means; None for none."""


@dataclass(frozen=True)
class Planning:
    """What plans are made from. `defaults` stand in where the request does not say a value.

    Only agents that are up are planned with; a blueprint's step on one that is down may stay, it
    is skipped at run time and reported.
    """

    agents: Mapping[str, Agent]
    library: Library
    defaults: Mapping[str, Any] = field(default_factory=dict)
    history: Sequence[PastRun] = ()

    @property
    def up(self) -> dict[str, Agent]:
        """The agents that answer."""
        return {name: agent for name, agent in self.agents.items() if agent.is_up}

    async def plan(
        self, request: str, given: Mapping[str, Any], planner: PlannerName = "auto"
    ) -> Plan:
        """Plan a request with the planner named, or with the first that can.

        Raises MissingInputsError with all inputs that are missing, NotPlannedError with what is
        possible, PlanError for a plan that the verifier refuses.
        """
        claims = await delegate.claims(request, self.up)
        candidates = route(request, self.up, self.history, claims)
        plan = await self._planned(request, given, planner, candidates)
        if plan is None:
            raise NotPlannedError(self._possible(candidates))
        if findings := verify(plan, self.agents):
            told = "\n".join(f"  {f.step} [{f.rule}] {f.message}" for f in findings)
            raise PlanError(f"the plan was refused before anything ran:\n{told}")
        return plan.model_copy(update={"why": _why(plan, candidates)})

    async def again(self, plan: Plan, done: Sequence[str], undone: Mapping[str, str]) -> Plan:
        """Plan a goal anew: the steps in `done` stay, `undone` tells why each other was not done.

        Only a model can take an error into account; the other planners would plan the same again.
        Raises PlanError without one, and where it finds no other way.
        """
        if not claude.is_available():
            raise PlanError(
                "only a model finds another way (set ANTHROPIC_API_KEY); mend what failed, then "
                "resume"
            )
        kept = [step for step in plan.steps if step.id in done]
        made = await claude.build(
            plan.goal,
            self.up,
            plan.parameters,
            plan.id,
            route(plan.goal, self.up, self.history),
            done=kept,
            undone=undone,
        )
        keys = {"planner": made.planner, "steps": made.steps}
        cost = {"planning_tokens": made.planning_tokens, "planning_usd": made.planning_usd}
        ids = {step.id for step in made.steps}
        told = [message for message in plan.messages if message.waits_for <= ids]
        shown = {k: v for k, v in plan.report.items() if {p.split(".")[0] for p in refs(v)} <= ids}
        return plan.model_copy(
            update={**keys, **cost, "messages": tuple(told), "report": shown, "why": {}}
        )

    async def _planned(
        self,
        request: str,
        given: Mapping[str, Any],
        planner: PlannerName,
        candidates: Sequence[Candidate],
    ) -> Plan | None:
        typed = TypedPlanner(self.up, given, request)
        asked = typed.clauses()
        plan: Plan | None = None
        if planner in {"auto", "blueprint"}:
            plan = await self._from_blueprint(request, given, typed, asked)
        if plan is None and planner == "auto" and len(asked) < 2:
            plan = await delegate.build(request, self.up, given, new_id("plan"))
        if plan is None and planner in {"auto", "typed"}:
            made = await typed.build(new_id("plan"))
            if isinstance(made, dict):
                raise MissingInputsError(made)
            plan = made
        if plan is None and (planner == "claude" or (planner == "auto" and claude.is_available())):
            try:
                plan = await claude.build(request, self.up, given, new_id("plan"), candidates)
            except claude.ModelPlanError as exc:
                if exc.missing:
                    raise MissingInputsError(exc.missing) from exc
                raise
        return plan

    async def _from_blueprint(
        self, request: str, given: Mapping[str, Any], typed: TypedPlanner, asked: Sequence[Clause]
    ) -> Plan | None:
        """The blueprint of the request or of its first clauses, with steps for those after it."""
        for count in range(len(asked), 0, -1):
            part = request if count == len(asked) else " and ".join(c.text for c in asked[:count])
            chosen = await asyncio.to_thread(self.library.choose, part)
            if chosen is None:
                continue
            own, added = self._added(chosen, typed, asked, count)
            words = request if len(own) == len(asked) else " and ".join(c.text for c in own)
            said = blueprint.said_in(chosen, words)
            usual = {
                name: value
                for name, value in self.defaults.items()
                if name in chosen.parameters and name not in said
            }
            made = blueprint.build(chosen, words, {**usual, **given}, new_id("plan"))
            if isinstance(made, Plan):
                made = self._offered(made)
            missing = made.parameters if isinstance(made, blueprint.Missing) else {}
            steps = [] if isinstance(made, blueprint.Missing) else list(made.steps)
            draft = Draft(steps, dict(missing))
            if added and not await typed.extend(draft, added):
                continue
            if draft.missing:
                raise MissingInputsError(draft.missing)
            assert isinstance(made, Plan)
            if not added:
                return made
            name = f"typed after {made.planner}"
            changed = {"goal": request, "planner": name, "steps": tuple(draft.steps)}
            return made.model_copy(update=changed)
        return None

    def _offered(self, made: Plan) -> Plan:
        """The plan without previews and gates whose agent is up and does not offer the tool.

        What such a gate would have said is not known, so it is left out only where that is enough.
        """

        def is_offered(step: Step) -> bool:
            return step.agent not in self.up or step.tool in self.up[step.agent].tools

        strict = {c.gate for s in made.steps for c in s.when if c.equals is not None}
        lost = {s.id for s in made.steps if s.id in made.gates - strict and not is_offered(s)}
        steps = [
            s.model_copy(update={"when": tuple(c for c in s.when if c.gate not in lost)})
            for s in made.steps
            if s.id not in lost
        ]
        previews = tuple(filter(is_offered, made.previews))
        return made.model_copy(update={"previews": previews, "steps": tuple(steps)})

    def _added(
        self, chosen: Blueprint, typed: TypedPlanner, asked: Sequence[Clause], count: int
    ) -> tuple[list[Clause], list[Clause]]:
        """The clauses that the blueprint is for, and those that ask for something beside it."""
        does = {(s["agent"], s["tool"]) for s in (*chosen.steps, *chosen.previews)}
        for number, clause in enumerate(asked):
            goals = typed.goals.of(clause)
            beside = bool(goals) and (goals[0].agent, goals[0].tool.name) not in does
            if number and (number >= count or beside):
                return list(asked[:number]), list(asked[number:])
        return list(asked), []

    def _possible(self, candidates: Sequence[Candidate]) -> str:
        lines = ["No agent here can do that as it is worded, and nothing was done."]
        near = [f"  {c.agent}: {', '.join(c.matches)}" for c in candidates[:3]]
        if near:
            lines += ["Nearest to it:", *near]
        lines.append("What can be asked, for example:")
        lines += [f'  "{b.examples[0]}"' for b in blueprint.load()]
        skills = [
            skill
            for agent in self.up.values()
            for skill in agent.card.get("skills", [])[:1]
            if skill["examples"]
        ]
        lines += [f'  "{skill["examples"][0]}"' for skill in skills]
        return "\n".join(lines)


def _why(plan: Plan, candidates: Sequence[Candidate]) -> dict[str, str]:
    matched = {c.agent: c.matches for c in candidates}
    why = {}
    for agent in dict.fromkeys(step.agent for step in [*plan.steps, *plan.previews]):
        carries = [step.tool for step in [*plan.steps, *plan.previews] if step.agent == agent]
        words = f"; the request matches its {', '.join(matched[agent])}" if agent in matched else ""
        why[agent] = f"carries {', '.join(dict.fromkeys(carries))}{words}"
    why.setdefault(
        "knowledge", "keeps the shared state: resources, deployments, messages, memories, this run"
    )
    return why
