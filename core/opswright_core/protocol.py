"""The change protocol: plan, approve, apply, verify, journal, in one place.

A changing tool returns a `Work`: how to plan, apply and verify. Everything else happens here, so
that no tool can skip it. Each thing that `apply` does goes through `Recorder.step`, which writes it
to the journal with its inverse before and after it is sent: a change that was cut off is resumed
without repeating a finished step, and undone from what was really done.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from opswright_core.approvals import approve
from opswright_core.aws import translate
from opswright_core.canonical import digest
from opswright_core.changes import Change, Record, ToolCall, Work, fold, load, present
from opswright_core.errors import EndpointError, OpswrightError
from opswright_core.journal import new_id
from opswright_core.recorder import Recorder
from opswright_core.runtime import Runtime, runtime
from opswright_core.verdicts import worst

log = logging.getLogger(__name__)

O = TypeVar("O", bound=BaseModel)  # noqa: E741 (outputs)


async def run_change(call: ToolCall, make: Callable[[], Work[O]]) -> Change[O]:
    """Take a change as far as it may go now: to its plan, its approval, its end, or the end of the wait.

    Raises ApprovalError when the approval given does not fit, and what `plan` raises.
    """
    rt = runtime()
    work = await asyncio.to_thread(make)
    intent = digest([rt.server, call.tool, call.arguments, work.scope.id])
    record = await asyncio.to_thread(_latest, rt, intent)
    if record and record.status == "working":
        return await _wait(rt, record.change_id, work)
    if record and record.status == "done" and not work.repeatable:
        outputs = work.outputs.model_validate(record.outputs)
        if worst(c.verdict for c in await asyncio.to_thread(work.verify, outputs)) == "PASS":
            return present(record, work.outputs).model_copy(
                update={
                    "reused": True,
                    "summary": f"Already done, nothing changed: {record.summary}",
                }
            )
    resumed = (
        record if record and record.status in {"failed", "outcome_unknown", "interrupted"} else None
    )
    plan = await asyncio.to_thread(work.plan)
    waiting = record if record and record.status == "needs_approval" else None
    change_id = (resumed or waiting or Record(new_id("ch"))).change_id
    if not plan.actions and resumed is None:
        return Change(
            change_id=change_id,
            tool=call.tool,
            status="done",
            summary=plan.summary,
            plan=plan,
            reused=True,
        )
    if call.dry_run:
        return Change(
            change_id=change_id, tool=call.tool, status="planned", summary=plan.summary, plan=plan,
            where=work.scope.id, next="Call again without dry_run to make this change.",
        )  # fmt: skip
    # The plan of a change that was cut off differs by what it had already made; its approval is for the rest.
    approval_digest = digest([intent, plan.observed, [a.model_dump() for a in plan.actions]])
    body = {
        "tool": call.tool,
        "arguments": call.arguments,
        "scope": work.scope.id,
        "summary": plan.summary,
    }
    needed = await asyncio.to_thread(
        approve,
        rt,
        change_id,
        call,
        work.scope,
        {**body, "approval_digest": approval_digest},
        intent,
    )
    if needed:
        return Change(
            change_id=change_id, tool=call.tool, status="needs_approval", summary=plan.summary, plan=plan,
            approval=needed, where=work.scope.id, next=needed.how,
        )  # fmt: skip
    started = await asyncio.to_thread(
        rt.journal.append,
        change_id,
        "applying",
        {**body, "owner": rt.journal.owner},
        intent=intent,
        unless=lambda events: fold(change_id, events).status == "working",
    )
    if started:
        task = asyncio.create_task(_apply(rt, change_id, work, _progress_sender()))
        rt.running[change_id] = task
        task.add_done_callback(lambda _: rt.running.pop(change_id, None))
    return await _wait(rt, change_id, work)


async def _wait(rt: Runtime, change_id: str, work: Work[O]) -> Change[O]:
    await settle(rt, change_id, rt.settings.wait_seconds)
    return present(await asyncio.to_thread(load, rt, change_id), work.outputs)


async def settle(rt: Runtime, change_id: str, wait_seconds: float) -> None:
    """Wait for a change under way, here or in another process, for at most `wait_seconds`."""
    deadline = time.monotonic() + wait_seconds
    if task := rt.running.get(change_id):
        await asyncio.wait([task], timeout=wait_seconds)
        return
    while (
        time.monotonic() < deadline
        and (await asyncio.to_thread(load, rt, change_id)).status == "working"
    ):
        await asyncio.sleep(0.25)


async def _apply(
    rt: Runtime, change_id: str, work: Work[O], progress: Callable[[str], None]
) -> None:
    await asyncio.to_thread(_apply_in_thread, rt, change_id, work, progress)


def _apply_in_thread(
    rt: Runtime, change_id: str, work: Work[O], progress: Callable[[str], None]
) -> None:
    write = rt.journal.append
    try:
        outputs = work.apply(Recorder(rt, load(rt, change_id), progress))
        write(change_id, "applied", {"outputs": outputs.model_dump(mode="json")})
        progress("verifying")
        checks = work.verify(outputs)
    except Exception as exc:
        error = translate(exc)
        if isinstance(error, EndpointError):
            write(change_id, "outcome_unknown", {"error": str(error)})
        elif isinstance(error, OpswrightError):
            write(change_id, "failed", {"error": str(error)})
        else:
            log.exception("change %s failed by a defect", change_id)
            write(
                change_id,
                "failed",
                {"error": f"a defect in the server ({type(exc).__name__}); see its log"},
            )
        return
    failed = [f"{c.name} ({c.evidence})" for c in checks if c.verdict == "FAIL"]
    body: dict[str, Any] = {"checks": [c.model_dump() for c in checks]}
    if failed:
        write(
            change_id,
            "failed",
            {**body, "error": f"applied, but reading it back failed: {'; '.join(failed)}"},
        )
    else:
        write(change_id, "done", body)


def _latest(rt: Runtime, intent: str) -> Record | None:
    ids = rt.journal.changes_of(intent)
    return load(rt, ids[0]) if ids else None


def _progress_sender() -> Callable[[str], None]:
    """A function, callable from a thread, that sends progress to the caller while it still listens."""
    from fastmcp.server.dependencies import get_context

    try:
        context, loop = get_context(), asyncio.get_running_loop()
    except RuntimeError:
        return lambda _: None
    count = 0

    async def report(step: int, message: str) -> None:
        try:
            await context.report_progress(step, None, message)
        except Exception:  # the caller has its answer already; progress is a courtesy
            log.debug("progress not delivered: %s", message)

    def send(message: str) -> None:
        nonlocal count
        count += 1
        asyncio.run_coroutine_threadsafe(report(count, message), loop)

    return send
