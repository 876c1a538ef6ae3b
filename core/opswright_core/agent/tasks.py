"""Keeps tasks: starts them, waits a bounded time, persists where they stand, stops them."""

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from opswright_core.agent import claude
from opswright_core.agent.report import ApprovalWanted, Outcome, TaskBudget, TaskContext, TaskReport
from opswright_core.agent.skills import Skill, SkillBook, fill
from opswright_core.agent.worker import ApprovalWantedError, Worker
from opswright_core.database import connect, transaction
from opswright_core.errors import ConflictError, NotFoundError, OpswrightError
from opswright_core.journal import is_alive, new_id
from opswright_core.namespaces import Sight, inherit, sight
from opswright_core.redact import redact, redact_text
from opswright_core.runtime import Runtime, StopSignal, enter, stop_signal
from opswright_core.search import Ranker

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (
    task_id TEXT PRIMARY KEY,
    server TEXT NOT NULL,
    owner TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    report TEXT NOT NULL,
    namespace TEXT NOT NULL DEFAULT ''
);
"""

Progress = Callable[[str], Awaitable[None]]

SETTLE_SECONDS = 10.0
"""How long a cancelled task, and a change it began, may take to finish the call already sent."""

_STOPPED = "the server stopped while the task was under way"
_AGAIN = "Call handle_task again: finished changes are found, not repeated."


@dataclass
class TaskStore:
    """The tasks of one state directory, one row each, so that their state survives a restart."""

    path: Path
    owner: str
    namespace: Callable[[], str] = str
    """Whose tasks the call under way sees: those of its namespace alone."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @cached_property
    def _db(self) -> Any:
        db = connect(self.path, _SCHEMA)
        with transaction(db):  # files of before tasks had a namespace
            columns = {row["name"] for row in db.execute("PRAGMA table_info(tasks)")}
            if "namespace" not in columns:
                db.execute("ALTER TABLE tasks ADD COLUMN namespace TEXT NOT NULL DEFAULT ''")
        return db

    def save(self, report: TaskReport) -> None:
        """Write where a task stands; it is on disk when this returns."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        body = TaskReport.model_validate(redact(report.model_dump(mode="json"))).model_dump_json()
        with self._lock:
            self._db.execute(
                "INSERT INTO tasks VALUES (?,?,?,?,?,?) ON CONFLICT (task_id) DO UPDATE SET "
                "owner = excluded.owner, updated_at = excluded.updated_at, "
                "report = excluded.report",
                (report.task_id, report.agent, self.owner, now, body, self.namespace()),
            )

    def load(self, task_id: str) -> TaskReport:
        """Where a task stands; one whose server is gone is `failed`. Raises NotFoundError."""
        with self._lock:
            row = self._db.execute(
                "SELECT owner, report FROM tasks WHERE task_id = ? AND namespace = ?",
                (task_id, self.namespace()),
            ).fetchone()
        if row is None:
            raise NotFoundError(f"no task {task_id!r} here; handle_task returns the ids")
        report = TaskReport.model_validate_json(row["report"])
        if report.status == "working" and not is_alive(row["owner"]):
            return report.model_copy(
                update={
                    "status": "failed",
                    "error": _STOPPED,
                    "next": _AGAIN,
                }
            )
        return report


@dataclass
class Agent:
    """The agent of one server."""

    server: Any
    runtime: Runtime
    playbook: str
    skills: SkillBook
    store: TaskStore
    _wanted: dict[str, list[ApprovalWanted]] = field(default_factory=dict, repr=False)
    """Approvals that tasks ended with, whose tokens are never written to disk."""
    _signals: dict[str, StopSignal] = field(default_factory=dict, repr=False)

    async def handle(
        self,
        task: str,
        context: TaskContext,
        budget: TaskBudget,
        wait_seconds: float,
        progress: Progress,
    ) -> TaskReport:
        """Start a task and wait for it at most `wait_seconds`; it goes on after that."""
        task_id = new_id("task")
        started = TaskReport(
            task_id=task_id, agent=self.runtime.server, status="working", summary="under way"
        )
        await asyncio.to_thread(self.store.save, started)
        signal = self._signals[task_id] = StopSignal()
        work = asyncio.create_task(
            self._run(task_id, task, context, budget, progress, signal, sight())
        )
        self.runtime.running[task_id] = work
        work.add_done_callback(lambda _: self._forget(task_id))
        return await self.get(task_id, wait_seconds)

    async def get(self, task_id: str, wait_seconds: float) -> TaskReport:
        """Where a task stands, after waiting for it at most `wait_seconds`."""
        work = self.runtime.running.get(task_id)  # before the look: it may end meanwhile
        report = await asyncio.to_thread(self.store.load, task_id)  # or it is not the caller's
        if work:
            await asyncio.wait([work], timeout=wait_seconds)
            report = await asyncio.to_thread(self.store.load, task_id)
        if task_id in self._wanted:
            report.approvals = self._wanted[task_id]
        if report.status == "working":
            report.next = "Call get_task with this task_id to wait on, or cancel_task."
        return report

    async def cancel(self, task_id: str) -> TaskReport:
        """Stop a task. A call already sent is let finish; nothing further is sent.

        Also not by a change under way: it ends before its next step, and says so in the journal.
        Raises ConflictError for a task that another process runs.
        """
        await asyncio.to_thread(self.store.load, task_id)  # or it is not the caller's
        work, signal = self.runtime.running.get(task_id), self._signals.get(task_id)
        if work and signal:
            signal.set()
            work.cancel()
            await asyncio.wait([work], timeout=SETTLE_SECONDS)
            running = self.runtime.running
            if changes := [running[key] for key in signal.changes if key in running]:
                await asyncio.wait(changes, timeout=SETTLE_SECONDS)
        report = await asyncio.to_thread(self.store.load, task_id)
        if work is None and report.status == "working":
            raise ConflictError(f"{task_id} is run by another process; cancel it there.")
        return report

    def _forget(self, task_id: str) -> None:
        self.runtime.running.pop(task_id, None)
        self._signals.pop(task_id, None)

    async def _run(
        self,
        task_id: str,
        task: str,
        context: TaskContext,
        budget: TaskBudget,
        progress: Progress,
        signal: StopSignal,
        seen: Sight,
    ) -> None:
        from fastmcp import Client

        from opswright_core.answers import own_client

        leave = enter(self.runtime)
        inherit(seen)
        stop_signal.set(signal)
        report = TaskReport(task_id=task_id, agent=self.runtime.server, status="failed", summary="")
        worker: Worker | None = None
        try:
            async with Client(self.server, client_info=own_client()) as client:
                worker = Worker(client, context, budget, progress)
                outcome = await self._mind(worker, task, report)
                if outcome is not None:
                    _conclude(report, outcome, worker.gaps)
        except asyncio.CancelledError:
            if signal.is_set():
                report.status, report.summary = "cancelled", "Stopped on request."
                if signal.changes:
                    report.next = (
                        f"It had begun {', '.join(signal.changes)}: get_change tells how far each "
                        "came, undo_change reverses it."
                    )
            else:
                report.error = report.summary = _STOPPED
                report.next = _AGAIN
        except ApprovalWantedError as exc:
            report.status, report.summary = "needs_approval", f"A person has to approve: {exc}"
            report.next = (
                "Show the plan; then call handle_task again with the token in context.approvals."
            )
        except OpswrightError as exc:
            done = worker is not None and any(step.ok for step in worker.steps)
            report.status, report.error = "partial" if done else "failed", redact_text(str(exc))
            report.summary = report.summary or f"Stopped: {report.error}"
        except Exception as exc:
            log.exception("task %s failed by a defect", task_id)
            report.error = f"a defect in the server ({type(exc).__name__}); see its log"
            report.summary = report.error
        finally:
            leave()
            if worker is not None:
                report.steps, report.resources = worker.steps, worker.resources
                report.usage, report.regions = worker.usage, worker.regions
                report.gaps = worker.gaps
                report.approvals = list(worker.approvals.values())
                if report.approvals:
                    self._wanted[task_id] = report.approvals
            self.store.save(report)

    async def _mind(self, worker: Worker, task: str, report: TaskReport) -> Outcome | None:
        if self._has_model():
            report.mind = "claude"
            tools = [t for t in await worker.client.list_tools() if t.name not in TASK_TOOLS]
            settings = self.runtime.settings
            outcome = await claude.think(
                worker,
                task,
                agent=self.runtime.server,
                playbook=self.playbook,
                model=settings.model,
                tools=tools,
            )
            if worker.approvals and outcome.status != "failed":
                raise ApprovalWantedError(outcome.summary)
            return outcome
        chosen = self.skills.choose(task)
        if chosen is None:
            await self._no_skill(worker, task, report)
            return None
        report.skill = chosen.name
        return await self._use(chosen, worker, task, report)

    async def _use(
        self, chosen: Skill, worker: Worker, task: str, report: TaskReport
    ) -> Outcome | None:
        known = {
            **{k: v for message in worker.context.inbox for k, v in message.data.items()},
            **worker.context.facts,
        }
        inputs = fill(chosen.inputs, task, known)
        if isinstance(inputs, list):
            report.status, report.needs = "needs_input", inputs
            names = ", ".join(need.name for need in inputs)
            report.summary = f"{chosen.name} needs {names}."
            report.next = f"Call handle_task again with context.facts holding {names}."
            return None
        return await chosen.run(worker, inputs)

    async def _no_skill(self, worker: Worker, task: str, report: TaskReport) -> None:
        tools = await worker.client.list_tools()
        near = [
            h.key
            for h in Ranker(
                {t.name: (t.name.replace("_", " "), t.description) for t in tools}
            ).rank(task)
        ][:5]
        near_skills = [hit.key for hit in self.skills.rank(task)][:3] or list(self.skills.skills)[
            :5
        ]
        report.status, report.summary = "failed", "This agent has no skill for the task as worded."
        report.error = "no skill matches"
        report.next = (
            f"Nearest skills: {', '.join(near_skills) or 'none'}; "
            f"nearest tools: {', '.join(near) or 'none'}. Reword the task, call a tool directly, "
            "or set ANTHROPIC_API_KEY so that a model plans it."
        )

    def _has_model(self) -> bool:
        mind = self.runtime.settings.mind
        if mind == "auto":
            from importlib.util import find_spec

            return bool(os.environ.get("ANTHROPIC_API_KEY")) and find_spec("anthropic") is not None
        return mind == "claude"


TASK_TOOLS = frozenset({"handle_task", "get_task", "cancel_task", "can_handle"})


MOST_GAPS = 6
"""That a summary names; the report has them all."""


def _conclude(report: TaskReport, outcome: Outcome, gaps: list[str]) -> None:
    report.status, report.outputs = outcome.status, outcome.outputs
    report.summary = f"{outcome.summary}{_not_real(gaps)}"
    report.messages, report.memories, report.next = outcome.messages, outcome.memories, outcome.next
    if outcome.status == "failed":
        report.error = outcome.summary


def _not_real(gaps: list[str]) -> str:
    """What the backend could not really do, as a sentence to add to a summary."""
    if not gaps:
        return ""
    more = len(gaps) - MOST_GAPS
    return f" Not real here: {' '.join(gaps[:MOST_GAPS])}" + (
        f" And {more} more, in `gaps`." if more > 0 else ""
    )
