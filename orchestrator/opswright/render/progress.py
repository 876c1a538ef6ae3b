"""A run's steps as they go: a live tree on a terminal, a line an event elsewhere, or JSON lines."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from opswright.plan import Plan, Step
from opswright.render.plans import placed
from opswright.render.styles import mark_of
from opswright.runs import StepOutcome

REFRESHES_A_SECOND = 8
_COUNTED = (
    *("done", "running", "needs_approval", "unknown", "failed", "cancelled", "skipped", "pending"),
)
SPARE_LINES = 4
"""Lines of the terminal that the live tree leaves free: the summary, the prompt, some room."""


class Watcher(Protocol):
    """Takes in how the steps of a run stand, and can keep still while a person is asked."""

    def __call__(self, outcome: StepOutcome) -> None:
        """Take in how a step stands."""

    def paused(self) -> Any:
        """A block in which nothing else is written to the terminal."""

    def stop(self) -> None:
        """End the display for good."""


class Progress:
    """Shows the steps to a person; nothing at all when `quiet`."""

    def __init__(self, console: Console, plan: Plan, *, quiet: bool) -> None:
        self._console = console
        self._rows = _indented(plan)
        self._outcomes = {step.id: StepOutcome(step_id=step.id) for step, _ in self._rows}
        self._started: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._begun = time.monotonic()
        self._quiet = quiet
        self._live = (
            Live(
                console=console,
                get_renderable=self._tree,
                refresh_per_second=REFRESHES_A_SECOND,
                vertical_overflow="crop",
            )
            if console.is_interactive and console.is_terminal and not quiet
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

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Keep the terminal free for a question."""
        self.stop()
        try:
            yield
        finally:
            if self._live:
                self._live.start()

    def __call__(self, outcome: StepOutcome) -> None:
        """Take in how a step stands."""
        before = self._outcomes[outcome.step_id].status
        self._outcomes[outcome.step_id] = outcome
        if outcome.status == "running":
            self._started.setdefault(outcome.step_id, time.time() - _age(outcome))
        elif outcome.started_at and outcome.ended_at:
            self._took[outcome.step_id] = _age(outcome)
        if not self._live and not self._quiet and outcome.status != before:
            line = mark_of(outcome.status)
            took = f" {self._took[outcome.step_id]:.1f}s" if outcome.step_id in self._took else ""
            line.append(f" {outcome.step_id} {outcome.status}{took}", "default")
            if outcome.error:
                line.append(f"  {outcome.error}", "default")
            self._console.print(line, soft_wrap=True)

    def _tree(self) -> Group:
        table = Table.grid(padding=(0, 1), expand=True)
        for _ in ("mark", "step", "agent", "time"):
            table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)  # the rest, cut at the edge
        rows = self._shown()
        for step, depth in rows:
            table.add_row(*self._row(step, depth))
        return Group(Text(), table, self._summary(hidden=len(self._rows) - len(rows)))

    def _shown(self) -> list[tuple[Step, int]]:
        """All rows where they fit; else those that say most, in their place in the tree."""
        room = max(self._console.height - SPARE_LINES, 5)
        if len(self._rows) <= room:
            return self._rows
        weight = ["running", "needs_approval", "unknown", "failed", "pending", "skipped", "done"]

        def rank(row: tuple[Step, int]) -> int:
            status = self._outcomes[row[0].id].status
            return weight.index(status) if status in weight else 0

        chosen = {step.id for step, _ in sorted(self._rows, key=rank)[:room]}
        return [row for row in self._rows if row[0].id in chosen]

    def _row(self, step: Step, depth: int) -> tuple[Spinner | Text, Text, Text, Text, Text]:
        outcome = self._outcomes[step.id]
        running = outcome.status == "running"
        seconds = self._took.get(step.id)
        if seconds is None and step.id in self._started:
            seconds = time.time() - self._started[step.id]
        note = outcome.error or (outcome.note if running else "") or step.title
        return (
            self._spinner if running else mark_of(outcome.status),
            Text("  " * depth + step.id, "bold" if running else ""),
            Text(step.agent, "cyan"),
            Text(_duration(seconds) if seconds is not None else "", "dim", justify="right"),
            Text(" ".join(note.split()), "red" if outcome.error else "dim"),
        )

    def _summary(self, hidden: int) -> Text:
        statuses = [outcome.status for outcome in self._outcomes.values()]
        counts = [f"{statuses.count(s)} {s.replace('_', ' ')}" for s in _COUNTED if s in statuses]
        more = f" ({hidden} not shown)" if hidden else ""
        took = _duration(time.monotonic() - self._begun).strip()
        return Text(f"{', '.join(counts)}{more}  {took}", "dim")


class Events:
    """Tells the steps as events, for programs."""

    def __init__(self, run_id: str, emit: Callable[[Mapping[str, Any]], None]) -> None:
        self._run_id = run_id
        self._emit = emit

    def __enter__(self) -> "Events":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def stop(self) -> None:
        """Nothing is shown that would have to end."""

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Events may go on while a person is asked on standard error."""
        yield

    def __call__(self, outcome: StepOutcome) -> None:
        """Tell how a step stands, all that it answered included."""
        step = outcome.model_dump(mode="json", exclude_defaults=True) | {"status": outcome.status}
        self._emit({"event": "step", "run_id": self._run_id, **step})


def _indented(plan: Plan) -> list[tuple[Step, int]]:
    """The steps as a tree from top to bottom, each with its depth."""
    below: dict[str | None, list[Step]] = {}
    for step, parent in placed(plan):
        below.setdefault(parent, []).append(step)
    rows: list[tuple[Step, int]] = []
    waiting = [(step, 0) for step in reversed(below.get(None, []))]
    while waiting:
        step, depth = waiting.pop()
        rows.append((step, depth))
        waiting += [(child, depth + 1) for child in reversed(below.get(step.id, []))]
    return rows


def _age(outcome: StepOutcome) -> float:
    """Seconds since a step began, or that it took."""
    if outcome.started_at is None:
        return 0.0
    ended = datetime.fromisoformat(outcome.ended_at) if outcome.ended_at else datetime.now(UTC)
    return max((ended - datetime.fromisoformat(outcome.started_at)).total_seconds(), 0.0)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:6.1f}s"
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours}:{minutes:02}:{left:02}".rjust(7) if hours else f"{minutes}m {left:02}s".rjust(7)
    )
