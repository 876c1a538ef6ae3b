"""What every command does with the terminal: a console, JSON, questions, plain errors."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from rich.console import Console

from opswright.commands.exit_codes import FAILED, INTERRUPTED, USAGE
from opswright.config import ConfigError
from opswright.options import Output
from opswright.plan import PlanError
from opswright.runs import as_json
from opswright.sandbox import SandboxError
from opswright_core import telemetry
from opswright_core.canonical import canonical_json
from opswright_core.errors import OpswrightError

WIDE = 140
"""Columns where no terminal says how many there are, so that a pipe or a log is not cut at 80."""


class UsageError(Exception):
    """The command was not called well; says how to call it."""


class Terminal(Console):
    """A console whose reader may go away, as `head` does: a run is not ended by that."""

    def on_broken_pipe(self) -> None:
        """Write nothing any more."""
        self.quiet = True
        _silence()


def console_for(for_programs: bool) -> Console:
    """Text goes to standard error where standard output carries JSON."""
    console = Terminal(stderr=for_programs)
    if not console.is_terminal:
        console.width = WIDE
    return console


def print_json(value: Any) -> None:
    """Print one readable JSON document."""
    _write(as_json(value))


def print_event(event: Mapping[str, Any]) -> None:
    """Print one line of JSON at once."""
    _write(canonical_json(event))


def _write(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _silence()


def _silence() -> None:
    """Send what is still written to a reader who went away to nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def say(for_programs: bool, found: dict[str, Any], text: str) -> None:
    """Print what was found as JSON, or the sentence that tells it."""
    if for_programs:
        print_json(found)
    else:
        _write(text)


def busy(
    console: Console, what: str, *, quiet: bool = False
) -> contextlib.AbstractContextManager[Any]:
    """Show on a terminal that something takes a moment, and what."""
    if console.is_interactive and not quiet:
        return console.status(what)
    return contextlib.nullcontext()


def someone_is_here(console: Console) -> bool:
    """Whether a question would be seen and could be answered."""
    return sys.stdin.isatty() and console.is_terminal


async def ask(console: Console, question: str) -> bool:
    """Ask a person for a yes or no, while the agents' sessions go on; no answer is a no."""
    return (await ask_line(console, f"{question} (yes/no) ")).lower() in {"y", "yes"}


async def ask_line(console: Console, question: str) -> str:
    """Ask a person for a line, while the agents' sessions go on."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()
    console.print(question, end="", markup=False, highlight=False)

    def read() -> None:
        line = sys.stdin.readline()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, line)

    def settle(line: str) -> None:
        if not answered.done():
            answered.set_result(line)

    # A daemon, so that Ctrl-C at the question does not wait for a line.
    threading.Thread(target=read, name="answer", daemon=True).start()
    return (await answered).strip()


def guarded(work: Callable[[], Coroutine[Any, Any, int]], output: Output | bool) -> int:
    """Run a command; what a person can act on is said in one place, without a traceback."""
    shape = output if isinstance(output, Output) else Output(json=output)
    try:
        telemetry.configure("opswright")
        return asyncio.run(work())
    except (ConfigError, PlanError, SandboxError, OpswrightError, UsageError) as exc:
        if shape.json_lines:
            print_event({"event": "error", "error": str(exc)})
        elif shape.json:
            print_json({"error": str(exc)})
        else:
            print(f"opswright: {exc}", file=sys.stderr)
        return USAGE if isinstance(exc, ConfigError | UsageError) else FAILED
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED
