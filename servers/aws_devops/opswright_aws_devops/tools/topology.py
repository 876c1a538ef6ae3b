"""Pictures of a VPC: what runs where, and who reaches whom."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.drawing.mermaid import as_mermaid
from opswright_aws_devops.drawing.png import as_png
from opswright_aws_devops.drawing.svg import as_svg
from opswright_aws_devops.placement import must_find_vpc
from opswright_aws_devops.topology import Topology, lay_out, load_parts
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.runtime import aws
from opswright_core.text import clean
from opswright_core.tools import read_tool

if TYPE_CHECKING:
    from fastmcp import FastMCP


class Drawing(BaseModel):
    """A VPC as Mermaid text; the same as SVG or PNG can be read at the resources named."""

    vpc_id: str
    summary: str
    mermaid: str
    svg: str = Field(
        description="Resource with the picture, and a .png beside it; of the server's own account"
    )
    unread: list[str] = Field(description="What could not be read, so that it is not shown")


@read_tool(toolset="network")
def draw_topology(
    vpc: Annotated[str, Field(description="Id or Name tag", min_length=1, max_length=255)],
    target: Target = HERE,
) -> Drawing:
    """Draw a VPC: zones, subnets, load balancers, servers, databases, and who reaches whom."""
    a = aws(target)
    drawn = load_topology(a, vpc)
    counts = Counter(node.kind for node in drawn.nodes if node.kind != "internet")
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing runs in it"
    elsewhere = target.profile or target.role_arn  # which the resource's address does not carry
    return Drawing(
        vpc_id=drawn.vpc_id,
        summary=f"{drawn.name}: {len(drawn.subnets)} subnets in {len(drawn.zones)} zones; {said}",
        mermaid=as_mermaid(drawn),
        svg="" if elsewhere else f"topology://{a.region}/{drawn.vpc_id}.svg",
        unread=drawn.unread,
    )


def load_topology(a: Aws, vpc: str) -> Topology:
    """Read the VPC of an id or name. Raises NotFoundError; BadInputError for a shared name."""
    return lay_out(load_parts(a, _vpc(a, vpc)), a.region)


def _vpc(a: Aws, vpc: str) -> dict[str, Any]:
    if vpc.startswith("vpc-"):
        return must_find_vpc(a, vpc)
    named = a.pages("ec2", "describe_vpcs", "Vpcs", Filters=[{"Name": "tag:Name", "Values": [vpc]}])
    if not named:
        raise NotFoundError(
            f"No VPC is named {clean(vpc, 80)!r} in {a.region}; "
            "list_resources with types=['ec2:vpc'] shows those that there are."
        )
    if len(named) > 1:
        ids = ", ".join(found["VpcId"] for found in named[:10])
        raise BadInputError(f"{len(named)} VPCs are named {vpc!r}; give an id: {ids}.")
    found: dict[str, Any] = named[0]
    return found


def add_pictures(mcp: "FastMCP[Any]") -> None:
    """Add the resources `topology://{region}/{vpc_id}.svg` and `.png`, drawn when they are read."""
    for suffix, mime_type, draw in (
        ("svg", "image/svg+xml", _svg),
        ("png", "image/png", _png),
    ):
        mcp.resource(
            f"topology://{{region}}/{{vpc_id}}.{suffix}",
            mime_type=mime_type,
            description=f"A VPC as {suffix.upper()}, as it is now",
        )(draw)


def _svg(region: str, vpc_id: str) -> str:
    return as_svg(load_topology(aws(AwsTarget(region=region)), vpc_id))


def _png(region: str, vpc_id: str) -> bytes:
    return as_png(_svg(region, vpc_id))
