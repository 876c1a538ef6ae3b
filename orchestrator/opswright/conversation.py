"""Gets an agent's reply to another's request: the recipient is given a turn with the message.

No reply is said to be none, with the reason; none is ever made up. A turn approves nothing, so a
reply that would need a change is none until a person has approved that change.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from opswright.registry import Agent, AgentDownError, OutcomeUnknownError, Registry, silent

REPLY_SECONDS = 120.0
"""How long a reply is waited for in all."""

CALL_SECONDS = 60.0
MOST_CHARACTERS = 4000


async def ask(
    registry: Registry, sender: str, message: Mapping[str, Any], memories: Sequence[str]
) -> dict[str, Any]:
    """The reply to a message, as JSON.

    `status` is `answered`, with `content` and `data`, or `no_reply`, with `why`.
    """
    recipient = str(message["recipient"])
    agent = registry.agents.get(recipient)
    if agent is None or recipient == sender:
        why = "it is the sender itself" if agent else f"there is no agent {recipient!r}"
        return _none(recipient, why)
    try:
        async with asyncio.timeout(REPLY_SECONDS):
            report = await _turn(agent, sender, message, memories)
    except (AgentDownError, OutcomeUnknownError) as exc:
        return _none(recipient, str(exc))
    except TimeoutError:
        return _none(recipient, f"it did not reply within {REPLY_SECONDS:.0f} s")
    if report.get("status") != "completed":
        told = [str(report.get(name) or "") for name in ("status", "summary", "next", "error")]
        return _none(recipient, ": ".join(filter(None, told)))
    return {
        "sender": recipient,
        "status": "answered",
        "content": str(report.get("summary", ""))[:MOST_CHARACTERS],
        "data": report.get("outputs") or {},
    }


async def _turn(
    agent: Agent, sender: str, message: Mapping[str, Any], memories: Sequence[str]
) -> dict[str, Any]:
    await agent.connect()
    if "handle_task" not in agent.tools:
        raise AgentDownError(f"{agent.name} takes no tasks, so it cannot be asked")
    data = message.get("data") or {}
    received = {**message, "sender": sender}
    task = {
        "task": str(message["content"])[:MOST_CHARACTERS],
        "context": {"facts": data, "inbox": [received], "memories": list(memories)},
    }
    answer = await agent.call("handle_task", task, CALL_SECONDS, silent)
    while not answer.is_error and answer.value.get("status") == "working":
        poll = {"task_id": answer.value["task_id"], "wait_seconds": 20}
        answer = await agent.call("get_task", poll, CALL_SECONDS, silent)
    return {"status": "failed", "summary": answer.text} if answer.is_error else answer.value


def _none(recipient: str, why: str) -> dict[str, Any]:
    return {"sender": recipient, "status": "no_reply", "content": "", "data": {}, "why": why[:500]}
