"""Has a run approved, carries it out, reports."""

import asyncio
import contextlib
import getpass
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from opswright.commands.exit_codes import INTERRUPTED, OF_STATUS
from opswright.commands.terminal import ask, print_event, print_json, someone_is_here
from opswright.options import Output
from opswright.plan import Step
from opswright.render.progress import Events, Progress, Watcher
from opswright.render.reports import show_report
from opswright.report import make_report
from opswright.runs import Run
from opswright.session import Session


async def carry_out(
    session: Session,
    run: Run,
    console: Console,
    *,
    yes: bool,
    output: Output,
    resumed: bool = False,
) -> int:
    """Have a run approved, execute it, report."""
    if output.json_lines:
        print_event({"event": "plan", "run_id": run.run_id, "plan": run.plan})
    approved = await _approval(session, run, console, yes=yes, quiet=output.quiet)
    if approved is None:
        run = session.store.change(run.run_id, status="waiting")
    else:
        questions = asyncio.Lock()

        async def approver(step: Step, answer: dict[str, Any]) -> bool:
            async with questions:
                return await _ask(console, step, answer, yes, progress)

        with (
            watcher(console, approved, output) as progress,
            _resumable(session, approved, progress),
        ):
            run = await session.execute(approved, progress, approver, resumed=resumed)
    report = make_report(run, session.store.steps(run))
    if output.json_lines:
        print_event({"event": "report", **report.model_dump(mode="json")})
    elif output.json:
        print_json(report)
    else:
        show_report(console, report)
    return OF_STATUS[run.status]


def watcher(console: Console, run: Run, output: Output) -> Progress | Events:
    """What shows how a run goes, in the way that was asked for."""
    if output.json_lines:
        return Events(run.run_id, print_event)
    return Progress(console, run.plan, quiet=output.quiet or output.json)


async def _approval(
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
                "no account is touched."
            )
        return session.approve(run, "sandbox")
    if yes:
        return session.approve(run, "--yes")
    changing = sum(step.changes_things for step in run.plan.steps)
    steps = "1 step changes" if changing == 1 else f"{changing} steps change"
    if not someone_is_here(console):
        console.print(
            f"\n{steps} things and no one is here to approve that. "
            f"After reading the plan:\n  opswright resume {run.run_id} --yes"
        )
        return None
    if not await ask(console, f"\n{steps} things. Carry the plan out?"):
        console.print("Nothing was changed.")
        return None
    return session.approve(run, getpass.getuser())


async def _ask(
    console: Console, step: Step, answer: dict[str, Any], yes: bool, progress: Watcher
) -> bool:
    """Ask about one change that the approved plan did not show in full."""
    if yes:
        return True
    if not someone_is_here(console):
        return False
    with progress.paused():
        console.print(f"\n{step.id}: {answer.get('summary', '')}", markup=False)
        return await ask(console, "Approve this change?")


@contextlib.contextmanager
def _resumable(session: Session, run: Run, progress: Watcher) -> Iterator[None]:
    """On Ctrl-C leave at once, as a crash would, since the record is true; say how to go on."""

    def stop() -> None:
        progress.stop()
        session.store.change(run.run_id, status="interrupted")
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
