"""Keeps the team's shared state: what steps made and said goes to the knowledge server at once.

A knowledge server that is down stops nothing; what could not be recorded is said in the report.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from opswright.conversation import ask
from opswright.plan import PlanError, Step, is_ref, resolve
from opswright.registry import AgentDownError, OutcomeUnknownError, Registry, silent
from opswright.runs import Run, StepOutcome
from opswright.store import RunStore

KNOWLEDGE = "knowledge"
CALL_SECONDS = 30.0

MOST_MEMORIES = 15
_DELIVERED = ("sender", "recipient", "intent", "content", "data", "at")
"""What of a message its recipient gets."""

_DEPLOYMENT = ("application", "environment", "version", "rollback_target")
"""An answer with these fields is a deployment; no server is named."""


class Projection:
    """Writes a run's events to the knowledge server and reads from it what agents should know."""

    def __init__(self, registry: Registry, store: RunStore) -> None:
        self._registry = registry
        self._store = store
        self._answers: dict[str, dict[str, Any]] = {}
        self._ids: dict[str, tuple[str, str]] = {}
        self._delivered: dict[str, list[str]] = {}
        self._unrecorded: list[str] = []
        self._lock = asyncio.Lock()

    def take_up(self, run: Run) -> None:
        """Learn what the finished steps of a resumed run answered."""
        for outcome in self._store.steps(run).values():
            if outcome.status == "done":
                self._answers[outcome.step_id] = outcome.value
                for resource in outcome.value.get("resources", []):
                    self._ids[resource["id"]] = (resource["type"], resource["id"])

    async def context_for(self, run: Run, step: Step) -> dict[str, Any]:
        """The inbox and memories of an agent, for a tool that takes a context; {} for others."""
        agent = self._registry.agents[step.agent]
        tool = agent.tools.get(step.tool)
        if tool is None or "context" not in tool.input_schema.get("properties", {}):
            return {}
        inbox = await self._ask("read_messages", {"recipient": step.agent})
        received = (inbox or {}).get("items", [])
        self._delivered[step.id] = [m["message_id"] for m in received]
        messages = [{name: m.get(name) for name in _DELIVERED if m.get(name)} for m in received]
        return {"inbox": messages, "memories": await self._memories(step.agent, run.goal)}

    async def _memories(self, agent: str, goal: str) -> list[str]:
        """The preferences that an agent is to keep to, always; then what fits the request."""
        preferences = await self._ask("recall", {"agent": agent, "kind": "preference"})
        fitting = await self._ask("recall", {"agent": agent, "query": goal})
        found = [*(preferences or {}).get("items", []), *(fitting or {}).get("items", [])]
        said = [f"{m['kind']}: {m['text']}" for m in found]
        return list(dict.fromkeys(said))[:MOST_MEMORIES]

    async def answered(self, run: Run, step: Step, outcome: StepOutcome) -> StepOutcome:
        """A step that awaits replies, with those that came in `outputs.replies`."""
        if not step.awaits_reply or outcome.status != "done":
            return outcome
        asked = [m for m in outcome.value.get("messages", []) if m.get("intent") == "request"]

        async def reply_to(message: dict[str, Any]) -> dict[str, Any]:
            memories = await self._memories(message["recipient"], run.goal)
            return await ask(self._registry, step.agent, message, memories)

        replies = await asyncio.gather(*(reply_to(message) for message in asked))
        outputs = {**(outcome.value.get("outputs") or {}), "replies": replies}
        return outcome.model_copy(update={"value": {**outcome.value, "outputs": outputs}})

    async def step_ended(
        self, run: Run, step: Step, outcome: StepOutcome, answers: Mapping[str, Any]
    ) -> None:
        """Record what a step made, deployed and said; send the messages that waited for it."""
        async with self._lock:
            by = {"agent": step.agent, "run_id": run.run_id, "step": step.id}
            if outcome.status == "done":
                self._answers[step.id] = outcome.value
            if run.undoes and outcome.status == "done":
                await self._undone(run, step, by)
            elif outcome.value:
                await self._made(step, outcome, answers, by)
                await self._deployed(outcome, by)
                await self._reported(step, outcome, by)
            if outcome.status == "done" and (read := self._delivered.pop(step.id, [])):
                await self._tell("acknowledge_messages", {"ids": read, "by": by})
            await self._messages(run)
            await self._tell("record_run", _run_record(run, "running", None) | {"by": by})

    async def finish(self, run: Run, outcomes: Mapping[str, StepOutcome]) -> list[str]:
        """Record the run as it ended; returns what did not reach the knowledge server."""
        by = {"agent": "opswright", "run_id": run.run_id}
        changed = [s.title or s.tool for s in run.plan.steps if outcomes[s.id].change_ids]
        text = f"{run.goal}: {run.status}. " + (
            f"Changed: {'; '.join(changed)}." if changed else "Changed nothing."
        )
        await self._messages(run)
        for agent in dict.fromkeys(step.agent for step in run.plan.steps):
            own = [f"{s.tool} {outcomes[s.id].status}" for s in run.plan.steps if s.agent == agent]
            memory = {
                "kind": "episodic",
                "text": f"{text} Here: {', '.join(own)}."[:1500],
                "importance": 0.5,
            }
            await self._tell("remember", {"agent": agent, "memories": [memory], "by": by})
        await self._tell("record_run", _run_record(run, run.status, outcomes) | {"by": by})
        return list(dict.fromkeys(self._unrecorded))

    async def _made(
        self, step: Step, outcome: StepOutcome, answers: Mapping[str, Any], by: dict[str, Any]
    ) -> None:
        touched = [
            r for r in outcome.value.get("resources", []) if isinstance(r, dict) and r.get("id")
        ]
        used = {
            text for value in answers.values() for text in _strings(value.get("outputs", value))
        }
        related = [self._ids[i] for i in used if i in self._ids]
        known = set(_strings(resolve_quietly(step.args, answers)))
        records = []
        for resource in touched:
            if resource.get("action") == "deleted":
                continue
            relations = [
                {"kind": "uses", "to": i} for _, i in related if i in known and i != resource["id"]
            ]
            records.append(
                {
                    "type": resource["type"],
                    "id": resource["id"],
                    "name": resource.get("name", ""),
                    "status": "present",
                    "attributes": {"where": str(outcome.value.get("where", ""))},
                    "relations": relations,
                }
            )
        for resource in touched:
            self._ids[resource["id"]] = (resource["type"], resource["id"])
        if records:
            await self._tell("record_resources", {"resources": records, "by": by})

    async def _deployed(self, outcome: StepOutcome, by: dict[str, Any]) -> None:
        for value in (outcome.value.get("outputs"), outcome.value):
            if isinstance(value, dict) and all(field in value for field in _DEPLOYMENT):
                fields = (
                    "application",
                    "environment",
                    "version",
                    "commit",
                    "artifact_sha256",
                    "strategy",
                    "rollback_target",
                )
                record = {name: value[name] for name in fields if value.get(name)}
                if outcome.change_ids or outcome.reused:
                    await self._tell(
                        "record_deployment", {**record, "status": "succeeded", "by": by}
                    )
                return

    async def _reported(self, step: Step, outcome: StepOutcome, by: dict[str, Any]) -> None:
        if "task_id" in outcome.value:
            report = {
                key: outcome.value.get(key, [])
                for key in ("resources", "messages", "memories", "outputs", "summary")
            }
            filed = await self._ask(
                "record_report", {"agent": step.agent, "report": report, "by": by}
            )
            await self._replied(step, outcome, (filed or {}).get("messages", []), by)

    async def _replied(
        self, step: Step, outcome: StepOutcome, sent: list[str], by: dict[str, Any]
    ) -> None:
        """Keep the replies that came, in the conversation of what they reply to."""
        if not step.awaits_reply:
            return
        messages = outcome.value.get("messages", [])
        requests = [i for m, i in zip(messages, sent, strict=False) if m["intent"] == "request"]
        replies = (outcome.value.get("outputs") or {}).get("replies", [])
        for message_id, reply in zip(requests, replies, strict=False):
            if reply["status"] == "answered":
                body = {
                    "sender": reply["sender"],
                    "recipient": step.agent,
                    "content": reply["content"],
                    "data": reply["data"],
                    "in_reply_to": message_id,
                    "by": {**by, "agent": reply["sender"]},
                }
                answer = await self._ask("send_message", body)
                dealt_with = [message_id, *([answer["message_id"]] if answer else [])]
                await self._tell("acknowledge_messages", {"ids": dealt_with, "by": by})

    async def _undone(self, run: Run, step: Step, by: dict[str, Any]) -> None:
        changed = await self._read_change(step) if "change_id" in step.args else []
        if changed:
            await self._tell("mark_deleted", {"resources": changed, "by": by})

    async def _read_change(self, step: Step) -> list[dict[str, str]]:
        agent = self._registry.agents[step.agent]
        try:
            answer = await agent.call(
                "get_change",
                {"change_id": step.args["change_id"], "wait_seconds": 0},
                CALL_SECONDS,
                silent,
            )
        except (AgentDownError, OutcomeUnknownError):
            return []
        found = answer.value.get("resources", [])
        return [{"type": r["type"], "id": r["id"]} for r in found if r.get("action") == "created"]

    async def _messages(self, run: Run) -> None:
        sent = self._store.sent(run.run_id) if run.plan.messages else set()
        for number, message in enumerate(run.plan.messages):
            if number not in sent and all(s in self._answers for s in message.waits_for):
                body = {
                    "sender": message.sender,
                    "recipient": message.recipient,
                    "intent": message.intent,
                    "content": message.content,
                    "data": resolve_quietly(message.data, self._answers),
                    "by": {"agent": message.sender, "run_id": run.run_id},
                }
                if await self._tell("send_message", body):
                    self._store.mark_sent(run.run_id, number)

    async def _tell(self, tool: str, args: dict[str, Any]) -> bool:
        return await self._ask(tool, args) is not None

    async def _ask(self, tool: str, args: dict[str, Any]) -> dict[str, Any] | None:
        agent = self._registry.agents.get(KNOWLEDGE)
        try:
            if agent is None:
                raise AgentDownError("no knowledge server is configured")
            answer = await agent.call(tool, args, CALL_SECONDS, silent)
        except (AgentDownError, OutcomeUnknownError) as exc:
            self._unrecorded.append(f"{tool}: {exc}")
            return None
        if answer.is_error:
            self._unrecorded.append(f"{tool}: {answer.text[:200]}")
            return None
        return answer.value


def resolve_quietly(value: Any, answers: Mapping[str, Any]) -> Any:
    """Resolve references; where one leads nowhere, None stands."""
    if isinstance(value, Mapping) and not is_ref(value):
        return {key: resolve_quietly(inner, answers) for key, inner in value.items()}
    try:
        return resolve(value, answers)
    except PlanError:
        return None


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for inner in value.values() for text in _strings(inner)]
    if isinstance(value, list | tuple):
        return [text for inner in value for text in _strings(inner)]
    return []


def _run_record(
    run: Run, status: str, outcomes: Mapping[str, StepOutcome] | None
) -> dict[str, Any]:
    record: dict[str, Any] = {"run_id": run.run_id, "goal": run.goal, "status": status}
    if outcomes is not None:
        record["plan"] = {
            "planner": run.plan.planner,
            "steps": [
                {"id": s.id, "agent": s.agent, "tool": s.tool, "needs": list(s.producers)}
                for s in run.plan.steps
            ],
        }
        record["steps"] = [
            {"id": o.step_id, "status": o.status, "error": o.error, "changes": o.change_ids}
            for o in outcomes.values()
        ]
    return record
