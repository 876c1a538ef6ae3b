"""What a person sees and types: live progress, questions, colours, completion, broken pipes."""

import os
import signal
import subprocess
from pathlib import Path

import pytest
from tests.orchestrator.team import make, plan_of
from tests.orchestrator.terminal import Terminal

LAMP = "make a thing called lamp"


def test_a_person_is_asked_sees_the_steps_go_and_gets_the_report(
    terminal: Terminal, things: Path
) -> None:
    with terminal.in_pty("run", LAMP, "--config", str(terminal.config)) as screen:
        screen.wait_for("Carry the plan out? (yes/no)")
        assert not (things / "lamp").exists()
        screen.type("yes\n")
        screen.wait_for("Approve this change? (yes/no)")
        screen.type("y\n")
        assert screen.end() == 0, screen.text
    assert "1 done" in screen.text
    assert "✓ task" in screen.text
    assert "\x1b[?25l" in screen.raw
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")
    assert (things / "lamp").exists()


@pytest.mark.parametrize("answer", ["no\n", "\n", "\x04"])
def test_anything_but_a_yes_changes_nothing_and_the_run_waits(
    terminal: Terminal, things: Path, answer: str
) -> None:
    with terminal.in_pty("run", LAMP, "--config", str(terminal.config)) as screen:
        screen.wait_for("(yes/no)")
        screen.type(answer)
        assert screen.end() == 4, screen.text
    assert "Nothing was changed." in screen.text
    assert "Traceback" not in screen.text
    assert not (things / "lamp").exists()


def test_ctrl_c_at_the_question_leaves_at_once(terminal: Terminal, things: Path) -> None:
    with terminal.in_pty("run", LAMP, "--config", str(terminal.config)) as screen:
        screen.wait_for("(yes/no)")
        screen.type("\x03")
        assert screen.end() == 130, screen.text
    assert "Interrupted" in screen.text
    assert "Traceback" not in screen.text
    assert not (things / "lamp").exists()


def test_no_color_means_none(terminal: Terminal) -> None:
    assert terminal.run(LAMP, "--yes").returncode == 0
    with terminal.in_pty("status") as coloured:
        assert coloured.end() == 0
    with terminal.in_pty("status", NO_COLOR="1") as plain:
        assert plain.end() == 0
    assert "\x1b[1;32m" in coloured.raw
    assert "32m" not in plain.raw
    assert LAMP in plain.text


def test_a_dumb_terminal_gets_lines_and_no_cursor_movements(terminal: Terminal) -> None:
    asked = ("run", LAMP, "--yes", "--config", str(terminal.config))
    with terminal.in_pty(*asked, TERM="dumb") as screen:
        assert screen.end() == 0
    assert "\x1b" not in screen.raw
    assert "✓ task done" in screen.text


@pytest.mark.parametrize("columns", [60, 140])
def test_no_line_is_longer_than_the_terminal_is_wide(terminal: Terminal, columns: int) -> None:
    asked = ("plan", LAMP, "--config", str(terminal.config))
    with terminal.in_pty(*asked, columns=columns) as screen:
        assert screen.end() == 0
    shown = screen.text.rpartition("Planning…")[2].splitlines()
    assert [line for line in shown if len(line) > columns and "opswright run" not in line] == []


