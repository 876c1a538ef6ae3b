"""Carries out one step: calls its tool, waits, answers approvals, tries again where it is safe."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opswright.plan import PlanError, Step, refs, resolve
from opswright.registry import (
    Agent,
    AgentDownError,
    Answer,
    OutcomeUnknownError,
    Progress,
    Registry,
    ToolInfo,
    silent,
)
from opswright.runs import Run, StepOutcome, now
from opswright.shapes import misfits
from opswright_core.canonical import digest

POLL_SECONDS = 20
STOP_SECONDS = 30.0
"""How long an agent may take to stop a task."""

Approver = Callable[[Step, dict[str, Any]], Awaitable[bool]]
"""Asks a person about a change that was not in the plan they approved; False if no one is there."""

Granted = Callable[[str, str], Awaitable[bool]]
"""Whether a person granted, in another process, what a run asked: (run id, what was asked)."""


@dataclass
class Call:
    """One step on one agent: what its tool is called with, for whom, and what came of it."""

    run: Run
    step: Step
    agent: Agent
    args: dict[str, Any]
    progress: Progress
    stop: asyncio.Event
    outcome: StepOutcome
    under_way: bool = False
    """A process died under it, so it may have taken effect already."""
    was_sent: bool = False

    @property
    def key(self) -> str:
        """The same for every attempt at this step of this run."""
        return f"{self.run.run_id}/{self.step.id}"

    @property
    def tool(self) -> ToolInfo | None:
        """What its agent says of the tool, as far as it was reached."""
        return self.agent.tools.get(self.step.tool)

    @property
    def is_task(self) -> bool:
        """Whether it hands the agent a task, which may come to changes that no plan showed."""
        return self.step.tool == "handle_task"

    @property
    def is_journalled(self) -> bool:
        """Whether its server's journal knows what became of it."""
        return self.tool is not None and self.tool.is_journalled

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be made again when its answer was lost."""
        return self.tool is None or self.tool.is_repeatable

    async def send(self, tool: str, **args: Any) -> Answer:
        """Call a tool of its agent under its key and time-outs."""
        try:
            answer = await self.agent.call(
                tool,
                args,
                self.step.idle_seconds,
                self.progress,
                key=self.key,
                asked_by=self.run.asked_by,
            )
        except OutcomeUnknownError:
            self.was_sent = True
            raise
        self.was_sent = True
        return answer


@dataclass(frozen=True)
class StepCaller:
    """Turns steps into outcomes. It never raises for what a step or an agent did."""

    registry: Registry
    approver: Approver
    granted: Granted

    def slots(self, step: Step) -> asyncio.Semaphore:
        """What bounds the steps under way on a step's agent."""
        return self.registry.agents[step.agent].slots

    async def carry_out(
        self,
        run: Run,
        step: Step,
        answers: Mapping[str, Any],
        context: Mapping[str, Any],
        progress: Progress,
        stop: asyncio.Event,
        budget: Mapping[str, float],
        *,
        under_way: bool = False,
    ) -> StepOutcome:
        """Do a step. `answers` are values of steps before it.

        One that was `under_way` when its process died is not repeated blindly.

        `context` and what is left of the run's `budget` go to an agentic tool. When `stop` is set,
        its task is cancelled at the agent, and nothing further is sent.
        """
        outcome = StepOutcome(step_id=step.id, started_at=now())
        try:
            args = resolve(step.args, answers)
        except PlanError as exc:
            failed = {"status": "failed", "error": str(exc), "ended_at": now()}
            return outcome.model_copy(update=failed)
        for name in (step.agent, *step.alternatives):
            outcome.agent = name if name != step.agent else None
            agent = self.registry.agents[name]
            call = Call(run, step, agent, args, progress, stop, outcome, under_way)
            try:
                async with asyncio.timeout(step.timeout_seconds):
                    await self._attempts(call, context, budget)
            except TimeoutError:
                outcome.error = f"not finished within {step.timeout_seconds:.0f} s"
                outcome.status = "failed" if call.is_repeatable else "unknown"
            if call.was_sent or stop.is_set():
                break
        outcome.ended_at = now()
        return outcome

    async def _attempts(
        self, call: Call, context: Mapping[str, Any], budget: Mapping[str, float]
    ) -> None:
        outcome, plain = call.outcome, call.args
        for attempt in range(1, call.step.attempts + 1):
            outcome.attempts = attempt
            try:
                await call.agent.connect()
                if call.under_way and not call.is_repeatable:
                    outcome.status, outcome.changed = "unknown", True
                    outcome.error = (
                        "the process that made it died, so whether it took effect is not known. "
                        "Look at what it changes before it is tried again"
                    )
                    call.was_sent = True
                    return
                call.args = _completed(plain, call, context, budget)
                if wrong := _misfits(call):
                    outcome.status, outcome.error = "failed", f"not called: {wrong}"
                    return
                _judge(call, await self._call(call))
                return
            except AgentDownError as exc:
                outcome.status, outcome.error = "failed", str(exc)
            except OutcomeUnknownError as exc:
                if not call.is_repeatable:
                    outcome.status, outcome.changed = "unknown", True
                    outcome.error = (
                        f"its answer was lost, so whether it took effect is not known: {exc}. "
                        "Look at what it changes before it is tried again"
                    )
                    return
                outcome.status = "failed"
                outcome.error = f"its answer was lost, so its outcome is not known: {exc}"
            if call.stop.is_set():
                outcome.status = "cancelled"
                return
            if attempt < call.step.attempts:
                await call.progress(f"trying again: {outcome.error}")
                await asyncio.sleep(min(0.5 * 2**attempt, 5.0))

    async def _call(self, call: Call) -> Answer:
        """Call the tool and wait until it has ended, or stands still for want of an approval."""
        sending = call.send(call.step.tool, **call.args)
        answer = await (_or_stop(sending, call.stop) if call.step.risk == "read" else sending)
        answer = await self._approve(call, answer)
        while (wait := _wait_of(call, answer)) is not None:
            tool, key = wait
            if call.stop.is_set():
                return await _stopped(call, answer)
            await call.progress(str(answer.value.get("summary", "working")))
            poll = {key: answer.value[key], "wait_seconds": POLL_SECONDS}
            polled = await _or_stop(call.send(tool, **poll), call.stop)
            answer = answer if call.stop.is_set() else polled
            answer = await self._approve(call, answer)
        return answer

    async def _approve(self, call: Call, answer: Answer) -> Answer:
        """Answer a server's question by the person's yes to this very step, or by asking now.

        A change that an agent's task came to by itself was not part of the plan that was
        approved, so the person sees its own plan first.
        """
        value, run, tool = answer.value, call.run, call.step.tool
        if value.get("status") != "needs_approval" or not (call.is_journalled or call.is_task):
            return answer
        asked = call.outcome.asked = _asked(call.step, value)
        if call.is_task:
            tokens = [a["token"] for a in value.get("approvals", []) if a.get("token")]
            if not tokens or not await self._says_yes(call, answer, asked):
                return answer
            context = {**call.args.get("context", {}), "approvals": tokens}
            return await call.send(tool, **{**call.args, "context": context})
        if token := (value.get("approval") or {}).get("token"):
            agreed = call.step.changes_things and run.approved_hash == run.plan.approval_hash
            if not (agreed or await self._says_yes(call, answer, asked)):
                return answer
            return await call.send(tool, **{**call.args, "approval": token})
        # A person approves it at a terminal; it is tried once somebody may have.
        if run.attempt == 1 and not await self.granted(run.run_id, asked):
            return answer
        again = await call.send(tool, **{**call.args, "approval": value["change_id"]})
        return answer if again.is_error and not again.value else again

    async def _says_yes(self, call: Call, answer: Answer, asked: str) -> bool:
        if await self.granted(call.run.run_id, asked):
            return True
        return await self.approver(call.step, answer.value)


