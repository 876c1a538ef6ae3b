"""Scaling of an auto-scaling group: targets that are tracked, and sizes by the clock."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops.lookup import first, must_exist
from opswright_aws_devops.steps import send
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, check

GROUP, POLICY, SCHEDULE = "autoscaling:group", "autoscaling:policy", "autoscaling:schedule"
CPU, REQUESTS = "ASGAverageCPUUtilization", "ALBRequestCountPerTarget"
AsgName = Annotated[str, Field(description="Auto-scaling group", min_length=1, max_length=255)]


class ScheduledSize(BaseModel):
    """The sizes that a group is set to at a time; one that is left out stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")]
    recurrence: Annotated[str, Field(description="Cron, like 0 8 * * MON-FRI", max_length=100)]
    time_zone: Annotated[str, Field(max_length=60)] = "UTC"
    min_size: Annotated[int | None, Field(ge=0, le=1000)] = None
    max_size: Annotated[int | None, Field(ge=0, le=1000)] = None
    desired: Annotated[int | None, Field(ge=0, le=1000)] = None

    @property
    def parameters(self) -> dict[str, Any]:
        """EC2 Auto Scaling's words for it."""
        sizes = {
            "MinSize": self.min_size, "MaxSize": self.max_size, "DesiredCapacity": self.desired,
        }  # fmt: skip
        given = {word: size for word, size in sizes.items() if size is not None}
        return {"Recurrence": self.recurrence, "TimeZone": self.time_zone, **given}


class Scaling(BaseModel):
    """How a group is scaled: the policies and scheduled sizes that were asked for."""

    asg_name: str
    policies: dict[str, float] = Field(description="Target by policy name")
    scheduled: list[str]


@write_tool(toolset="compute")
def set_scaling(
    asg_name: AsgName,
    cpu_percent: Annotated[
        float | None, Field(description="Keep the average CPU at", ge=10, le=95)
    ] = None,
    requests_per_target: Annotated[
        float | None, Field(description="Keep each server's requests a minute at", ge=1)
    ] = None,
    scheduled: Annotated[
        list[ScheduledSize],
        Field(description="By the clock: name, cron, time zone, min, max, desired", max_length=10),
    ] = [],  # noqa: B006 (never changed)
    target: Target = HERE,
) -> Work[Scaling]:
    """Set how an auto-scaling group scales: on CPU, on requests, or by the clock.

    What is not given stays as it is.
    """
    for size in scheduled:
        _require_sense(size)
    if not scheduled and cpu_percent is None and requests_per_target is None:
        raise BadInputError("Give cpu_percent, requests_per_target or scheduled.")
    a = aws(target)
    goals = {CPU: cpu_percent, REQUESTS: requests_per_target}
    wanted = {metric: goal for metric, goal in goals.items() if goal is not None}

    def load() -> State:
        return load_state(a, asg_name)

    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, load(), wanted, scheduled),
        apply=lambda rec: _apply(a, rec, load(), wanted, scheduled, target),
        verify=lambda made: judge_scaling(made, load(), scheduled),
        outputs=Scaling,
        existing=lambda: _outputs(load(), wanted, scheduled),
    )


class State(BaseModel):
    """What was read of a group: EC2 Auto Scaling's own descriptions."""

    group: dict[str, Any]
    policies: list[dict[str, Any]]
    actions: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        """The name of the group."""
        return str(self.group["AutoScalingGroupName"])

    def tracking(self, metric: str) -> dict[str, Any] | None:
        """The policy that tracks a metric; a group has one at most for each."""
        for policy in self.policies:
            tracked = policy.get("TargetTrackingConfiguration") or {}
            named = tracked.get("PredefinedMetricSpecification") or {}
            if named.get("PredefinedMetricType") == metric:
                return policy
        return None

    def scheduled_as(self, size: ScheduledSize) -> bool:
        """Whether the group has that action with just these sizes."""
        found = self.actions.get(size.name)
        return found is not None and _sizes(found) == size.parameters


def _sizes(action: Mapping[str, Any]) -> dict[str, Any]:
    words = ("Recurrence", "TimeZone", "MinSize", "MaxSize", "DesiredCapacity")
    found = {word: action[word] for word in words if action.get(word) is not None}
    return {"TimeZone": "UTC", **found}


def load_state(a: Aws, asg_name: str) -> State:
    """Read a group with its policies and scheduled actions. Raises NotFoundError."""
    which = {"AutoScalingGroupName": asg_name}
    asg = a.client("autoscaling")
    groups = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[asg_name])
    group = first(groups["AutoScalingGroups"])
    if group is None:
        raise NotFoundError(f"There is no auto-scaling group {asg_name!r} in {a.region}.")
    actions = a.pages(
        "autoscaling", "describe_scheduled_actions", "ScheduledUpdateGroupActions", **which
    )
    return State(
        group=group,
        policies=a.pages("autoscaling", "describe_policies", "ScalingPolicies", **which),
        actions={action["ScheduledActionName"]: action for action in actions},
    )


def _require_sense(size: ScheduledSize) -> None:
    from zoneinfo import available_timezones

    if len(size.recurrence.split()) != 5:
        raise BadInputError(
            f"scheduled {size.name}: {size.recurrence!r} is not a cron of five fields, like "
            "0 8 * * MON-FRI."
        )
    if size.time_zone not in available_timezones():
        raise BadInputError(
            f"scheduled {size.name}: {size.time_zone!r} is no time zone like Europe/Berlin."
        )
    sizes = [s for s in (size.min_size, size.desired, size.max_size) if s is not None]
    if not sizes:
        raise BadInputError(f"scheduled {size.name}: give min_size, max_size or desired.")
    if sizes != sorted(sizes):
        raise BadInputError(f"scheduled {size.name}: min_size ≤ desired ≤ max_size must hold.")


def _configuration(a: Aws, state: State, metric: str, goal: float) -> dict[str, Any]:
    """A target-tracking configuration; an existing policy's other settings stay."""
    known = (state.tracking(metric) or {}).get("TargetTrackingConfiguration")
    if known:
        return {**known, "TargetValue": goal}
    named = {"PredefinedMetricType": metric}
    if metric == REQUESTS:
        named["ResourceLabel"] = _label(a, state)
    return {"PredefinedMetricSpecification": named, "TargetValue": goal}


def _label(a: Aws, state: State) -> str:
    """The load balancer and target group whose requests are counted.

    Source: PredefinedMetricSpecification in the API reference of EC2 Auto Scaling.
    """
    arns = state.group.get("TargetGroupARNs", [])
    if len(arns) != 1:
        raise BadInputError(
            f"{state.name} is in {len(arns)} target groups; requests_per_target needs one."
        )
    elb = a.client("elbv2")
    (found,) = must_exist(
        f"Target group {arns[0]}",
        lambda: elb.describe_target_groups(TargetGroupArns=arns)["TargetGroups"],
    )
    balancers = found["LoadBalancerArns"]
    if len(balancers) != 1 or "loadbalancer/app/" not in balancers[0]:
        raise BadInputError(
            f"The target group of {state.name} is not behind one application load balancer, "
            "whose requests could be counted."
        )
    return "/".join([balancers[0].partition("loadbalancer/")[2], arns[0].rpartition(":")[2]])


def _policy_name(state: State, metric: str) -> str:
    known = state.tracking(metric)
    return str(known["PolicyName"]) if known else {CPU: "cpu", REQUESTS: "requests"}[metric]


def _goal(policy: Mapping[str, Any] | None) -> float | None:
    return policy["TargetTrackingConfiguration"]["TargetValue"] if policy else None


def _plan(
    a: Aws, state: State, wanted: Mapping[str, float], scheduled: list[ScheduledSize]
) -> ChangePlan:
    actions, warnings = [], []
    for metric, goal in wanted.items():
        known = state.tracking(metric)
        if _goal(known) == goal:
            continue
        _configuration(a, state, metric, goal)
        was = f" in place of {_goal(known):g}" if known else ""
        detail = f"{metric} at {goal:g}{was}"
        verb = "modify" if known else "create"
        name = f"{state.name}/{_policy_name(state, metric)}"
        actions.append(Action(verb=verb, type=POLICY, name=name, detail=detail))
    for size in scheduled:
        if state.scheduled_as(size):
            continue
        verb = "modify" if size.name in state.actions else "create"
        given = {k: v for k, v in size.parameters.items() if k.endswith(("Size", "Capacity"))}
        sizes = ", ".join(f"{word} {value}" for word, value in given.items())
        detail = f"{size.recurrence} {size.time_zone}: {sizes}"
        name = f"{state.name}/{size.name}"
        actions.append(Action(verb=verb, type=SCHEDULE, name=name, detail=detail))
        if size.min_size == 0 or size.max_size == 0 or size.desired == 0:
            warnings.append(f"{size.name} may leave no server running.")
    if scheduled:
        warnings.append(
            "A scheduled size stays until another sets it; an undo does not set it back."
        )
    return ChangePlan(
        summary=f"Set the scaling of {state.name} ({state.group['MinSize']} to "
        f"{state.group['MaxSize']} servers)",
        actions=actions,
        warnings=warnings,
        observed={"actions": [action.model_dump() for action in actions]},
    )


