"""Who may let a change happen: by policy, for one plan on one target, once, for a time."""

import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Any

from opswright_core.canonical import digest
from opswright_core.changes import CUT_OFF, ApprovalNeeded, Record, Scope, ToolCall, fold, load
from opswright_core.errors import ApprovalError
from opswright_core.journal import Event
from opswright_core.runtime import Runtime


def approve(
    rt: Runtime, change_id: str, call: ToolCall, scope: Scope, body: dict[str, Any], intent: str
) -> ApprovalNeeded | None:
    """None when the change is approved; otherwise how to approve it. Raises ApprovalError."""
    policy = rt.settings.approvals
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
        return _request(rt, change_id, body, intent, shown=policy == "token")
    approved_id, _, secret = call.approval.partition(".")
    refusal = _spend(rt, approved_id, secret, body["approval_digest"], policy == "token")
    if refusal:
        rt.journal.append(change_id, "approval_refused", {"reason": refusal, **body})
        raise ApprovalError(
            f"{refusal} Call again without `approval` to get a new plan to approve."
        )
    return None


def _request(
    rt: Runtime, change_id: str, body: dict[str, Any], intent: str, *, shown: bool
) -> ApprovalNeeded:
    secret = secrets.token_urlsafe(12)
    expires = time.time() + rt.settings.approval_seconds
    request = {**body, "proof": digest(secret) if shown else "", "expires": expires}
    rt.journal.append(change_id, "requested", request, intent=intent)
    if shown:
        how = "Show the plan to the person; after their yes, repeat the call with approval=<token>."
    else:
        how = (
            f"A person runs `opswright-{rt.server.replace('_', '-')} approve {change_id}`; "
            f"then repeat the call with approval={change_id}."
        )
    return ApprovalNeeded(
        how=how,
        token=f"{change_id}.{secret}" if shown else None,
        expires_at=datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds"),
    )


def _spend(
    rt: Runtime, change_id: str, secret: str, approval_digest: str, by_token: bool
) -> str | None:
    """Use an approval up; the answer is why it may not be used, or None."""
    reason: list[str] = []

    def refuse(events: list[Event]) -> bool:
        requests = [e.body for e in events if e.kind == "requested"]
        granted = [e.body for e in events if e.kind == "granted"]
        spent = {e.body.get("proof") for e in events if e.kind == "approved"}
        if by_token:
            shown = digest(secret)
            match = [r for r in requests if hmac.compare_digest(r["proof"], shown)]
        else:
            match = [g for g in granted if g["approval_digest"] == approval_digest] or granted
        if not match:
            reason.append("This approval is not known here, or no one has approved the change yet.")
        elif match[-1]["approval_digest"] != approval_digest:
            reason.append(
                "This approval was for other arguments, another target, or a state that has "
                "changed since."
            )
        elif match[-1]["expires"] < time.time():
            reason.append("This approval has expired.")
        elif match[-1]["proof"] in spent:
            reason.append("This approval has been used already.")
        else:
            body["proof"] = match[-1]["proof"]
        return bool(reason)

    body = {"approval_digest": approval_digest, "by": "token" if by_token else "out-of-band"}
    rt.journal.append(change_id, "approved", body, unless=refuse)
    return reason[0] if reason else None


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
    }
    if not rt.journal.append(change_id, "granted", granted, unless=refuse):
        expired = record.request is not None and record.request["expires"] < time.time()
        what = "its plan has expired" if expired else f"it is {record.status}"
        raise ApprovalError(
            f"{change_id} is not waiting for an approval; {what}. "
            "Let the host call the tool again for a new plan."
        )
    return record
