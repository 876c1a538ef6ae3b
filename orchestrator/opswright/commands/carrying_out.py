"""Has a run approved, carries it out, reports."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

from rich.console import Console

from opswright import render
from opswright.commands.exit_codes import DONE, FAILED, INTERRUPTED, PARTIAL
from opswright.plan import Step
from opswright.report import make_report
from opswright.runs import Run
from opswright.runs import as_json as to_json
from opswright.session import Session

_EXIT = {"done": DONE, "partial": PARTIAL, "waiting": PARTIAL, "failed": FAILED}


async def carry_out(
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
