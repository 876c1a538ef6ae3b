"""The change protocol: plan, approve, apply, verify, journal, in one place.

A changing tool returns a `Work`: how to plan, apply and verify. Everything else happens here, so
that no tool can skip it. Each thing that `apply` does goes through `Recorder.step`, which writes it
to the journal with its inverse before and after it is sent: a change that was cut off is resumed
without repeating a finished step, and undone from what was really done.
"""

import asyncio
import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from mcp_types import InputRequiredResult
from pydantic import BaseModel

from opswright_core.approvals import approve
from opswright_core.asker import asked_by
from opswright_core.canonical import digest
from opswright_core.changes import CUT_OFF, Change, Record, ToolCall, Work, load, present
from opswright_core.cloud_errors import in_use, is_absent, translate
from opswright_core.elicitation import ask
from opswright_core.errors import EndpointError, OpswrightError
from opswright_core.idempotency import request_key
from opswright_core.journal import new_id
from opswright_core.recorder import Recorder
from opswright_core.runtime import Runtime, runtime, stop_signal
from opswright_core.verdicts import Check

log = logging.getLogger(__name__)

O = TypeVar("O", bound=BaseModel)  # noqa: E741 (outputs)


async def run_change(
    call: ToolCall, make: Callable[[], Work[O]]
) -> Change[O] | InputRequiredResult:
    """Take a change as far as it may go now: its plan, its approval, its end, or the wait's.

    From 2026-07-28 the question to the host's user is an answer too: the call is then made again.

    Raises ApprovalError when the approval given does not fit, and what `plan` raises.
    """
    rt = runtime()
    work = await asyncio.to_thread(make)
    intent = digest([rt.server, call.tool, call.arguments, work.scope.id])
    record = await asyncio.to_thread(_latest, rt, intent)
    if record and record.status == "working":
        return await _wait(rt, record.change_id, work)
    key = request_key()
    repeated = record is not None and key is not None and record.key == key
    if record and record.status == "done" and (repeated or not work.repeatable):
        answer = present(record, work.outputs)
        if repeated and work.repeatable:
            return answer  # the same request once more, whose answer the caller lost
        if checks := await asyncio.to_thread(_still, work, answer):
            again: dict[str, Any] = {"checks": checks}
            if not repeated:
                summary = f"Already done, nothing changed: {record.summary}"
                again |= {"reused": True, "summary": summary}
            return answer.model_copy(update=again)
    resumed = record if record and record.status in CUT_OFF else None
    waiting = record if record and record.status == "needs_approval" else None
    plan = await asyncio.to_thread(work.plan)
    change_id = (resumed or waiting or Record(new_id("ch"))).change_id
    answer = Change(
        change_id=change_id,
        tool=call.tool,
        status="planned",
        summary=plan.summary,
        plan=plan,
        where=work.scope.id,
    )
    if not plan.actions and resumed is None:
        return await asyncio.to_thread(_as_it_is, work, answer)
    if call.dry_run:
        following = "Call again without dry_run to make this change."
        return answer.model_copy(update={"next": following})
    # A change that was cut off has a new plan, less what it had made; its approval is for that.
    body = {
        "tool": call.tool,
        "arguments": call.arguments if work.arguments is None else work.arguments,
        "scope": work.scope.id,
        "summary": plan.summary,
        "actions": [action.model_dump() for action in plan.actions],
        "asked_by": asked_by(),
    }
    approval_digest = digest([intent, plan.observed, body["actions"]])
    request = {**body, "approval_digest": approval_digest}
    asked_at = time.monotonic()
    if rt.settings.approvals == "elicit" and call.approval is None and not work.by_person:
        needed = await ask(rt, change_id, plan, request, intent)
        if isinstance(needed, InputRequiredResult):
            return needed
    else:
        asked_for = (rt, change_id, call, work.scope, request, intent)
        needed = await asyncio.to_thread(approve, *asked_for, by_person=work.by_person)
    patience = max(0.0, rt.settings.wait_seconds - (time.monotonic() - asked_at))
    if needed:
        asked = {"status": "needs_approval", "approval": needed, "next": needed.how}
        return answer.model_copy(update=asked)

    def begin() -> bool:
        """Own the change, unless another call has begun or finished it since this one looked."""
        owned = {**body, "owner": rt.journal.owner, "key": key}
        return rt.journal.append(
            change_id,
            "applying",
            owned,
            intent=intent,
            unless=lambda _: _overtaken(record, _latest(rt, intent)),
        )

    work_under_way = _in_thread(_apply, rt, change_id, work, begin, _progress_sender())
    task = asyncio.create_task(work_under_way)
    rt.running[change_id] = task
    if signal := stop_signal.get():
        signal.changes.append(change_id)
    task.add_done_callback(lambda _: rt.running.pop(change_id, None))
    await asyncio.wait([task], timeout=patience)
    if task.done() and not task.result():
        return await run_change(call, make)
    return present(await asyncio.to_thread(load, rt, change_id), work.outputs)


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


