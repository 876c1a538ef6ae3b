"""Plans in files: saved, shown, verified against the agents of now, carried out."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.orchestrator.team import make, plan_of
from tests.orchestrator.terminal import Terminal

LAMP = "make a thing called lamp"


@pytest.fixture
def saved(terminal: Terminal, tmp_path: Path) -> Path:
    """A plan that `plan --save` made."""
    path = tmp_path / "lamp.plan.json"
    said = terminal("plan", LAMP, "--config", str(terminal.config), "--save", str(path))
    assert said.returncode == 0, said.stderr
    assert f"opswright run --plan {path}" in said.stdout
    return path


def events(said: "subprocess.CompletedProcess[str]") -> list[dict[str, Any]]:
    return [json.loads(line) for line in said.stdout.splitlines()]


def with_config(terminal: Terminal, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return terminal(*arguments, "--config", str(terminal.config))


def test_a_saved_plan_is_shown_and_carried_out(
    terminal: Terminal, saved: Path, things: Path
) -> None:
    shown = with_config(terminal, "plan", "--load", str(saved), "--json")
    assert json.loads(shown.stdout)["plan"]["id"] == json.loads(saved.read_text())["id"]
    assert not (things / "lamp").exists()
    carried = with_config(terminal, "run", "--plan", str(saved), "--yes", "--json")
    assert (carried.returncode, json.loads(carried.stdout)["goal"]) == (0, LAMP)
    assert (things / "lamp").exists()


def test_agents_that_changed_since_are_said_and_the_plan_is_verified_again(
    terminal: Terminal, saved: Path
) -> None:
    assert "have changed since" not in with_config(terminal, "plan", "--load", str(saved)).stdout
    servers = json.loads(terminal.config.read_text())
    del servers["mcpServers"]["other"]
    terminal.config.write_text(json.dumps(servers))
    assert "have changed since" in with_config(terminal, "plan", "--load", str(saved)).stdout
    del servers["mcpServers"]["maker"]
    terminal.config.write_text(json.dumps(servers))
    refused = with_config(terminal, "run", "--plan", str(saved), "--yes")
    assert refused.returncode == 1
    assert "no agent 'maker'" in refused.stderr


def test_a_step_made_to_look_harmless_is_refused(
    terminal: Terminal, tmp_path: Path, things: Path
) -> None:
    plan = plan_of(make("lamp")).model_dump(mode="json")
    plan["steps"][0]["risk"] = "read"
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    refused = with_config(terminal, "run", "--plan", str(path), "--yes")
    assert refused.returncode == 1
    assert "lamp [risk]" in refused.stderr
    assert list(things.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [("{", "JSON"), ('{"id": "x"}', "goal"), (None, "cannot be read: No such file")],
)
def test_a_file_that_holds_no_plan_is_said_so(
    terminal: Terminal, tmp_path: Path, content: str | None, told: str
) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content)
    refused = with_config(terminal, "plan", "--load", str(path))
    assert refused.returncode == 1
    assert told in refused.stderr


def test_a_request_and_a_file_together_or_neither_are_bad_usage(
    terminal: Terminal, saved: Path
) -> None:
    for arguments in (
        ("run",),
        ("plan",),
        ("run", LAMP, "--plan", str(saved)),
        ("run", "--plan", str(saved), "--set", "name=x"),
    ):
        said = with_config(terminal, *arguments)
        assert said.returncode == 2, said.stdout
        assert "file" in said.stderr


def test_a_plan_that_cannot_be_saved_is_said_so(terminal: Terminal, tmp_path: Path) -> None:
    said = with_config(terminal, "plan", LAMP, "--save", str(tmp_path / "nowhere" / "p.json"))
    assert said.returncode == 1
    assert "could not be saved" in said.stderr


def test_json_lines_tell_the_plan_each_step_and_the_report(
    terminal: Terminal, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(
        plan_of(make("one"), make("two", parent={"$ref": "one.outputs.path"})).model_dump_json()
    )
    said = with_config(terminal, "run", "--plan", str(path), "--yes", "--json-lines")
    told = events(said)
    assert said.returncode == 0, said.stderr
    assert (told[0]["event"], told[-1]["event"], told[-1]["status"]) == ("plan", "report", "done")
    steps = dict.fromkeys((e["step_id"], e["status"]) for e in told if e["event"] == "step")
    assert list(steps) == [("one", "running"), ("one", "done"), ("two", "running"), ("two", "done")]
    failed = with_config(terminal, "run", "paint it green", "--json-lines")
    assert [event["event"] for event in events(failed)] == ["error"]


def test_a_run_in_another_process_is_watched_to_its_end(terminal: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(plan_of(make("slow", seconds=10)).model_dump_json())
    running = subprocess.Popen(
        terminal.command(
            "run", "--plan", str(path), "--yes", "--json-lines", "--config", str(terminal.config)
        ),
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env=terminal.environment,
    )
    assert running.stdout is not None
    while '"status":"running"' not in running.stdout.readline():
        assert running.poll() is None
    watched = terminal("status", "--watch", "--json-lines")
    told = events(watched)
    assert (watched.returncode, told[-1]["event"], told[-1]["status"]) == (0, "ended", "done")
    assert [e["status"] for e in told if e.get("step_id") == "slow"][-2:] == ["running", "done"]
    assert running.wait(timeout=60) == 0
    running.stdout.close()
    assert "✓ slow" in terminal("status", "last", "--watch").stdout
