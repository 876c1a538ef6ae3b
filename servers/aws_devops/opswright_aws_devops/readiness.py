"""Who hears of a failure, and what a VPC has to recover with: alarms, health checks, quotas.

These do not decide whether a zone may be lost; they decide whether somebody notices, and whether
what is lost can be made again.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops.tools.quotas import STANDARD, judge_room
from opswright_core.aws import Aws
from opswright_core.parallel import each
from opswright_core.verdicts import Check, Unread, attempt, check

Read = list[dict[str, Any]] | Unread

ALARMED = "Somebody hears when it fails"
DEEP = "Health checks ask the application"
HEEDED = "Auto-scaling group replaces what its load balancer finds unhealthy"
ROOM = "Quotas leave room to replace a lost zone's instances"

_PENDING = {"PendingConfirmation", "Deleted", ""}


class Readiness(BaseModel):
    """What was read: AWS's own descriptions, or why they could not be read."""

    model_config = ConfigDict(frozen=True)
    alarms: Read = Field(default_factory=list)
    subscriptions: dict[str, Read] = Field(default_factory=dict)
    """By the ARN of each topic that an alarm names."""
    room: Check | None = None


def load(a: Aws, instances: Read, groups: Read) -> Readiness:
    """Read the region's alarms, who is subscribed to their topics, and the quota of instances."""
    alarms = attempt(lambda: a.pages("cloudwatch", "describe_alarms", "MetricAlarms"))
    found = [] if isinstance(alarms, Unread) else alarms
    topics = sorted({t for alarm in found for t in alarm["AlarmActions"] if ":sns:" in t})

    def subscribed(arn: str) -> Read:
        region = arn.split(":")[3]
        return attempt(
            lambda: a.at(region).pages(
                "sns", "list_subscriptions_by_topic", "Subscriptions", TopicArn=arn
            )
        )

    return Readiness(
        alarms=alarms,
        subscriptions=dict(zip(topics, each(topics, subscribed), strict=True)),
        room=_room(a, instances, groups),
    )


def judge(
    state: Readiness,
    balancers: Read,
    groups: Read,
    target_groups: Read,
    databases: Read,
) -> list[Check]:
    """Every check that what is in the VPC calls for."""
    watched: list[tuple[str, str, str]] = []
    for items, key, dimension in (
        (balancers, "LoadBalancerArn", "LoadBalancer"),
        (groups, "AutoScalingGroupName", "AutoScalingGroupName"),
        (databases, "DBInstanceIdentifier", "DBInstanceIdentifier"),
    ):
        for item in [] if isinstance(items, Unread) else items:
            name = item[key].partition(":loadbalancer/")[2] or item[key]
            watched.append((dimension, name, item[key]))
    checks = [_alarmed(state, dimension, name, of) for dimension, name, of in watched]
    for group in [] if isinstance(target_groups, Unread) else target_groups:
        checks += _depth(group)
    for group in [] if isinstance(groups, Unread) else groups:
        if group.get("TargetGroupARNs") or group.get("LoadBalancerNames"):
            kind = group.get("HealthCheckType", "EC2")
            name = group["AutoScalingGroupName"]
            checks.append(check(HEEDED, "ELB" in kind, f"health check type {kind}", name))
    return [*checks, *([state.room] if state.room else [])]


def _alarmed(state: Readiness, dimension: str, name: str, of: str) -> Check:
    """Whether an alarm on it is switched on and ends with someone who confirmed."""
    if isinstance(state.alarms, Unread):
        return check(ALARMED, state.alarms, resource=of)
    own = [alarm for alarm in state.alarms if _is_on(alarm, dimension, name)]
    if not own:
        return check(ALARMED, False, "no alarm names it", of)
    switched = [alarm for alarm in own if alarm.get("ActionsEnabled") and alarm["AlarmActions"]]
    if not switched:
        return check(ALARMED, False, f"{len(own)} alarms, none with its actions switched on", of)
    unread: Unread | None = None
    for topic in sorted({t for alarm in switched for t in alarm["AlarmActions"] if ":sns:" in t}):
        people = state.subscriptions.get(topic, [])
        if isinstance(people, Unread):
            unread = people
            continue
        confirmed = [s for s in people if s.get("SubscriptionArn", "") not in _PENDING]
        if confirmed:
            said = f"{len(switched)} alarms, to {topic.rpartition(':')[2]} with {len(confirmed)}"
            return check(ALARMED, True, f"{said} confirmed subscriptions", of)
    if unread is not None:
        return check(ALARMED, unread, resource=of)
    if others := [t for x in switched for t in x["AlarmActions"] if ":sns:" not in t]:
        said = f"its alarms act by {others[0].split(':')[2]}; who hears of it was not read"
        return Check(name=ALARMED, verdict="UNKNOWN", evidence=said, resource=of)
    return check(ALARMED, False, "nobody has confirmed a subscription to its alarms' topics", of)


def _is_on(alarm: Mapping[str, Any], dimension: str, name: str) -> bool:
    """Whether an alarm is about it, also by a metric of a metric-math expression."""
    metrics = [
        alarm,
        *(m["MetricStat"]["Metric"] for m in alarm.get("Metrics", []) if "MetricStat" in m),
    ]
    return any(
        d["Name"] == dimension and d["Value"] == name
        for metric in metrics
        for d in metric.get("Dimensions", [])
    )


def _depth(group: Mapping[str, Any]) -> list[Check]:
    """Whether a target group asks a path that the application answers for its health."""
    protocol, path = group.get("HealthCheckProtocol", ""), group.get("HealthCheckPath", "")
    arn = group["TargetGroupArn"]
    if group.get("Protocol") not in {"HTTP", "HTTPS"}:
        return []  # a TCP service has no path to ask
    if protocol not in {"HTTP", "HTTPS"}:
        return [check(DEEP, False, f"{protocol} alone: a hung application passes", arn)]
    said = f"{protocol} {path}"
    if path in {"", "/"}:
        return [check(DEEP, False, f"{said}: the front page, not a path made for health", arn)]
    return [check(DEEP, True, said, arn)]


def _room(a: Aws, instances: Read, groups: Read) -> Check | None:
    """Whether the fullest zone's instances fit a second time; None where nothing scales."""
    if isinstance(instances, Unread):
        return check(ROOM, instances)
    if isinstance(groups, Unread):
        return check(ROOM, groups)
    names = {group["AutoScalingGroupName"] for group in groups}
    zones: dict[str, Counter[str]] = {}
    for instance in instances:
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        kind = instance.get("InstanceType", "")
        if tags.get("aws:autoscaling:groupName") in names and STANDARD.match(kind):
            zone = instance["Placement"]["AvailabilityZone"]
            zones.setdefault(zone, Counter())[kind] += 1
    if not zones:
        return None
    fullest = max(zones.values(), key=lambda kinds: kinds.total())
    judged = attempt(lambda: judge_room(a, fullest))
    if isinstance(judged, Unread):
        return check(ROOM, judged)
    said = f"{judged.used} of {judged.allowed} vCPUs used, {judged.wanted} wanted"
    return Check(name=ROOM, verdict=judged.verdict, evidence=judged.evidence or said)
