"""How a plan looks before it is carried out: the agents, the tree of steps, the previews."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from opswright.conditions import held_back_by
from opswright.plan import Plan, Step, in_order
from opswright.render.styles import RISK, show_heading, show_line, show_rows


def show_agents(console: Console, why: Mapping[str, str], down: Mapping[str, str]) -> None:
    """Say which agents were chosen and why, and which could not be reached."""
    show_heading(console, "Agents")
    rows = [(Text(agent, "cyan"), reason) for agent, reason in why.items()]
    rows += [(Text(agent, "red"), f"not reachable: {reason}") for agent, reason in down.items()]
    show_rows(console, rows)


def show_plan(console: Console, plan: Plan) -> None:
    """Print a plan as a tree: each step below the one it waits for last."""
    show_heading(console, "Plan", f"{plan.planner}, {len(plan.steps)} steps ({plan.id})")
    root = Tree(Text(plan.goal), guide_style="dim")
    branches: dict[str, Tree] = {}
    for step, parent in placed(plan):
        above = _ancestors(plan, parent)
        others = [p for p in step.producers if p != parent and p not in above]
        branches[step.id] = (branches[parent] if parent else root).add(_step_line(step, others))
    console.print(root)


def placed(plan: Plan) -> list[tuple[Step, str | None]]:
    """The steps in order, each with the step it hangs below: the deepest that it waits for."""
    depth: dict[str, int] = {}
    found = []
    for step in in_order(plan):
        depth[step.id] = 1 + max((depth[p] for p in step.producers), default=0)
        found.append((step, max(step.producers, key=lambda p: depth[p], default=None)))
    return found


def _ancestors(plan: Plan, step_id: str | None) -> set[str]:
    if step_id is None:
        return set()
    producers = plan.step(step_id).producers
    return set(producers).union(*(_ancestors(plan, producer) for producer in producers))


def _step_line(step: Step, others: Sequence[str]) -> Text:
    line = Text()
    line.append(step.id, style="bold")
    line.append(f"  {step.agent}.{step.tool}", style="cyan")
    line.append(f"  {step.risk}", style=RISK[step.risk])
    if others:
        line.append(f"  needs {', '.join(others)}", style="dim")
    if step.title:
        line.append(f"\n{step.title}")
    for condition in step.when:
        line.append(f"\n{condition.in_words}", style="dim")
    return line


def show_previews(console: Console, previews: Mapping[str, Any], plan: Plan) -> None:
    """Print what was read before the approval, like the cost estimate."""
    for step in plan.read_early:
        value = previews.get(step.id, {})
        if "verdict" in value:
            said = f"{value['verdict']}: {value.get('summary', '')}"
            show_heading(console, step.title or step.id, said)
        elif step.id in plan.gates or "monthly_usd" not in value:
            why = str(value.get("error", "no answer"))
            show_heading(console, step.title or step.id, f"unknown: {why}")
        else:
            _show_estimate(console, value)
        _show_held_back(console, step, value, plan)


def _show_held_back(console: Console, gate: Step, value: Mapping[str, Any], plan: Plan) -> None:
    """Warn of what the run would come to, were it begun now."""
    if gate.id not in plan.gates:
        return
    if held := held_back_by(gate, None if "error" in value else value, plan):
        would = f"As it stands, the run would not begin {', '.join(held)}, nor what needs them."
        show_line(console, Text(would, "bold red"))
    elif value.get("verdict") == "UNKNOWN":
        show_line(console, Text("Warning: not all of it could be read; the run goes on.", "yellow"))


def _show_estimate(console: Console, value: Mapping[str, Any]) -> None:
    least = "at least " if value.get("is_lower_bound") else ""
    show_heading(console, "Estimated cost", f"{least}${value['monthly_usd']:,.2f} a month")
    rows: list[tuple[Text | str, str]] = [
        (f"${line['monthly_usd']:>9,.2f}", str(line["component"]))
        for line in value.get("lines", [])
    ]
    rows += [(Text("  unknown", "yellow"), str(what)) for what in value.get("unpriced", [])]
    show_rows(console, rows)
    source = f"{value.get('source', '')}, {value.get('prices_as_of', '')}"
    show_line(console, Text(source, "dim"))
