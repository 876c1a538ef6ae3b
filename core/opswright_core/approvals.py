"""Who may let a change happen: by policy, for one plan on one target, once, for a time."""

import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Any, Literal, NoReturn

from opswright_core.asker import os_user
from opswright_core.canonical import digest
from opswright_core.changes import CUT_OFF, ApprovalNeeded, Record, Scope, ToolCall, fold, load
from opswright_core.errors import ApprovalError
from opswright_core.journal import Event
from opswright_core.runtime import Runtime
from opswright_core.text import clean

Way = Literal["token", "out-of-band", "elicit"]
"""How a person says yes."""


def approve(
    rt: Runtime,
    change_id: str,
    call: ToolCall,
    scope: Scope,
    body: dict[str, Any],
    intent: str,
    *,
    by_person: bool = False,
) -> ApprovalNeeded | None:
    """None when the change is approved; otherwise how to approve it. Raises ApprovalError.

    `by_person` asks for a person's command where the policy would do with less.
    """
    policy = rt.settings.approvals
    if by_person and policy != "deny":
        policy = "out-of-band"
    if policy == "deny":
        raise ApprovalError(
            "This server refuses every change (--approvals deny). Use dry_run to see the plan."
        )
    if policy == "auto":
        if not scope.sandbox:
            raise ApprovalError(
                f"Automatic approval is for sandboxes; {scope.id} is not one. "
                "Start the server with --approvals token."
            )
        approved = {"approval_digest": body["approval_digest"], "by": "auto (sandbox)"}
        rt.journal.append(change_id, "approved", approved)
        return None
    if call.approval is None:
        if policy == "out-of-band":
            return _request_person(rt, change_id, body, intent)
        return request_token(rt, change_id, body, intent)
    approved_id, _, secret = call.approval.partition(".")
    by: Way = "out-of-band" if policy == "out-of-band" else "token"
    refusal = spend(rt, approved_id, secret, body, by)
    if refusal:
        refuse(rt, change_id, body, refusal)
    return None


def refuse(rt: Runtime, change_id: str, body: dict[str, Any], reason: str) -> NoReturn:
    """Journal an approval that may not be used, and raise ApprovalError with the reason."""
    rt.journal.append(change_id, "approval_refused", {"reason": reason, **body})
    raise ApprovalError(f"{reason} Call again without `approval` to get a new plan to approve.")


def request_token(
    rt: Runtime, change_id: str, body: dict[str, Any], intent: str, *, why: str = ""
) -> ApprovalNeeded:
    """Journal a request that a token approves; `why` says first why there is one."""
    secret = secrets.token_urlsafe(12)
    how = "Show the plan to the person; after their yes, repeat the call with approval=<token>."
    request = {**body, "by": "token", "proof": digest(secret)}
    if why:
        request["why"] = why.strip()
    return _request(rt, change_id, request, intent, f"{why}{how}", f"{change_id}.{secret}")


def _request_person(
    rt: Runtime, change_id: str, body: dict[str, Any], intent: str
) -> ApprovalNeeded:
    how = (
        f"A person runs `{rt.command} approve {change_id}`; "
        f"then repeat the call with approval={change_id}."
    )
    return _request(rt, change_id, {**body, "by": "out-of-band", "proof": ""}, intent, how, None)


def _request(
    rt: Runtime, change_id: str, body: dict[str, Any], intent: str, how: str, token: str | None
) -> ApprovalNeeded:
    expires = time.time() + rt.settings.approval_seconds
    rt.journal.append(change_id, "requested", {**body, "expires": expires}, intent=intent)
    return ApprovalNeeded(
        how=how,
        token=token,
        expires_at=datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds"),
    )


def spend(rt: Runtime, change_id: str, secret: str, body: dict[str, Any], by: Way) -> str | None:
    """Use an approval of a request up; the answer is why it may not be used, or None."""
    approval_digest = body["approval_digest"]
    reason: list[str] = []

    def refused(events: list[Event]) -> bool:
        granted = [e.body for e in events if e.kind == "granted"]
        if by == "out-of-band":
            match = [g for g in granted if g["approval_digest"] == approval_digest] or granted
        else:
            match = _requests(events, secret, by)
        if not match:
            reason.append("This approval is not known here, or no one has approved the change yet.")
        elif match[-1]["approval_digest"] != approval_digest:
            reason.append(
                "This approval was for other arguments, another target, or a state that has "
                "changed since."
            )
        elif match[-1]["expires"] < time.time():
            reason.append("This approval has expired.")
        elif match[-1]["proof"] in used(events):
            reason.append("This approval has been used already.")
        else:
            approved["proof"] = match[-1]["proof"]
            approved["who"] = match[-1].get("granted_by") or body["asked_by"]
        return bool(reason)

    approved = {"approval_digest": approval_digest, "by": by}
    rt.journal.append(change_id, "approved", approved, unless=refused)
    return reason[0] if reason else None


def decline(rt: Runtime, change_id: str, secret: str, said: str, who: str) -> dict[str, Any] | None:
    """Journal that a question was answered with no; its request, or None when it was not open."""
    match: list[dict[str, Any]] = []

    def refused(events: list[Event]) -> bool:
        match.extend(
            r for r in _requests(events, secret, "elicit") if r["proof"] not in used(events)
        )
        return not match

    body = {"by": "elicit", "who": who, "said": said, "proof": digest(secret)}
    return match[-1] if rt.journal.append(change_id, "declined", body, unless=refused) else None


def used(events: list[Event]) -> set[str | None]:
    """The proofs of the approvals that were used or declined."""
    return {e.body.get("proof") for e in events if e.kind in {"approved", "declined"}}


def _requests(events: list[Event], secret: str, by: Way) -> list[dict[str, Any]]:
    """The requests that a secret answers, oldest first."""
    shown = digest(secret)
    requests = [e.body for e in events if e.kind == "requested" and e.body.get("by") == by]
    return [r for r in requests if hmac.compare_digest(r["proof"], shown)]


def grant(rt: Runtime, change_id: str) -> Record:
    """Approve a waiting change out of band, as a person at a terminal.

    Raises NotFoundError for an unknown change, ApprovalError for one that does not wait (any more).
    """
    record = load(rt, change_id)

    def refuse(events: list[Event]) -> bool:
        now = fold(change_id, events)
        waits = now.status in {"needs_approval", *CUT_OFF} and now.request is not None
        return not waits or (now.request or {})["expires"] < time.time()

    granted = {
        "approval_digest": (record.request or {}).get("approval_digest", ""),
        "expires": time.time() + rt.settings.approval_seconds,
        "proof": secrets.token_hex(8),
        "granted_by": f"{os_user()} (local)",
    }
    if not rt.journal.append(change_id, "granted", granted, unless=refuse):
        expired = record.request is not None and record.request["expires"] < time.time()
        what = "its plan has expired" if expired else f"it is {record.status}"
        raise ApprovalError(
            f"{change_id} is not waiting for an approval; {what}. "
            "Let the host call the tool again for a new plan."
        )
    return record


def tell_granted(record: Record) -> str:
    """Say to the person at the terminal what they have just approved."""
    lines = [f"approved {record.change_id}: {clean(record.summary)}"]
    lines.append(f"{record.tool} on {record.scope}")
    for action in (record.request or {}).get("actions", []):
        lines.append(
            clean(f"  {action['verb']} {action['type']} {action['name']} {action['detail']}")
        )
    lines.append(f"The host may now repeat the call with approval={record.change_id}.")
    return "\n".join(lines)
