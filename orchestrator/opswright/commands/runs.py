"""`opswright run`, `plan`, `status`, `resume` and `undo`."""

from pathlib import Path
from typing import Any

from rich.console import Console

from opswright import render, sandbox
from opswright.commands.carrying_out import carry_out
from opswright.commands.exit_codes import DONE
from opswright.commands.terminal import console_for, guarded
from opswright.plan import PlanError
from opswright.runs import Run
from opswright.runs import as_json as to_json
from opswright.session import Place, opened, place_of, sandbox_dir, store_in
from opswright_core.settings import state_directory


def run_request(
    request: str,
    *,
    in_sandbox: bool,
    yes: bool,
    given: dict[str, Any],
    config: Path | None,
    as_json: bool,
    quiet: bool,
) -> int:
    """`opswright run`."""
    console = console_for(as_json)

    async def work() -> int:
        place = _place(in_sandbox, console, quiet)
        async with opened(place, config) as session:
            plan = await session.plan(request, given)
            previews = await session.preview(plan)
            if not quiet:
                render.show_agents(console, plan.why, session.down)
                render.show_plan(console, plan)
                render.show_previews(console, previews, plan)
            run = session.record(plan, previews)
            return await carry_out(session, run, console, yes=yes, as_json=as_json, quiet=quiet)

    return guarded(work, as_json)


def plan_request(
    request: str, *, in_sandbox: bool, given: dict[str, Any], config: Path | None, as_json: bool
) -> int:
    """`opswright plan`."""
    console = console_for(as_json)

    async def work() -> int:
        async with opened(_place(in_sandbox, console, quiet=True), config) as session:
            plan = await session.plan(request, given)
            previews = await session.preview(plan)
            if as_json:
                print(to_json({"plan": plan, "previews": previews, "down": session.down}))
            else:
                render.show_agents(console, plan.why, session.down)
                render.show_plan(console, plan)
                render.show_previews(console, previews, plan)
                console.print(
                    "\nNothing was changed. `opswright run` with the same words carries it out."
                )
        return DONE

    return guarded(work, as_json)


def show(run_id: str | None, *, as_json: bool) -> int:
    """`opswright status`."""

    async def work() -> int:
        store, console = store_in(state_directory()), console_for(as_json)
        if run_id is None:
            runs = store.recent()
            print(to_json([_line(r) for r in runs])) if as_json else render.show_runs(console, runs)
            return DONE
        run = store.load(run_id)
        outcomes = store.steps(run)
        if as_json:
            print(to_json({"run": run, "steps": list(outcomes.values())}))
        else:
            render.show_status(console, run, outcomes)
        return DONE

    return guarded(work, as_json)


def resume_run(run_id: str, *, yes: bool, as_json: bool, quiet: bool) -> int:
    """`opswright resume`."""
    console = console_for(as_json)

    async def work() -> int:
        run = store_in(state_directory()).load(run_id)
        if run.status == "done":
            console.print(f"{run_id} is done already.")
            return DONE
        if run.undone_by:
            raise PlanError(
                f"{run_id} has been undone by {run.undone_by}; run its request again instead"
            )
        async with opened(place_of(run, state_directory()), _config_of(run)) as session:
            session.check(run.plan)
            return await carry_out(
                session,
                run,
                console,
                yes=yes,
                as_json=as_json,
                quiet=quiet,
                resumed=run.status != "planned",
            )

    return guarded(work, as_json)


def undo_run(run_id: str, *, yes: bool, as_json: bool, quiet: bool) -> int:
    """`opswright undo`."""
    console = console_for(as_json)

    async def work() -> int:
        run = store_in(state_directory()).load(run_id)
        if run.status == "running":
            raise PlanError(f"{run_id} is still running; stop it first, then undo it")
        async with opened(place_of(run, state_directory()), _config_of(run)) as session:
            plan = session.undo_plan(run)
            session.check(plan)
            if not quiet:
                render.show_plan(console, plan)
            undoing = session.record(plan, {}, undoes=run_id)
            return await carry_out(session, undoing, console, yes=yes, as_json=as_json, quiet=quiet)

    return guarded(work, as_json)


def _place(in_sandbox: bool, console: Console, quiet: bool) -> Place:
    state_dir = state_directory()
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not in_sandbox:
        return Place(state_dir)
    running = sandbox.up(sandbox_dir(state_dir))
    if not quiet:
        console.print(
            f"[bold]Sandbox[/] an AWS emulator at {running.endpoint}; no account is touched"
        )
    return Place(state_dir, running)


def _config_of(run: Run) -> Path | None:
    return Path(run.config_path) if run.config_path else None


def _line(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status,
        "goal": run.goal,
        "created_at": run.created_at,
        "sandbox": run.sandbox,
        "undone_by": run.undone_by,
    }
