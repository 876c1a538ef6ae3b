"""Promise: a run is one trace, whichever servers carried its steps."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.orchestrator.team import make, plan_of

ROOT = Path(__file__).parents[2]
DRIVE = """
import asyncio, sys
from pathlib import Path
from opswright_core import telemetry
from tests.orchestrator.drive import drive

telemetry.configure("opswright")
print("ended", asyncio.run(drive(*(Path(argument) for argument in sys.argv[1:4]))))
"""


def spans_in(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_all_servers_of_a_run_are_in_one_trace(config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    plan_file = tmp_path / "plan.json"
    plan = plan_of(make("house"), make("shed", agent="other", needs=("house",)))
    plan_file.write_text(plan.model_dump_json())
    done = subprocess.run(
        [sys.executable, "-c", DRIVE, str(state), str(config), str(plan_file)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OTEL_TRACES_EXPORTER": "console"},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "ended" in done.stdout
    (run,) = [span for span in spans_in(done.stderr) if span["name"] == "opswright run"]
    assert run["attributes"]["run_id"] in done.stdout
    for agent in ("maker", "other"):
        log = (state / "logs" / f"{agent}.log").read_text()
        called = [s for s in spans_in(log) if s["name"] == "tools/call make_thing"]
        assert called
        assert {s["context"]["trace_id"] for s in called} == {run["context"]["trace_id"]}
