"""Marks and colours, and lines that wrap under their own beginning."""

from collections.abc import Iterable

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

RISK = {"read": "green", "record": "green", "write": "yellow", "destructive": "red"}
MARK = {
    "pending": ("·", "dim"),
    "running": ("…", "cyan"),
    "done": ("✓", "green"),
    "failed": ("✗", "red"),
    "skipped": ("–", "yellow"),
    "needs_approval": ("?", "magenta"),
    "unknown": ("!", "bold red"),
    "cancelled": ("–", "yellow"),
}
STATUS = {
    "done": "bold green",
    "running": "bold cyan",
    "partial": "bold yellow",
    "interrupted": "bold yellow",
    "failed": "bold red",
    "cancelled": "bold yellow",
    "needs_human": "bold red",
    "waiting": "bold magenta",
    "paused": "bold magenta",
    "queued": "bold cyan",
}
VERDICT = {"PASS": "green", "FAIL": "red", "UNKNOWN": "yellow"}


def mark_of(status: str) -> Text:
    """The sign of a step's status, in its colour."""
    sign, style = MARK.get(status, ("?", "bold"))
    return Text(sign, style)


def show_heading(console: Console, heading: str, rest: str = "", style: str = "bold") -> None:
    """Print a heading after an empty line."""
    console.print(Text.assemble("\n", (heading, style), f" {rest}" if rest else ""))


def show_line(console: Console, text: Text | str, *, indent: int = 2) -> None:
    """Print a line whose continuation stays indented like its beginning."""
    shown = text if isinstance(text, Text) else Text(text)
    console.print(Padding(shown, (0, 0, 0, indent), expand=False))


def show_rows(console: Console, rows: Iterable[Iterable[Text | str]], *, indent: int = 2) -> None:
    """Print columns as wide as they need to be; the last one wraps."""
    table = Table.grid(padding=(0, 2))
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    for column in table.columns[:-1]:
        column.no_wrap = True
    for column in table.columns[-1:]:
        column.overflow = "fold"  # an address is never cut
    console.print(Padding(table, (0, 0, 0, indent), expand=False))
