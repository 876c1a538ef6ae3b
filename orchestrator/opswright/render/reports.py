"""How the report of a run looks."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from opswright.render.styles import STATUS, VERDICT, show_heading, show_line, show_rows
from opswright.report import Report

SHOWN_NAMES, SHOWN_ITEMS = 4, 12
"""How many of a list are shown; the counts are always whole, and `--json` has all."""


def show_report(console: Console, report: Report) -> None:
    """Print a run's report."""
    style = STATUS.get(report.status, "bold")
    console.print(
        Text.assemble(
            ("\nReport", "bold"),
            f" {report.run_id}: ",
            (report.status, style),
            f"  {report.goal}",
        )
    )
    show_rows(console, [(label, Text(str(v), "bold")) for label, v in report.highlights.items()])
    _show_built(console, report)
    if report.removed:
        show_heading(console, "Removed", str(len(report.removed)))
        for text in report.removed:
            show_line(console, text)
    for step, answer in report.answers.items():
        _show_answer(console, step, answer)
    _show_verdicts(console, report)
    if report.estimate and "monthly_usd" in report.estimate:
        least = "at least " if report.estimate.get("is_lower_bound") else ""
        cost = f"{least}${report.estimate['monthly_usd']:,.2f} a month (estimate)"
        show_heading(console, "Cost", cost)
    if report.gaps:
        show_heading(console, "What the emulator could not really do", style="bold yellow")
        for gap in report.gaps:
            show_line(console, gap)
    _show_not_done(console, report)
    if report.unrecorded:
        show_heading(console, "Not recorded in the knowledge server", style="yellow")
        for lost in report.unrecorded:
            show_line(console, lost)
    show_heading(console, "Next")
    for line in report.next:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _show_built(console: Console, report: Report) -> None:
    if not report.built:
        return
    show_heading(console, "Built", f"{len(report.built)} resources")
    by_type: dict[tuple[str, str, str], list[str]] = {}
    for item in report.built:
        key = (item["step"], item["type"], item["action"])
        by_type.setdefault(key, []).append(item["name"] or item["id"])
    rows = []
    for (step, kind, action), names in by_type.items():
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        shown = Text(", ".join(names[:SHOWN_NAMES]) + more)
        if action != "created":
            shown.append(f"  {action}", "dim")
        rows.append((Text(step, "dim"), Text(kind, "cyan"), shown))
    show_rows(console, rows)


def _show_answer(console: Console, step: str, answer: Mapping[str, Any]) -> None:
    show_heading(console, step, str(answer.get("summary", "")))
    for name, value in (answer.get("outputs") or {}).items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            show_line(console, f"{name}: {len(value)}")
            for item in value[:SHOWN_ITEMS]:
                kinds = (str, int, float)
                told = [str(v) for v in item.values() if isinstance(v, kinds) and str(v) != ""]
                show_line(console, "  ".join(told)[:160], indent=4)
            if len(value) > SHOWN_ITEMS:
                show_line(console, f"… and {len(value) - SHOWN_ITEMS} more", indent=4)
        elif value not in (None, [], {}, ""):
            show_line(console, f"{name}: {str(value)[:300]}")
    if answer.get("next"):
        show_line(console, Text(str(answer["next"]), "dim"))


def _show_verdicts(console: Console, report: Report) -> None:
    if report.verified:
        counts = [f"{count} {verdict}" for verdict, count in report.verified.items() if count]
        show_heading(console, "Verified by reading it back", ", ".join(counts))
        rows = []
        for item in report.not_passed:
            told = Text.assemble(item["check"], "  ", (item["evidence"], "dim"))
            rows.append((Text(item["verdict"], VERDICT.get(item["verdict"], "")), told))
        show_rows(console, rows)
    for step, verdict in report.verdicts.items():
        show_heading(console, step, verdict)
        if passed := report.passed.get(step):
            in_order = Text.assemble(("in order: ", "green"), ("; ".join(passed), "dim"))
            show_line(console, in_order)


def _show_not_done(console: Console, report: Report) -> None:
    if not report.not_done:
        return
    show_heading(console, "Not done", style="bold red")
    for missing in report.not_done:
        show_line(console, f"{missing.step} ({missing.status})  {missing.title}")
        show_line(console, f"why: {missing.why}", indent=4)
        if missing.touches:
            others = f"so these were not done either: {', '.join(missing.touches)}"
            show_line(console, others, indent=4)
    if not report.changed:
        show_line(console, "Nothing was changed.")