def _apply(
    a: Aws,
    rec: Recorder,
    state: State,
    wanted: Mapping[str, float],
    scheduled: list[ScheduledSize],
    target: AwsTarget,
) -> Scaling:
    asg, name = a.client("autoscaling"), state.name

    def undo(what: str, operation: str, params: dict[str, Any], gone: Any) -> list[UndoStep]:
        return [
            aws_undo(
                what, "autoscaling", operation, params, target=target, region=a.region, gone=gone
            )
        ]

    group = {"AutoScalingGroupName": name}
    for metric, goal in wanted.items():
        if _goal(known := state.tracking(metric)) == goal:
            continue
        policy = {**group, "PolicyName": _policy_name(state, metric)}
        tracking = {"PolicyType": "TargetTrackingScaling"}
        here = {**group, "PolicyNames": [policy["PolicyName"]]}
        if known:
            before = known["TargetTrackingConfiguration"]
            inverse = undo(
                f"track {metric} at {_goal(known):g} again",
                "put_scaling_policy",
                {**policy, **tracking, "TargetTrackingConfiguration": before},
                ("describe_policies", here, _other_than(before["TargetValue"])),
            )
        else:
            inverse = undo(
                f"delete the scaling policy {policy['PolicyName']} of {name}",
                "delete_policy",
                policy,
                ("describe_policies", here, "ScalingPolicies[]"),
            )
        wanted_now = _configuration(a, state, metric, goal)
        rec.step(
            f"policy {policy['PolicyName']} of {name}",
            lambda p={**policy, **tracking, "TargetTrackingConfiguration": wanted_now}: send(  # type: ignore[misc]
                asg.put_scaling_policy, **p
            ),
            undo=inverse,
            resource=_touched(POLICY, policy["PolicyName"], known is not None),
        )
    for size in scheduled:
        if state.scheduled_as(size):
            continue
        action = {**group, "ScheduledActionName": size.name}
        here = {**group, "ScheduledActionNames": [size.name]}
        there = state.actions.get(size.name)
        gone = undo(
            f"delete the scheduled size {size.name} of {name}",
            "delete_scheduled_action",
            action,
            ("describe_scheduled_actions", here, "ScheduledUpdateGroupActions[]"),
        )
        again = there and undo(
            f"set the scheduled size {size.name} of {name} as it was",
            "put_scheduled_update_group_action",
            {**action, **_sizes(there)},
            None,
        )
        rec.step(
            f"scheduled size {size.name} of {name}",
            lambda p={**action, **size.parameters}: send(  # type: ignore[misc]
                asg.put_scheduled_update_group_action, **p
            ),
            undo=again or gone,
            resource=_touched(SCHEDULE, size.name, there is not None),
        )
    if a.is_emulator:
        rec.gap("The emulator keeps policies and scheduled sizes but scales nothing by them.")
    return _outputs(load_state(a, name), wanted, scheduled)


def _other_than(value: float) -> str:
    """JMESPath that finds a policy as long as its target is another."""
    return f"ScalingPolicies[?TargetTrackingConfiguration.TargetValue!=`{value}`]"


def _touched(kind: str, name: str, modified: bool) -> ResourceRef:
    return ResourceRef(type=kind, id=name, name=name, action="modified" if modified else "created")


def _outputs(state: State, wanted: Mapping[str, float], scheduled: list[ScheduledSize]) -> Scaling:
    return Scaling(
        asg_name=state.name,
        policies={_policy_name(state, metric): goal for metric, goal in wanted.items()},
        scheduled=[size.name for size in scheduled],
    )


def judge_scaling(made: Scaling, state: State, scheduled: list[ScheduledSize]) -> list[Check]:
    """Whether the group has the policies and scheduled sizes that were asked for."""
    goals = {
        policy["PolicyName"]: _goal(policy)
        for policy in state.policies
        if policy.get("TargetTrackingConfiguration")
    }
    checks = [
        check(f"Policy {name} tracks its target", goals.get(name) == goal, f"{goals.get(name)}")
        for name, goal in made.policies.items()
    ]
    checks += [
        check(f"{size.name} is scheduled as asked", state.scheduled_as(size), size.recurrence)
        for size in scheduled
    ]
    return [c.model_copy(update={"resource": made.asg_name}) for c in checks]