def _completed(
    args: Mapping[str, Any], call: Call, context: Mapping[str, Any], budget: Mapping[str, float]
) -> dict[str, Any]:
    """The arguments with what the orchestrator adds: context and budget, a third party's key."""
    whole = dict(args)
    takes = call.tool.arguments if call.tool is not None else {}
    if "context" in takes and call.is_task:
        given = whole.get("context", {})
        facts = {**context.get("facts", {}), **given.get("facts", {})}
        whole["context"] = {**context, **given, "facts": facts}
    if "budget" in takes and call.is_task and budget:
        whole["budget"] = {**budget, **whole.get("budget", {})}
    if "idempotency_key" in takes and not call.is_journalled:
        whole.setdefault("idempotency_key", call.key)
    return whole


def _misfits(call: Call) -> str:
    """What of the values that other steps gave does not fit the tool; only they can be wrong."""
    referring = [name for name, value in call.step.args.items() if any(True for _ in refs(value))]
    if not referring or call.tool is None:
        return ""
    return misfits(call.args, referring, call.tool.input_schema)


def _wait_of(call: Call, answer: Answer) -> tuple[str, str] | None:
    """The tool that waits on for what is `working`, and the id it takes; None for what is not."""
    if answer.is_error or answer.value.get("status") != "working":
        return None
    for tool, key in (("get_change", "change_id"), ("get_task", "task_id")):
        if key in answer.value and tool in call.agent.tools:
            return tool, key
    return None


