"""Pictures of a VPC or an application: what runs where, and who reaches or needs whom."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, unquote

from pydantic import BaseModel, Field

from opswright_aws_devops.drawing.application import application_as_mermaid, application_as_svg
from opswright_aws_devops.drawing.mermaid import as_mermaid
from opswright_aws_devops.drawing.png import as_png
from opswright_aws_devops.drawing.svg import as_svg
from opswright_aws_devops.graph.application_topology import counted, load_application
from opswright_aws_devops.graph.topology import Topology, lay_out, load_parts
from opswright_aws_devops.networking.placement import must_find_vpc
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.parallel import time_limit
from opswright_core.runtime import aws, runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool

if TYPE_CHECKING:
    from fastmcp import FastMCP


class Drawing(BaseModel):
    """A picture as Mermaid text; the same as SVG or PNG can be read at the resources named."""

    vpc_id: str | None = Field(None, description="Of a VPC's picture")
    summary: str
    mermaid: str
    svg: str = Field(
        description="Resource with the picture, and a .png beside it; of the server's own account"
    )
    left_out: dict[str, int] = Field(
        default_factory=dict, description="What was too much for one picture, by type"
    )
    unread: list[str] = Field(description="What could not be read, so that it is not shown")


@read_tool(toolset="network")
def draw_topology(
    vpc: Annotated[str, Field(description="Id or Name tag", max_length=255)] | None = None,
    application: Annotated[
        str, Field(description="opswright's name for it, or its tag as key=value", max_length=255)
    ]
    | None = None,
    target: Target = HERE,
) -> Drawing:
    """Draw a VPC (zones, servers, who reaches whom) or an application (parts, who needs whom)."""
    a = aws(target)
    if bool(vpc) == bool(application):
        raise BadInputError("Give either vpc or application, and not both.")
    elsewhere = bool(target.profile or target.role_arn)  # which an address does not carry
    if vpc:
        return _of_vpc(a, vpc, elsewhere)
    with time_limit(runtime().settings.wait_seconds):
        return _of_application(a, str(application), elsewhere)


def _of_vpc(a: Aws, vpc: str, elsewhere: bool) -> Drawing:
    drawn = load_topology(a, vpc)
    counts = Counter(node.kind for node in drawn.nodes if node.kind != "internet")
    said = ", ".join(f"{count} {kind}" for kind, count in counts.items()) or "nothing runs in it"
    return Drawing(
        vpc_id=drawn.vpc_id,
        summary=f"{drawn.name}: {len(drawn.subnets)} subnets in {len(drawn.zones)} zones; {said}",
        mermaid=as_mermaid(drawn),
        svg="" if elsewhere else f"topology://{a.region}/{drawn.vpc_id}.svg",
        unread=drawn.unread,
    )


def _of_application(a: Aws, application: str, elsewhere: bool) -> Drawing:
    drawn = load_application(a, application)
    said = ", ".join(f"{count} {kind}" for kind, count in counted(drawn.boxes).items())
    left = f"; {sum(drawn.left_out.values())} left out" if drawn.left_out else ""
    name = quote(application, safe="")
    return Drawing(
        summary=f"{drawn.name}: {said or 'its VPC alone'}{left}",
        mermaid=application_as_mermaid(drawn),
        svg="" if elsewhere else f"application://{a.region}/{name}.svg",
        left_out=drawn.left_out,
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
    """Add `topology://{region}/{vpc_id}` and `application://{region}/{name}`, `.svg` and `.png`.

    They are drawn when they are read.
    """
    for what, address, svg, png in (
        ("VPC", "topology://{region}/{vpc_id}", _svg, _png),
        ("application", "application://{region}/{name}", _application_svg, _application_png),
    ):
        for suffix, mime_type, draw in (("svg", "image/svg+xml", svg), ("png", "image/png", png)):
            mcp.resource(
                f"{address}.{suffix}",
                mime_type=mime_type,
                description=f"The picture of a {what} as {suffix.upper()}, as it is now",
            )(draw)


def _svg(region: str, vpc_id: str) -> str:
    return as_svg(load_topology(aws(AwsTarget(region=region)), vpc_id))


def _png(region: str, vpc_id: str) -> bytes:
    return as_png(_svg(region, vpc_id))


def _application_svg(region: str, name: str) -> str:
    return application_as_svg(load_application(aws(AwsTarget(region=region)), unquote(name)))


def _application_png(region: str, name: str) -> bytes:
    return as_png(_application_svg(region, name))
