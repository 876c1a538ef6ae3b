"""Which alarms a set of resources gets, and why each threshold is what it is. Pure.

Statistics, periods and "5 of 5 minutes" follow CloudWatch's "Best practice alarm recommendations"
(RDS and EC2 sections); thresholds that those leave to the reader are explained at each alarm.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from opswright_core.aws import tag_list
from opswright_core.verdicts import Unread
from opswright_metrics.tools.subjects import Database, Subjects

GIB = 2**30
FREE_STORAGE_SHARE = 0.20
CONNECTIONS_SHARE = 0.80
MANAGED = {"managed-by": "opswright"}


@dataclass(frozen=True, kw_only=True)
class AlarmSpec:
    """One alarm as it should be; `statistic` may be a percentile such as p95."""

    suffix: str
    description: str
    namespace: str
    metric: str
    dimensions: dict[str, str]
    statistic: str
    threshold: float
    comparison: Literal[
        "GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold"
    ] = "GreaterThanThreshold"
    period_seconds: int = 60
    evaluation_periods: int = 5
    datapoints_to_alarm: int = 5
    missing: Literal["notBreaching", "breaching", "missing"] = "missing"

    def definition(self, name: str, topic_arn: str) -> dict[str, Any]:
        """The arguments of PutMetricAlarm, without tags."""
        percentile = self.statistic.startswith("p")
        return {
            "AlarmName": f"{name}-{self.suffix}",
            "AlarmDescription": self.description,
            "Namespace": self.namespace,
            "MetricName": self.metric,
            "Dimensions": [{"Name": k, "Value": v} for k, v in self.dimensions.items()],
            "ExtendedStatistic" if percentile else "Statistic": self.statistic,
            "Period": self.period_seconds,
            "EvaluationPeriods": self.evaluation_periods,
            "DatapointsToAlarm": self.datapoints_to_alarm,
            "Threshold": float(self.threshold),
            "ComparisonOperator": self.comparison,
            "TreatMissingData": self.missing,
            "ActionsEnabled": True,
            "AlarmActions": [topic_arn],
            "OKActions": [topic_arn],
        }


def alarm_tags(name: str) -> list[dict[str, str]]:
    """The tags by which our alarms and topics are found again."""
    return tag_list({"Name": name, "opswright:name": name, **MANAGED})


@dataclass
class AlarmSet:
    """The alarms wanted, and plain sentences on those that could not be derived."""

    specs: list[AlarmSpec] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def alarms_for(subjects: Subjects) -> AlarmSet:
    """The alarms for what was asked to be monitored."""
    wanted = AlarmSet()
    if subjects.load_balancer:
        if subjects.load_balancer.startswith("app/"):
            wanted.specs += _load_balancer_alarms(subjects.load_balancer)
        else:
            wanted.left_out.append(
                "HTTP alarms: a Network Load Balancer counts no HTTP status codes."
            )
    if group := subjects.target_group:
        if group.load_balancer:
            wanted.specs.append(_unhealthy_hosts(group.dimension, group.load_balancer))
        else:
            wanted.left_out.append(
                "UnHealthyHostCount: the target group is attached to no load balancer, "
                "so it is not reported."
            )
    if subjects.asg_name:
        wanted.specs.append(_asg_cpu(subjects.asg_name))
    if subjects.database:
        for found in _database_alarms(subjects.database):
            if isinstance(found, AlarmSpec):
                wanted.specs.append(found)
            else:
                wanted.left_out.append(found)
    return wanted


def _load_balancer_alarms(dimension: str) -> list[AlarmSpec]:
    """5XX: ten in a minute, 3 of 5 minutes, so that a deploy's single errors do not page.

    No requests means no data, which is no fault. Latency: p95 over one second, the limit of an
    uninterrupted flow of thought (Nielsen, "Usability Engineering", 1993).
    """
    fives: dict[str, Any] = {
        "namespace": "AWS/ApplicationELB",
        "dimensions": {"LoadBalancer": dimension},
        "statistic": "Sum",
        "threshold": 10,
        "comparison": "GreaterThanOrEqualToThreshold",
        "datapoints_to_alarm": 3,
        "missing": "notBreaching",
    }
    return [
        AlarmSpec(
            suffix="elb-5xx", metric="HTTPCode_ELB_5XX_Count", **fives,
            description="The load balancer itself answers 5XX: no healthy target, or timeouts.",
        ),
        AlarmSpec(
            suffix="target-5xx", metric="HTTPCode_Target_5XX_Count", **fives,
            description="The application answers 5XX.",
        ),
        AlarmSpec(
            suffix="latency-p95", namespace="AWS/ApplicationELB", metric="TargetResponseTime",
            dimensions={"LoadBalancer": dimension}, statistic="p95", threshold=1.0,
            datapoints_to_alarm=3, missing="notBreaching",
            description="One request in twenty takes longer than a second.",
        ),
    ]  # fmt: skip


def _unhealthy_hosts(target_group: str, load_balancer: str) -> AlarmSpec:
    """Any target unhealthy for 3 of 5 minutes; missing data means that nothing reports."""
    application = load_balancer.startswith("app/")
    return AlarmSpec(
        suffix="unhealthy-hosts",
        description="At least one target fails its health checks.",
        namespace="AWS/ApplicationELB" if application else "AWS/NetworkELB",
        metric="UnHealthyHostCount",
        dimensions={"TargetGroup": target_group, "LoadBalancer": load_balancer},
        statistic="Maximum",
        threshold=1,
        comparison="GreaterThanOrEqualToThreshold",
        datapoints_to_alarm=3,
    )


def _asg_cpu(name: str) -> AlarmSpec:
    """80 % for 3 periods of 5 minutes: the EC2 recommendation, at basic monitoring's resolution."""
    return AlarmSpec(
        suffix="asg-cpu",
        description="The instances are short of CPU: mean above 80 % for 15 minutes.",
        namespace="AWS/EC2",
        metric="CPUUtilization",
        dimensions={"AutoScalingGroupName": name},
        statistic="Average",
        threshold=80,
        period_seconds=300,
        evaluation_periods=3,
        datapoints_to_alarm=3,
    )


