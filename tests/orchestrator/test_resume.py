"""A run survives its process: killed, interrupted or waiting, it goes on where it was."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.orchestrator.team import make, plan_of

from opswright.plan import Plan
from opswright.store import store_in

DRIVE = Path(__file__).with_name("drive.py")


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def start(state_dir: Path, config: Path, plan: Plan) -> "subprocess.Popen[str]":
    file = state_dir / "plan.json"
    file.write_text(plan.model_dump_json())
    command = [sys.executable, str(DRIVE), str(state_dir), str(config), str(file)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": "."}
    )


def read_until(process: "subprocess.Popen[str]", line: str) -> list[str]:
    assert process.stdout is not None
    seen = []
    for said in process.stdout:
        seen.append(said.strip())
        if said.strip() == line:
            return seen
    raise AssertionError(f"never said {line!r}: {seen}")


def opswright(state_dir: Path, *arguments: str) -> tuple[int, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "opswright", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OPSWRIGHT_STATE_DIR": str(state_dir)},
    )
    return done.returncode, json.loads(done.stdout)


def test_a_killed_run_is_finished_without_repeating_what_was_done(
    state_dir: Path, config: Path, things: Path
) -> None:
    plan = plan_of(
        make("first"),
        make("slow", seconds=2, needs=("first",)),
        make("last", parent={"$ref": "slow.outputs.path"}),
    )
    process = start(state_dir, config, plan)
    run_id = read_until(process, "slow running")[0].split()[1]
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    code, shown = opswright(state_dir, "status", run_id)
    assert code == 0
    assert shown["run"]["status"] == "interrupted"
    code, report = opswright(state_dir, "resume", run_id)
    assert (code, report["status"], report["not_done"]) == (0, "done", [])
    assert (things / "calls.log").read_text().split() == ["first", "slow", "last"]


def test_an_interrupted_run_says_how_to_go_on(state_dir: Path, config: Path, things: Path) -> None:
    process = start(
        state_dir, config, plan_of(make("first"), make("slow", seconds=1, needs=("first",)))
    )
    run_id = read_until(process, "first done")[0].split()[1]
    process.kill()
    process.communicate()
    code, report = opswright(state_dir, "resume", run_id)
    assert (code, report["status"]) == (0, "done")
    assert store_in(state_dir).load(run_id).status == "done"


def test_a_run_that_failed_is_tried_again_after_the_cause_is_mended(
    state_dir: Path, config: Path, things: Path
) -> None:
    process = start(
        state_dir,
        config,
        plan_of(make("good"), make("bad", fail=True), make("after", needs=("bad",))),
    )
    said, _ = process.communicate(timeout=60)
    assert said.split()[-2:] == ["ended", "partial"]
    run_id = said.split()[1]
    (things / "mended").touch()
    code, report = opswright(state_dir, "resume", run_id)
    assert (code, report["status"]) == (0, "done")
    assert (things / "calls.log").read_text().split() == ["good", "bad", "after"]


def test_a_run_under_way_is_not_taken_by_another_process(state_dir: Path, config: Path) -> None:
    process = start(state_dir, config, plan_of(make("slow", seconds=60)))
    run_id = read_until(process, "slow running")[0].split()[1]
    code, answer = opswright(state_dir, "resume", run_id)
    process.kill()
    process.communicate()
    assert code == 1
    assert "another process" in answer["error"]


def test_a_change_approved_out_of_band_is_made_when_the_run_is_resumed(
    state_dir: Path, config: Path, things: Path
) -> None:
    servers = json.loads(config.read_text())
    agent = servers["mcpServers"]["maker"]
    agent["args"] = [agent["args"][0], "--allow-writes", "--approvals", "out-of-band"]
    config.write_text(json.dumps(servers))
    process = start(state_dir, config, plan_of(make("house"), make("room", needs=("house",))))
    said, _ = process.communicate(timeout=60)
    assert said.split()[-2:] == ["ended", "waiting"]
    run_id = said.split()[1]
    code, _ = opswright(state_dir, "resume", run_id)
    assert code == 4, "nobody has approved it yet"
    assert not (things / "house").exists()
    _, shown = opswright(state_dir, "status", run_id)
    change_id = shown["steps"][0]["value"]["change_id"]
    code, approved = opswright(state_dir, "approve", change_id)
    assert (code, approved["approved"]) == (0, change_id)
    code, refused = opswright(state_dir, "approve", "ch-unknown")
    assert code == 1
    assert "no journal here" in refused["error"]
    _, report = opswright(state_dir, "resume", run_id)
    assert (things / "house").exists()
    assert report["status"] == "waiting", "the next change waits for its own approval"
