"""Asks the host's user about a change through the protocol, in both eras (`--approvals elicit`).

Up to 2025-11-25 the question is sent while the call waits. From 2026-07-28 the call ends with what
it needs, and the host calls again with the answer and the sealed state. Either way an answer is
bound to the digest of the plan that was shown, can be used once, and is journalled.

Some hosts declare that they can ask and then decline by themselves, or never answer. What a person
did not see falls back to a token; what a person declined does not.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from typing import Any

from mcp_types import (
    ClientCapabilities,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from opswright_core.approvals import decline, refuse, request_token, spend, used
from opswright_core.canonical import digest
from opswright_core.changes import ApprovalNeeded, ChangePlan
from opswright_core.errors import ApprovalError
from opswright_core.runtime import Runtime
from opswright_core.text import clean

log = logging.getLogger(__name__)

KEY = "approval"
"""What the question is called between the two calls of the newer era."""

MOST_LINES = 20
LINE_CHARACTERS = 300
FORM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "approve": {
            "type": "boolean",
            "title": "Make this change",
            "description": "Yes makes exactly what is listed, once",
            "default": False,
        }
    },
    "required": ["approve"],
}


async def ask(
    rt: Runtime, change_id: str, plan: ChangePlan, body: dict[str, Any], intent: str
) -> ApprovalNeeded | InputRequiredResult | None:
    """None when a person approved; the question, or a token with the reason, when not yet.

    Raises ApprovalError when a person declined, or when an answer does not fit the plan.
    """

    def by_token(why: str) -> ApprovalNeeded:
        return request_token(rt, change_id, body, intent, why=f"{why} ")

    context = _context()
    if context is None or not can_ask(context.session.client_capabilities):
        return await asyncio.to_thread(by_token, "This host cannot ask its user.")
    modern = context.request_context.protocol_version in MODERN_PROTOCOL_VERSIONS
    if modern and (context.input_responses is not None or context.request_state is not None):
        answer = (context.input_responses or {}).get(KEY)
        asked_id, _, secret = (context.request_state or "").partition(".")
        return await asyncio.to_thread(_take, rt, asked_id, secret, answer, body, by_token)
    if await asyncio.to_thread(_is_open, rt, change_id, body["approval_digest"]):
        return await asyncio.to_thread(by_token, "The host was asked and has not answered.")
    secret = secrets.token_urlsafe(12)
    request = {
        **body,
        "by": "elicit",
        "proof": digest(secret),
        "expires": time.time() + rt.settings.elicit_seconds,
    }
    await asyncio.to_thread(rt.journal.append, change_id, "requested", request, intent=intent)
    message = question(plan, body["tool"], body["scope"])
    if modern:
        form = ElicitRequestFormParams(message=message, requested_schema=FORM)
        return InputRequiredResult(
            input_requests={KEY: ElicitRequest(params=form)}, request_state=f"{change_id}.{secret}"
        )
    # No longer than the call itself may wait, or the host gives the whole call up.
    patience = min(rt.settings.elicit_seconds, rt.settings.wait_seconds)
    try:
        async with asyncio.timeout(patience):
            answer = await context.session.elicit_form(message, FORM, context.request_id)
    except TimeoutError:
        why = f"The host did not answer within {patience:.0f} s."
        return await asyncio.to_thread(by_token, why)
    except Exception as exc:  # a host that cannot do what it declared; the token still can
        log.info("the host could not be asked: %s", clean(str(exc), LINE_CHARACTERS))
        return await asyncio.to_thread(by_token, "The host failed to ask its user.")
    return await asyncio.to_thread(_take, rt, change_id, secret, answer, body, by_token)


def question(plan: ChangePlan, tool: str, where: str) -> str:
    """The plan as a person reads it: what, where, each action, each warning."""
    actions = [f"- {a.verb} {a.type} {a.name} {a.detail}" for a in plan.actions]
    warnings = [f"Warning: {warning}" for warning in plan.warnings]
    if not plan.reversible:
        warnings.append("Warning: this cannot be undone.")
    lines = [f"{plan.summary}", f"({tool} on {where})", *_most(actions), *_most(warnings)]
    # A name with a line break in it must not look like a line of ours.
    return "\n".join(clean(" ".join(line.split()), LINE_CHARACTERS) for line in lines)


def _most(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_LINES
    return lines if more <= 0 else [*lines[:MOST_LINES], f"and {more} more; dry_run lists them all"]


def _context() -> Any:
    from fastmcp.server.dependencies import get_context

    try:
        context = get_context()
    except RuntimeError:
        return None
    return context if context.request_context is not None else None


def can_ask(able: ClientCapabilities | None) -> bool:
    """Whether a host declared forms; an empty declaration means them, one of `url` alone not."""
    elicitation = able.elicitation if able else None
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _is_open(rt: Runtime, change_id: str, approval_digest: str) -> bool:
    """Whether a host still owes the answer to a question about this very plan."""
    events = rt.journal.events(change_id)
    return any(
        e.body["proof"] not in used(events) and e.body["expires"] > time.time()
        for e in events
        if e.kind == "requested"
        and e.body.get("by") == "elicit"
        and e.body["approval_digest"] == approval_digest
    )


def _take(
    rt: Runtime,
    change_id: str,
    secret: str,
    answer: Any,
    body: dict[str, Any],
    by_token: Callable[[str], ApprovalNeeded],
) -> ApprovalNeeded | None:
    """Use an answer up: approved, declined by a person, or declined by the host itself."""
    said = answer.action if isinstance(answer, ElicitResult) else "cancel"
    if said == "accept" and (answer.content or {}).get("approve") is True:
        if refusal := spend(rt, change_id, secret, body, "elicit"):
            refuse(rt, change_id, body, refusal)
        return None
    asked = decline(rt, change_id, secret, said, body["asked_by"])
    if asked is None:
        refuse(rt, change_id, body, "This is not the answer to an open question.")
    asked_at = asked["expires"] - rt.settings.elicit_seconds
    if time.time() - asked_at < rt.settings.reading_seconds:
        return by_token(
            "The host declined by itself, sooner than a person could have read the plan."
        )
    did = "dismissed the question" if said == "cancel" else "declined"
    raise ApprovalError(
        f"The person {did}; nothing was changed. Do not call again unless they ask for it."
    )
