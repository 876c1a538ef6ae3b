"""Answers why the web tier is unhealthy."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Target
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_core.verdicts import Check, Unread, Verdict, worst
from opswright_metrics.tools.causes import Cause, judge
from opswright_metrics.tools.parameters import AsgName, TargetGroupArn
from opswright_metrics.tools.tier_facts import Tier
from opswright_metrics.tools.web_tier import load_tier

State = Literal["healthy", "degraded", "down", "unknown", "nothing_to_diagnose"]
MOST_SHOWN = 20
MOST_CAUSES = 10


class TargetLine(BaseModel):
    """One target of the tier."""

    model_config = ConfigDict(frozen=True)
    id: str
    target_group: str
    port: int
    state: str
    reason: str = ""
    instance_state: str | None = Field(None, description="None when not read or no instance")


class Diagnosis(BaseModel):
    """How the web tier is, and why."""

    verdict: Verdict
    state: State
    summary: str
    causes: list[Cause] = Field(description="Surest first")
    targets: list[TargetLine] = Field(description="Unhealthy ones first")
    healthy_targets: int | None
    total_targets: int | None
    checks: list[Check] = Field(description="FAIL and UNKNOWN first")
    unread: list[str] = Field(default_factory=list)


@read_tool
def diagnose_web_tier(
    target_group_arn: TargetGroupArn = None, asg_name: AsgName = None, target: Target = HERE
) -> Diagnosis:
    """Why is the web tier unhealthy? Reads targets, instances, scaling, rules, 5XX; ranks causes.

    Without arguments: every target group.
    """
    return diagnose(load_tier(aws(target), target_group_arn, asg_name))


def diagnose(tier: Tier) -> Diagnosis:
    """Conclude from what was read. Pure."""
    checks, causes = judge(tier)
    lines = _lines(tier)
    healthy = None if lines is None else sum(line.state == "healthy" for line in lines)
    state = _state(tier, checks, lines)
    verdict = _verdict(state, checks)
    order = {"FAIL": 0, "UNKNOWN": 1, "PASS": 2}
    return Diagnosis(
        verdict=verdict,
        state=state,
        summary=_summary(state, causes, lines, checks),
        causes=causes[:MOST_CAUSES],
        targets=sorted(lines or [], key=lambda t: (t.state == "healthy", t.id))[:MOST_SHOWN],
        healthy_targets=healthy,
        total_targets=None if lines is None else len(lines),
        checks=sorted(checks, key=lambda c: order[c.verdict])[:MOST_SHOWN],
        unread=sorted({c.evidence for c in checks if c.verdict == "UNKNOWN"}),
    )


def _lines(tier: Tier) -> list[TargetLine] | None:
    """The targets, or None when any group's health is unread: a count would be a lie."""
    if isinstance(tier.target_groups, Unread):
        return None
    instances = {} if isinstance(tier.instances, Unread) else tier.instances
    lines = []
    for group in tier.target_groups:
        if isinstance(group.targets, Unread):
            return None
        for target in group.targets:
            instance = instances.get(target.id)
            lines.append(
                TargetLine(
                    id=target.id, target_group=group.name, port=target.port, state=target.state,
                    reason=target.reason, instance_state=instance.state if instance else None,
                )
            )  # fmt: skip
    return lines


def _state(tier: Tier, checks: list[Check], lines: list[TargetLine] | None) -> State:
    """Down: a target group in use has no healthy target. Degraded: something else failed."""
    if lines is None:
        return "unknown"
    assert not isinstance(tier.target_groups, Unread)
    if not tier.target_groups and not (tier.groups and not isinstance(tier.groups, Unread)):
        return "unknown" if isinstance(tier.groups, Unread) else "nothing_to_diagnose"
    served = {line.target_group for line in lines if line.state == "healthy"}
    if any(group.name not in served for group in tier.target_groups):
        return "down"
    verdict = worst(c.verdict for c in checks)
    return {"FAIL": "degraded", "UNKNOWN": "unknown", "PASS": "healthy"}[verdict]  # type: ignore[return-value]


def _verdict(state: State, checks: list[Check]) -> Verdict:
    if state == "down":
        return "FAIL"
    return "UNKNOWN" if state == "nothing_to_diagnose" else worst(c.verdict for c in checks)


def _summary(
    state: State, causes: list[Cause], lines: list[TargetLine] | None, checks: list[Check]
) -> str:
    if state == "nothing_to_diagnose":
        return (
            "Nothing to diagnose: there is no load balancer target group here. Check target.region."
        )
    unknown = sum(c.verdict == "UNKNOWN" for c in checks)
    counted = (
        "target health could not be read"
        if lines is None
        else f"{sum(t.state == 'healthy' for t in lines)} of {len(lines)} targets healthy"
    )
    first = f" Most likely: {causes[0].cause}." if causes else ""
    unread = f" {unknown} things could not be read." if unknown else ""
    return f"The web tier is {state}: {counted}.{first}{unread}"
