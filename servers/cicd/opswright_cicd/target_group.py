"""What a deployment sets on the target group, and how it is put back."""

from typing import Any

from opswright_cicd.fleet import Fleet
from opswright_core.aws import AwsTarget
from opswright_core.changes import Action, ResourceRef
from opswright_core.recorder import Recorder
from opswright_core.undo import UndoStep, aws_undo

DRAIN_SECONDS = 30
"""How long requests may finish on an instance that leaves; AWS's default is 300."""

_DRAIN_KEY = "deregistration_delay.timeout_seconds"


def planned(group: dict[str, Any], path: str) -> tuple[list[Action], list[str]]:
    """What will be set on a target group as read, and what to mind."""
    actions, warnings = [], []
    name = group["TargetGroupName"]
    if group["HealthCheckPath"] != path:
        change = f"{group['HealthCheckPath']} → {path}"
        actions.append(Action(verb="modify", type="elbv2:health-check", name=name, detail=change))
        warnings.append(f"Health check path {change}: what runs now is judged by it at once.")
    if group["deregistration_delay"] != str(DRAIN_SECONDS):
        change = f"{group['deregistration_delay']} s → {DRAIN_SECONDS} s"
        actions.append(
            Action(verb="modify", type="elbv2:deregistration-delay", name=name, detail=change)
        )
    if not group.get("LoadBalancerArns"):
        warnings.append("No load balancer uses the target group: its targets get no health checks.")
    return actions, warnings


def configure(rec: Recorder, fleet: Fleet, path: str, target: AwsTarget) -> None:
    """Set the health check path and the deregistration delay where they are others."""
    group, arn = fleet.target_group(), fleet.target_group_arn
    elbv2, region = fleet.a.client("elbv2"), fleet.a.region
    touched = ResourceRef(
        type="elbv2:target-group", id=arn, name=group["TargetGroupName"], action="modified"
    )

    def set_path() -> dict[str, str]:
        elbv2.modify_target_group(TargetGroupArn=arn, HealthCheckPath=path)
        return {"health_check_path": path}

    def set_delay() -> dict[str, int]:
        elbv2.modify_target_group_attributes(**_delay(arn, str(DRAIN_SECONDS)))
        return {"deregistration_delay_seconds": DRAIN_SECONDS}

    if group["HealthCheckPath"] != path:
        undo = _restore_path(arn, group["HealthCheckPath"], target, region)
        rec.step("set the health check path", set_path, undo=[undo], resource=touched)
    if group["deregistration_delay"] != str(DRAIN_SECONDS):
        undo = _restore_delay(arn, group["deregistration_delay"], target, region)
        rec.step("set the deregistration delay", set_delay, undo=[undo], resource=touched)


def _restore_path(arn: str, path: str, target: AwsTarget, region: str) -> UndoStep:
    literal = path.replace("\\", "\\\\").replace("'", "\\'")
    return aws_undo(
        f"restore the health check path {path}",
        "elbv2",
        "modify_target_group",
        {"TargetGroupArn": arn, "HealthCheckPath": path},
        target=target,
        region=region,
        gone=(
            "describe_target_groups",
            {"TargetGroupArns": [arn]},
            f"TargetGroups[?HealthCheckPath != '{literal}']",
        ),
    )


def _restore_delay(arn: str, seconds: str, target: AwsTarget, region: str) -> UndoStep:
    return aws_undo(
        f"restore the deregistration delay of {seconds} s",
        "elbv2",
        "modify_target_group_attributes",
        _delay(arn, seconds),
        target=target,
        region=region,
        gone=(
            "describe_target_group_attributes",
            {"TargetGroupArn": arn},
            f"Attributes[?Key=='{_DRAIN_KEY}' && Value!='{seconds}']",
        ),
    )


def _delay(arn: str, seconds: str) -> dict[str, Any]:
    return {"TargetGroupArn": arn, "Attributes": [{"Key": _DRAIN_KEY, "Value": seconds}]}
