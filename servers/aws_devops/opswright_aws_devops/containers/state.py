"""What a container service is: what was asked for, what was read of it, and how that is judged."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from opswright_aws_devops.containers.parts import load_service
from opswright_aws_devops.log_groups import load_log_group
from opswright_aws_devops.lookup import must_exist
from opswright_core.aws import Aws
from opswright_core.errors import OpswrightError
from opswright_core.verdicts import Check, Unread, check


class ContainerService(BaseModel):
    """A service; `url` is the load balancer's, `rule_arn` the rule that leads to the tasks."""

    service_name: str
    cluster_name: str
    task_definition_arn: str
    target_group_arn: str
    rule_arn: str
    execution_role_arn: str
    log_group: str
    url: str


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for, besides the task."""

    subnet_ids: list[str]
    security_group_ids: list[str]
    listener_arn: str
    path: str
    health_check_path: str
    desired_count: int
    max_count: int
    grace_seconds: int
    log_days: int


def scaling_of(a: Aws, cluster: str, service: str) -> list[dict[str, Any]]:
    """The scalable targets of a service: one, or none."""
    scaling = a.client("application-autoscaling")
    which = {"ServiceNamespace": "ecs", "ResourceIds": [f"service/{cluster}/{service}"]}
    found: list[dict[str, Any]] = scaling.describe_scalable_targets(**which)["ScalableTargets"]
    return found


def is_steady(service: dict[str, Any] | None, desired_count: int) -> bool:
    """Whether a service's deployment is complete, which ECS says once its targets are healthy.

    Raises OpswrightError when the circuit breaker gave up, with what ECS said last.
    """
    deployments: list[dict[str, Any]] = (service or {}).get("deployments", [])
    primary = next((d for d in deployments if d["status"] == "PRIMARY"), {})
    if primary.get("rolloutState") == "FAILED":
        events = "; ".join(event["message"] for event in (service or {}).get("events", [])[:3])
        raise OpswrightError(
            f"ECS gave up: {primary.get('rolloutStateReason', 'no reason given')} Its last events: "
            f"{events or 'none'}. The tasks' log says more; undo_change removes what was made."
        )
    running = (service or {}).get("runningCount", 0)
    return primary.get("rolloutState") == "COMPLETED" and running >= desired_count


class ServiceState(BaseModel):
    """What was read of a service: as ECS, Elastic Load Balancing and Logs describe its parts."""

    service: dict[str, Any] | None
    healthy: int
    forwards_to: list[str]
    log_days: int | None
    max_count: int


def load_state(a: Aws, made: ContainerService, wanted: Wanted) -> ServiceState:
    """Read the service and what leads to it."""
    elb = a.client("elbv2")
    rules = must_exist(
        "the listener's rule", lambda: elb.describe_rules(RuleArns=[made.rule_arn])["Rules"]
    )
    health = elb.describe_target_health(TargetGroupArn=made.target_group_arn)
    states = [item["TargetHealth"]["State"] for item in health["TargetHealthDescriptions"]]
    scaling = (
        scaling_of(a, made.cluster_name, made.service_name)
        if wanted.max_count > wanted.desired_count
        else []
    )
    return ServiceState(
        service=load_service(a, made.service_name),
        healthy=states.count("healthy"),
        forwards_to=[action.get("TargetGroupArn", "") for r in rules for action in r["Actions"]],
        log_days=(load_log_group(a, made.log_group) or {}).get("retentionInDays"),
        max_count=max((item["MaxCapacity"] for item in scaling), default=wanted.desired_count),
    )


def judge_container_service(
    made: ContainerService, wanted: Wanted, state: ServiceState, *, runs_tasks: bool
) -> list[Check]:
    """Whether the service runs as it was made; a later release or count is not a fault.

    `runs_tasks` is False where the backend runs no tasks: whether they would is then UNKNOWN.
    """
    if state.service is None:
        return [check("Service exists", False, "ECS knows none of that name", made.service_name)]
    service = state.service
    network = service.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
    running, asked = service["runningCount"], service["desiredCount"]
    idle = Unread(operation="ecs:DescribeServices", reason="this backend runs no tasks")
    unsaid = Unread(operation="ecs:DescribeServices", reason="this backend does not tell")
    breaker = service.get("deploymentConfiguration", {}).get("deploymentCircuitBreaker")
    facts: list[tuple[str, bool | Unread, str]] = [
        ("Service is active", service["status"] == "ACTIVE", service["status"]),
        (
            "Its tasks run",
            running >= asked or (False if runs_tasks else idle),
            f"{running} of {asked}",
        ),
        (
            "They are healthy behind the load balancer",
            state.healthy >= asked or (False if runs_tasks else idle),
            f"{state.healthy} of {asked}",
        ),
        (
            "A failed deployment is rolled back",
            unsaid if breaker is None else bool(breaker["enable"] and breaker["rollback"]),
            "",
        ),
        (
            "Tasks have no public address",
            network.get("assignPublicIp", "DISABLED") == "DISABLED",
            "",
        ),
        (
            "They are in the subnets that were named",
            sorted(network.get("subnets", [])) == sorted(wanted.subnet_ids),
            ", ".join(network.get("subnets", [])),
        ),
        (
            "The listener leads to them",
            state.forwards_to == [made.target_group_arn],
            ", ".join(state.forwards_to),
        ),
        ("Their log is kept as asked for", state.log_days == wanted.log_days, f"{state.log_days}"),
        ("It scales as asked for", state.max_count == wanted.max_count, f"to {state.max_count}"),
    ]
    return [check(name, ok, evidence, made.service_name) for name, ok, evidence in facts]
