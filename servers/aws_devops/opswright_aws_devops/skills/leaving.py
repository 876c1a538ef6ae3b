"""A skill that plans leaving a region; it reads alone."""

from typing import Annotated

from pydantic import BaseModel, Field

from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

_REGION = r"[a-z]{2}(?:-gov)?-(?:central|(?:north|south)(?:east|west)?|east|west)-\d\b"


class RegionLeft(BaseModel):
    """Which region to leave, and for which."""

    to_region: Annotated[
        str,
        Field(description="Region to go to, like eu-central-1"),
        FromText(rf"\b(?:to|into|towards)\s+({_REGION})"),
    ]
    region: Annotated[
        str | None,
        Field(description="Region to leave; none: the server's own"),
        FromText(rf"\b(?:from|of|leave|leaving|evacuate|evacuating|for)\s+({_REGION})"),
    ] = None


@skill(
    "region evacuation plan from eu-west-1 to eu-central-1",
    "plan the evacuation of region eu-west-1 to eu-central-1",
    "what has to move if we leave the region",
    "which data has no copy in another region if this region fails",
)
async def plan_region_evacuation(worker: Worker, inputs: RegionLeft) -> Outcome:
    """Plan evacuating a region: what data and capacity move, in which order, what has no copy."""
    where = {"target": {"region": inputs.region}} if inputs.region else {}
    plan = await worker.call("plan_evacuation", to_region=inputs.to_region, **where)
    unread = plan["unread"]
    return Outcome(
        summary=f"{plan['summary']} Not looked at: {plan['not_looked_at']}."
        + (f" Not read: {'; '.join(unread)}." if unread else ""),
        status="partial" if unread else "completed",
        outputs=plan,
        memories=[Memory(kind="fact", text=plan["summary"])],
    )
