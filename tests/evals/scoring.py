"""How well requests are routed and planned, against the gold of the evaluation files.

A node is an agent's tool; a skill that a task was handed to counts as `agent.skill`. An edge is an
order between two nodes, a data flow an output's path that goes into an argument. F1 is over all
requests together (micro), so that a large plan counts for what it is.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opswright.plan import Plan, PlanError, Step, is_ref
from opswright.planners import blueprint, delegate
from opswright.planning import Planning
from opswright.registry import Agent
from opswright.router import route

FILES = ("development", "held_out")


@dataclass
class Tally:
    """Found, wanted, and found of the wanted."""

    hits: int = 0
    found: int = 0
    wanted: int = 0

    def add(self, found: Counter[Any], wanted: Counter[Any]) -> None:
        """Count one plan."""
        self.hits += (found & wanted).total()
        self.found += found.total()
        self.wanted += wanted.total()

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, 0 to 1."""
        return 2 * self.hits / (self.found + self.wanted) if self.found + self.wanted else 1.0


@dataclass
class Figures:
    """What one file came to. Each share is 0 to 1."""

    routed: int = 0
    first: int = 0
    within_three: int = 0
    impossible: int = 0
    refused: int = 0
    planned: int = 0
    nodes: Tally = field(default_factory=Tally)
    edges: Tally = field(default_factory=Tally)
    flows: Tally = field(default_factory=Tally)
    misses: list[str] = field(default_factory=list)

    def shares(self) -> dict[str, float]:
        """The figures by name."""
        return {
            "agent top-1": self.first / self.routed,
            "agent top-3": self.within_three / self.routed,
            "impossible refused": self.refused / self.impossible,
            "node F1": self.nodes.f1,
            "edge F1": self.edges.f1,
            "data-flow F1": self.flows.f1,
        }


class Shipped:
    """The blueprints that come with opswright, and nothing learned."""

    def __init__(self) -> None:
        self._all = blueprint.load()

    def choose(self, request: str) -> blueprint.Blueprint | None:
        return blueprint.choose(request, self._all)


def load(name: str) -> list[dict[str, Any]]:
    """The entries of an evaluation file."""
    import yaml

    entries: list[dict[str, Any]] = yaml.safe_load(
        Path(__file__).with_name(f"{name}.yaml").read_text()
    )
    return entries


async def evaluate(entries: Sequence[Mapping[str, Any]], agents: Mapping[str, Agent]) -> Figures:
    """Route and plan every request, without a model."""
    figures, planning = Figures(), Planning(agents, Shipped())
    for entry in entries:
        if not entry["agents"]:
            figures.impossible += 1
            plan = await _plan(planning, entry)
            figures.refused += plan is None
            if plan is not None:
                figures.misses.append(f"{entry['ask']}: planned, and nobody can do it")
            continue
        claims = await delegate.claims(entry["ask"], agents)
        _routed(figures, entry, [c.agent for c in route(entry["ask"], agents, (), claims)])
        if "steps" in entry:
            figures.planned += 1
            _planned(figures, entry, await _plan(planning, entry))
    return figures


async def _plan(planning: Planning, entry: Mapping[str, Any]) -> Plan | None:
    try:
        return await planning.plan(entry["ask"], entry.get("given", {}))
    except PlanError:
        return None


def _routed(figures: Figures, entry: Mapping[str, Any], ranked: Sequence[str]) -> None:
    gold = set(entry["agents"])
    figures.routed += 1
    figures.first += bool(ranked) and ranked[0] in gold
    within = gold <= set(ranked[: max(3, len(gold))])
    figures.within_three += within
    if not within or ranked[0] not in gold:
        figures.misses.append(f"{entry['ask']}: routed to {ranked}, wanted {sorted(gold)}")


def _planned(figures: Figures, entry: Mapping[str, Any], plan: Plan | None) -> None:
    steps = plan.steps if plan else ()
    names = {step.id: _node(step) for step in steps}
    gold = {step_id: _meant(either, names) for step_id, either in entry["steps"].items()}
    flows = [_flow(text, gold) for text in entry.get("flow", ())]
    orders = [tuple(gold[i.strip()] for i in text.split("->")) for text in entry.get("after", ())]
    edges = {(a, b) for (a, _), (b, _) in flows} | set(orders)
    found_flows = [flow for step in steps for flow in _flows_into(step, names)]
    found_edges = {(names[p], names[step.id]) for step in steps for p in step.producers}
    found, wanted = Counter(names.values()), Counter(gold.values())
    figures.nodes.add(found, wanted)
    figures.edges.add(Counter(found_edges), Counter(edges))
    figures.flows.add(Counter(found_flows), Counter(flows))
    if found != wanted or Counter(found_flows) != Counter(flows):
        figures.misses.append(f"{entry['ask']}: planned {dict(names)}, wanted {gold}")


def _node(step: Step) -> str:
    skill = step.title.partition(":")[0].replace(" ", "_")
    return f"{step.agent}.{skill if step.tool == 'handle_task' else step.tool}"


def _meant(either: str, names: Mapping[str, str]) -> str:
    """Of the nodes that will do, the one that was planned, else the first."""
    options = either.split("|")
    return next((option for option in options if option in names.values()), options[0])


Flow = tuple[tuple[str, str], tuple[str, str]]


def _flow(text: str, gold: Mapping[str, str]) -> Flow:
    source, _, target = text.partition(" -> ")
    made, _, path = source.strip().partition(".")
    takes, _, argument = target.strip().partition(".")
    return (gold[made], path), (gold[takes], argument)


def _flows_into(step: Step, names: Mapping[str, str]) -> Iterator[Flow]:
    for argument, value in step.args.items():
        for path in dict.fromkeys(_paths(value)):
            made, _, rest = path.partition(".")
            yield (names[made], rest), (names[step.id], argument)


def _paths(value: Any) -> Iterator[str]:
    if is_ref(value):
        yield str(value["$ref"])
    elif isinstance(value, Mapping | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _paths(inner)
