"""What a task names: a target group, an Auto Scaling group."""

from typing import Annotated

from pydantic import Field

from opswright_core.agent.skills import FromText

TargetGroupArn = Annotated[
    str | None,
    Field(description="ARN of the target group"),
    FromText(r"(arn:[\w-]+:elasticloadbalancing:\S+:targetgroup/[\w/-]+)"),
]
AsgName = Annotated[
    str | None,
    Field(description="Auto Scaling group"),
    FromText(r"(?:auto ?scaling group|asg)\s+[\"'`]?([\w.-]+)"),
]
