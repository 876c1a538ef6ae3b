"""`opswright worker`."""

import asyncio
import os
import signal
from pathlib import Path

from opswright.commands.exit_codes import DONE
from opswright.commands.terminal import console_for, guarded, print_event
from opswright.options import Output
from opswright.render.styles import mark_of
from opswright.runs import StepOutcome
from opswright.store import store_in
from opswright.worker import Worker
from opswright_core.settings import state_directory


def work(*, config: Path | None, output: Output) -> int:
    """`opswright worker`: until Ctrl-C or SIGTERM; what is under way is another worker's then."""
    console = console_for(output.for_programs)

    def tell(run_id: str, outcome: StepOutcome) -> None:
        if output.json_lines:
            print_event({"event": "step", "run_id": run_id, **outcome.model_dump(mode="json")})
        elif not output.quiet and not outcome.note:
            console.print(
                mark_of(outcome.status), f"{run_id} {outcome.step_id} {outcome.status}",
                outcome.error or "", markup=False, highlight=False,
            )  # fmt: skip

    def ready() -> None:
        if output.json_lines:
            print_event({"event": "ready", "pid": os.getpid()})
        elif not output.quiet:
            console.print(f"Worker {os.getpid()} takes runs. Ctrl-C ends it.", highlight=False)

    async def until_stopped() -> int:
        state_dir = state_directory()
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = store_in(state_dir)
        worker = Worker(store, state_dir, config, tell)

        def stop() -> None:
            """Leave at once, as a crash would, since the record is true; others go on at once."""
            store.leave(worker.owner)
            os._exit(DONE)

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop)
        await worker.work(ready)
        return DONE

    return guarded(until_stopped, output)
