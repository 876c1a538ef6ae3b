"""Starts the engine that makes runs durable: DBOS on the database of the runs.

SQLite gets a file of its own beside the runs, PostgreSQL holds both.
"""

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from opswright.store import RunStore
from opswright_core.canonical import digest
from opswright_core.errors import OpswrightError

APPLICATION_VERSION = "opswright-1"
"""Pinned: recovery matches it exactly, and the default changes with every edit of the source."""

WORKFLOW = "run_plan"
QUEUE = "opswright-runs"
"""What is handed to the workers."""

RUNS_AT_ONCE = 8
"""Runs that one worker carries out side by side."""

QUEUE_POLL_SECONDS = 0.5
THREADS = 16
BEAT_SECONDS = 2.0

Workflow = Callable[[str], Coroutine[Any, Any, None]]
log = logging.getLogger(__name__)


@asynccontextmanager
async def launched(
    url: str, state_dir: Path, owner: str, body: Workflow, *, takes_runs: bool = False
) -> AsyncIterator[Workflow]:
    """Run DBOS for as long as the block lasts; yields the durable workflow of `body`.

    Only a process that `takes_runs` carries out what was handed to the workers.
    """
    logging.getLogger("dbos").setLevel(logging.ERROR)
    from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

    loop = asyncio.get_running_loop()
    config: DBOSConfig = {
        "name": "opswright",
        "system_database_url": url,
        "application_version": APPLICATION_VERSION,
        # An id of this process alone: at launch DBOS takes up what its own id left pending, and
        # another process's runs are not ours to take.
        "executor_id": digest(owner)[:16],
        "serializer": DBOSPortableJSONSerializer(),
        "max_executor_threads": THREADS,
        "log_level": "ERROR",
    }
    if url.startswith("sqlite"):
        path = state_dir / "workflows.db"
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA journal_mode=WAL")
        config["system_database_url"] = f"sqlite:///{path}"
        config["db_engine_kwargs"] = {"connect_args": {"factory": _Connection}}
    DBOS(config=config)

    async def run_plan(run_id: str) -> None:
        await body(run_id)

    workflow = DBOS.workflow(name=WORKFLOW)(run_plan)
    DBOS.listen_queues([QUEUE] if takes_runs else [])
    await asyncio.to_thread(DBOS.launch)
    try:
        await DBOS.register_queue_async(
            QUEUE, worker_concurrency=RUNS_AT_ONCE, polling_interval_sec=QUEUE_POLL_SECONDS
        )
        yield workflow
    finally:
        await asyncio.to_thread(DBOS.destroy)
        # DBOS made its own thread pool the loop's default one and has just shut it down.
        loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="opswright"))


async def hand_over(workflow_id: str, run_id: str) -> None:
    """Hand an attempt at a run to the workers: a new one, or one that its worker left behind.

    The worker that had it, should it live after all, is fenced off by DBOS.
    """
    from dbos import DBOS, error

    try:
        await DBOS.resume_workflow_async(workflow_id, queue_name=QUEUE)
    except error.DBOSNonExistentWorkflowError:
        options: Any = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": workflow_id,
            "app_version": APPLICATION_VERSION,
        }
        await DBOS.enqueue_workflow_with_options_async(options, run_id)


class Heartbeat:
    """Says every two seconds that this process is at work, from a thread of its own."""

    def __init__(self, store: RunStore, owner: str) -> None:
        self._store = store
        self._owner = owner
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        self._store.beat(self._owner)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=BEAT_SECONDS)
        with contextlib.suppress(OpswrightError):  # it counts as dead soon anyhow
            self._store.leave(self._owner)

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self._store.beat(self._owner)
            except OpswrightError as exc:
                log.warning("no heartbeat: %s", exc)


class _Connection(sqlite3.Connection):
    """A connection with the clock that DBOS asks for on Python 3.12 and later.

    There it stamps rows with `unixepoch('subsec')`, which SQLite has from 3.42 on and answers with
    NULL before; Debian 12 ships 3.40.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if sqlite3.sqlite_version_info < (3, 42):
            self.create_function("unixepoch", -1, lambda *_: time.time())
