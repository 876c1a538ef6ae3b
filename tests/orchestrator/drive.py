"""Runs a plan in its own process, for tests that kill it: `drive.py STATE_DIR CONFIG PLAN`."""

import asyncio
import sys
from pathlib import Path
from typing import Any

from opswright.plan import Plan, Step
from opswright.runs import StepOutcome
from opswright.session import Place, opened


async def drive(state_dir: Path, config: Path, plan_file: Path) -> str:
    """Approve the plan and run it; a line on standard output tells of every step."""

    def tell(outcome: StepOutcome) -> None:
        print(outcome.step_id, outcome.status, flush=True)

    async def nobody(_: Step, __: dict[str, Any]) -> bool:
        return False

    async with opened(Place(state_dir), config) as session:
        run = session.record(Plan.model_validate_json(plan_file.read_text()), {})
        print("run", run.run_id, flush=True)
        ended = await session.execute(session.approve(run, "test"), tell, nobody)
    return ended.status


if __name__ == "__main__":
    print("ended", asyncio.run(drive(*(Path(argument) for argument in sys.argv[1:4]))), flush=True)
