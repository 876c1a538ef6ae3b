"""Whole answers that were too long to give, kept for an hour in the state directory."""

import re
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opswright_core.canonical import canonical_json, digest
from opswright_core.database import connect, transaction
from opswright_core.errors import NotFoundError
from opswright_core.redact import redact

KEPT_SECONDS = 3_600.0
MOST_KEPT = 200
"""Of one state directory; the oldest go first."""

SCHEME = "result://"
_ID = re.compile(r"[0-9a-f]{32}")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (id TEXT PRIMARY KEY, body TEXT NOT NULL, until REAL NOT NULL)
"""


class ResultStore:
    """Answers by id, without their secrets; opened at the first use, safe for many processes.

    An id is that of one namespace's answer, and nothing to callers of another.
    """

    def __init__(
        self,
        path: Path,
        namespace: Callable[[], str] = str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._namespace = namespace
        self._clock = clock
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None

    def keep(self, answer: dict[str, Any]) -> tuple[str, str]:
        """Keep an answer; returns its address and until when (ISO time). A repeat renews it."""
        safe = redact(answer)
        body = canonical_json(safe)
        name = self._id_of(body)
        now = self._clock()
        until = now + KEPT_SECONDS
        with self._lock, transaction(self._open()) as db:
            db.execute("INSERT OR REPLACE INTO results VALUES (?,?,?)", (name, body, until))
            db.execute(
                "DELETE FROM results WHERE until <= ? OR id NOT IN "
                "(SELECT id FROM results ORDER BY until DESC, rowid DESC LIMIT ?)",
                (now, MOST_KEPT),
            )
        return SCHEME + name, datetime.fromtimestamp(until, UTC).isoformat(timespec="seconds")

    def read(self, name: str) -> str:
        """The JSON of a kept answer. Raises NotFoundError when it is not kept (any more)."""
        row = None
        if _ID.fullmatch(name):
            with self._lock:
                row = (
                    self._open()
                    .execute(
                        "SELECT body FROM results WHERE id = ? AND until > ?", (name, self._clock())
                    )
                    .fetchone()
                )
        if row is None or self._id_of(row["body"]) != name:
            raise NotFoundError(
                "This answer is not kept (any more; the time is one hour). Call the tool again."
            )
        body: str = row["body"]
        return body

    def _id_of(self, body: str) -> str:
        return digest([self._namespace(), body])[:32]

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = connect(self._path, _SCHEMA)
        return self._db
