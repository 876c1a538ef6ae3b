"""Hands runs to the workers, through the queue of the database that they share."""

import os
from pathlib import Path

from opswright.durable import hand_over, launched
from opswright.executor import workflow_id
from opswright.runs import Run
from opswright.store import RunStore
from opswright_core.journal import process_identity


async def queue(store: RunStore, state_dir: Path, run: Run, *, again: bool) -> Run:
    """Leave an approved run to the workers: its first attempt, or `again` what is not done."""

    async def nothing(_: str) -> None:
        """Carry nothing out here."""

    attempt = run.attempt + 1 if again else run.attempt
    queued = store.change(
        run.run_id, status="queued", halted=None, detached=True, attempt=attempt, owner=""
    )
    owner = process_identity(os.getpid())
    async with launched(store.url, state_dir, owner, nothing):
        await hand_over(workflow_id(queued), queued.run_id)
    return queued
