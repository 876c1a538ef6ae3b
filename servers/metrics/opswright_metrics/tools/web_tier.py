"""Reads a web tier: load balancers, targets, instances, scaling, rules, alarms.

Each part is read on its own, so that a refused call leaves the rest known and itself `Unread`.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from opswright_core.aws import Aws
from opswright_core.errors import NotFoundError
from opswright_core.parallel import each
from opswright_core.text import clean
from opswright_core.verdicts import Unread, attempt
from opswright_metrics.identifiers import load_balancer_dimension, target_group_dimension
from opswright_metrics.tools.tier_facts import (
    Group,
    Instance,
    LoadBalancer,
    Rule,
    SecurityGroup,
    TargetGroup,
    TargetHealth,
    Tier,
)

MOST_GROUPS = 20
"""Target groups looked at when none is named; a tier has a handful, and each costs a call."""

ERROR_WINDOW_MINUTES = 15
T = TypeVar("T")


def load_tier(a: Aws, target_group_arn: str | None, asg_name: str | None) -> Tier:
    """Read the tier of a target group or an Auto Scaling group, or every one of the region.

    Raises BadInputError for a malformed ARN, NotFoundError for a thing that does not exist.
    """
    if target_group_arn:
        target_group_dimension(target_group_arn)
    named = attempt(lambda: _groups(a, asg_name)) if asg_name else ()
    if asg_name and not named:
        raise NotFoundError(f"no Auto Scaling group {asg_name!r} in {a.region}; check asg_name.")
    arns = [target_group_arn] if target_group_arn else None
    if arns is None and named and not isinstance(named, Unread):
        arns = [arn for group in named for arn in group.get("TargetGroupARNs", [])]
    found = _read(lambda: load_target_groups(a, arns, MOST_GROUPS), missing=target_group_arn)
    if isinstance(found, Unread):
        return Tier(target_groups=found, groups=_group_facts(a, named, None))
    looked_at = found[:MOST_GROUPS]
    balancers = attempt(lambda: _load_balancers(a, looked_at))
    ids = _instance_ids(looked_at, named)
    instances = attempt(lambda: _instances(a, ids))
    sgs = _security_group_ids(balancers, instances)
    return Tier(
        target_groups=tuple(looked_at),
        left_out=len(found) - len(looked_at),
        load_balancers=balancers,
        instances=instances,
        security_groups=sgs
        if isinstance(sgs, Unread)
        else attempt(lambda: _security_groups(a, sgs)),
        groups=_group_facts(a, named, {group.arn for group in looked_at}),
        alarms=attempt(lambda: _firing(a)),
        errors=balancers
        if isinstance(balancers, Unread)
        else attempt(lambda: _errors(a, list(balancers.values()))),
    )


def _read(read: Callable[[], T], missing: str | None) -> T | Unread:
    """Like `attempt`, but what was named and does not exist is the caller's mistake."""
    value = attempt(read)
    if isinstance(value, Unread) and missing and "NotFound" in value.reason:
        raise NotFoundError(
            f"no target group {missing}; list them or check the region. {value.reason}"
        )
    return value


def load_target_groups(a: Aws, arns: list[str] | None, most: int = 500) -> list[TargetGroup]:
    """The target groups of these ARNs (None: all); the health of the first `most` is read."""
    if arns == []:
        return []
    only = {"TargetGroupArns": arns} if arns else {}
    found = a.pages("elbv2", "describe_target_groups", "TargetGroups", **only)
    skipped = Unread(operation="", reason=f"only the first {most} target groups are looked at")
    read = each(found[:most], lambda g: attempt(lambda: _targets(a, g["TargetGroupArn"])))
    left_out = [skipped] * (len(found) - len(read))
    return [_target_group(g, t) for g, t in zip(found, [*read, *left_out], strict=True)]


def _target_group(g: dict[str, Any], targets: tuple[TargetHealth, ...] | Unread) -> TargetGroup:
    path = g.get("HealthCheckPath", "")
    codes = g.get("Matcher", {}).get("HttpCode") or g.get("Matcher", {}).get("GrpcCode") or ""
    answer = f" for {codes}" if codes else ""
    port = str(g.get("HealthCheckPort", "traffic-port"))
    return TargetGroup(
        arn=g["TargetGroupArn"],
        name=g["TargetGroupName"],
        port=int(g.get("Port") or 0),
        target_type=g.get("TargetType", "instance"),
        health_check=clean(f"{g.get('HealthCheckProtocol', '')} {path} on {port}{answer}", 300),
        health_check_port=port,
        load_balancers=tuple(g.get("LoadBalancerArns") or ()),
        targets=targets,
    )


