"""The store of runs, on SQLite and on PostgreSQL alike."""

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.orchestrator.team import make, plan_of
from tests.postgres import Postgres

from opswright import store as stores
from opswright.config import ConfigError
from opswright.database import Database, database_url
from opswright.plan import PlanError
from opswright.runs import Halted, Run, StepOutcome, now
from opswright.store import RunStore, SupersededError
from opswright_core.errors import OpswrightError
from opswright_core.journal import process_identity

ME = process_identity(os.getpid())
ELSEWHERE = "another-machine:17:1"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "postgresql":
        monkeypatch.setenv("OPSWRIGHT_DATABASE_URL", request.getfixturevalue("postgres_url"))
    return database_url(tmp_path)


@pytest.fixture
def store(url: str) -> Iterator[RunStore]:
    opened = RunStore(Database(url))
    yield opened
    opened.close()


def run(number: int = 1, **more: object) -> Run:
    values = {"run_id": f"run-{number}", "goal": "things", "plan": plan_of(make("a"), make("b"))}
    return Run.model_validate({**values, "created_at": f"{now()}{number}", **more})


def test_a_run_and_its_steps_are_kept_as_they_were(store: RunStore) -> None:
    store.save(run(1))
    store.save(run(2, goal="naïve ☂"))
    store.claim("run-2", ME)
    store.save_step("run-2", StepOutcome(step_id="b", status="done", value={"x": [1]}), ME)
    assert store.load("last").goal == "naïve ☂"
    assert [r.run_id for r in store.recent()] == ["run-2", "run-1"]
    assert [(o.step_id, o.status) for o in store.steps(store.load("run-2")).values()] == [
        ("a", "pending"), ("b", "done"),
    ]  # fmt: skip
    assert store.step("run-2", "b").value == {"x": [1]}
    with pytest.raises(PlanError, match="no run 'run-3'"):
        store.load("run-3")


def test_a_change_of_one_field_keeps_what_others_changed(store: RunStore) -> None:
    store.save(run())
    store.change("run-1", approved_by="someone")
    assert store.change("run-1", attempt=2).approved_by == "someone"


def test_a_claimed_run_is_refused_to_others_while_its_process_lives(store: RunStore) -> None:
    store.save(run())
    store.claim("run-1", ELSEWHERE)
    with pytest.raises(PlanError, match="another process"):
        store.claim("run-1", ME)
    store.leave(ELSEWHERE)
    assert store.load("run-1").status == "interrupted"
    assert store.claim("run-1", ME).owner == ME


def test_a_process_that_says_nothing_for_long_is_dead(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(run(detached=True))
    store.claim("run-1", ELSEWHERE)
    assert store.take_abandoned() == []
    monkeypatch.setattr(stores, "DEAD_SECONDS", -1.0)
    assert store.load("run-1").status == "interrupted"
    assert [r.run_id for r in store.take_abandoned()] == ["run-1"]
    assert store.take_abandoned() == [], "another worker has it now"
    monkeypatch.setattr(stores, "QUEUED_SECONDS", -1.0)
    assert [r.run_id for r in store.take_abandoned()] == ["run-1"], "nobody handed it over"


def test_a_process_whose_run_was_taken_over_writes_no_more(store: RunStore) -> None:
    store.save(run())
    store.claim("run-1", ELSEWHERE)
    store.leave(ELSEWHERE)
    store.claim("run-1", ME)
    with pytest.raises(SupersededError):
        store.save_step("run-1", StepOutcome(step_id="a", status="failed"), ELSEWHERE)
    with pytest.raises(SupersededError):
        store.wished("run-1", ELSEWHERE)
    assert store.step("run-1", "a").status == "pending"


def test_a_wish_is_seen_by_the_owner_and_forgotten_with_the_next_claim(store: RunStore) -> None:
    store.save(run())
    store.claim("run-1", ME)
    store.wish("run-1", "pause")
    assert store.wished("run-1", ME) == "pause"
    store.claim("run-1", ME)
    assert store.wished("run-1", ME) == ""


def test_a_grant_holds_for_what_was_asked_and_nothing_else(store: RunStore) -> None:
    store.grant("run-1", "digest", "me")
    store.grant("run-1", "digest", "me again")
    assert store.is_granted("run-1", "digest")
    assert not store.is_granted("run-1", "other")
    assert not store.is_granted("run-2", "digest")
    store.mark_sent("run-1", 3)
    store.mark_sent("run-1", 3)
    assert store.sent("run-1") == {3}


def _claim_often(url: str, owner: str, won: "multiprocessing.Queue[str]") -> None:
    store = RunStore(Database(url))
    try:
        store.claim("run-1", owner)
        won.put(owner)
    except PlanError:
        won.put("")
    finally:
        store.close()


def test_of_many_processes_one_gets_a_run(store: RunStore, url: str) -> None:
    store.save(run())
    context = multiprocessing.get_context("spawn")
    won = context.Queue()
    claims = [
        context.Process(target=_claim_often, args=(url, f"machine-{n}:1:1", won)) for n in range(4)
    ]
    for process in claims:
        process.start()
    answers = [won.get(timeout=60) for _ in claims]
    for process in claims:
        process.join()
    won.close()
    assert len([owner for owner in answers if owner]) == 1


def test_an_outage_of_postgres_is_waited_out_or_said(
    postgres: Postgres, postgres_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OPSWRIGHT_DATABASE_URL", postgres_url)
    store = RunStore(Database(database_url(tmp_path)))
    store.save(run())
    postgres.stop()
    try:
        with pytest.raises(OpswrightError, match="OPSWRIGHT_DATABASE_URL"):
            store.load("run-1")
        store.wait_out(60)
        seen: list[str] = []
        waiting = threading.Thread(target=lambda: seen.append(store.load("run-1").status))
        waiting.start()
        time.sleep(0.3)
        assert seen == []
    finally:
        postgres.start()
    waiting.join(timeout=60)
    store.close()
    assert seen == ["planned"]


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x"])
def test_a_database_that_cannot_be_used_is_refused_by_name(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPSWRIGHT_DATABASE_URL", url)
    with pytest.raises(ConfigError, match="OPSWRIGHT_DATABASE_URL"):
        database_url(tmp_path)


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OpswrightError, match="cannot use"):
        Database(f"sqlite:///{tmp_path}/file/runs.db")


@pytest.mark.parametrize(
    ("recorded", "read"), [("", None), ("no room", Halted(reason="error", why="no room"))]
)
def test_why_a_run_halted_is_read_from_runs_that_recorded_it_as_text(
    recorded: str, read: Halted | None
) -> None:
    run = Run(run_id="run-1", goal="g", plan=plan_of(make("a"))).model_dump(mode="json")
    assert Run.model_validate({**run, "halted": recorded}).halted == read