def _still(work: Work[O], done: Change[O]) -> list[Check]:
    """The checks of a finished change read anew, if it still verifies; else none.

    What could not be read when it was done may be unread still: doing it again would not tell.
    """
    if done.outputs is None:
        return []
    unread = {(c.name, c.resource) for c in done.checks if c.verdict == "UNKNOWN"}
    try:
        checks = work.verify(done.outputs)
    except Exception as exc:
        if is_absent(exc):
            return []
        raise
    holds = all(
        c.verdict == "PASS" or (c.verdict == "UNKNOWN" and (c.name, c.resource) in unread)
        for c in checks
    )
    return checks if holds else []


def _as_it_is(work: Work[O], answer: Change[O]) -> Change[O]:
    """The answer to a plan with nothing to do: what is there, read back as after a change."""
    outputs = work.existing() if work.existing else None
    checks = work.verify(outputs) if outputs is not None else []
    found: dict[str, Any] = {"status": "done", "reused": True, "outputs": outputs, "checks": checks}
    if failed := _failed(checks):
        said = f"nothing was changed: it is there, but reading it back failed: {failed}"
        found |= {"status": "failed", "error": said}
    return answer.model_copy(update=found)


def _failed(checks: list[Check]) -> str:
    return "; ".join(f"{c.name} ({c.evidence})" for c in checks if c.verdict == "FAIL")


def _overtaken(seen: Record | None, latest: Record | None) -> bool:
    """Whether the newest change of an intent moved on after the call had looked at it."""
    if latest is None or latest.status not in {"working", "done"}:
        return False
    return seen is None or (seen.change_id, seen.status) != (latest.change_id, latest.status)


async def _in_thread(work: Callable[..., bool], *args: Any) -> bool:
    """Run in a thread of its own.

    A change may take many minutes: the shared pool would run out, and its threads keep a process
    from ending. What a stopped server leaves is in the journal, and the same call resumes it.
    """
    loop, context = asyncio.get_running_loop(), contextvars.copy_context()
    finished: asyncio.Future[bool] = loop.create_future()

    def finish(began: bool) -> None:
        if not finished.done():
            finished.set_result(began)

    def run() -> None:
        began = True
        try:
            began = context.run(work, *args)
        except Exception:
            log.exception("the journal could not be written")
        with contextlib.suppress(RuntimeError):  # the loop has ended; the journal has the outcome
            loop.call_soon_threadsafe(finish, began)

    threading.Thread(target=run, name=f"{THREAD_NAME} {args[1]}", daemon=True).start()
    return await finished


THREAD_NAME = "change"
"""How the thread of a change is named, followed by its id."""


def _apply(
    rt: Runtime,
    change_id: str,
    work: Work[O],
    begin: Callable[[], bool],
    progress: Callable[[str], None],
) -> bool:
    """Begin, apply and verify; False when another call was faster and nothing was done here."""
    if not begin():
        return False
    write = rt.journal.append
    try:
        rec = Recorder(rt, load(rt, change_id), progress)
        outputs = work.apply(rec)
        write(change_id, "applied", {"outputs": outputs.model_dump(mode="json")})
        progress("verifying")
        checks = work.verify(outputs)
        for gap in met.gaps if (met := in_use.get()) else []:
            rec.gap(gap)
    except Exception as exc:
        error = translate(exc)
        kind = "outcome_unknown" if isinstance(error, EndpointError) else "failed"
        said = str(error)
        if not isinstance(error, OpswrightError):
            log.exception("change %s failed by a defect", change_id)
            said = f"a defect in the server ({type(exc).__name__}); see its log"
        write(change_id, kind, {"error": said})
        return True
    failed = _failed(checks)
    body: dict[str, Any] = {"checks": [c.model_dump() for c in checks]}
    if failed:
        body["error"] = f"applied, but reading it back failed: {failed}"
    write(change_id, "failed" if failed else "done", body)
    return True


def _latest(rt: Runtime, intent: str) -> Record | None:
    ids = rt.journal.changes_of(intent)
    return load(rt, ids[0]) if ids else None


def _progress_sender() -> Callable[[str], None]:
    """A function, callable from a thread, that sends progress while the caller still listens."""
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
        sending = report(count, message)
        try:
            asyncio.run_coroutine_threadsafe(sending, loop)
        except RuntimeError:  # the loop has ended
            sending.close()

    return send
