"""Skills that read: what there is, and whether it outlives the loss of a zone."""

from typing import Annotated

from pydantic import Field

from opswright_core.agent.place import InRegion, InRegions
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

VpcId = Annotated[str, Field(description="Id of the VPC"), FromText(r"\b(vpc-[0-9a-f]+)\b")]


class Vpc(InRegion):
    """Which VPC to judge."""

    vpc_id: VpcId


@skill(
    "what is running here",
    "list what we have in eu-west-1",
    "list all AWS resources",
    "show the inventory of the account in all regions",
    "what do we have everywhere, across the whole account",
    "which infrastructure do we have",
)
async def list_infrastructure(worker: Worker, inputs: InRegions) -> Outcome:
    """List the AWS resources that exist: VPCs, instances, databases, buckets, load balancers."""
    found = await worker.call("list_resources", **inputs.where)
    unread = found.get("unread", [])
    return Outcome(
        summary=found["summary"] + (f" (not read: {'; '.join(unread)})" if unread else ""),
        status="partial" if unread else "completed",
        outputs=found,
        next="list_resources with types, tag, vpc_id or cursor shows the rest."
        if found.get("cursor")
        else "",
    )


@skill(
    "is VPC vpc-0a1b2c highly available",
    "check high availability of vpc-0a1b2c",
    "would the application survive the loss of an availability zone",
)
async def check_high_availability(worker: Worker, inputs: Vpc) -> Outcome:
    """Check whether a VPC is highly available: zone spread, NAT, databases, load balancers."""
    judged = await worker.call("verify_high_availability", vpc_id=inputs.vpc_id, **inputs.where)
    return Outcome(
        summary=judged["summary"],
        outputs=judged,
        memories=[Memory(kind="fact", text=judged["summary"])],
    )
