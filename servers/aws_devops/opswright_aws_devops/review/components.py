"""What of a template or plan has a monthly price, in the form that cost estimates take."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops.review.resources import UNKNOWN, Resource, number, plain
from opswright_aws_devops.review.terraform import without_index

References = Mapping[str, Mapping[str, list[str]]]

UNPRICED = {
    "AWS::DynamoDB::Table": "by use", "AWS::ECS::Service": "by its tasks' size",
    "AWS::EFS::FileSystem": "by size", "AWS::EKS::Cluster": "by the hour",
    "AWS::ElastiCache::CacheCluster": "by the hour", "AWS::KMS::Key": "by the month",
    "AWS::ElastiCache::ReplicationGroup": "by the hour", "AWS::Lambda::Function": "by use",
    "AWS::OpenSearchService::Domain": "by the hour", "AWS::Redshift::Cluster": "by the hour",
    "AWS::S3::Bucket": "by size", "AWS::EC2::VPCEndpoint": "by the hour (interface endpoints)",
    "aws_dynamodb_table": "by use", "aws_ecs_service": "by its tasks' size",
    "aws_efs_file_system": "by size", "aws_eks_cluster": "by the hour",
    "aws_elasticache_cluster": "by the hour", "aws_kms_key": "by the month",
    "aws_elasticache_replication_group": "by the hour", "aws_lambda_function": "by use",
    "aws_opensearch_domain": "by the hour", "aws_redshift_cluster": "by the hour",
    "aws_s3_bucket": "by size", "aws_vpc_endpoint": "by the hour (interface endpoints)",
}  # fmt: skip
"""What is paid for, and not part of the estimate; how it is charged."""


class PricedComponent(BaseModel):
    """One argument of the cost agent's estimate_monthly_cost."""

    model_config = ConfigDict(frozen=True)
    kind: str
    type: str | None = None
    count: int = 1
    multi_az: bool = False
    engine: str | None = None
    storage_gb: float = 0
    storage_type: str = "gp3"


class _NotKnownError(Exception):
    """What a price depends on is only told by the deployment."""


class Costs(BaseModel):
    """What to estimate, and what an estimate of it leaves out."""

    components: list[PricedComponent] = Field(
        description="For `components` of the cost agent's estimate_monthly_cost"
    )
    unpriced: list[str]


def costs(resources: Iterable[Resource], references: References) -> Costs:
    """The priced components of some resources, alike ones counted together."""
    every = list(resources)
    counts: Counter[PricedComponent] = Counter()
    unpriced = []
    for resource in every:
        try:
            for component in _of(resource, every, references):
                counts[component.model_copy(update={"count": 1})] += component.count
        except _NotKnownError as exc:
            unpriced.append(f"{resource.address}: {exc} is not known yet")
        if resource.type in UNPRICED:
            unpriced.append(
                f"{resource.address}: {resource.type} is charged {UNPRICED[resource.type]}"
            )
    components = [c.model_copy(update={"count": n}) for c, n in counts.items() if n]
    return Costs(components=components, unpriced=unpriced)