def _targets(a: Aws, arn: str) -> tuple[TargetHealth, ...]:
    found = a.client("elbv2").describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
    return tuple(
        TargetHealth(
            id=t["Target"]["Id"],
            port=int(t["Target"].get("Port") or 0),
            state=t["TargetHealth"]["State"],
            reason=t["TargetHealth"].get("Reason", ""),
            description=clean(t["TargetHealth"].get("Description", ""), 200),
        )
        for t in found
    )


def _load_balancers(a: Aws, groups: list[TargetGroup]) -> dict[str, LoadBalancer]:
    arns = sorted({arn for group in groups for arn in group.load_balancers})
    if not arns:
        return {}
    found = a.client("elbv2").describe_load_balancers(LoadBalancerArns=arns)["LoadBalancers"]
    known = [lb for lb in found if lb.get("Type") in {"application", "network"}]
    return {lb["LoadBalancerArn"]: _load_balancer(a, lb) for lb in known}


def _load_balancer(a: Aws, lb: dict[str, Any]) -> LoadBalancer:
    subnets = [zone["SubnetId"] for zone in lb["AvailabilityZones"] if zone.get("SubnetId")]
    return LoadBalancer(
        arn=lb["LoadBalancerArn"],
        name=lb["LoadBalancerName"],
        dimension=load_balancer_dimension(lb["LoadBalancerArn"]),
        state=lb.get("State", {}).get("Code", "unknown"),
        zones=tuple(zone["ZoneName"] for zone in lb["AvailabilityZones"]),
        security_groups=tuple(lb.get("SecurityGroups") or ()),
        subnet_cidrs=attempt(
            lambda: tuple(
                s["CidrBlock"]
                for s in a.pages("ec2", "describe_subnets", "Subnets", SubnetIds=subnets)
            )
        ),
    )


def _instance_ids(groups: list[TargetGroup], named: Any) -> list[str]:
    ids = {
        target.id
        for group in groups
        if group.target_type == "instance" and not isinstance(group.targets, Unread)
        for target in group.targets
    }
    if named and not isinstance(named, Unread):
        ids |= {i["InstanceId"] for group in named for i in group.get("Instances", [])}
    return sorted(ids)


def _instances(a: Aws, ids: list[str]) -> dict[str, Instance]:
    """By a filter, not InstanceIds: one terminated instance would fail the whole call."""
    return {
        found.id: found
        for start in range(0, len(ids), 200)
        for found in _some_instances(
            a, [{"Name": "instance-id", "Values": ids[start : start + 200]}]
        )
    }


def _some_instances(a: Aws, only: list[dict[str, Any]]) -> list[Instance]:
    found = a.pages("ec2", "describe_instances", "Reservations", Filters=only)
    status = attempt(lambda: _statuses(a, only))
    return [
        Instance(
            id=i["InstanceId"],
            state=i["State"]["Name"],
            zone=i.get("Placement", {}).get("AvailabilityZone", ""),
            private_ip=i.get("PrivateIpAddress", ""),
            security_groups=tuple(group["GroupId"] for group in i.get("SecurityGroups", [])),
            status=None if isinstance(status, Unread) else status.get(i["InstanceId"]),
        )
        for reservation in found
        for i in reservation["Instances"]
    ]


def _statuses(a: Aws, only: list[dict[str, Any]]) -> dict[str, str]:
    found = a.pages(
        "ec2",
        "describe_instance_status",
        "InstanceStatuses",
        Filters=only,
        IncludeAllInstances=True,
    )
    return {
        s["InstanceId"]: "impaired"
        if "impaired" in (s["InstanceStatus"]["Status"], s["SystemStatus"]["Status"])
        else s["InstanceStatus"]["Status"]
        for s in found
    }


def _security_group_ids(
    balancers: dict[str, LoadBalancer] | Unread, instances: dict[str, Instance] | Unread
) -> list[str] | Unread:
    if isinstance(balancers, Unread):
        return balancers
    if isinstance(instances, Unread):
        return instances
    owners: list[LoadBalancer | Instance] = [*balancers.values(), *instances.values()]
    return sorted({sg for owner in owners for sg in owner.security_groups})


