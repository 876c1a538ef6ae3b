"""The runs of a state directory: what was asked, planned, approved and answered."""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field

from opswright.plan import Plan, PlanError
from opswright_core.canonical import canonical_json
from opswright_core.database import connect, transaction
from opswright_core.journal import is_alive

RunStatus = Literal["planned", "waiting", "running", "interrupted", "done", "partial", "failed"]
StepStatus = Literal["pending", "running", "done", "failed", "skipped", "needs_approval"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    owner TEXT NOT NULL,
    status TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS steps (
    run_id TEXT NOT NULL,
    step_id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run_id, step_id)
);
CREATE TABLE IF NOT EXISTS sent (
    run_id TEXT NOT NULL,
    message INTEGER NOT NULL,
    PRIMARY KEY (run_id, message)
);
"""


class StepOutcome(BaseModel):
    """How a step stands. Only a `done` step has a `value`; an error's text is never data."""

    step_id: str
    status: StepStatus = "pending"
    value: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None
    cause: str | None = Field(None, description="The step that made this one impossible")
    change_ids: list[str] = Field(
        default_factory=list, description="The changes it made, to undo them by"
    )
    reused: bool = Field(
        False, description="It had been done before this run, which leaves it alone on undo"
    )
    attempts: int = 0
    started_at: str | None = None
    ended_at: str | None = None
    note: str = Field("", description="What it is doing now")


class Run(BaseModel):
    """One run, in the sandbox or in the account of the environment."""

    run_id: str
    goal: str
    plan: Plan
    sandbox: bool = False
    config_path: str | None = None
    approved_hash: str | None = None
    approved_by: str | None = None
    undoes: str | None = Field(None, description="The run that this one undoes")
    undone_by: str | None = None
    attempt: int = 1
    endpoint: str = Field("", description="The sandbox's address, whose state the run is about")
    previews: dict[str, Any] = Field(default_factory=dict)
    unrecorded: list[str] = Field(
        default_factory=list, description="What did not reach the knowledge server"
    )
    status: RunStatus = "planned"
    created_at: str = ""
    owner: str = ""


@dataclass
class RunStore:
    """Runs in one SQLite file, safe for the commands of many processes."""

    path: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @cached_property
    def _db(self) -> Any:
        return connect(self.path, _SCHEMA)

    def save(self, run: Run) -> None:
        """Write a run's state; it is on disk when this returns."""
        with self._lock:
            self._db.execute(
                "INSERT INTO runs VALUES (?,?,?,?,?,?) ON CONFLICT (run_id) DO UPDATE SET"
                " updated_at = excluded.updated_at, owner = excluded.owner,"
                " status = excluded.status, body = excluded.body",
                (run.run_id, run.created_at, now(), run.owner, run.status, run.model_dump_json()),
            )

    def claim(self, run_id: str, owner: str) -> Run:
        """Take a run to work on it. Raises PlanError when a live process has it or it has ended."""
        with self._lock, transaction(self._db):
            run = self._load(run_id)
            if run.status == "running" and is_alive(run.owner) and run.owner != owner:
                raise PlanError(
                    f"{run_id} is running in another process ({run.owner}); "
                    f"`opswright status {run_id}` shows it"
                )
            claimed = run.model_copy(update={"status": "running", "owner": owner})
            self._db.execute(
                "UPDATE runs SET status = 'running', owner = ?, body = ?, updated_at = ?"
                " WHERE run_id = ?",
                (owner, claimed.model_dump_json(), now(), run_id),
            )
        return claimed

    def load(self, run_id: str) -> Run:
        """A run as it stands; one whose process is gone is `interrupted`. Raises PlanError."""
        with self._lock:
            run = self._load(run_id)
        if run.status == "running" and not is_alive(run.owner):
            return run.model_copy(update={"status": "interrupted"})
        return run

    def _load(self, run_id: str) -> Run:
        if run_id == "last":
            newest = self._db.execute(
                "SELECT run_id FROM runs ORDER BY created_at DESC LIMIT 1"
            ).fetchone()
            run_id = newest["run_id"] if newest else run_id
        row = self._db.execute("SELECT body FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None:
            raise PlanError(f"there is no run {run_id!r}; `opswright status` lists the runs")
        return Run.model_validate_json(row["body"])

    def recent(self, limit: int = 20) -> list[Run]:
        """The newest runs first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT run_id FROM runs ORDER BY created_at DESC LIMIT ?", (limit,)
            ).fetchall()
        return [self.load(row["run_id"]) for row in rows]

    def save_step(self, run_id: str, outcome: StepOutcome) -> None:
        """Write how a step stands."""
        with self._lock:
            self._db.execute(
                "INSERT INTO steps VALUES (?,?,?) ON CONFLICT (run_id, step_id)"
                " DO UPDATE SET body = excluded.body",
                (run_id, outcome.step_id, outcome.model_dump_json()),
            )

    def mark_sent(self, run_id: str, message: int) -> None:
        """Note that a message of the plan was delivered, so that it is not sent again."""
        with self._lock:
            self._db.execute("INSERT OR IGNORE INTO sent VALUES (?,?)", (run_id, message))

    def sent(self, run_id: str) -> set[int]:
        """The numbers of the plan's messages that were delivered."""
        with self._lock:
            rows = self._db.execute(
                "SELECT message FROM sent WHERE run_id = ?", (run_id,)
            ).fetchall()
        return {row["message"] for row in rows}

    def steps(self, run: Run) -> dict[str, StepOutcome]:
        """How every step of a run stands, in the plan's order."""
        with self._lock:
            rows = self._db.execute(
                "SELECT step_id, body FROM steps WHERE run_id = ?", (run.run_id,)
            ).fetchall()
        known = {row["step_id"]: StepOutcome.model_validate_json(row["body"]) for row in rows}
        return {
            step.id: known.get(step.id) or StepOutcome(step_id=step.id) for step in run.plan.steps
        }


def now() -> str:
    """The time as ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def as_json(value: Any) -> str:
    """Readable JSON for `--json`."""
    return json.dumps(json.loads(canonical_json(value)), indent=2, ensure_ascii=False)
