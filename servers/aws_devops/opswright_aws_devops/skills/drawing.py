"""A skill that draws a network or an application."""

from typing import Annotated

from pydantic import Field

from opswright_aws_devops.skills.wordings import InVpc
from opswright_core.agent.report import Outcome
from opswright_core.agent.skills import FromText, skill
from opswright_core.agent.worker import Worker


class Drawn(InVpc):
    """What to draw: a VPC, or what an application is made of."""

    vpc_id: Annotated[
        str,
        Field(description="Id or name of a VPC, or name of an application"),
        *(mark for mark in InVpc.model_fields["vpc_id"].metadata if isinstance(mark, FromText)),
        FromText(r"\b(?:of|draw)\s+(?:the\s+)?(?!topology|picture)([A-Za-z0-9][\w.-]*)[.?!]?\s*$"),
    ]
    as_application: Annotated[
        str | None,
        Field(description="Any text: draw the application of that name, not its VPC"),
        FromText(r"\b(application|app|environment)\b"),
    ] = None


@skill(
    "draw the topology of vpc-0a1b2c3d",
    "draw a diagram of the network shop",
    "show me a picture of the application shop",
)
async def draw_picture(worker: Worker, inputs: Drawn) -> Outcome:
    """Draw a picture, diagram or topology of a VPC, a network or an application."""
    if "draw_topology" not in {tool.name for tool in await worker.client.list_tools()}:
        return Outcome(
            summary="draw_topology is not offered; start the server with "
            "--toolsets default,network.",
            status="failed",
        )
    subject = "application" if inputs.as_application else "vpc"
    drawn = await worker.call("draw_topology", **{subject: inputs.vpc_id}, **inputs.where)
    unread = f" Not read: {'; '.join(drawn['unread'])}." if drawn["unread"] else ""
    where = f" As a picture: {drawn['svg']}" if drawn["svg"] else ""
    return Outcome(
        summary=f"{drawn['summary']}.{unread}{where}\n{drawn['mermaid']}",
        status="partial" if drawn["unread"] else "completed",
        outputs=drawn,
    )
