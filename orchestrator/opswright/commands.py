"""What the commands do; each returns its exit code."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from opswright import render, sandbox
from opswright.cli import DONE, FAILED, INTERRUPTED, PARTIAL, USAGE
from opswright.config import ConfigError
from opswright.plan import PlanError, Step
from opswright.report import make_report
from opswright.runs import Run
from opswright.runs import as_json as to_json
from opswright.sandbox import SandboxError
from opswright.session import (
    NotPlannedError,
    Place,
    Session,
    opened,
    place_of,
    sandbox_dir,
    store_in,
)
from opswright_core import telemetry
from opswright_core.errors import NotFoundError, OpswrightError
from opswright_core.journal import Journal
from opswright_core.runtime import Runtime
from opswright_core.settings import Settings, state_directory

WIDE = 140
"""Columns where no terminal says how many there are, so that a pipe or a log is not cut at 80."""

_EXIT = {"done": DONE, "partial": PARTIAL, "waiting": PARTIAL, "failed": FAILED}


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
    console = _console(as_json)

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
            return await _go(session, run, console, yes=yes, as_json=as_json, quiet=quiet)

    return _guarded(work, as_json)


def plan_request(
    request: str, *, in_sandbox: bool, given: dict[str, Any], config: Path | None, as_json: bool
) -> int:
    """`opswright plan`."""
    console = _console(as_json)

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

    return _guarded(work, as_json)


def show(run_id: str | None, *, as_json: bool) -> int:
    """`opswright status`."""

    async def work() -> int:
        store, console = store_in(state_directory()), _console(as_json)
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

    return _guarded(work, as_json)


def resume_run(run_id: str, *, yes: bool, as_json: bool, quiet: bool) -> int:
    """`opswright resume`."""
    console = _console(as_json)

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
            return await _go(
                session,
                run,
                console,
                yes=yes,
                as_json=as_json,
                quiet=quiet,
                resumed=run.status != "planned",
            )

    return _guarded(work, as_json)


def approve_change(change_id: str, *, as_json: bool) -> int:
    """`opswright approve`."""

    async def work() -> int:
        from opswright_core.approvals import grant, tell_granted

        for state_dir in (state_directory(), sandbox_dir(state_directory())):
            if (state_dir / "journal.db").is_file():
                journal = Journal(state_dir / "journal.db", "opswright")
                settings = Settings(state_dir=state_dir)
                with contextlib.suppress(NotFoundError):
                    runtime = Runtime(server="opswright", settings=settings, journal=journal)
                    record = grant(runtime, change_id)
                    found = {"approved": change_id, "summary": record.summary}
                    _say(as_json, found, tell_granted(record))
                    return DONE
        raise PlanError(
            f"no journal here has a change {change_id!r}; a waiting run's status names it"
        )

    return _guarded(work, as_json)


def undo_run(run_id: str, *, yes: bool, as_json: bool, quiet: bool) -> int:
    """`opswright undo`."""
    console = _console(as_json)

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
            return await _go(session, undoing, console, yes=yes, as_json=as_json, quiet=quiet)

    return _guarded(work, as_json)


def check_up(*, config: Path | None, as_json: bool) -> int:
    """`opswright doctor`."""
    from opswright.doctor import examine

    async def work() -> int:
        lines = await examine(config, state_directory())
        if as_json:
            print(to_json(lines))
        else:
            console = _console(as_json)
            for line in lines:
                mark = "[green]ok[/]     " if line.ok else "[red]problem[/]"
                console.print(f"{mark} {line.what}: {line.found}", highlight=False)
                if line.mend:
                    console.print(f"        {line.mend}", highlight=False, markup=False)
        return DONE if all(line.ok for line in lines) else FAILED

    return _guarded(work, as_json)


def start_sandbox(*, as_json: bool) -> int:
    """`opswright sandbox up`."""

    async def work() -> int:
        running = sandbox.up(sandbox_dir(state_directory()))
        _say(
            as_json,
            {"endpoint": running.endpoint, "pid": running.pid},
            f"The sandbox runs at {running.endpoint}",
        )
        return DONE

    return _guarded(work, as_json)


def stop_sandbox(*, as_json: bool) -> int:
    """`opswright sandbox down`."""

    async def work() -> int:
        ran = sandbox.down(sandbox_dir(state_directory()))
        _say(
            as_json,
            {"stopped": ran},
            "The sandbox is stopped." if ran else "No sandbox was running.",
        )
        return DONE

    return _guarded(work, as_json)


def sandbox_state(*, as_json: bool) -> int:
    """`opswright sandbox status`."""

    async def work() -> int:
        running = sandbox.status(sandbox_dir(state_directory()))
        found = {"running": running is not None, "endpoint": running.endpoint if running else None}
        _say(
            as_json,
            found,
            f"The sandbox runs at {running.endpoint}" if running else "No sandbox is running.",
        )
        return DONE

    return _guarded(work, as_json)


async def _go(
    session: Session,
    run: Run,
    console: Console,
    *,
    yes: bool,
    as_json: bool,
    quiet: bool,
    resumed: bool = False,
) -> int:
    """Have a run approved, execute it, report."""
    approved = _approval(session, run, console, yes=yes, quiet=quiet)
    if approved is None:
        waiting = run.model_copy(update={"status": "waiting"})
        session.store.save(waiting)
        run = waiting
    else:

        async def approver(step: Step, answer: dict[str, Any]) -> bool:
            return _ask(console, step, answer, yes)

        with (
            render.Progress(console, approved.plan, quiet=quiet or as_json) as progress,
            _resumable(session, approved, progress),
        ):
            run = await session.execute(approved, progress, approver, resumed=resumed)
    report = make_report(run, session.store.steps(run))
    if as_json:
        print(to_json(report))
    else:
        render.show_report(console, report)
    return _EXIT[run.status]


def _approval(
    session: Session, run: Run, console: Console, *, yes: bool, quiet: bool
) -> Run | None:
    """The approved run; None when a person has to approve and none is there."""
    if run.approved_hash == run.plan.approval_hash:
        return run  # approved before the process died, for exactly these steps
    if not run.plan.changes_things:
        return session.approve(run, "nothing to approve: it only reads")
    if session.place.sandbox:
        if not quiet:
            console.print(
                "\n[bold]Approval[/] given automatically: this is the sandbox, "
                "no account is touched.\n"
            )
        return session.approve(run, "sandbox")
    if yes:
        return session.approve(run, "--yes")
    changing = sum(step.changes_things for step in run.plan.steps)
    if not (sys.stdin.isatty() and console.is_terminal):
        console.print(
            f"\n{changing} steps change things and no one is here to approve them. "
            f"After reading the plan:\n  opswright resume {run.run_id} --yes"
        )
        return None
    answer = console.input(
        f"\n[bold]{changing} steps change things. Carry the plan out?[/] (yes/no) "
    )
    if answer.strip().lower() not in {"y", "yes"}:
        console.print("Nothing was changed.")
        return None
    return session.approve(run, os.environ.get("USER", "a person at the terminal"))


def _ask(console: Console, step: Step, answer: dict[str, Any], yes: bool) -> bool:
    """Ask about one change that the approved plan did not show in full."""
    if yes:
        return True
    if not (sys.stdin.isatty() and console.is_terminal):
        return False
    console.print(f"\n{step.id}: {answer.get('summary', '')}", markup=False)
    return console.input("[bold]Approve this change?[/] (yes/no) ").strip().lower() in {"y", "yes"}


@contextlib.contextmanager
def _resumable(session: Session, run: Run, progress: render.Progress) -> Iterator[None]:
    """On Ctrl-C leave at once, as a crash would, since the record is true; say how to go on."""

    def stop() -> None:
        progress.stop()
        session.store.save(
            session.store.load(run.run_id).model_copy(update={"status": "interrupted"})
        )
        print(
            f"\nInterrupted. Go on with: opswright resume {run.run_id}", file=sys.stderr, flush=True
        )
        os._exit(INTERRUPTED)

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop)
    loop.add_signal_handler(signal.SIGTERM, stop)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


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


def _console(as_json: bool) -> Console:
    """Text goes to standard error where standard output carries JSON."""
    console = Console(stderr=as_json)
    if not console.is_terminal:
        console.width = WIDE
    return console


def _say(as_json: bool, found: dict[str, Any], text: str) -> None:
    print(to_json(found) if as_json else text)


def _line(run: Run) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "status": run.status,
        "goal": run.goal,
        "created_at": run.created_at,
        "sandbox": run.sandbox,
        "undone_by": run.undone_by,
    }


def _guarded(work: Callable[[], Coroutine[Any, Any, int]], as_json: bool) -> int:
    """Run a command; what a person can act on is said in one place, without a traceback."""
    try:
        telemetry.configure("opswright")
        return asyncio.run(work())
    except (NotPlannedError, ConfigError, PlanError, SandboxError, OpswrightError) as exc:
        if as_json:
            print(to_json({"error": str(exc)}))
        else:
            print(f"opswright: {exc}", file=sys.stderr)
        return USAGE if isinstance(exc, ConfigError) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
