"""The command line with small agents: exit codes, JSON, what a person is told."""

import json
from pathlib import Path

import pytest
from tests.orchestrator.terminal import Terminal


def test_help_names_every_command_and_the_exit_codes(terminal: Terminal) -> None:
    said = terminal("--help")
    assert said.returncode == 0
    for word in (
        "run",
        "plan",
        "status",
        "resume",
        "undo",
        "doctor",
        "sandbox",
        "3 partial",
        "4 waiting",
    ):
        assert word in said.stdout
    for command in ("run", "plan", "status", "resume", "undo", "doctor"):
        assert terminal(command, "--help").returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("frobnicate",),
        ("run",),
        ("run", "x", "--nonsense"),
        ("undo",),
        ("run", "x", "--set", "no-equals-sign"),
    ],
)
def test_bad_usage_exits_with_2_and_says_what_is_wrong(
    terminal: Terminal, arguments: tuple[str, ...]
) -> None:
    said = terminal(*arguments)
    assert said.returncode == 2
    assert said.stdout + said.stderr
    assert "Traceback" not in said.stderr


def test_a_faulty_configuration_exits_with_2_and_names_the_file(
    terminal: Terminal, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"mcpServers": {"a": {}}}')
    for path in (broken, tmp_path / "missing.json"):
        said = terminal("run", "make a thing called lamp", "--config", str(path))
        assert said.returncode == 2
        assert path.name in said.stderr


def test_without_a_terminal_and_a_yes_nothing_changes_and_the_run_waits(
    terminal: Terminal, things: Path
) -> None:
    said = terminal.run("make a thing called lamp", "--json")
    report = json.loads(said.stdout)
    assert (said.returncode, report["status"]) == (4, "waiting")
    assert not (things / "lamp").exists()
    approved = terminal("resume", report["run_id"], "--yes", "--json")
    assert (approved.returncode, json.loads(approved.stdout)["status"]) == (0, "done")
    assert (things / "lamp").exists()


def test_a_run_is_listed_shown_and_undone(terminal: Terminal, things: Path) -> None:
    assert terminal.run("make a thing called lamp", "--yes").returncode == 0
    listed = terminal("status")
    assert "make a thing called lamp" in listed.stdout
    shown = terminal("status", "last")
    assert "maker.handle_task" in shown.stdout
    undone = terminal("undo", "last", "--yes")
    assert undone.returncode == 0, undone.stdout + undone.stderr
    assert "remove lamp" in undone.stdout
    assert not (things / "lamp").exists()


def test_a_plan_changes_nothing(terminal: Terminal, things: Path) -> None:
    said = terminal("plan", "make a thing called lamp", "--config", str(terminal.config), "--json")
    planned = json.loads(said.stdout)
    assert said.returncode == 0
    assert planned["plan"]["steps"][0]["tool"] == "handle_task"
    assert list(things.iterdir()) == []


def test_an_input_that_is_missing_is_asked_for_by_name(terminal: Terminal) -> None:
    said = terminal.run("make a thing", "--yes")
    assert said.returncode == 1
    assert "make_one needs name" in said.stdout
    assert "--set name=…" in said.stdout
    assert terminal.run("make a thing", "--yes", "--set", "name=lamp").returncode == 0


def test_a_request_that_no_one_can_do_is_answered_with_what_is_possible(terminal: Terminal) -> None:
    said = terminal.run("paint the office green")
    assert said.returncode == 1
    assert "nothing was done" in said.stderr
    assert "make a thing called lamp" in said.stderr


def test_the_doctor_says_what_is_well_and_how_to_mend_what_is_not(
    terminal: Terminal, config: Path
) -> None:
    well = terminal("doctor", "--config", str(config), "--json")
    assert well.returncode == 0
    lines = {line["what"]: line for line in json.loads(well.stdout)}
    assert lines["agent maker"]["ok"]
    servers = json.loads(config.read_text())
    servers["mcpServers"]["other"]["command"] = "no-such-program-anywhere"
    config.write_text(json.dumps(servers))
    ill = terminal("doctor", "--config", str(config))
    assert ill.returncode == 1
    assert "problem agent other" in ill.stdout
    assert "no-such-program-anywhere" in ill.stdout


def test_a_run_that_does_not_exist_is_said_so(terminal: Terminal) -> None:
    for command in ("status", "resume", "undo"):
        said = terminal(command, "run-nowhere")
        assert said.returncode == 1
        assert "no run 'run-nowhere'" in said.stderr


def test_the_sandbox_goes_up_and_down(terminal: Terminal) -> None:
    assert not json.loads(terminal("sandbox", "status", "--json").stdout)["running"]
    up = json.loads(terminal("sandbox", "up", "--json").stdout)
    try:
        assert up["endpoint"].startswith("http://127.0.0.1:")
        assert json.loads(terminal("sandbox", "up", "--json").stdout) == up
        assert json.loads(terminal("sandbox", "status", "--json").stdout)["running"]
    finally:
        assert json.loads(terminal("sandbox", "down", "--json").stdout)["stopped"]
    assert not json.loads(terminal("sandbox", "down", "--json").stdout)["stopped"]