def _database_alarms(db: Database) -> Iterator[AlarmSpec | str]:
    """CPU 90 % (the RDS recommendation), storage, connections; a sentence for what is left out."""
    common: dict[str, Any] = {
        "namespace": "AWS/RDS",
        "dimensions": {"DBInstanceIdentifier": db.id},
    }
    yield AlarmSpec(
        suffix="db-cpu", metric="CPUUtilization", statistic="Average", threshold=90, **common,
        description="The database is short of CPU: above 90 % for 5 minutes.",
    )  # fmt: skip
    if db.engine.startswith("aurora") or not db.allocated_gib:
        yield f"FreeStorageSpace: {db.engine} has no fixed storage of the instance's own."
    else:
        yield AlarmSpec(
            suffix="db-storage", metric="FreeStorageSpace", statistic="Minimum",
            threshold=db.allocated_gib * GIB * FREE_STORAGE_SHARE,
            comparison="LessThanThreshold", **common,
            description=f"Less than {FREE_STORAGE_SHARE:.0%} of {db.allocated_gib} GiB is free.",
        )  # fmt: skip
    limit = max_connections(db)
    if isinstance(limit, str):
        yield f"DatabaseConnections: {limit}"
    else:
        yield AlarmSpec(
            suffix="db-connections", metric="DatabaseConnections", statistic="Average",
            threshold=int(limit * CONNECTIONS_SHARE), **common,
            description=f"Over {CONNECTIONS_SHARE:.0%} of about {limit} connections are taken.",
        )  # fmt: skip


def max_connections(db: Database) -> int | str:
    """RDS's default `max_connections` for an engine and a class, or why it cannot be told.

    Source: Amazon RDS User Guide, "Maximum number of database connections": PostgreSQL
    LEAST(memory/9531392, 5000), MySQL memory/12582880, MariaDB LEAST(memory/25165760, 12000) from
    10.5 on and memory/12582880 before. `memory` there is what the class has less what RDS itself
    takes, which is not published, so this is an upper bound; a parameter group may set another.
    """
    if isinstance(db.memory_bytes, Unread):
        return f"the memory of {db.instance_class} could not be read ({db.memory_bytes.reason})"
    if db.engine == "postgres":
        return min(db.memory_bytes // 9_531_392, 5000)
    if db.engine == "mysql":
        return db.memory_bytes // 12_582_880
    if db.engine == "mariadb":
        if _version(db.engine_version) < (10, 5):
            return db.memory_bytes // 12_582_880
        return min(db.memory_bytes // 25_165_760, 12_000)
    return f"no published formula for {db.engine} is used here"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
