"""Workers share runs through a database; what a dead one leaves, a living one finishes."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.orchestrator.commands import Running, ask, run_plan, seen
from tests.orchestrator.team import make, plan_of
from tests.postgres import Postgres

from opswright.plan import Plan
from opswright.runs import Run, StepOutcome

StartWorker = Callable[[], Running]


@pytest.fixture
def home(tmp_path: Path, config: Path) -> Path:
    """The folder that commands are run in."""
    return tmp_path


@pytest.fixture
def start_worker(home: Path) -> Iterator[StartWorker]:
    started: list[Running] = []

    def start() -> Running:
        worker = Running(home, "worker", "--json-lines")
        started.append(worker)
        worker.until(event="ready")
        return worker

    yield start
    for worker in started:
        if worker.process.poll() is None:
            worker.kill()


def detached(home: Path, plan: Plan, *flags: str) -> str:
    handed = run_plan(home, plan, "--yes", "--detach", *flags)
    run_id: str = handed.until(event="plan")["run_id"]
    assert handed.end() == 4
    assert handed.events[-1]["status"] == "queued"
    return run_id


def ended(run_id: str) -> tuple[Run, dict[str, StepOutcome]]:
    """The run once it is no longer under way."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        run, steps = seen(run_id)
        if run.status not in {"queued", "running", "interrupted"}:
            return run, steps
        time.sleep(0.2)
    raise AssertionError(f"it never ended: {run.status} {steps}")


def calls(things: Path) -> list[str]:
    return (things / "calls.log").read_text().split()


def slow(seconds: float) -> Plan:
    """A plan whose second step takes a while, or until `two.go` is there."""
    return plan_of(
        make("one"),
        make("two", needs=("one",), seconds=seconds),
        make("three", agent="other", parent={"$ref": "two.outputs.path"}),
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database that workers share."""
    if request.param == "postgresql":
        monkeypatch.setenv("OPSWRIGHT_DATABASE_URL", request.getfixturevalue("postgres_url"))


@pytest.mark.usefixtures("shared")
def test_a_run_is_finished_by_another_worker_when_its_own_is_killed(
    home: Path, things: Path, start_worker: StartWorker
) -> None:
    first = start_worker()
    run_id = detached(home, slow(60))
    first.until(run_id=run_id, step_id="two", status="running")
    second = start_worker()
    first.kill()
    second.until(run_id=run_id, step_id="two", status="running")
    (things / "two.go").touch()
    second.until(run_id=run_id, step_id="three", status="done")
    run, steps = ended(run_id)
    assert run.status == "done"
    assert [s.status for s in steps.values()] == ["done"] * 3
    assert calls(things) == ["one", "two", "three"]
    code, _ = ask(home, "undo", run_id, "--yes")
    assert code == 0
    assert not (things / "two").exists()


def test_a_worker_that_slept_and_was_superseded_records_nothing_more(
    home: Path,
    things: Path,
    start_worker: StartWorker,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPSWRIGHT_DATABASE_URL", postgres_url)
    asleep = start_worker()
    run_id = detached(home, slow(3))
    asleep.until(run_id=run_id, step_id="two", status="running")
    os.kill(asleep.process.pid, signal.SIGSTOP)
    try:
        awake = start_worker()
        awake.until(run_id=run_id, step_id="three", status="done")
        before = ended(run_id)
    finally:
        os.kill(asleep.process.pid, signal.SIGCONT)
    time.sleep(3)
    assert asleep.process.poll() is None
    assert ended(run_id) == before
    assert before[0].status == "done"
    assert calls(things) == ["one", "two", "three"]
    again = detached(home, plan_of(make("more")))
    assert ended(again)[0].status == "done", "both go on working"


def test_a_run_outlasts_a_crash_of_postgres(
    home: Path,
    things: Path,
    start_worker: StartWorker,
    postgres: Postgres,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPSWRIGHT_DATABASE_URL", postgres_url)
    worker = start_worker()
    run_id = detached(home, slow(3))
    worker.until(run_id=run_id, step_id="two", status="running")
    postgres.stop()
    try:
        time.sleep(4)  # the step ends meanwhile, and cannot be recorded yet
    finally:
        postgres.start()
    worker.until(run_id=run_id, step_id="three", status="done")
    assert ended(run_id)[0].status == "done"
    assert calls(things) == ["one", "two", "three"]


def test_a_run_that_waits_goes_on_at_a_worker_once_it_is_approved(
    home: Path, config: Path, things: Path, start_worker: StartWorker
) -> None:
    servers = json.loads(config.read_text())
    agent = servers["mcpServers"]["maker"]
    agent["args"] = [agent["args"][0], "--allow-writes", "--approvals", "out-of-band"]
    config.write_text(json.dumps(servers))
    worker = start_worker()
    waiting = run_plan(home, plan_of(make("one")), "--detach")
    run_id = waiting.until(event="plan")["run_id"]
    assert waiting.end() == 4
    assert ask(home, "approve", run_id)[0] == 0, "the plan"
    worker.until(run_id=run_id, step_id="one", status="needs_approval")
    assert ended(run_id)[0].status == "waiting"
    assert ask(home, "approve", run_id)[0] == 0, "the change"
    worker.until(run_id=run_id, step_id="one", status="done")
    assert ended(run_id)[0].status == "done"
    assert calls(things) == ["one"]


def test_a_worker_that_is_asked_to_stop_leaves_its_run_to_the_others(
    home: Path, things: Path, start_worker: StartWorker
) -> None:
    first, second = start_worker(), start_worker()
    run_id = detached(home, slow(3))
    deadline = time.monotonic() + 60
    owner = ""
    while not owner and time.monotonic() < deadline:
        owner = seen(run_id)[0].owner
    has_it, other = (first, second) if f":{first.process.pid}:" in owner else (second, first)
    has_it.until(run_id=run_id, step_id="two", status="running")
    has_it.process.terminate()
    assert has_it.end() == 0
    other.until(run_id=run_id, step_id="three", status="done")
    assert ended(run_id)[0].status == "done"
    assert calls(things) == ["one", "two", "three"]


def test_a_run_that_cannot_be_worked_on_here_says_why_and_the_worker_goes_on(
    home: Path, config: Path, things: Path, start_worker: StartWorker
) -> None:
    run_id = detached(home, plan_of(make("one")))
    kept = config.rename(config.with_name("kept.json"))
    worker = start_worker()
    run, _ = ended_or_given_up(run_id)
    assert run.status == "interrupted"
    assert run.halted is not None
    assert run.halted.reason == "error"
    assert "mcp.json does not exist" in run.halted.why
    config.write_text('{"mcpServers": {"another": {"command": "none"}}}')
    assert ask(home, "resume", run_id, "--detach")[0] == 1, "the plan does not fit"
    kept.rename(config)
    assert ask(home, "resume", run_id, "--detach")[0] == 4
    worker.until(run_id=run_id, step_id="one", status="done")
    assert ended(run_id)[0].status == "done"
    assert calls(things) == ["one"]


def ended_or_given_up(run_id: str) -> tuple[Run, dict[str, StepOutcome]]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        run, steps = seen(run_id)
        if run.halted:
            return run, steps
        time.sleep(0.2)
    raise AssertionError(f"it never said why: {run.status}")
