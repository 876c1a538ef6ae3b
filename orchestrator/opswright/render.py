"""How plans, progress and reports look in a terminal. Outside text never becomes markup."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from opswright.plan import Plan, Step, in_order
from opswright.report import Report
from opswright.runs import Run, StepOutcome

_RISK = {"read": "green", "record": "green", "write": "yellow", "destructive": "red"}
_MARK = {
    "pending": ("·", "dim"),
    "running": ("…", "cyan"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("–", "yellow"),
    "needs_approval": ("?", "magenta"),
}
_STATUS = {
    "done": "bold green",
    "partial": "bold yellow",
    "failed": "bold red",
    "waiting": "bold magenta",
}


def show_agents(console: Console, why: Mapping[str, str], down: Mapping[str, str]) -> None:
    """Say which agents were chosen and why, and which could not be reached."""
    console.print("\n[bold]Agents[/]")
    for agent, reason in why.items():
        console.print(f"  [cyan]{agent}[/]  {escape(reason)}")
    for agent, reason in down.items():
        console.print(f"  [red]{agent}  not reachable[/]  {escape(reason)}")


def show_plan(console: Console, plan: Plan) -> None:
    """Print a plan as a tree: each step below the one it waits for last."""
    console.print(
        f"\n[bold]Plan[/] {escape(plan.planner)}, {len(plan.steps)} steps [dim]({plan.id})[/]"
    )
    root = Tree(escape(plan.goal), guide_style="dim")
    branches: dict[str, Tree] = {}
    depth: dict[str, int] = {}
    for step in in_order(plan):
        depth[step.id] = 1 + max((depth[p] for p in step.producers), default=0)
        parent = max(step.producers, key=lambda p: depth[p], default=None)
        above = _ancestors(plan, parent)
        others = [p for p in step.producers if p != parent and p not in above]
        branches[step.id] = (branches[parent] if parent else root).add(_step_line(step, others))
    console.print(root)


def _ancestors(plan: Plan, step_id: str | None) -> set[str]:
    if step_id is None:
        return set()
    producers = plan.step(step_id).producers
    return set(producers).union(*(_ancestors(plan, producer) for producer in producers))


def _step_line(step: Step, others: Sequence[str]) -> Text:
    line = Text()
    line.append(step.id, style="bold")
    line.append(f"  {step.agent}.{step.tool}", style="cyan")
    line.append(f"  {step.risk}", style=_RISK[step.risk])
    if others:
        line.append(f"  needs {', '.join(others)}", style="dim")
    if step.title:
        line.append(f"\n{step.title}")
    return line


def show_previews(console: Console, previews: Mapping[str, Any], plan: Plan) -> None:
    """Print what was read before the approval, like the cost estimate."""
    for step in plan.previews:
        value = previews.get(step.id, {})
        if "monthly_usd" in value:
            least = "at least " if value.get("is_lower_bound") else ""
            console.print(
                f"\n[bold]Estimated cost[/] {least}[bold]${value['monthly_usd']:,.2f}[/] a month"
            )
            for line in value.get("lines", []):
                console.print(
                    f"  ${line['monthly_usd']:>9,.2f}  {escape(str(line['component']))}",
                    highlight=False,
                )
            for unpriced in value.get("unpriced", []):
                console.print(f"  [yellow]  unknown[/]  {escape(str(unpriced))}")
            source = f"{value.get('source', '')}, {value.get('prices_as_of', '')}"
            console.print(f"  [dim]{escape(source)}[/]")
        else:
            why = str(value.get("error", "no answer"))
            console.print(f"\n[bold]{escape(step.title or step.id)}[/] unknown: {escape(why)}")


class Progress:
    """Shows a run's steps as they go: a live table on a terminal, a line an event elsewhere."""

    def __init__(self, console: Console, plan: Plan, *, quiet: bool) -> None:
        self._console = console
        self._steps = in_order(plan)
        self._outcomes = {step.id: StepOutcome(step_id=step.id) for step in self._steps}
        self._started: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._quiet = quiet
        self._live = (
            Live(console=console, get_renderable=self._table, refresh_per_second=8)
            if console.is_terminal and not quiet
            else None
        )
        self._spinner = Spinner("dots", style="cyan")

    def __enter__(self) -> "Progress":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the live display, if there is one, and give the terminal its cursor back."""
        if self._live:
            self._live.stop()

    def __call__(self, outcome: StepOutcome) -> None:
        """Take in how a step stands."""
        before = self._outcomes[outcome.step_id].status
        self._outcomes[outcome.step_id] = outcome
        if outcome.status == "running":
            self._started.setdefault(outcome.step_id, time.monotonic())
        elif outcome.step_id in self._started:
            self._took[outcome.step_id] = time.monotonic() - self._started[outcome.step_id]
        if not self._live and not self._quiet and outcome.status != before:
            mark, style = _MARK[outcome.status]
            took = f" {self._took[outcome.step_id]:.1f}s" if outcome.step_id in self._took else ""
            why = f"  {outcome.error}" if outcome.error else ""
            self._console.print(
                f"[{style}]{mark}[/] {outcome.step_id} {outcome.status}{took}{escape(why)}",
                highlight=False,
            )

    def _table(self) -> Group:
        table = Table.grid(padding=(0, 1))
        for step in self._steps:
            outcome = self._outcomes[step.id]
            mark, style = _MARK[outcome.status]
            seconds = self._took.get(step.id) or (
                time.monotonic() - self._started[step.id] if step.id in self._started else None
            )
            note = (
                outcome.error
                if outcome.error
                else outcome.note
                if outcome.status == "running"
                else step.title
            )
            table.add_row(
                self._spinner if outcome.status == "running" else Text(mark, style),
                Text(step.id, "bold" if outcome.status == "running" else ""),
                Text(step.agent, "cyan"),
                Text(f"{seconds:5.1f}s" if seconds is not None else "", "dim"),
                Text((note or "")[:90], "red" if outcome.error else "dim"),
            )
        return Group(Text(), table)


def show_report(console: Console, report: Report) -> None:
    """Print a run's report."""
    style = _STATUS.get(report.status, "bold")
    console.print(
        f"\n[bold]Report[/] {report.run_id}: [{style}]{report.status}[/]  {escape(report.goal)}"
    )
    for label, value in report.highlights.items():
        console.print(f"  {label:16} [bold]{escape(str(value))}[/]", highlight=False)
    _show_built(console, report)
    if report.removed:
        console.print(f"\n[bold]Removed[/] {len(report.removed)}")
        for text in report.removed:
            console.print(f"  {escape(text)}", highlight=False)
    for step, answer in report.answers.items():
        console.print(
            f"\n[bold]{escape(step)}[/] {escape(str(answer.get('summary', '')))}", highlight=False
        )
        _show_outputs(console, answer.get("outputs") or {})
        if answer.get("next"):
            console.print(f"  [dim]{escape(str(answer['next']))}[/]")
    if report.verified:
        counts = ", ".join(
            f"{count} {verdict}" for verdict, count in report.verified.items() if count
        )
        console.print(f"\n[bold]Verified by reading it back[/] {counts}")
        for item in report.not_passed:
            colour = "red" if item["verdict"] == "FAIL" else "yellow"
            told = f"{escape(item['check'])}  [dim]{escape(item['evidence'])}[/]"
            console.print(f"  [{colour}]{item['verdict']:8}[/]{told}", highlight=False)
    for step, verdict in report.verdicts.items():
        console.print(f"[bold]{escape(step)}[/] {escape(verdict)}", highlight=False)
        if passed := report.passed.get(step):
            console.print(
                f"  [green]in order:[/] [dim]{escape('; '.join(passed))}[/]", highlight=False
            )
    if report.estimate and "monthly_usd" in report.estimate:
        least = "at least " if report.estimate.get("is_lower_bound") else ""
        console.print(
            f"[bold]Cost[/] {least}${report.estimate['monthly_usd']:,.2f} a month (estimate)",
            highlight=False,
        )
    if report.gaps:
        console.print("\n[bold yellow]What the emulator could not really do[/]")
        for gap in report.gaps:
            console.print(f"  {escape(gap)}", highlight=False)
    if report.not_done:
        console.print("\n[bold red]Not done[/]")
        for missing in report.not_done:
            what = f"{escape(missing.step)} ({missing.status})  {escape(missing.title)}"
            console.print(f"  {what}\n    why: {escape(missing.why)}", highlight=False)
            if missing.touches:
                console.print(
                    f"    so these were not done either: {', '.join(missing.touches)}",
                    highlight=False,
                )
    if report.unrecorded:
        lost = escape("; ".join(report.unrecorded))
        console.print(f"\n[yellow]Not recorded in the knowledge server:[/] {lost}")
    console.print("\n[bold]Next[/]")
    for line in report.next:
        console.print(f"  {escape(line)}", highlight=False)


