"""Has a run approved, carries it out, reports."""

import asyncio
import contextlib
import getpass
import math
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console

from opswright.caller import actions_in
from opswright.commands.exit_codes import INTERRUPTED, OF_STATUS
from opswright.commands.terminal import ask, print_event, print_json, someone_is_here
from opswright.options import Going, Output
from opswright.plan import Step
from opswright.render.progress import Events, Progress, Watcher
from opswright.render.reports import show_report
from opswright.report import make_report
from opswright.runs import NO_LIMITS, Budget, Run
from opswright_core.text import clean

if TYPE_CHECKING:
    from opswright.session import Session

LOOK_SECONDS = 0.5
"""How often a plan that waits looks whether it was approved in another process."""


async def carry_out(
    session: "Session",
    run: Run,
    console: Console,
    *,
    going: Going,
    output: Output,
    resumed: bool = False,
) -> int:
    """Have a run approved, execute it or leave it to a worker, report."""
    if output.json_lines:
        print_event({"event": "plan", "run_id": run.run_id, "plan": run.plan})
    while True:
        approved = await _approval(session, run, console, going, quiet=output.quiet)
        if approved is None:
            run = session.store.change(run.run_id, status="waiting", detached=going.detach)
        elif going.detach:
            from opswright.handing_over import queue

            run = await queue(session.store, session.place.state_dir, approved, again=resumed)
        else:
            run = await _execute(session, approved, console, going, output, resumed)
        waits = run.halted if run.status == "waiting" and approved is not None else None
        if waits is None or not someone_is_here(console):
            break
        if waits.reason == "budget":
            if not await ask(console, f"\nPaused: {waits.why}. Go on, for as much again?"):
                break
            run = session.store.change(run.run_id, budget=run.budget.doubled())
        else:
            console.print(f"\n{waits.why}.", markup=False)
        resumed = True
    report = make_report(run, session.store.steps(run))
    if output.json_lines:
        print_event({"event": "report", **report.model_dump(mode="json")})
    elif output.json:
        print_json(report)
    else:
        show_report(console, report)
    return OF_STATUS[run.status]


async def _execute(
    session: "Session", run: Run, console: Console, going: Going, output: Output, resumed: bool
) -> Run:
    questions = asyncio.Lock()

    async def approver(step: Step, answer: dict[str, Any]) -> bool:
        async with questions:
            return await _ask(console, step, answer, going.yes, progress)

    patience = math.inf if someone_is_here(console) else going.wait_minutes * 60
    with watcher(console, run, output) as progress, _resumable(session, run, progress):
        return await session.execute(
            run, progress, approver, resumed=resumed, patience_seconds=patience
        )


def within(going: Going, before: Budget = NO_LIMITS) -> Budget:
    """The limits that were given, the others as before."""
    given = {
        "tokens": going.max_tokens,
        "usd": going.max_usd,
        "minutes": going.max_minutes,
        "changes": going.max_changes,
    }
    said = {name: value for name, value in given.items() if value is not None}
    return Budget.model_validate({**before.model_dump(), **said})


def watcher(console: Console, run: Run, output: Output) -> Progress | Events:
    """What shows how a run goes, in the way that was asked for."""
    if output.json_lines:
        return Events(run.run_id, print_event)
    return Progress(console, run.plan, quiet=output.quiet or output.json)


async def _approval(
    session: "Session", run: Run, console: Console, going: Going, *, quiet: bool
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
    if going.yes:
        return session.approve(run, "--yes")
    changing = sum(step.changes_things for step in run.plan.steps)
    steps = "1 step changes" if changing == 1 else f"{changing} steps change"
    elsewhere = asyncio.create_task(_approved_elsewhere(session, run))
    try:
        if someone_is_here(console):
            asking = asyncio.create_task(ask(console, f"\n{steps} things. Carry the plan out?"))
            await asyncio.wait({asking, elsewhere}, return_when=asyncio.FIRST_COMPLETED)
            if asking.done() and asking.result():
                return session.approve(run, getpass.getuser())
            if asking.done():
                console.print("Nothing was changed.")
                return None
            asking.cancel()
        else:
            console.print(
                f"\n{steps} things and no one is here to approve that. "
                f"After reading the plan:\n  opswright approve {run.run_id}\n"
                f"  opswright resume {run.run_id}"
            )
            await asyncio.wait({elsewhere}, timeout=going.wait_minutes * 60)
        if not elsewhere.done():
            return None
        console.print("\nApproved in another process.")
        return elsewhere.result()
    finally:
        elsewhere.cancel()


async def _approved_elsewhere(session: "Session", run: Run) -> Run:
    """Wait until `opswright approve` has said yes to this very plan."""
    while True:
        now = await asyncio.to_thread(session.store.load, run.run_id)
        if now.approved_hash == run.plan.approval_hash:
            return now
        await asyncio.sleep(LOOK_SECONDS)


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
        for action in actions_in(answer):
            told = f"{action['verb']} {action['type']} {action['name']} {action.get('detail', '')}"
            console.print(f"  {clean(told, 300)}", markup=False, highlight=False)
        return await ask(console, "Approve this change?")


@contextlib.contextmanager
def _resumable(session: "Session", run: Run, progress: Watcher) -> Iterator[None]:
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
