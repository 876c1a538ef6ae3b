"""What changed, and what an agent did last."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.agent.report import Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker
from opswright_knowledge.records import MOST_COUNTED

SHOWN = 20
SITTING = timedelta(hours=1)
"""Without a run, what an agent did last is what it recorded within this time before its last."""

_ROLES = {
    "deployment": "deployment", "deploy": "deployment", "delivery": "deployment",
    "release": "deployment", "infrastructure": "resource", "network": "resource",
}  # fmt: skip
"""An agent that goes by its work is the one that recorded the latest such thing."""

_UNIT = r"(?:minutes?|mins?|hours?|hrs?|days?|weeks?|months?)"
_DAY = r"(?:today|yesterday|(?:last\s+)?(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
_TIME = r"\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?"


class Since(BaseModel):
    """From when on."""

    since: Annotated[
        str,
        Field(
            description="Since when: a revision number, an ISO time, an age like 24h or 7d, "
            "yesterday or a weekday"
        ),
        FromText(
            rf"\b({_TIME}|{_DAY}|(?:last|past)\s+(?:\d+\s*)?{_UNIT}|\d+\s*(?:{_UNIT}|[mhdw]\b)"
            r"|(?<=revision\s)\d+|(?<=since\s)\d+)"
        ),
    ]


class Doer(BaseModel):
    """An agent."""

    agent: Annotated[
        str,
        Field(description="Name of the agent, like cicd"),
        FromText(
            r"\b(?:did|has|had|by|of)\s+(?:the\s+)?"
            r"(?!agent\b|you\b|we\b|it\b|they\b|last\b|done\b|been\b)"
            r"([\w.\-]+?)(?:'s)?(?=\s+(?:agent|do\b|done|server|record|last|latest|recent)|\s*[?.!]*$)"
        ),
        FromText(r"\bthe\s+(?!last\b|latest\b)([\w.\-]+?)(?:'s)?\s+(?:agent|server)\b"),
    ]


@skill(
    "what changed since 2026-11-01?",
    "what changed since yesterday",
    "what changed since revision 120",
    "what has changed in the last 24 hours",
    "show the changes of the past 7 days",
    "what is new since Monday",
    "what changed today",
)
async def tell_what_changed(worker: Worker, inputs: Since) -> Outcome:
    """Tell what was recorded as changed since a revision or a time, by whom."""
    since = " ".join(inputs.since.split())
    asked: dict[str, Any] = {"revision": int(since)} if since.isdigit() else {"since": since}
    answer = await worker.call("changes_since", limit=500, **asked)
    counts = Counter(f"{c['kind']} {c['operation']}" for c in answer["changes"])
    agents = Counter(c["agent"] for c in answer["changes"])
    begin = f"revision {since}" if since.isdigit() else f"{since} ({answer['since'][:16]}Z)"
    if not answer["total"]:
        told = "nothing is recorded as changed"
    else:
        many = answer["total"]
        shown = f"{many:,}" if many <= MOST_COUNTED else f"more than {MOST_COUNTED:,}"
        told = f"{shown} changes: {_in_words(counts)}; by {_in_words(agents)}"
    more = " and more" if answer["total"] > MOST_COUNTED else ""
    later = f" {answer['remaining']:,} later ones{more} are only counted."
    rest = later if answer["remaining"] else ""
    return Outcome(
        summary=f"Since {begin}, {told}.{rest} The store is at revision {answer['revision']}.",
        outputs={
            "revision": answer["revision"],
            "total": answer["total"],
            "counts": dict(counts),
            "agents": dict(agents),
            "remaining": answer["remaining"],
            "latest": answer["changes"][-SHOWN:],
        },
        next="changes_since goes on from the last revision told." if answer["remaining"] else "",
    )


@skill(
    "what did the deployment agent do last time?",
    "what did cicd do last",
    "what has the security agent done recently",
    "show the last actions of the metrics agent",
    "what has the metrics agent been doing",
)
async def tell_last_actions(worker: Worker, inputs: Doer) -> Outcome:
    """Tell what an agent did and recorded in its most recent run."""
    agent, taken_for = inputs.agent, ""
    answer = await worker.call("changes_since", agent=agent, newest_first=True, limit=200)
    if not answer["changes"] and (kind := _ROLES.get(agent.lower().removesuffix("s"))):
        latest = await worker.call("changes_since", kind=kind, newest_first=True, limit=1)
        if latest["changes"]:
            agent = latest["changes"][0]["agent"]
            taken_for = f" It recorded the last {kind}, so the {inputs.agent} agent is it."
            answer = await worker.call("changes_since", agent=agent, newest_first=True, limit=200)
    if not answer["changes"]:
        return Outcome(
            summary=f"Nothing is recorded by an agent {inputs.agent!r}; the change log was "
            "searched for it. knowledge://agents lists those there are."
        )
    done = last_sitting(answer["changes"])
    newest = done[0]
    counts = Counter(f"{c['kind']} {c['operation']}" for c in done)
    run = await _run(worker, newest["run_id"])
    within = f" in run {newest['run_id']}{run}" if newest["run_id"] else ""
    named = ", ".join(f"{c['key']} {c['operation']}" for c in done[:5])
    return Outcome(
        summary=f"{agent} was last at work at {newest['at'][:16]}Z{within}: {_in_words(counts)}. "
        f"Newest first: {named}{', …' if len(done) > 5 else ''}.{taken_for}",
        outputs={
            "agent": agent,
            "run_id": newest["run_id"],
            "at": newest["at"],
            "counts": dict(counts),
            "changes": done[:SHOWN],
        },
    )


def last_sitting(newest_first: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The changes of an agent's last run, or of its last hour at work when it was in no run."""
    newest = newest_first[0]
    if newest["run_id"]:
        return [change for change in newest_first if change["run_id"] == newest["run_id"]]
    begin = datetime.fromisoformat(newest["at"]) - SITTING
    return [
        change
        for change in newest_first
        if change["run_id"] is None and datetime.fromisoformat(change["at"]) >= begin
    ]


async def _run(worker: Worker, run_id: str | None) -> str:
    """« («goal», status)» of a run, as far as it is on record."""
    if not run_id:
        return ""
    answer, _, is_error = await worker.try_call("get_run", {"run_id": run_id})
    return "" if is_error else f" («{answer['goal'][:200]}», {answer['status']})"


def _in_words(counts: Counter[str]) -> str:
    return ", ".join(f"{number} × {what}" for what, number in counts.most_common(10))
