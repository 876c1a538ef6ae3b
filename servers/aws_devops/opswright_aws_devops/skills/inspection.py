"""Skills that read: what there is, and whether it outlives the loss of a zone."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from opswright_aws_devops.skills.wordings import InVpc, TagGiven
from opswright_core.agent.kinds import KIND, Types, types_of
from opswright_core.agent.place import InRegion, InRegions
from opswright_core.agent.report import Memory, Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker

NAMED = 20
"""As many are named in a summary."""

_ID = r"arn:|\b(?:vpc|subnet|sg|i|nat|igw|rtb|lt|vol|eni|eipalloc|vpce|fl)-[0-9a-f]{4}"
_NAMED = (
    r"\b(?:balancer|alb|vpc|network|gateway|volume|cluster|instance|database|bucket|queue|topic|function|role|stack|service|table"
    r"|group|certificate|named|called)\s+[\"'`]?"
    r"(?!(?:is|are|and|or|of|in|that|goes|does|named|called)\b)(?=\w)"
)


class OneResource(InRegion):
    """Which resource to explain."""

    resource_id: Annotated[
        str,
        Field(description="Id, ARN or name of the resource"),
        FromText(rf"(?:{_NAMED}|(?={_ID}))((?:arn:[^\s?,;]*|[\w./-]*)\w)"),
    ]
    kind: Annotated[
        list[str] | None,
        BeforeValidator(types_of),
        Field(description="Its kind, where several have the name: database, or a type"),
        FromText(rf"\b({KIND})\s+(?:(?:named|called)\s+)?[\"'`]?(?=\w)(?!{_ID})"),
    ] = None

    @property
    def resource(self) -> str:
        """What the tools know it by: with its type where one was said."""
        is_name = self.kind and len(self.kind) == 1 and not re.match(_ID, self.resource_id)
        return f"{self.kind[0]}/{self.resource_id}" if self.kind and is_name else self.resource_id


class Looked(InRegions):
    """Where to look, and for what."""

    types: Types = None
    tag: TagGiven = None


@skill(
    "what is running here",
    "list what we have in eu-west-1",
    "list all AWS resources",
    "show the inventory of the account in all regions",
    "what do we have everywhere, across the whole account",
    "which infrastructure do we have",
    "list everything in eu-west-1",
    "show all queues and topics",
    "which instances are tagged with team=web",
)
async def list_infrastructure(worker: Worker, inputs: Looked) -> Outcome:
    """List the AWS resources that exist: VPCs, instances, databases, buckets, load balancers.

    Of some kinds (subnets, functions, roles, …), with a tag, in one region or in all.
    """
    asked = {"types": inputs.types, "tag": inputs.tag}
    chosen = {key: value for key, value in asked.items() if value}
    found = await worker.call("list_resources", **chosen, **inputs.where)
    unread = found.get("unread", [])
    named = _called(found["items"]) if chosen and found["items"] else ""
    return Outcome(
        summary=found["summary"] + named + (f" (not read: {'; '.join(unread)})" if unread else ""),
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
async def check_high_availability(worker: Worker, inputs: InVpc) -> Outcome:
    """Check whether a VPC is highly available: zone spread, NAT, databases, load balancers."""
    vpc_id = await inputs.found(worker)
    judged = await worker.call("verify_high_availability", vpc_id=vpc_id, **inputs.where)
    return Outcome(
        summary=judged["summary"],
        outputs=judged,
        memories=[Memory(kind="fact", text=judged["summary"])],
    )


@skill(
    "explain sg-0a1b2c3d",
    "explain the load balancer shop",
    "explain the security group named shop-web",
    "what is eni-0a1b2c3d and who made it",
    "what breaks if nat-0a1b2c3d goes",
    "which resources hang on subnet-0a1b2c3d",
)
async def explain_infrastructure(worker: Worker, inputs: OneResource) -> Outcome:
    """Explain one AWS resource: what it is, who made it, what it needs, what breaks without it."""
    offered = {tool.name for tool in await worker.client.list_tools()}
    asked = {"resource_id": inputs.resource, **inputs.where}
    if "explain_resource" in offered:
        told = await worker.call("explain_resource", **asked)
        summary, more = told["summary"], ""
    else:
        told = await worker.call("get_resource", **asked)
        it = told["resource"]
        summary = (
            f"{it['name']} ({it['type']}) needs {_listed(told['depends_on'])}; "
            f"needed by {_listed(told['needed_by'])}."
        )
        more = "With --toolsets default,network it tells what breaks further on, and who made it."
    unread = told["unread"]
    return Outcome(
        summary=summary + (f" Not read: {'; '.join(unread)}." if unread else ""),
        status="partial" if unread else "completed",
        outputs=told,
        next=more,
    )


def _called(items: list[dict[str, Any]]) -> str:
    """What some resources are called, the first of many."""
    names = [
        item["name"] if item["name"] == item["id"] else f"{item['name']} ({item['id']})"
        for item in items[:NAMED]
    ]
    more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return f": {', '.join(names)}{more}"


def _listed(links: list[dict[str, str]]) -> str:
    """A few of them by name, and how many more there are."""
    names = [f"{link['type']} {link['name']}" for link in links[:8]]
    more = f" and {len(links) - 8} more" if len(links) > 8 else ""
    return (", ".join(names) or "nothing") + more
