"""`opswright run`, `resume` and `undo`: what carries plans out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opswright.commands.carrying_out import carry_out, within
from opswright.commands.exit_codes import DONE
from opswright.commands.places import place_for, team
from opswright.commands.plans import planned_or_loaded, show_planned
from opswright.commands.terminal import busy, console_for, guarded
from opswright.options import Going, Output
from opswright.plan import PlanError
from opswright.planning import PlannerName
from opswright.render.plans import show_plan
from opswright.runs import Run
from opswright.session import place_of
from opswright.store import store_in
from opswright_core.settings import state_directory


def run_request(
    request: str | None,
    *,
    plan_file: Path | None,
    in_sandbox: bool,
    going: Going,
    given: Mapping[str, Any],
    planner: PlannerName,
    config: Path | None,
    output: Output,
) -> int:
    """`opswright run`."""
    console = console_for(output.for_programs)

    async def work() -> int:
        place = place_for(in_sandbox, console, output.quiet)
        async with team(place, config, console, quiet=output.quiet) as session:
            plan = await planned_or_loaded(
                session, request, plan_file, given, planner, console, quiet=output.quiet
            )
            with busy(console, "Planning…", quiet=output.quiet):
                previews = await session.preview(plan)
            if not output.quiet:
                show_planned(console, session, plan, previews)
            run = session.record(plan, previews, budget=within(going))
            return await carry_out(session, run, console, going=going, output=output)

    return guarded(work, output)


def resume_run(run_id: str, *, going: Going, output: Output) -> int:
    """`opswright resume`."""
    console = console_for(output.for_programs)

    async def work() -> int:
        run = store_in(state_directory()).load(run_id)
        if run.status == "done":
            console.print(f"{run.run_id} is done already.")
            return DONE
        if run.undone_by:
            raise PlanError(
                f"{run.run_id} has been undone by {run.undone_by}; run its request again instead"
            )
        place, config = place_of(run, state_directory()), _config_of(run)
        async with team(place, config, console, quiet=output.quiet, plan=run.plan) as session:
            session.check(run.plan)
            run = session.store.change(run.run_id, budget=within(going, run.budget))
            begun = run.status != "planned"
            return await carry_out(session, run, console, going=going, output=output, resumed=begun)

    return guarded(work, output)


def undo_run(run_id: str, *, yes: bool, output: Output) -> int:
    """`opswright undo`."""
    console = console_for(output.for_programs)

    async def work() -> int:
        run = store_in(state_directory()).load(run_id)
        if run.status == "running":
            raise PlanError(f"{run.run_id} is still running; stop it first, then undo it")
        place, config = place_of(run, state_directory()), _config_of(run)
        async with team(place, config, console, quiet=output.quiet, plan=run.plan) as session:
            plan = session.undo_plan(run)
            session.check(plan)
            if not output.quiet:
                show_plan(console, plan)
            undoing = session.record(plan, {}, undoes=run.run_id)
            going = Going(yes)
            return await carry_out(session, undoing, console, going=going, output=output)

    return guarded(work, output)


def _config_of(run: Run) -> Path | None:
    return Path(run.config_path) if run.config_path else None
