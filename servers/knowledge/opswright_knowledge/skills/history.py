"""What was deployed, and what changed."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.agent.report import Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

SHOWN = 20


class Application(BaseModel):
    """An application and environment; both are optional."""

    application: Annotated[
        str | None,
        Field(description="Name of the application"),
        FromText(
            r"\b(?:(?:version|deployments?|release) of|application|app)\s+(?!runs\b|is\b)([\w.\-]+)"
        ),
    ] = None
    environment: Annotated[
        str | None,
        Field(description="Environment, like prod"),
        FromText(
            r"\b(?:to|in|on|environment)\s+((?:prod|stag|dev|test|qa|pre|uat|sandbox)[\w\-]*)"
        ),
    ] = None


class Since(BaseModel):
    """From when on."""

    since: Annotated[
        str,
        Field(description="Since when: a revision number, an ISO time, or an age like 24h or 7d"),
        FromText(
            r"\b(?:since|after|last|past)\s+(?:revision\s+)?"
            r"(\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?|\d+\s*(?:minutes?|min|hours?|days?|weeks?|[mhdw])\b|\d+\b)"
        ),
    ]


@skill(
    "what was deployed last?",
    "which version of shop runs in prod",
    "show the latest deployments",
    "what is the deployed version of the application",
    "which release is live, and what would we roll back to",
)
async def tell_deployed_version(worker: Worker, inputs: Application) -> Outcome:
    """Tell what was deployed last and which version runs, from the deployment history."""
    asked = inputs.model_dump(exclude_none=True)
    answer = await worker.call("list_deployments", limit=50, **asked)
    if not answer["items"]:
        where = " ".join(asked.values()) or "anything"
        return Outcome(
            summary=f"No deployment of {where} is recorded; one may have been made unrecorded."
        )
    last = answer["items"][0]
    places = sorted({(item["application"], item["environment"]) for item in answer["items"]})
    running = {
        f"{application}/{environment}": running_version(
            [
                i
                for i in answer["items"]
                if (i["application"], i["environment"]) == (application, environment)
            ]
        )
        for application, environment in places
    }
    told = "; ".join(
        f"{place} runs {version or 'an unknown version'}" for place, version in running.items()
    )
    return Outcome(
        summary=(
            f"Deployed last: {last['application']} {last['version']} to {last['environment']}, "
            f"{last['status']} at {last['at']}. By the record, {told}."
        ),
        outputs={"last": last, "running": running, "total": answer["total"]},
    )


def running_version(newest_first: Sequence[dict[str, Any]]) -> str | None:
    """The version that runs, judged by the deployments of one application to one environment.

    The newest that ended well counts; one that was rolled back left its rollback target; one that
    failed or is under way leaves it open what runs, so the one before it is not taken for granted.
    """
    if not newest_first:
        return None
    newest = newest_first[0]
    if newest["status"] == "succeeded":
        return str(newest["version"])
    if newest["status"] == "rolled_back":
        return newest.get("rollback_target")
    return None


@skill(
    "what changed since 2026-11-01?",
    "what changed since revision 120",
    "what has changed in the last 24 hours",
    "show the changes of the past 7 days",
)
async def tell_what_changed(worker: Worker, inputs: Since) -> Outcome:
    """Tell what was recorded as changed since a revision or a time, by whom."""
    since = inputs.since.strip()
    asked: dict[str, Any] = {"revision": int(since)} if since.isdigit() else {"since": _age(since)}
    answer = await worker.call("changes_since", limit=500, **asked)
    counts: dict[str, int] = {}
    for change in answer["changes"]:
        kind = f"{change['kind']} {change['operation']}"
        counts[kind] = counts.get(kind, 0) + 1
    told = ", ".join(f"{number} × {kind}" for kind, number in sorted(counts.items())) or "nothing"
    rest = f" {answer['remaining']} later ones are not counted here." if answer["remaining"] else ""
    return Outcome(
        summary=f"Since {since}: {told}.{rest} The store is at revision {answer['revision']}.",
        outputs={
            "revision": answer["revision"],
            "counts": counts,
            "remaining": answer["remaining"],
            "latest": answer["changes"][-SHOWN:],
        },
    )


def _age(text: str) -> str:
    """«2 hours» as `2h`; a time as it is."""
    age = re.fullmatch(r"(\d+)\s*([mhdw])\w*", text.lower())
    return f"{age[1]}{age[2]}" if age else text
