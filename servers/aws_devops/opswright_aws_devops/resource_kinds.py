"""The kinds of resources that can be listed: which call reads them, and where their facts are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from opswright_core.aws import Aws, tags_of
from opswright_core.parallel import each
from opswright_core.text import clean


class Resource(BaseModel):
    """One resource; `type` is service:kind, `id` what the other tools take."""

    type: str
    id: str
    name: str
    region: str
    vpc_id: str | None = None
    state: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class ResourceKind:
    """How one kind is read; `vpc` and `state` are JMESPath, `id`, `name` and `tags` plain keys."""

    type: str
    service: str
    operation: str
    items: str
    id: str
    name: str = ""
    vpc: str = "VpcId"
    state: str = "State"
    tags: str = "Tags"
    prefix: str = ""
    """What its ids begin with, where that tells it apart."""
    is_account_wide: bool = False
    """Whether every region lists the same ones."""


KINDS = (
    ResourceKind("ec2:vpc", "ec2", "describe_vpcs", "Vpcs", "VpcId", prefix="vpc-"),
    ResourceKind("ec2:subnet", "ec2", "describe_subnets", "Subnets", "SubnetId", prefix="subnet-"),
    ResourceKind(
        "ec2:internet-gateway",
        "ec2",
        "describe_internet_gateways",
        "InternetGateways",
        "InternetGatewayId",
        vpc="Attachments[0].VpcId",
        state="Attachments[0].State",
        prefix="igw-",
    ),
    ResourceKind(
        "ec2:natgateway",
        "ec2",
        "describe_nat_gateways",
        "NatGateways",
        "NatGatewayId",
        prefix="nat-",
    ),
    ResourceKind(
        "ec2:route-table",
        "ec2",
        "describe_route_tables",
        "RouteTables",
        "RouteTableId",
        prefix="rtb-",
    ),
    ResourceKind(
        "ec2:security-group",
        "ec2",
        "describe_security_groups",
        "SecurityGroups",
        "GroupId",
        name="GroupName",
        prefix="sg-",
    ),
    ResourceKind(
        "ec2:elastic-ip",
        "ec2",
        "describe_addresses",
        "Addresses",
        "AllocationId",
        name="PublicIp",
        prefix="eipalloc-",
    ),
    ResourceKind(
        "ec2:instance",
        "ec2",
        "describe_instances",
        "Reservations",
        "InstanceId",
        state="State.Name",
        prefix="i-",
    ),
    ResourceKind(
        "ec2:launch-template",
        "ec2",
        "describe_launch_templates",
        "LaunchTemplates",
        "LaunchTemplateId",
        name="LaunchTemplateName",
        prefix="lt-",
    ),
    ResourceKind(
        "autoscaling:group",
        "autoscaling",
        "describe_auto_scaling_groups",
        "AutoScalingGroups",
        "AutoScalingGroupName",
        state="Status",
    ),
    ResourceKind(
        "elb:loadbalancer",
        "elbv2",
        "describe_load_balancers",
        "LoadBalancers",
        "LoadBalancerArn",
        name="LoadBalancerName",
        state="State.Code",
    ),
    ResourceKind(
        "elb:targetgroup",
        "elbv2",
        "describe_target_groups",
        "TargetGroups",
        "TargetGroupArn",
        name="TargetGroupName",
    ),
    ResourceKind(
        "rds:db",
        "rds",
        "describe_db_instances",
        "DBInstances",
        "DBInstanceIdentifier",
        vpc="DBSubnetGroup.VpcId",
        state="DBInstanceStatus",
        tags="TagList",
    ),
    ResourceKind("s3:bucket", "s3", "list_buckets", "Buckets", "Name", is_account_wide=True),
)


def read_kind(a: Aws, kind: ResourceKind) -> list[dict[str, Any]]:
    """Every resource of a kind, as its service describes it, with its tags."""
    # S3 tells a bucket's region only where the pages have a size.
    paging = {"PaginationConfig": {"PageSize": 1000}} if kind.service == "s3" else {}
    items = a.pages(kind.service, kind.operation, kind.items, **paging)
    if kind.type == "ec2:instance":
        return [instance for reservation in items for instance in reservation["Instances"]]
    if kind.service == "elbv2":
        return _with_tags(a, items, kind.id)
    return items


def _with_tags(a: Aws, items: list[dict[str, Any]], arn_key: str) -> list[dict[str, Any]]:
    """Elastic Load Balancing gives tags by a call of their own, for 20 resources at most."""
    elb = a.client("elbv2")
    arns = [item[arn_key] for item in items]

    def read(start: int) -> list[dict[str, Any]]:
        answer = elb.describe_tags(ResourceArns=arns[start : start + 20])
        found: list[dict[str, Any]] = answer["TagDescriptions"]
        return found

    pages = each(range(0, len(arns), 20), read)
    tags = {entry["ResourceArn"]: entry["Tags"] for found in pages for entry in found}
    return [{**item, "Tags": tags.get(item[arn_key], [])} for item in items]


def as_resource(kind: ResourceKind, item: dict[str, Any], region: str) -> Resource:
    """One description in the common form. Names and tags are outside text, and are cleaned."""
    import jmespath

    tags = {clean(k, 128): clean(v, 256) for k, v in tags_of(item.get(kind.tags)).items()}
    resource_id = str(item[kind.id])
    state = jmespath.search(kind.state, item)
    own_name = clean(str(item.get(kind.name) or ""), 128) if kind.name else ""
    return Resource(
        type=kind.type,
        id=resource_id,
        name=own_name or tags.get("Name", "") or resource_id,
        region=item.get("BucketRegion") or region,
        vpc_id=jmespath.search(kind.vpc, item),
        state=state if isinstance(state, str) else None,
        tags=tags,
    )


def values_in(value: Any) -> Iterator[str]:
    """Every string in a description; comma-separated lists (of subnets) are taken apart."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from values_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from values_in(inner)
    elif isinstance(value, str):
        yield from value.split(",") if value.startswith("subnet-") else [value]


def in_vpc(
    resource: Resource, item: dict[str, Any], vpc_id: str, subnet_ids: Sequence[str]
) -> bool:
    """Whether a resource is in a VPC: by its own word, or by the VPC's subnets that it names."""
    if resource.vpc_id is not None:
        return resource.vpc_id == vpc_id
    return not set(subnet_ids).isdisjoint(values_in(item))
