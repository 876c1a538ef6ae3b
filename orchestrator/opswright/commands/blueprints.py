"""`opswright blueprints`: lists, shows, edits and forgets them."""

import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from opswright.commands.exit_codes import DONE, FAILED
from opswright.commands.terminal import console_for, guarded, print_json, say
from opswright.library import Entry, Library, Record, as_yaml, from_yaml
from opswright.plan import PlanError
from opswright.render.styles import show_heading, show_rows
from opswright.store import store_in
from opswright_core.settings import state_directory


def list_all(*, as_json: bool) -> int:
    """`opswright blueprints`."""

    def work(library: Library) -> int:
        entries = library.entries()
        records = {e.blueprint.name: library.record(e.blueprint.name) for e in entries}
        if as_json:
            print_json([_line(entry, records[entry.blueprint.name]) for entry in entries])
            return DONE
        rows = []
        for entry in entries:
            record = records[entry.blueprint.name]
            worked = f"{record.successes} of {record.runs} went well" if record.runs else "not run"
            told = Text(entry.blueprint.description).append(f"  {worked}", "dim")
            rows.append((Text(entry.blueprint.name, "bold"), Text(entry.origin, "cyan"), told))
        show_rows(console_for(as_json), rows, indent=0)
        return DONE

    return _with_library(work, as_json)


def show(name: str, *, as_json: bool) -> int:
    """`opswright blueprints show`."""

    def work(library: Library) -> int:
        entry, record = library.entry(name), library.record(name)
        if as_json:
            body = entry.blueprint.model_dump(mode="json", exclude_defaults=True)
            print_json({**_line(entry, record), "blueprint": body})
            return DONE
        console = console_for(as_json)
        console.print(as_yaml(entry.blueprint), markup=False, highlight=False, soft_wrap=True)
        _show_record(console, record)
        return DONE

    return _with_library(work, as_json)


def edit(name: str, *, as_json: bool) -> int:
    """`opswright blueprints edit`: nothing is replaced before what was written is checked."""

    def work(library: Library) -> int:
        entry = library.entry(name)
        before = as_yaml(entry.blueprint)
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        with tempfile.NamedTemporaryFile(
            "w", prefix=f"{name}-", suffix=".yaml", delete=False, encoding="utf-8"
        ) as draft:
            draft.write(before)
        path = Path(draft.name)
        try:
            ended = subprocess.run([*shlex.split(editor), str(path)], check=False)
        except OSError as exc:
            raise PlanError(f"{editor} cannot be started ({exc.strerror}); set EDITOR") from exc
        after = path.read_text(encoding="utf-8")
        if ended.returncode or after == before:
            path.unlink()
            why = f"{editor} ended with {ended.returncode}" if ended.returncode else "as it was"
            say(as_json, {"edited": False, "why": why}, f"{name} is unchanged: {why}.")
            return FAILED if ended.returncode else DONE
        try:
            edited = from_yaml(after)
            if edited.name != name:
                raise PlanError(f"its name has to stay {name}")
        except PlanError as exc:
            raise PlanError(f"{name} is unchanged: {exc}. What you wrote is in {path}") from exc
        library.keep(edited, learned_from=entry.learned_from)
        path.unlink()
        say(as_json, {"edited": True}, f"{name} is changed.")
        return DONE

    return _with_library(work, as_json)


def forget(name: str, *, as_json: bool) -> int:
    """`opswright blueprints forget`."""

    def work(library: Library) -> int:
        entry = library.entry(name)
        if not library.forget(name):
            raise PlanError(f"{name} comes with opswright and cannot be forgotten")
        back = any(e.blueprint.name == name for e in library.entries())
        told = "is again as it comes with opswright" if back else "is forgotten"
        say(as_json, {"forgotten": name, "origin": entry.origin}, f"{name} {told}.")
        return DONE

    return _with_library(work, as_json)


def _with_library(work: Callable[[Library], int], as_json: bool) -> int:
    async def run() -> int:
        return work(Library(store_in(state_directory())))

    return guarded(run, as_json)


def _line(entry: Entry, record: Record) -> dict[str, object]:
    return {
        "name": entry.blueprint.name,
        "description": entry.blueprint.description,
        "origin": entry.origin,
        "learned_from": entry.learned_from or None,
        "record": record,
    }


def _show_record(console: Console, record: Record) -> None:
    if not record.runs:
        show_heading(console, "Record", "it has not run yet")
        return
    worked = f"{record.successes} of {record.runs} runs went well"
    show_heading(console, "Record", f"{worked}, reliability {record.reliability:.2f}")
    header = ("step", "runs", "success", "p50", "p90", "cost")
    rows = [tuple(Text(cell, "dim") for cell in header)]
    for step in record.steps:
        cells = (
            step.step,
            str(step.runs),
            f"{step.success_rate:.0%}",
            _seconds(step.p50_seconds),
            _seconds(step.p90_seconds),
            f"${step.mean_usd:.4f}" if step.mean_usd else "-",
        )
        rows.append(tuple(Text(cell) for cell in cells))
    show_rows(console, rows)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}s"
