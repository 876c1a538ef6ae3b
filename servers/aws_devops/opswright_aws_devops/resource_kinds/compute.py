"""Kinds that run code: servers, containers and functions, with what they are started from."""

from typing import Any

from opswright_aws_devops.resource_kinds.kind import Items, ResourceKind, listed
from opswright_core.aws import Aws
from opswright_core.parallel import each

_CLUSTERS_AT_ONCE, _SERVICES_AT_ONCE, _LISTED_AT_ONCE = 100, 10, 100
"""What one call of ECS describes and lists."""


def _instances(a: Aws) -> Items:
    return [
        instance
        for reservation in listed(a, INSTANCE)
        for instance in reservation["Instances"]
    ]  # fmt: skip


def _with_upper_tags(item: dict[str, Any]) -> dict[str, Any]:
    """ECS writes `key` and `value` of a tag small."""
    tags = [{"Key": tag["key"], "Value": tag["value"]} for tag in item.get("tags", [])]
    return {**item, "tags": tags}


def _ecs_clusters(a: Aws) -> Items:
    def describe(names: list[str]) -> Items:
        answer = a.client("ecs").describe_clusters(clusters=names, include=["TAGS"])
        return [_with_upper_tags(cluster) for cluster in answer["clusters"]]

    arns: Any = listed(a, ECS_CLUSTER)
    return _together(each(_cut(arns, _CLUSTERS_AT_ONCE), describe))


def _ecs_services(a: Aws) -> Items:
    """Services of every cluster; those of different clusters may have the same name."""
    clusters: Any = listed(a, ECS_CLUSTER)

    def describe(place: tuple[str, list[str]]) -> Items:
        cluster, names = place
        answer = a.client("ecs").describe_services(
            cluster=cluster, services=names, include=["TAGS"]
        )
        return [_with_upper_tags(service) for service in answer["services"]]

    def names(cluster: str) -> list[Any]:
        return listed(a, ECS_SERVICE, cluster=cluster)

    places = [
        (cluster, some)
        for cluster, found in zip(clusters, each(clusters, names), strict=True)
        for some in _cut(found, _SERVICES_AT_ONCE)
    ]
    return _together(each(places, describe))


def _eks_clusters(a: Aws) -> Items:
    """EKS describes one cluster at a time."""
    names: Any = listed(a, EKS_CLUSTER)

    def describe(name: str) -> dict[str, Any]:
        cluster = a.client("eks").describe_cluster(name=name)["cluster"]
        tags = [{"Key": k, "Value": v} for k, v in cluster.get("tags", {}).items()]
        cluster.pop("certificateAuthority", None)
        return {**cluster, "tags": tags}

    return each(names, describe)


def _cut(items: list[Any], size: int) -> list[list[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _together(parts: list[Items]) -> Items:
    return [item for part in parts for item in part]


INSTANCE = ResourceKind(
    "ec2:instance", "ec2", "describe_instances", "Reservations", "InstanceId",
    state="State.Name", prefix="i-", page_size=1000, read=_instances,
)  # fmt: skip
ECS_CLUSTER = ResourceKind(
    "ecs:cluster", "ecs", "list_clusters", "clusterArns", "clusterName", arn="clusterArn",
    vpc="", state="status", tags="tags", page_size=_LISTED_AT_ONCE, read=_ecs_clusters,
)  # fmt: skip
ECS_SERVICE = ResourceKind(
    "ecs:service", "ecs", "list_services", "serviceArns", "serviceArn", name="serviceName",
    arn="serviceArn", state="status", tags="tags", page_size=_LISTED_AT_ONCE, read=_ecs_services,
)  # fmt: skip
EKS_CLUSTER = ResourceKind(
    "eks:cluster", "eks", "list_clusters", "clusters", "name", arn="arn",
    vpc="resourcesVpcConfig.vpcId", state="status", tags="tags", page_size=100,
    read=_eks_clusters,
)  # fmt: skip

KINDS = (
    INSTANCE,
    ResourceKind(
        "ec2:launch-template", "ec2", "describe_launch_templates", "LaunchTemplates",
        "LaunchTemplateId", name="LaunchTemplateName", vpc="", prefix="lt-", page_size=200,
    ),
    ResourceKind(
        "ec2:volume", "ec2", "describe_volumes", "Volumes", "VolumeId", vpc="", prefix="vol-",
        page_size=500,
    ),
    ResourceKind(
        "autoscaling:group", "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups",
        "AutoScalingGroupName", arn="AutoScalingGroupARN", state="Status", page_size=100,
    ),
    ResourceKind(
        "lambda:function", "lambda", "list_functions", "Functions", "FunctionName",
        arn="FunctionArn", vpc="VpcConfig.VpcId", page_size=50, tagged_as="lambda:function",
    ),
    ECS_CLUSTER,
    ECS_SERVICE,
    EKS_CLUSTER,
    ResourceKind(
        "ecr:repository", "ecr", "describe_repositories", "repositories", "repositoryName",
        arn="repositoryArn", vpc="", state="", page_size=1000, tagged_as="ecr:repository",
    ),
)  # fmt: skip
