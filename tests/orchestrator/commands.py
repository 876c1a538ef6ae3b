"""`opswright` as processes: started, read line by line, asked from beside."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Queue
from typing import Any

from opswright.plan import Plan
from opswright.runs import Run, StepOutcome
from opswright.store import store_in
from opswright_core.settings import state_directory

OPSWRIGHT = [sys.executable, "-m", "opswright"]
PATIENCE_SECONDS = 120


class Running:
    """A command that goes on; its output is read as JSON lines."""

    def __init__(self, cwd: Path, *arguments: str) -> None:
        self._errors = (cwd / "stderr.log").open("ab")
        self.process = subprocess.Popen(
            [*OPSWRIGHT, *arguments], cwd=cwd, stdout=subprocess.PIPE, stderr=self._errors,
            stdin=subprocess.DEVNULL, text=True, env=dict(os.environ),
        )  # fmt: skip
        self.events: list[dict[str, Any]] = []
        self._queue: Queue[dict[str, Any] | None] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(json.loads(line))
        self._queue.put(None)

    def until(self, **wanted: Any) -> dict[str, Any]:
        """The next event with these fields."""
        while (event := self._queue.get(timeout=PATIENCE_SECONDS)) is not None:
            self.events.append(event)
            if wanted.items() <= event.items():
                return event
        raise AssertionError(f"it never said {wanted}: {self.events}")

    def end(self) -> int:
        """Wait for its end; its exit code."""
        while (event := self._queue.get(timeout=PATIENCE_SECONDS)) is not None:
            self.events.append(event)
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        self._close()
        return code

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        self.process.kill()
        self.process.wait()
        self._close()

    def _close(self) -> None:
        self._reader.join(timeout=10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._errors.close()


def ask(cwd: Path, *arguments: str) -> tuple[int, Any]:
    """Run a command to its end: its exit code and JSON document."""
    done = subprocess.run(
        [*OPSWRIGHT, *arguments, "--json"], cwd=cwd, capture_output=True, text=True, check=False,
        timeout=PATIENCE_SECONDS, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def seen(run_id: str) -> tuple[Run, dict[str, StepOutcome]]:
    """A run and its steps, read beside the processes that have it."""
    store = store_in(state_directory())
    try:
        run = store.load(run_id)
        return run, store.steps(run)
    finally:
        store.close()


def run_plan(cwd: Path, plan: Plan, *flags: str) -> Running:
    """Start `opswright run --plan` on the mcp.json of a folder."""
    file = cwd / f"{plan.id}.json"
    file.write_text(plan.model_dump_json())
    return Running(cwd, "run", "--plan", str(file), "--json-lines", *flags)
