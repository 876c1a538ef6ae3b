"""The append-only record of every change: planned, approved by whom, sent, answered, undone.

One SQLite file per state directory, shared by the servers that use it. Each event carries the hash
of the one before it, so that an edit shows. Secrets are redacted before they are written.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from opswright_core.canonical import canonical_json, digest
from opswright_core.database import connect, transaction
from opswright_core.redact import redact

_SCHEMA = """
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    change_id TEXT NOT NULL,
    server TEXT NOT NULL,
    kind TEXT NOT NULL,
    intent TEXT,
    at TEXT NOT NULL,
    body TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_change ON events (change_id, seq);
CREATE INDEX IF NOT EXISTS events_intent ON events (intent) WHERE intent IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS events_no_update BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS events_no_delete BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""


@dataclass(frozen=True)
class Event:
    """One line of the journal; `at` is an ISO 8601 time in UTC."""

    seq: int
    change_id: str
    server: str
    kind: str
    at: str
    body: dict[str, Any]


@dataclass
class Journal:
    """The journal of one state directory, written in the name of one server."""

    path: Path
    server: str
    owner: str = field(default_factory=lambda: process_identity(os.getpid()))
    on_event: Callable[[str], object] = field(default=lambda _: None, repr=False)
    """Told the change's id after each event that this process wrote, on the thread that did."""
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @cached_property
    def _db(self) -> Any:
        return connect(self.path, _SCHEMA)

    def append(
        self,
        change_id: str,
        kind: str,
        body: dict[str, Any],
        *,
        intent: str | None = None,
        unless: Callable[[list[Event]], object] | None = None,
    ) -> bool:
        """Write one event; it is on disk when this returns.

        `unless` sees the change's events inside the same transaction, and may read more of the
        journal; a true answer keeps the event from being written (and False is returned), which is
        how single use and single ownership are decided.
        """
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        with self._lock, transaction(self._db) as db:
            if unless is not None and unless(self._events(change_id)):
                return False
            record = canonical_json(redact(body))  # after `unless`, which may complete the body
            last = db.execute("SELECT hash FROM events ORDER BY seq DESC LIMIT 1").fetchone()
            chained = digest(
                [last["hash"] if last else "", change_id, self.server, kind, intent, at, record]
            )
            db.execute(
                "INSERT INTO events (change_id, server, kind, intent, at, body, hash) "
                "VALUES (?,?,?,?,?,?,?)",
                (change_id, self.server, kind, intent, at, record, chained),
            )
        self.on_event(change_id)
        return True

    def events(self, change_id: str) -> list[Event]:
        """All events of one change, oldest first."""
        with self._lock:
            return self._events(change_id)

    def _events(self, change_id: str) -> list[Event]:
        rows = self._db.execute(
            "SELECT * FROM events WHERE change_id = ? ORDER BY seq", (change_id,)
        )
        return [_event(row) for row in rows]

    def changes_of(self, intent: str) -> list[str]:
        """Ids of the changes made for one intent, newest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT change_id FROM events WHERE intent = ? "
                "GROUP BY change_id ORDER BY MAX(seq) DESC",
                (intent,),
            )
            return [row["change_id"] for row in rows]

    def recent(self, limit: int = 50) -> list[str]:
        """Ids of this server's changes, newest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT change_id FROM events WHERE server = ? "
                "GROUP BY change_id ORDER BY MIN(seq) DESC LIMIT ?",
                (self.server, limit),
            )
            return [row["change_id"] for row in rows]

    def length(self) -> int:
        """How many events there are, of every server."""
        with self._lock:
            count = self._db.execute("SELECT COUNT(*) AS events FROM events").fetchone()
            return int(count["events"])

    def broken_at(self) -> int | None:
        """The sequence number of the first event that was altered or removed, or None."""
        previous, last = "", 0
        with self._lock:
            for row in self._db.execute("SELECT * FROM events ORDER BY seq"):
                fields = [
                    row["change_id"],
                    row["server"],
                    row["kind"],
                    row["intent"],
                    row["at"],
                    row["body"],
                ]
                if digest([previous, *fields]) != row["hash"]:
                    return int(row["seq"])
                previous, last = row["hash"], int(row["seq"])
            written = self._db.execute("SELECT seq FROM sqlite_sequence").fetchone()
        return last + 1 if written and written["seq"] > last else None


def process_identity(pid: int) -> str:
    """`host:pid:start`, so that a later process with the same pid is not taken for this one."""
    return f"{socket.gethostname()}:{pid}:{_start_of(pid)}"


def is_alive(owner: str) -> bool:
    """Whether the process behind an identity still runs; another host's is assumed to."""
    host, pid, start = owner.rsplit(":", 2)
    return host != socket.gethostname() or _start_of(int(pid)) == start != ""


def _start_of(pid: int) -> str:
    """When a process started, in the system's own measure; '' when it runs no more."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return "" if fields[0] in {"Z", "X"} else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self").exists():
            return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "0"


def new_id(prefix: str) -> str:
    """A short id that sorts by time: `prefix-` and 16 hex digits."""
    return f"{prefix}-{int(time.time() * 1000):011x}{os.urandom(3).hex()[:5]}"


def _event(row: Any) -> Event:
    return Event(
        row["seq"], row["change_id"], row["server"], row["kind"], row["at"], json.loads(row["body"])
    )