async def _or_stop(sending: Awaitable[Answer], stop: asyncio.Event) -> Answer:
    """Await an answer; an empty one when `stop` is set first, and the call is given up."""
    calling, stopping = asyncio.ensure_future(sending), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({calling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return calling.result() if calling.done() else Answer({}, "stopped on request", True)
    finally:
        for task in (calling, stopping):
            task.cancel()
        await asyncio.gather(calling, stopping, return_exceptions=True)


async def _stopped(call: Call, answer: Answer) -> Answer:
    """Stop what is under way: an agent's task is cancelled, a change is left to its server."""
    if "task_id" not in answer.value or "cancel_task" not in call.agent.tools:
        return answer
    task = {"task_id": answer.value["task_id"]}
    stopped = await call.agent.call("cancel_task", task, STOP_SECONDS, silent)
    return answer if stopped.is_error else stopped


def _asked(step: Step, value: Mapping[str, Any]) -> str:
    """What a person is asked about: the step and the change's own plan, the same on every call."""
    plan = value.get("plan") or {}
    asked = [step.input_hash, value.get("summary"), plan.get("actions"), value.get("where")]
    return digest(asked if plan else [*asked, actions_in(value)])


def actions_in(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The actions that a change, or the changes that a task came to, would carry out."""
    shown = [value.get("plan") or {}, *value.get("approvals", [])]
    return [action for one in shown for action in one.get("actions", [])]


def _judge(call: Call, answer: Answer) -> None:
    outcome, value, status = call.outcome, answer.value, answer.value.get("status")
    outcome.change_ids = [] if value.get("reused") else _change_ids(value)
    outcome.reused = bool(value.get("reused"))
    usage = value.get("usage") or {} if call.is_task else {}
    outcome.tokens = usage.get("input_tokens", 0) + usage.get("output_tokens", 0)
    outcome.cost_usd = usage.get("cost_usd", 0.0)
    said = " ".join(filter(None, [value.get("summary"), value.get("next")]))
    if call.stop.is_set() and (answer.is_error or status in {"working", "cancelled"}):
        outcome.status = "cancelled"
        outcome.value = {} if answer.is_error else value
        outcome.error = f"stopped on request; {said}" if said else "stopped on request"
    elif answer.is_error:
        outcome.status, outcome.error = "failed", str(value.get("error") or answer.text)[:2000]
    else:
        outcome.value = value
        if call.is_task and status in {"needs_input", "partial", "cancelled"}:
            outcome.status, outcome.error = "failed", said
        elif status == "needs_approval" and (call.is_task or call.is_journalled):
            outcome.status = "needs_approval"
            outcome.error = str(value.get("next") or value.get("summary"))
        else:
            outcome.status, outcome.error = "done", None
    by_itself = call.step.changes_things and not (call.is_journalled or call.is_task)
    outcome.changed = bool(outcome.change_ids) or (by_itself and outcome.status == "done")


def _change_ids(value: Mapping[str, Any]) -> list[str]:
    if value.get("change_id"):
        begun = value.get("status") not in {"needs_approval", "planned", "declined"}
        return [str(value["change_id"])] if begun else []
    if "task_id" in value:
        return [s["change_id"] for s in value.get("steps", []) if s.get("change_id")]
    return []