def _of(
    resource: Resource, every: list[Resource], references: References
) -> Iterator[PricedComponent]:
    match resource.type:
        case "AWS::EC2::Instance" | "aws_instance":
            yield from _server(resource, every, references, 1)
        case "AWS::AutoScaling::AutoScalingGroup" | "aws_autoscaling_group":
            wanted = _first(resource, "DesiredCapacity", "desired_capacity")
            if wanted is None or wanted is UNKNOWN:
                wanted = _first(resource, "MinSize", "min_size")
            yield from _server(resource, every, references, _count(wanted))
        case "AWS::RDS::DBInstance" | "aws_db_instance" | "aws_rds_cluster_instance":
            size = _first(resource, "DBInstanceClass", "instance_class")
            engine = _first(resource, "Engine", "engine")
            storage = _first(resource, "AllocatedStorage", "allocated_storage")
            kind = _first(resource, "StorageType", "storage_type")
            yield PricedComponent(
                kind="rds",
                type=str(_known(size, "its instance class")),
                engine=str(_known(engine, "its engine")),
                multi_az=plain(_first(resource, "MultiAZ", "multi_az")) is True,
                storage_gb=float(number(storage))
                if isinstance(number(storage), int | float)
                else 0,
                storage_type=kind if isinstance(kind, str) and kind else "gp2",
            )
        case "AWS::EC2::Volume" | "aws_ebs_volume":
            yield _disk(_first(resource, "Size", "size"), _first(resource, "VolumeType", "type"))
        case "AWS::EC2::NatGateway" | "aws_nat_gateway":
            yield PricedComponent(kind="nat_gateway")
        case "AWS::EC2::EIP" | "aws_eip":
            yield PricedComponent(kind="elastic_ip")
        case "AWS::ElasticLoadBalancingV2::LoadBalancer" | "aws_lb" | "aws_alb":
            kind = _first(resource, "Type", "load_balancer_type") or "application"
            yield PricedComponent(kind="load_balancer", type=str(_known(kind, "its type")))
        case "AWS::CloudWatch::Alarm" | "aws_cloudwatch_metric_alarm":
            yield PricedComponent(kind="alarm")
        case "AWS::SecretsManager::Secret" | "aws_secretsmanager_secret":
            yield PricedComponent(kind="secret")


def _server(
    resource: Resource, every: list[Resource], references: References, count: int
) -> Iterator[PricedComponent]:
    """An instance with its disks, or those of a group, whose launch template is looked up."""
    described = [resource, *_templates(resource, every, references)]
    paths = ("InstanceType", "LaunchTemplateData.InstanceType", "instance_type")
    types = [one.one(path) for one in described for path in paths]
    known = next((t for t in types if isinstance(t, str) and t), None)
    yield PricedComponent(
        kind="ec2", type=_known(known or UNKNOWN, "its instance type"), count=count
    )
    for one in described:
        for path in (
            "BlockDeviceMappings[].Ebs", "LaunchTemplateData.BlockDeviceMappings[].Ebs",
            "root_block_device[]", "ebs_block_device[]", "block_device_mappings[].ebs[]",
        ):  # fmt: skip
            for disk in one.at(path):
                held = Resource("", "", disk) if isinstance(disk, Mapping) else None
                size = _first(held, "VolumeSize", "volume_size") if held else None
                if held and size is not None and size is not UNKNOWN:
                    made = _disk(size, _first(held, "VolumeType", "volume_type"))
                    yield made.model_copy(update={"count": count})


def _templates(resource: Resource, every: list[Resource], references: References) -> list[Resource]:
    """The launch templates that a group or an instance refers to."""
    of = references.get(without_index(resource.address), {})
    named = {
        target
        for argument in ("LaunchTemplate", "launch_template", "launch_configuration",
                         "LaunchConfigurationName")
        for target in of.get(argument, [])
    }  # fmt: skip
    given = [resource.one("launch_template.id"), resource.one("LaunchTemplate.LaunchTemplateId")]
    return [
        one
        for one in every
        if one.address in named
        or without_index(one.address) in named
        or (one.properties.get("id") in given and isinstance(one.properties.get("id"), str))
    ]


def _disk(size: Any, kind: Any) -> PricedComponent:
    gb = number(_known(size, "its size"))
    return PricedComponent(
        kind="ebs",
        type=kind if isinstance(kind, str) and kind else "gp2",
        storage_gb=float(gb) if isinstance(gb, int | float) else 0,
    )


def _count(wanted: Any) -> int:
    value = number(_known(wanted, "its size"))
    if not isinstance(value, int | float):
        raise _NotKnownError("its size")
    return int(value)


def _first(resource: Resource, *names: str) -> Any:
    return next((v for v in map(resource.one, names) if v is not None), None)


def _known(value: Any, what: str) -> Any:
    if value is None or value is UNKNOWN:
        raise _NotKnownError(what)
    return value