def test_a_reader_who_goes_away_ends_no_run(terminal: Terminal, things: Path) -> None:
    started = subprocess.Popen(
        terminal.command("run", LAMP, "--yes", "--config", str(terminal.config)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=terminal.tmp_path,
        env=terminal.environment,
    )
    assert started.stdout is not None
    assert started.stderr is not None
    started.stdout.close()
    complaints = started.stderr.read().decode()
    started.stderr.close()
    assert (started.wait(timeout=60), complaints) == (0, "")
    assert (things / "lamp").exists()


def test_ctrl_c_in_a_run_says_how_to_go_on_and_the_run_does(
    terminal: Terminal, things: Path, tmp_path: Path
) -> None:
    from tests.orchestrator.team import make, plan_of

    plan = tmp_path / "plan.json"
    plan.write_text(plan_of(make("slow", seconds=30)).model_dump_json())
    asked = ("run", "--plan", str(plan), "--yes", "--config", str(terminal.config))
    with terminal.in_pty(*asked) as screen:
        screen.wait_for("1 running")
        screen.type("\x03")
        assert screen.end() == 130, screen.text
    assert "Go on with: opswright resume run-" in screen.text
    assert "interrupted" in terminal("status").stdout


def test_a_typo_is_answered_with_the_nearest_command_and_flag(terminal: Terminal) -> None:
    wrong = terminal("staus")
    assert (wrong.returncode, 'Did you mean "status"' in wrong.stderr) == (2, True)
    wrong = terminal("run", LAMP, "--sandbx")
    assert (wrong.returncode, "Did you mean --sandbox" in wrong.stderr) == (2, True)


def test_the_shell_completes_run_ids(terminal: Terminal) -> None:
    assert terminal.run(LAMP, "--yes").returncode == 0
    offered = terminal("__complete", "status", "").stdout
    assert "run-" in offered
    assert LAMP in offered


def test_completion_is_installed_for_the_shell_in_use(terminal: Terminal, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    terminal.environment |= {"HOME": str(home), "SHELL": "/bin/bash"}
    said = terminal("install-completion", "--shell", "bash")
    assert said.returncode == 0, said.stderr
    scripts = [p for p in home.rglob("*") if p.is_file() and "opswright" in p.name]
    assert scripts, list(home.rglob("*"))
    checked = subprocess.run(["bash", "-n", str(scripts[0])], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_terminated_run_is_interrupted_and_not_lost(terminal: Terminal, tmp_path: Path) -> None:
    from tests.orchestrator.team import make, plan_of

    plan = tmp_path / "plan.json"
    plan.write_text(plan_of(make("slow", seconds=30)).model_dump_json())
    asked = ("run", "--plan", str(plan), "--yes", "--config", str(terminal.config))
    with terminal.in_pty(*asked) as screen:
        screen.wait_for("1 running")
        os.kill(screen.pid, signal.SIGTERM)
        assert screen.end() == 130, screen.text
    assert "interrupted" in terminal("status").stdout


def test_a_limit_that_is_reached_is_asked_about(
    terminal: Terminal, tmp_path: Path, things: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(plan_of(make("one"), make("two", needs=("one",))).model_dump_json())
    asked = ("run", "--plan", str(plan), "--yes", "--config", str(terminal.config))
    with terminal.in_pty(*asked, "--max-changes", "1") as screen:
        screen.wait_for("it has made 1 of 1 changes. Go on, for as much again? (yes/no)")
        assert not (things / "two").exists()
        screen.type("yes\n")
        assert screen.end() == 0, screen.text
    assert (things / "two").exists()


def test_a_plan_shown_at_a_terminal_may_be_approved_in_another(
    terminal: Terminal, tmp_path: Path, things: Path
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(plan_of(make("one")).model_dump_json())
    asked = ("run", "--plan", str(plan), "--config", str(terminal.config))
    with terminal.in_pty(*asked) as screen:
        screen.wait_for("Carry the plan out? (yes/no)")
        assert terminal("approve", "last").returncode == 0
        screen.wait_for("Approved in another process.")
        assert screen.end() == 0, screen.text
    assert (things / "one").exists()


def test_what_a_plan_lacks_is_asked_for_at_a_terminal_and_named_elsewhere(
    terminal: Terminal,
) -> None:
    asked = ("plan", "make a thing", "--planner", "typed", "--config", str(terminal.config))
    with terminal.in_pty(*asked) as screen:
        screen.wait_for("name (Name of the thing, for make_thing of maker):")
        screen.type("lamp\n")
        screen.wait_for("Nothing was changed")
    alone = terminal(*asked)
    assert alone.returncode == 1
    assert "--set name=" in alone.stderr
    given = terminal(*asked, "--set", "name=lamp", "--json")
    assert '"name": "lamp"' in given.stdout
