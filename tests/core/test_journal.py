"""The journal holds what happened, and shows when it was altered."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from opswright_core import journal as module
from opswright_core.errors import OpswrightError
from opswright_core.journal import Journal, is_alive, new_id, process_identity


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state" / "journal.db", "shelf")


def test_events_cannot_be_changed_or_deleted(journal: Journal) -> None:
    journal.append("ch-1", "note", {"text": "first"})
    with sqlite3.connect(journal.path) as db:
        for statement in ("UPDATE events SET kind = 'x'", "DELETE FROM events"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                db.execute(statement)
    db.close()


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE events SET body = '{}' WHERE seq = 2", 2),
        ("DELETE FROM events WHERE seq = 2", 3),
        ("DELETE FROM events WHERE seq = 3", 3),
        ("DELETE FROM events", 1),
    ],
    ids=["edited", "one removed", "the last removed", "all removed"],
)
def test_an_edit_made_behind_the_triggers_is_found(
    journal: Journal, tampering: str, broken: int
) -> None:
    for number in range(3):
        journal.append("ch-1", "note", {"number": number})
    assert journal.broken_at() is None
    with sqlite3.connect(journal.path) as db:
        db.execute("DROP TRIGGER events_no_update")
        db.execute("DROP TRIGGER events_no_delete")
        db.execute(tampering)
    db.close()
    assert journal.broken_at() == broken


def test_an_empty_journal_is_whole(journal: Journal) -> None:
    assert journal.broken_at() is None


def test_an_event_is_not_written_when_its_condition_is_met(journal: Journal) -> None:
    assert journal.append("ch-1", "applying", {}, unless=lambda events: events)
    assert not journal.append("ch-1", "applying", {}, unless=lambda events: events)
    assert [e.kind for e in journal.events("ch-1")] == ["applying"]


def test_a_failing_condition_writes_nothing_and_frees_the_journal(journal: Journal) -> None:
    with pytest.raises(ZeroDivisionError):
        journal.append("ch-1", "note", {}, unless=lambda _: 1 / 0)
    assert journal.append("ch-1", "note", {})


def test_processes_that_write_at_once_keep_one_chain(journal: Journal) -> None:
    script = (
        "import pathlib, sys\n"
        "from opswright_core.journal import Journal\n"
        "j = Journal(pathlib.Path(sys.argv[1]), 'shelf')\n"
        "won = [j.append('ch-1', f'once-{n}', {}, unless=lambda es, n=n:\n"
        "       any(e.kind == f'once-{n}' for e in es)) for n in range(40)]\n"
        "print(sum(won))\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, str(journal.path)], stdout=subprocess.PIPE)
        for _ in range(4)
    ]
    wins = [int(child.communicate()[0]) for child in children]
    assert sum(wins) == 40
    assert len(journal.events("ch-1")) == 40
    assert journal.broken_at() is None


def test_a_directory_that_cannot_be_used_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OpswrightError, match="OPSWRIGHT_STATE_DIR"):
        Journal(tmp_path / "file" / "journal.db", "shelf").events("ch-1")


def test_a_process_is_told_from_a_later_one_with_its_pid() -> None:
    here = process_identity(os.getpid())
    assert is_alive(here)
    assert not is_alive(f"{here.rpartition(':')[0]}:1")
    assert is_alive("another-host:1:1")


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    identity = process_identity(child.pid)
    assert is_alive(identity)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(identity)
    child.communicate()
    assert not is_alive(identity)


def test_without_proc_a_pid_that_runs_is_taken_for_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Path", lambda _: Path("/nowhere"))
    assert is_alive(process_identity(os.getpid()))
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert process_identity(child.pid).endswith(":")


def test_ids_sort_by_time() -> None:
    ids = [new_id("ch") for _ in range(3)]
    assert all(len(i) == len("ch-") + 16 for i in ids)
    assert [i[:14] for i in ids] == sorted(i[:14] for i in ids)
