"""Carries out one step: calls its tool, waits, answers approvals, tries again where it is safe."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from opswright.plan import PlanError, Step, resolve
from opswright.registry import (
    Agent,
    AgentDownError,
    Answer,
    OutcomeUnknownError,
    Progress,
    Registry,
)
from opswright.runs import Run, StepOutcome, now

CALL_SECONDS = 120.0
"""The longest that one call may be silent; a server answers `working` after 25 s at most."""

POLL_SECONDS = 20
CALLS_AT_ONCE = 4
"""Calls to one agent at a time."""

Approver = Callable[[Step, dict[str, Any]], Awaitable[bool]]
"""Asks a person about a change that was not in the plan they approved; False if no one is there."""


class StepCaller:
    """Turns steps into outcomes. It never raises for what a step or an agent did."""

    def __init__(self, registry: Registry, approver: Approver) -> None:
        self._registry = registry
        self._approver = approver
        self._slots = {name: asyncio.Semaphore(CALLS_AT_ONCE) for name in registry.agents}

    async def carry_out(
        self,
        run: Run,
        step: Step,
        answers: Mapping[str, Any],
        context: Mapping[str, Any],
        progress: Progress,
    ) -> StepOutcome:
        """Do a step. `answers` are values of steps before it, `context` goes to an agentic tool."""
        outcome = StepOutcome(step_id=step.id, started_at=now())
        try:
            args = resolve(step.args, answers)
        except PlanError as exc:
            return outcome.model_copy(
                update={"status": "failed", "error": str(exc), "ended_at": now()}
            )
        agent = self._registry.agents[step.agent]
        tool = agent.tools.get(step.tool)
        if tool is not None and "context" in tool.input_schema.get("properties", {}):
            given = args.get("context", {})
            facts = {**context.get("facts", {}), **given.get("facts", {})}
            args["context"] = {**context, **given, "facts": facts}
        async with self._slots[step.agent]:
            try:
                async with asyncio.timeout(step.timeout_seconds):
                    outcome = await self._attempts(run, step, agent, args, outcome, progress)
            except TimeoutError:
                outcome.status, outcome.error = (
                    "failed",
                    f"not finished within {step.timeout_seconds:.0f} s",
                )
        outcome.ended_at = now()
        return outcome

    async def _attempts(
        self,
        run: Run,
        step: Step,
        agent: Agent,
        args: dict[str, Any],
        outcome: StepOutcome,
        progress: Progress,
    ) -> StepOutcome:
        for attempt in range(1, step.attempts + 1):
            outcome.attempts = attempt
            try:
                answer = await self._call(run, step, agent, args, progress)
                return _judge(outcome, answer)
            except AgentDownError as exc:
                outcome.status, outcome.error = "failed", str(exc)
            except OutcomeUnknownError as exc:
                outcome.status, outcome.error = (
                    "failed",
                    f"its answer was lost, so its outcome is not known: {exc}",
                )
                if not _is_repeatable(agent, step):
                    break
            await progress(f"trying again: {outcome.error}")
            await asyncio.sleep(min(0.5 * 2**attempt, 5.0))
        return outcome

    async def _call(
        self, run: Run, step: Step, agent: Agent, args: dict[str, Any], progress: Progress
    ) -> Answer:
        answer = await agent.call(step.tool, args, CALL_SECONDS, progress)
        if answer.value.get("status") == "needs_approval":
            answer = await self._approve(run, step, agent, args, answer, progress)
        while not answer.is_error and answer.value.get("status") == "working":
            if "change_id" in answer.value:
                wait, key = "get_change", "change_id"
            else:
                wait, key = "get_task", "task_id"
            await progress(str(answer.value.get("summary", "working")))
            poll = {key: answer.value[key], "wait_seconds": POLL_SECONDS}
            answer = await agent.call(wait, poll, CALL_SECONDS, progress)
            if answer.value.get("status") == "needs_approval":
                answer = await self._approve(run, step, agent, args, answer, progress)
        return answer

    async def _approve(
        self,
        run: Run,
        step: Step,
        agent: Agent,
        args: dict[str, Any],
        answer: Answer,
        progress: Progress,
    ) -> Answer:
        """Answer a server's question by the person's yes to this very step, or by asking now.

        A change that an agentic tool came to by itself was not part of the plan that was
        approved, so the person sees its own plan first.
        """
        if "task_id" in answer.value:
            tokens = [a["token"] for a in answer.value.get("approvals", []) if a.get("token")]
            if not tokens or not await self._approver(step, answer.value):
                return answer
            context = {**args.get("context", {}), "approvals": tokens}
            return await agent.call(step.tool, {**args, "context": context}, CALL_SECONDS, progress)
        token = (answer.value.get("approval") or {}).get("token")
        agreed = step.changes_things and run.approved_hash == run.plan.approval_hash
        if token and not (agreed or await self._approver(step, answer.value)):
            return answer
        if not token and run.attempt == 1:
            return answer  # a person approves it at the server's own command, then resumes
        approved = {**args, "approval": token or answer.value["change_id"]}
        again = await agent.call(step.tool, approved, CALL_SECONDS, progress)
        return answer if again.is_error and not token and not again.value else again


def _is_repeatable(agent: Agent, step: Step) -> bool:
    """Reads, and changes through the change protocol, whose journal finds what was done before."""
    tool = agent.tools.get(step.tool)
    return tool is not None and (
        tool.risk in {"read", "record"} or "approval" in tool.input_schema["properties"]
    )


def _judge(outcome: StepOutcome, answer: Answer) -> StepOutcome:
    value, status = answer.value, answer.value.get("status")
    outcome.change_ids = [] if value.get("reused") else _change_ids(value)
    outcome.reused = bool(value.get("reused"))
    if answer.is_error:
        outcome.status, outcome.error = "failed", str(value.get("error") or answer.text)[:2000]
        return outcome
    outcome.value = value
    if "task_id" in value and status in {"needs_input", "partial", "cancelled"}:
        outcome.status, outcome.error = (
            "failed",
            " ".join(filter(None, [value.get("summary"), value.get("next")])),
        )
    elif status == "needs_approval":
        outcome.status, outcome.error = (
            "needs_approval",
            str(value.get("next") or value.get("summary")),
        )
    else:
        outcome.status = "done"
    return outcome


def _change_ids(value: Mapping[str, Any]) -> list[str]:
    if value.get("change_id"):
        return (
            []
            if value.get("status") in {"needs_approval", "planned"}
            else [str(value["change_id"])]
        )
    if "task_id" in value:
        return [
            s["change_id"] for s in value.get("steps", []) if s.get("change_id") and s.get("ok")
        ]
    return []
