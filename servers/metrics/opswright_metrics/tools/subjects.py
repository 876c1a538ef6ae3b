"""What is to be monitored: load balancer, target group, Auto Scaling group and database."""

from dataclasses import dataclass
from typing import Any

from opswright_core.aws import Aws
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.verdicts import Unread, attempt
from opswright_metrics.identifiers import load_balancer_dimension, target_group_dimension


@dataclass(frozen=True, kw_only=True)
class TargetGroup:
    """A target group, with the load balancer that feeds it (None when attached to none)."""

    dimension: str
    load_balancer: str | None


@dataclass(frozen=True, kw_only=True)
class Database:
    """An RDS instance; `memory_bytes` is its class's, Unread where EC2 does not say it."""

    id: str
    engine: str
    engine_version: str
    instance_class: str
    allocated_gib: int
    memory_bytes: int | Unread


@dataclass(frozen=True, kw_only=True)
class Subjects:
    """The resources to monitor; None for what was not asked for."""

    load_balancer: str | None = None
    target_group: TargetGroup | None = None
    asg_name: str | None = None
    database: Database | None = None


def load_subjects(
    a: Aws,
    load_balancer_arn: str | None,
    target_group_arn: str | None,
    asg_name: str | None,
    db_instance_id: str | None,
) -> Subjects:
    """Read what the ids name.

    Raises BadInputError when no id is given or one is malformed, and CloudError or NotFoundError
    for one that does not exist.
    """
    if not any((load_balancer_arn, target_group_arn, asg_name, db_instance_id)):
        raise BadInputError(
            "Nothing to monitor: give at least one of load_balancer_arn, target_group_arn, "
            "asg_name, db_instance_id."
        )
    return Subjects(
        load_balancer=_load_balancer(a, load_balancer_arn) if load_balancer_arn else None,
        target_group=_target_group(a, target_group_arn) if target_group_arn else None,
        asg_name=_asg(a, asg_name) if asg_name else None,
        database=_database(a, db_instance_id) if db_instance_id else None,
    )


def _load_balancer(a: Aws, arn: str) -> str:
    dimension = load_balancer_dimension(arn)
    a.client("elbv2").describe_load_balancers(LoadBalancerArns=[arn])
    return dimension


def _target_group(a: Aws, arn: str) -> TargetGroup:
    dimension = target_group_dimension(arn)
    (found,) = a.client("elbv2").describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]
    attached = found.get("LoadBalancerArns") or []
    return TargetGroup(
        dimension=dimension,
        load_balancer=load_balancer_dimension(attached[0]) if attached else None,
    )


def _asg(a: Aws, name: str) -> str:
    found = a.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    if not found["AutoScalingGroups"]:
        raise NotFoundError(f"no Auto Scaling group {name!r} in {a.region}; check asg_name.")
    return name


def _database(a: Aws, db_id: str) -> Database:
    (found,) = a.client("rds").describe_db_instances(DBInstanceIdentifier=db_id)["DBInstances"]
    return Database(
        id=db_id,
        engine=found["Engine"],
        engine_version=found.get("EngineVersion", ""),
        instance_class=found["DBInstanceClass"],
        allocated_gib=int(found.get("AllocatedStorage") or 0),
        memory_bytes=_memory(a, found["DBInstanceClass"]),
    )


def _memory(a: Aws, instance_class: str) -> int | Unread:
    """Memory of a DB instance class, read from the EC2 instance type it is named after."""
    instance_type = instance_class.removeprefix("db.")
    if instance_type == "serverless":
        return Unread(operation="", reason="db.serverless has no fixed memory")

    def read() -> int:
        types: list[Any] = a.client("ec2").describe_instance_types(InstanceTypes=[instance_type])[
            "InstanceTypes"
        ]
        return int(types[0]["MemoryInfo"]["SizeInMiB"]) * 2**20

    return attempt(read)
