"""Which version runs where, and what was before it."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.agent.report import Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

SHOWN = 20
_NOT_A_NAME = r"(?!runs?\b|is\b|are\b|in\b|on\b|to\b|live\b|the\b)"


class Application(BaseModel):
    """An application and environment; both are optional."""

    application: Annotated[
        str | None,
        Field(description="Name of the application"),
        FromText(
            r"\b(?:(?:versions?|deployments?|releases?|builds?) (?:of|does|is)|application|app)"
            rf"\s+(?:the\s+)?{_NOT_A_NAME}([\w.\-]+)"
        ),
        FromText(r"^\s*([\w.\-]+):\s"),
    ] = None
    environment: Annotated[
        str | None,
        Field(description="Environment, like prod"),
        FromText(
            r"\b(?:to|in|on|environment)\s+(?:the\s+)?"
            r"((?:prod|stag|dev|test|qa|pre|uat|sandbox|live)[\w\-]*)"
        ),
    ] = None


@skill(
    "what was deployed last?",
    "what did we deploy last",
    "which version of the application runs in prod, and what was before it?",
    "which version of the application runs in production?",
    "what is the current version",
    "which build is in prod right now",
    "which version of it do we have in staging",
    "show the latest deployments",
    "which versions are deployed where",
    "which release is live in staging",
    "what was the previous version",
)
async def tell_deployed_version(worker: Worker, inputs: Application) -> Outcome:
    """Tell which version was deployed and is live in an environment, and the one before it."""
    asked = {"application": inputs.application} if inputs.application else {}
    answer = await worker.call("list_running_versions", **asked)
    places = [
        place for place in answer["items"] if _is_meant(place["environment"], inputs.environment)
    ]
    if not places:
        where = " ".join(filter(None, (inputs.application, inputs.environment))) or "anything"
        known = ", ".join(f"{p['application']} to {p['environment']}" for p in answer["items"][:5])
        return Outcome(
            summary=f"No deployment of {where} is recorded; one may have been made unrecorded."
            + (f" On record: {known}." if known else "")
        )
    last = max(places, key=lambda place: place["last_at"])
    rest = f" {len(places) - SHOWN} more are not told here." if len(places) > SHOWN else ""
    if answer["cursor"]:
        rest += f" Of {answer['total']} places, the first {len(answer['items'])} were looked at."
    return Outcome(
        summary=(
            f"By the record, {'; '.join(map(_told, places[:SHOWN]))}.{rest} Deployed last: "
            f"{last['application']} {last['last_version']} to {last['environment']}, "
            f"{last['last_status']} at {last['last_at']}."
        ),
        outputs={
            "running": {f"{p['application']}/{p['environment']}": p["version"] for p in places},
            "previous": {f"{p['application']}/{p['environment']}": p["previous"] for p in places},
            "places": places[:SHOWN],
            "last": last,
            "total": len(places),
        },
        next="list_running_versions pages through all." if rest else "",
    )


def _is_meant(environment: str, asked: str | None) -> bool:
    """Whether an environment is the one asked for; `prod` and `production` are one."""
    if asked is None:
        return True
    one, other = sorted((environment.lower(), asked.lower()), key=len)
    return one == other or (len(one) >= len("dev") and other.startswith(one) and one.isalpha())


def _told(place: dict[str, Any]) -> str:
    runs = f"runs {place['version']}" if place["version"] else "runs an unknown version"
    before = f", before it {place['previous']}" if place["previous"] and place["version"] else ""
    note = f" ({place['note']})" if place["note"] else ""
    return f"{place['application']}/{place['environment']} {runs}{before}{note}"
