"""The region that a task names."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_core.agent.skills import FromText

Region = Annotated[
    str | None,
    Field(description="AWS region, like eu-west-1"),
    FromText(r"\b([a-z]{2}(?:-gov)?-(?:central|(?:north|south)?(?:east|west)?)-\d)\b"),
]
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


class InRegion(BaseModel):
    """Inputs of a skill that looks at one region."""

    region: Region = None

    @property
    def where(self) -> dict[str, Any]:
        """The `target` argument of a tool, or nothing for the server's own region."""
        return {"target": {"region": self.region}} if self.region else {}
