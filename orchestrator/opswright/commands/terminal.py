"""What every command does with the terminal: a console, JSON, errors without a traceback."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from rich.console import Console

from opswright.commands.exit_codes import FAILED, INTERRUPTED, USAGE
from opswright.config import ConfigError
from opswright.plan import PlanError
from opswright.runs import as_json as to_json
from opswright.sandbox import SandboxError
from opswright_core import telemetry
from opswright_core.errors import OpswrightError

WIDE = 140
"""Columns where no terminal says how many there are, so that a pipe or a log is not cut at 80."""


def console_for(as_json: bool) -> Console:
    """Text goes to standard error where standard output carries JSON."""
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = WIDE
    return console


def say(as_json: bool, found: dict[str, Any], text: str) -> None:
    """Print what was found as JSON, or the sentence that tells it."""
    print(to_json(found) if as_json else text)


def guarded(work: Callable[[], Coroutine[Any, Any, int]], as_json: bool) -> int:
    """Run a command; what a person can act on is said in one place, without a traceback."""
    try:
        telemetry.configure("opswright")
        return asyncio.run(work())
    except (ConfigError, PlanError, SandboxError, OpswrightError) as exc:
        if as_json:
            print(to_json({"error": str(exc)}))
        else:
            print(f"opswright: {exc}", file=sys.stderr)
        return USAGE if isinstance(exc, ConfigError) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
