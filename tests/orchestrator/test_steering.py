"""A run is paused, cancelled, approved and limited from another process, while it lives or not."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.orchestrator.commands import ask, run_plan, seen
from tests.orchestrator.team import make, plan_of

from opswright.attempt import LOOK_SECONDS
from opswright.plan import Step
from opswright.store import store_in
from opswright_core.settings import state_directory


@pytest.fixture
def home(tmp_path: Path, config: Path) -> Path:
    """The folder that commands are run in; its mcp.json names the agents."""
    return tmp_path


def statuses(run_id: str) -> dict[str, str]:
    return {step_id: outcome.status for step_id, outcome in seen(run_id)[1].items()}


def wished(run_id: str) -> str:
    """What a person wishes of a run."""
    store = store_in(state_directory())
    try:
        return store.wished(run_id, store.load(run_id).owner)
    finally:
        store.close()


def calls(things: Path) -> list[str]:
    return (things / "calls.log").read_text().split()


def out_of_band(config: Path) -> None:
    servers: Any = json.loads(config.read_text())
    agent = servers["mcpServers"]["maker"]
    agent["args"] = [agent["args"][0], "--allow-writes", "--approvals", "out-of-band"]
    config.write_text(json.dumps(servers))


def test_a_paused_run_finishes_what_is_under_way_and_goes_on_with_resume(
    home: Path, things: Path
) -> None:
    running = run_plan(home, plan_of(make("one", seconds=60), make("two", needs=("one",))), "--yes")
    run_id = running.until(event="plan")["run_id"]
    running.until(step_id="one", status="running")
    with ThreadPoolExecutor() as beside:
        pausing = beside.submit(ask, home, "pause", run_id)
        while not wished(run_id):
            assert not pausing.done(), pausing.result()
            time.sleep(0.05)
        time.sleep(8 * LOOK_SECONDS)  # the run sees the wish, and its step is still under way
        (things / "one.go").touch()
        code, paused = pausing.result()
    assert (code, paused["run"]["status"]) == (0, "paused")
    assert running.end() == 4
    assert statuses(run_id) == {"one": "done", "two": "pending"}
    code, refused = ask(home, "pause", run_id)
    assert code == 1
    assert "is paused" in refused["error"]
    code, report = ask(home, "resume", run_id)
    assert (code, report["status"]) == (0, "done")
    assert calls(things) == ["one", "two"]


def test_a_cancelled_run_stops_its_agents_tasks_and_can_still_be_undone(
    home: Path, things: Path
) -> None:
    thinking = Step(
        id="think", agent="other", tool="handle_task", needs=("one",),
        args={"task": "ponder for a long time", "wait_seconds": 1},
    )  # fmt: skip
    running = run_plan(
        home, plan_of(make("one"), thinking, make("after", needs=("think",))), "--yes"
    )
    run_id = running.until(event="plan")["run_id"]
    running.until(step_id="think", status="running", note="under way")
    code, cancelled = ask(home, "cancel", run_id)
    assert (code, cancelled["run"]["status"]) == (0, "cancelled")
    running.end()
    assert statuses(run_id) == {"one": "done", "think": "cancelled", "after": "cancelled"}
    told = seen(run_id)[1]["think"].value
    assert told["status"] == "cancelled", "the agent says so itself"
    code, refused = ask(home, "cancel", run_id)
    assert code == 1
    assert "nothing to cancel" in refused["error"]
    code, _ = ask(home, "undo", run_id, "--yes")
    assert code == 0
    assert not (things / "one").exists()


def test_a_run_that_no_process_has_is_cancelled_where_it_stands(home: Path, things: Path) -> None:
    running = run_plan(home, plan_of(make("one")))
    run_id = running.until(event="plan")["run_id"]
    assert running.end() == 4
    code, cancelled = ask(home, "cancel", run_id)
    assert (code, cancelled["run"]["status"]) == (0, "cancelled")
    assert statuses(run_id) == {"one": "cancelled"}


def test_a_plan_is_approved_from_another_process_while_the_run_waits(
    home: Path, things: Path
) -> None:
    running = run_plan(home, plan_of(make("one")), "--wait-for-approval", "2")
    run_id = running.until(event="plan")["run_id"]
    code, approved = ask(home, "approve", run_id)
    assert code == 0
    assert any("one: maker.make_thing (write)" in line for line in approved["summary"])
    assert running.end() == 0
    assert calls(things) == ["one"]


@pytest.mark.parametrize("by", ["run", "change"])
def test_a_step_is_approved_from_another_process_and_the_live_run_goes_on(
    home: Path, config: Path, things: Path, by: str
) -> None:
    out_of_band(config)
    plan = plan_of(make("one"), make("beside", agent="other"), make("two", needs=("one",)))
    running = run_plan(home, plan, "--yes", "--wait-for-approval", "2")
    run_id = running.until(event="plan")["run_id"]
    for step in ("one", "two"):
        asked = running.until(step_id=step, status="needs_approval")
        known = seen(run_id)[1][step]
        assert known.status == "needs_approval"
        change_id = known.value["change_id"]
        code, _ = ask(home, "approve", run_id if by == "run" else change_id)
        assert code == 0, asked
    assert running.end() == 0, running.events[-1]
    assert sorted(calls(things)) == ["beside", "one", "two"]


def test_an_approval_holds_for_the_very_change_after_a_crash(
    home: Path, config: Path, things: Path
) -> None:
    out_of_band(config)
    running = run_plan(home, plan_of(make("one")), "--yes", "--wait-for-approval", "2")
    run_id = running.until(event="plan")["run_id"]
    running.until(step_id="one", status="needs_approval")
    running.kill()
    code, _ = ask(home, "approve", run_id)
    assert code == 0
    code, report = ask(home, "resume", run_id)
    assert (code, report["status"]) == (0, "done")
    assert calls(things) == ["one"]
    code, refused = ask(home, "approve", run_id)
    assert code == 1
    assert "no step of it waits" in refused["error"]


def test_a_limit_that_is_reached_halts_the_run_and_a_higher_one_lets_it_go_on(
    home: Path, things: Path
) -> None:
    plan = plan_of(make("one"), make("two", needs=("one",)), make("three", needs=("two",)))
    running = run_plan(home, plan, "--yes", "--max-changes", "1")
    run_id = running.until(event="plan")["run_id"]
    assert running.end() == 4
    report = running.events[-1]
    assert (report["status"], report["halted"]) == ("waiting", "it has made 1 of 1 changes")
    assert calls(things) == ["one"]
    code, report = ask(home, "resume", run_id, "--max-changes", "2")
    assert (code, report["halted"]) == (4, "it has made 2 of 2 changes")
    code, report = ask(home, "resume", run_id, "--max-changes", "3")
    assert (code, report["status"]) == (0, "done")
    assert calls(things) == ["one", "two", "three"]


def test_a_limit_of_time_halts_a_run_that_works_too_long(home: Path, things: Path) -> None:
    plan = plan_of(make("one", seconds=1.5), make("two", needs=("one",)))
    running = run_plan(home, plan, "--yes", "--max-minutes", "0.01")
    running.until(event="plan")
    assert running.end() == 4
    assert "of 0.01 minutes" in running.events[-1]["halted"]
    assert calls(things) == ["one"]
