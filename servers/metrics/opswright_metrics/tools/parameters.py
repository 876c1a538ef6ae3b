"""The parameters that several tools share."""

from typing import Annotated

from pydantic import Field

Name = Annotated[
    str,
    Field(description="Application; prefixes names", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"),
]
LoadBalancerArn = Annotated[str | None, Field(description="Load balancer", max_length=2048)]
TargetGroupArn = Annotated[str | None, Field(description="Target group", max_length=2048)]
AsgName = Annotated[str | None, Field(description="Auto Scaling group", max_length=255)]
DatabaseId = Annotated[str | None, Field(description="RDS instance", max_length=63)]
Cursor = Annotated[str | None, Field(description="From the page before", max_length=4096)]