def _show_built(console: Console, report: Report) -> None:
    if not report.built:
        return
    console.print(f"\n[bold]Built[/] {len(report.built)} resources")
    table = Table.grid(padding=(0, 2))
    by_type: dict[tuple[str, str, str], list[str]] = {}
    for item in report.built:
        by_type.setdefault((item["step"], item["type"], item["action"]), []).append(
            item["name"] or item["id"]
        )
    for (step, kind, action), names in by_type.items():
        shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        table.add_row(
            Text(f"  {step}", "dim"),
            Text(kind, "cyan"),
            Text(shown),
            Text("" if action == "created" else action, "dim"),
        )
    console.print(table)


def _show_outputs(console: Console, outputs: Mapping[str, Any]) -> None:
    for name, value in outputs.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            console.print(f"  {escape(name)}: {len(value)}")
            for item in value[:12]:
                line = "  ".join(
                    str(v)
                    for v in item.values()
                    if isinstance(v, str | int | float) and str(v) != ""
                )
                console.print(f"    {escape(line[:160])}", highlight=False)
        elif value not in (None, [], {}, ""):
            console.print(f"  {escape(name)}: {escape(str(value)[:300])}", highlight=False)


def show_runs(console: Console, runs: Sequence[Run]) -> None:
    """List runs, newest first."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    for run in runs:
        where = "sandbox" if run.sandbox else "account"
        undone = f"undone by {run.undone_by}" if run.undone_by else ""
        table.add_row(
            run.run_id,
            Text(run.status, _STATUS.get(run.status, "")),
            run.created_at[:19],
            where,
            Text(run.goal),
            Text(undone, "dim"),
        )
    console.print(table if runs else "No runs yet.")


def show_status(console: Console, run: Run, outcomes: Mapping[str, StepOutcome]) -> None:
    """Print how each step of a run stands."""
    style = _STATUS.get(run.status, "bold")
    console.print(f"[bold]{run.run_id}[/] [{style}]{run.status}[/]  {escape(run.goal)}")
    table = Table.grid(padding=(0, 2))
    for step in in_order(run.plan):
        outcome = outcomes[step.id]
        mark, style = _MARK[outcome.status]
        changes = ", ".join(outcome.change_ids)
        table.add_row(
            Text(mark, style),
            step.id,
            Text(f"{step.agent}.{step.tool}", "cyan"),
            Text(outcome.status, style),
            Text(changes, "dim"),
            Text(outcome.error or "", "red"),
        )
    console.print(table)