def _security_groups(a: Aws, ids: list[str]) -> dict[str, SecurityGroup]:
    if not ids:
        return {}
    found = a.pages("ec2", "describe_security_groups", "SecurityGroups", GroupIds=ids)
    return {
        sg["GroupId"]: SecurityGroup(
            id=sg["GroupId"],
            ingress=tuple(_rule(r) for r in sg.get("IpPermissions", [])),
            egress=tuple(_rule(r) for r in sg.get("IpPermissionsEgress", [])),
        )
        for sg in found
    }


def _rule(r: dict[str, Any]) -> Rule:
    every = r["IpProtocol"] == "-1"
    return Rule(
        protocol=r["IpProtocol"],
        from_port=0 if every else int(r.get("FromPort", 0)),
        to_port=65535 if every else int(r.get("ToPort", 65535)),
        cidrs=tuple(entry["CidrIp"] for entry in r.get("IpRanges", [])),
        groups=tuple(entry["GroupId"] for entry in r.get("UserIdGroupPairs", [])),
        prefix_lists=tuple(entry["PrefixListId"] for entry in r.get("PrefixListIds", [])),
    )


def _groups(a: Aws, name: str | None) -> list[dict[str, Any]]:
    only = {"AutoScalingGroupNames": [name]} if name else {}
    return a.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups", **only)


def _group_facts(a: Aws, named: Any, arns: set[str] | None) -> tuple[Group, ...] | Unread:
    """The group named, or else those that register with one of the target groups `arns`."""
    found: list[dict[str, Any]] | Unread = named or attempt(lambda: _groups(a, None))
    if isinstance(found, Unread):
        return found
    chosen = (
        found if named else [g for g in found if arns and arns & set(g.get("TargetGroupARNs", []))]
    )
    return tuple(
        Group(
            name=g["AutoScalingGroupName"],
            desired=g["DesiredCapacity"],
            in_service=sum(i["LifecycleState"] == "InService" for i in g["Instances"]),
            unhealthy=sum(i["HealthStatus"] != "Healthy" for i in g["Instances"]),
            suspended=tuple(p["ProcessName"] for p in g.get("SuspendedProcesses", [])),
            failures=attempt(lambda name=g["AutoScalingGroupName"]: _failures(a, name)),  # type: ignore[misc]
        )
        for g in chosen[:MOST_GROUPS]
    )


def _failures(a: Aws, name: str) -> tuple[str, ...]:
    found = a.client("autoscaling").describe_scaling_activities(
        AutoScalingGroupName=name, MaxRecords=20
    )["Activities"]
    failed = [x for x in found if x["StatusCode"] in {"Failed", "Cancelled"}]
    return tuple(clean(x.get("StatusMessage") or x.get("Cause") or "", 300) for x in failed[:3])


def _firing(a: Aws) -> tuple[str, ...]:
    found = a.pages("cloudwatch", "describe_alarms", "MetricAlarms", StateValue="ALARM")
    return tuple(clean(alarm["AlarmName"], 255) for alarm in found)


def _errors(a: Aws, balancers: list[LoadBalancer]) -> dict[str, float]:
    """5XX counts of the last minutes; nothing reported is 0, as the load balancer means it."""
    applications = [lb for lb in balancers if lb.dimension.startswith("app/")]
    if not applications:
        return {}
    names = ("HTTPCode_ELB_5XX_Count", "HTTPCode_Target_5XX_Count")
    wanted = [(lb, name) for lb in applications for name in names]
    end = datetime.now(UTC)
    queries = [
        {
            "Id": f"q{number}",
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/ApplicationELB",
                    "MetricName": name,
                    "Dimensions": [{"Name": "LoadBalancer", "Value": lb.dimension}],
                },
                "Period": 60,
                "Stat": "Sum",
            },
        }
        for number, (lb, name) in enumerate(wanted)
    ]
    found = a.pages(
        "cloudwatch", "get_metric_data", "MetricDataResults", MetricDataQueries=queries,
        StartTime=end - timedelta(minutes=ERROR_WINDOW_MINUTES), EndTime=end + timedelta(minutes=1),
    )  # fmt: skip
    totals = {f"{lb.name} {name}": 0.0 for lb, name in wanted}
    for result in found:
        lb, name = wanted[int(result["Id"][1:])]
        totals[f"{lb.name} {name}"] += sum(result["Values"])
    return totals
