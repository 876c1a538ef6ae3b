"""Saving money: waste, rightsizing, and where the money goes."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.agent.place import InRegions
from opswright_core.agent.report import AgentMessage, Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

TOLD = 10
"""Findings passed on in a message."""


class SpendPeriod(BaseModel):
    """Which days of spend, by what."""

    days: Annotated[int, Field(ge=1, le=180), FromText(r"\b(\d{1,3}) days\b")] = 30
    group_by: Annotated[str, FromText(r"\bby (service|usage_type|account|region|tag:\S+)")] = (
        "service"
    )


@skill(
    "find what we waste money on",
    "where can we save money",
    "find unused and idle resources that cost money",
    "cut our AWS bill",
    "find waste in all regions, everywhere, across the whole account",
)
async def find_savings(worker: Worker, inputs: InRegions) -> Outcome:
    """Find waste: unused, idle and forgotten resources, and what they cost a month."""
    answer = await worker.call("find_waste", limit=TOLD, **inputs.where)
    messages: list[AgentMessage] = []
    if answer["findings"]:
        messages.append(
            AgentMessage(
                recipient="aws_devops",
                content=f"Unused resources: {answer['summary']}",
                data={"findings": answer["findings"]},
            )
        )
    return _outcome(answer, messages)


@skill(
    "what do we spend",
    "where does the money go",
    "show our AWS spend of the last 30 days by service",
    "what did we spend by account, region, usage type or tag",
    "why did our bill go up",
)
async def explain_spend(worker: Worker, inputs: SpendPeriod) -> Outcome:
    """Say what was spent on AWS, on which services, how it changed, and which days were unusual."""
    answer = await worker.call("get_spend", days=inputs.days, group_by=inputs.group_by)
    messages = [
        AgentMessage(
            recipient="*",
            intent="warn",
            content=f"Unusual spend on {day['day']}: ${day['amount_usd']:,.2f} instead of "
            f"${day['expected_usd']:,.2f}, mostly {day['driver']}",
            data=day,
        )
        for day in answer["anomalies"][:TOLD]
    ]
    return _outcome(answer, messages)


@skill(
    "rightsize our instances",
    "which instances are too big",
    "find oversized instances that could be smaller, in all regions",
)
async def rightsize_instances(worker: Worker, inputs: InRegions) -> Outcome:
    """Find running instances that are too large for their CPU and memory use, and the saving."""
    return _outcome(await worker.call("find_rightsizing", **inputs.where), [])


def _outcome(answer: dict[str, Any], messages: list[AgentMessage]) -> Outcome:
    return Outcome(
        summary=answer["summary"],
        outputs=answer,
        messages=messages,
        memories=[Memory(kind="fact", text=answer["summary"])],
    )
