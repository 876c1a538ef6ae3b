"""Groups firing alarms by the resource they are about, and says what they likely mean. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_metrics.identifiers import short_name

Severity = Literal["critical", "high", "medium"]
_ORDER: dict[str, int] = {"critical": 0, "high": 1, "medium": 2}

METRICS: dict[str, tuple[Severity, str]] = {
    "UnHealthyHostCount": ("critical", "Call diagnose_web_tier for the target group."),
    "HealthyHostCount": ("critical", "Call diagnose_web_tier for the target group."),
    "HTTPCode_ELB_5XX_Count": ("critical", "Call diagnose_web_tier: the targets' health first."),
    "HTTPCode_Target_5XX_Count": ("critical", "Call summarize_logs on the application's log."),
    "StatusCheckFailed": ("critical", "Stop and start the instance, or have it replaced."),
    "StatusCheckFailed_System": ("critical", "Stop and start the instance: its host is faulty."),
    "StatusCheckFailed_Instance": ("critical", "Reboot the instance and read its console output."),
    "FreeStorageSpace": ("critical", "Enlarge the database's storage or delete data now."),
    "DatabaseConnections": (
        "high",
        "Find what holds connections; pool them or take a larger class.",
    ),
    "CPUUtilization": (
        "high",
        "Compare with RequestCount by get_metrics; scale out if it follows.",
    ),
    "TargetResponseTime": ("high", "Compare with CPU and database metrics by get_metrics."),
    "FreeableMemory": ("high", "Take a larger class or lower what the engine caches."),
    "ReplicaLag": ("high", "Look at the writer's load and the replica's class."),
    "Errors": ("high", "Call summarize_logs on the function's log group."),
    "Throttles": ("high", "Raise the concurrency or slow the callers."),
}
"""Metric → how bad, and the first thing to do. Critical: users get errors, or data is at risk."""

_NAMES = {
    "TargetGroup": "target group",
    "LoadBalancer": "load balancer",
    "DBInstanceIdentifier": "database",
    "DBClusterIdentifier": "database cluster",
    "AutoScalingGroupName": "Auto Scaling group",
    "InstanceId": "instance",
    "FunctionName": "function",
    "ClusterName": "cluster",
    "ServiceName": "service",
    "QueueName": "queue",
    "TableName": "table",
}
"""Dimension → what it names; of several on one alarm the first here is the resource."""

_TARGET = {"UnHealthyHostCount", "HealthyHostCount"}
_DATABASE = {"DatabaseConnections", "FreeStorageSpace", "FreeableMemory"}
_SLOW = {"TargetResponseTime", "HTTPCode_Target_5XX_Count", "HTTPCode_ELB_5XX_Count"}


class Alarm(BaseModel):
    """A firing alarm, as far as triage needs it."""

    model_config = ConfigDict(frozen=True)
    name: str
    region: str = ""
    namespace: str = ""
    metric: str
    dimensions: dict[str, str] = Field(default_factory=dict)
    reason: str = ""
    since: datetime | None = None


class AlarmGroup(BaseModel):
    """The firing alarms about one resource."""

    resource: str
    region: str
    severity: Severity
    alarms: list[str]
    metrics: list[str]
    since: datetime | None = Field(None, description="When the first of them went off")
    reason: str = Field(description="What CloudWatch says of the worst one")
    next: str


class Triage(BaseModel):
    """The firing alarms, worst first."""

    firing: int
    groups: list[AlarmGroup]
    common_cause: str = Field(
        description="What would explain several of them; '' when nothing does"
    )
    summary: str
    unread: list[str] = Field(default_factory=list, description="Regions that could not be read")


def severity(metric: str) -> Severity:
    """How bad it is that an alarm on a metric fires; what is not known is medium."""
    return METRICS[metric][0] if metric in METRICS else "medium"


def triage(alarms: Sequence[Alarm], composites: int = 0, unread: Sequence[str] = ()) -> Triage:
    """Group by region and resource, order by severity and then by who went off first."""
    by_resource: dict[tuple[str, str], list[Alarm]] = {}
    by_region: dict[str, list[Alarm]] = {}
    for alarm in alarms:
        by_resource.setdefault((alarm.region, resource_of(alarm)), []).append(alarm)
        by_region.setdefault(alarm.region, []).append(alarm)
    groups = sorted(
        (_group(region, resource, members) for (region, resource), members in by_resource.items()),
        key=lambda g: (_ORDER[g.severity], g.since.timestamp() if g.since else 0.0, g.resource),
    )
    several = len(by_region) > 1
    causes = [(region, common_cause(members)) for region, members in by_region.items()]
    cause = " ".join(f"{region}: {said}" if several else said for region, said in causes if said)
    also = f" ({composites} composite alarms fire too)" if composites else ""
    if not alarms:
        summary = f"No metric alarm is firing{also}{' where it was read' if unread else ''}."
    else:
        critical = sum(g.severity == "critical" for g in groups)
        first = f" First: {groups[0].resource}: {groups[0].next}"
        summary = (
            f"{len(alarms)} alarms firing about {len(groups)} resources{also}, {critical} of them "
            f"critical.{' Likely: ' + cause if cause else ''}{first}"
        )
    return Triage(
        firing=len(alarms),
        groups=groups[:30],
        common_cause=cause,
        summary=summary,
        unread=list(unread),
    )


def resource_of(alarm: Alarm) -> str:
    """What an alarm is about, in words: `database orders-db`."""
    for dimension, noun in _NAMES.items():
        if value := alarm.dimensions.get(dimension):
            return f"{noun} {short_name(value)}"
    values = " ".join(alarm.dimensions.values())
    return f"{alarm.namespace} {values}".strip() or alarm.name


def _group(region: str, resource: str, members: list[Alarm]) -> AlarmGroup:
    worst = min(members, key=lambda alarm: _ORDER[severity(alarm.metric)])
    known = METRICS.get(worst.metric)
    return AlarmGroup(
        resource=resource,
        region=region,
        severity=severity(worst.metric),
        alarms=sorted(alarm.name for alarm in members)[:20],
        metrics=sorted({alarm.metric for alarm in members}),
        since=min((alarm.since for alarm in members if alarm.since), default=None),
        reason=worst.reason,
        next=known[1] if known else f"Call get_metrics for {worst.namespace} {worst.metric}.",
    )


def common_cause(alarms: Sequence[Alarm]) -> str:
    """One cause that would explain several of the alarms, from which metrics fire together."""
    metrics = {alarm.metric for alarm in alarms}
    database = bool(metrics & _DATABASE) or any(
        alarm.namespace == "AWS/RDS" and alarm.metric == "CPUUtilization" for alarm in alarms
    )
    compute = any(
        alarm.namespace == "AWS/EC2" and alarm.metric == "CPUUtilization" for alarm in alarms
    )
    if metrics & _TARGET and metrics & _SLOW:
        return "targets fail their health checks, so the load balancer answers errors."
    if database and metrics & _SLOW:
        return "the database is saturated, which slows or fails the application's requests."
    if compute and metrics & _SLOW:
        return "the instances are short of CPU, which slows or fails requests."
    if database and compute:
        return "more load than usual: instances and database are both short."
    return ""
