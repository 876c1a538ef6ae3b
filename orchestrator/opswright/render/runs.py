"""How earlier runs look: the list, and the steps of one."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from opswright.plan import in_order
from opswright.render.styles import MARK, STATUS, mark_of, show_rows
from opswright.runs import Run, StepOutcome


def show_runs(console: Console, runs: Sequence[Run]) -> None:
    """List runs, newest first."""
    if not runs:
        console.print('No runs yet. `opswright run "…"` makes one.')
        return
    rows = []
    for run in runs:
        goal = Text(run.goal)
        if run.undone_by:
            goal.append(f"  undone by {run.undone_by}", "dim")
        rows.append(
            (
                run.run_id,
                Text(run.status, STATUS.get(run.status, "")),
                Text(run.created_at[:16].replace("T", " "), "dim"),
                "sandbox" if run.sandbox else "account",
                goal,
            )
        )
    show_rows(console, rows, indent=0)


def show_status(console: Console, run: Run, outcomes: Mapping[str, StepOutcome]) -> None:
    """Print how each step of a run stands."""
    style = STATUS.get(run.status, "bold")
    console.print(Text.assemble((run.run_id, "bold"), " ", (run.status, style), f"  {run.goal}"))
    rows = []
    for step in in_order(run.plan):
        outcome = outcomes[step.id]
        told = Text(outcome.status, MARK.get(outcome.status, ("", ""))[1])
        if outcome.change_ids:
            told.append(f"  {', '.join(outcome.change_ids)}", "dim")
        if outcome.error:
            told.append(f"  {outcome.error}", "red")
        row = (mark_of(outcome.status), step.id, Text(f"{step.agent}.{step.tool}", "cyan"), told)
        rows.append(row)
    show_rows(console, rows, indent=0)
