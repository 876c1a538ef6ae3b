"""Takes over the runs of workers that are dead, or have not been heard of for ten seconds."""

import asyncio
import logging

from opswright.durable import hand_over
from opswright.executor import workflow_id
from opswright.store import DEAD_SECONDS, RunStore
from opswright_core.errors import OpswrightError

LOOK_SECONDS = 2.0
"""How often a worker looks: the longest time until a run goes on is this and DEAD_SECONDS."""

log = logging.getLogger(__name__)


async def reap(store: RunStore) -> None:
    """Hand what dead workers left to those that live, over and over."""
    while True:
        try:
            runs = await asyncio.to_thread(store.take_abandoned)
        except OpswrightError as exc:
            # After an outage nobody has been heard of; give them all time to speak.
            log.warning("%s", exc)
            await asyncio.sleep(DEAD_SECONDS)
            continue
        for run in runs:
            log.warning("%s is taken over from %s", run.run_id, run.owner or "the queue")
            await hand_over(workflow_id(run), run.run_id)
        await asyncio.sleep(LOOK_SECONDS)
