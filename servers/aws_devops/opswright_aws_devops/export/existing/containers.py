"""Existing ECS clusters, services and the task definitions that run, as parts."""

from typing import Any

from opswright_aws_devops.export.existing.described import Named, Parts, own_tags
from opswright_aws_devops.export.model import Parameter, Value

_TASK = (
    "family", "cpu", "memory", "networkMode", "requiresCompatibilities", "executionRoleArn",
    "taskRoleArn", "volumes", "runtimePlatform", "ephemeralStorage", "pidMode", "ipcMode",
)  # fmt: skip
_SERVICE = (
    "serviceName", "desiredCount", "launchType", "capacityProviderStrategy",
    "healthCheckGracePeriodSeconds", "enableExecuteCommand",
)  # fmt: skip
_MAPS = frozenset({"options", "dockerLabels", "driverOpts", "labels"})
"""What has names of its own in a task definition (ECS API, "ContainerDefinition")."""


def cluster(it: Parts, item: dict[str, Any]) -> None:
    """A cluster with its settings and capacity providers."""
    name = item["clusterName"]
    it.add(
        "ECS::Cluster",
        name,
        {
            "ClusterName": name,
            "ClusterSettings": _as_cloudformation(item.get("settings", [])),
            "CapacityProviders": item.get("capacityProviders"),
            "DefaultCapacityProviderStrategy": _as_cloudformation(
                item.get("defaultCapacityProviderStrategy", [])
            ),
            "Tags": own_tags(item.get("tags")),
        },
        ids={"Arn": item["clusterArn"]},
        named=("ClusterName", name),
    )


def service(it: Parts, item: dict[str, Any]) -> None:
    """A service, and the task definition that it runs."""
    name = item["serviceName"]
    if (item.get("deploymentController") or {}).get("type", "ECS") != "ECS":
        it.leave_out(name, f"CodeDeploy or another deploys it ({item['deploymentController']})")
        return
    task = it.a.client("ecs").describe_task_definition(
        taskDefinition=item["taskDefinition"], include=["TAGS"]
    )
    arn = item["taskDefinition"]
    if arn not in it.ids:
        _task_definition(it, task["taskDefinition"], task.get("tags", []))
    own = {key: item[key] for key in _SERVICE if item.get(key) not in (None, False, [])}
    if item.get("capacityProviderStrategy"):
        own.pop("launchType", None)
    network = item.get("networkConfiguration", {})
    balancers = [
        {key: one[key] for key in ("targetGroupArn", "containerName", "containerPort")}
        for one in item.get("loadBalancers", [])
        if "targetGroupArn" in one
    ]
    it.add(
        "ECS::Service",
        name,
        {
            "Cluster": item["clusterArn"],
            "TaskDefinition": arn,
            **_as_cloudformation(own),
            "NetworkConfiguration": _as_cloudformation(network),
            "LoadBalancers": _as_cloudformation(balancers),
            "DeploymentConfiguration": _as_cloudformation(_deployment(item)),
            "PropagateTags": tags if (tags := item.get("propagateTags")) != "NONE" else None,
            "Tags": own_tags(item.get("tags")),
        },
        ids={"ServiceArn": item["serviceArn"]},
        import_ids={"Path": f"{item['clusterArn'].rpartition('/')[2]}/{name}"},
    )
    rest = ("serviceRegistries", "serviceConnectConfiguration", "volumeConfigurations",
            "placementConstraints", "placementStrategy")  # fmt: skip
    if more := [key for key in rest if item.get(key)]:
        it.leave_out(name, f"its {', '.join(more)}")
    it.leave_out(name, "its scaling targets and policies")


def _deployment(item: dict[str, Any]) -> dict[str, Any]:
    given = item.get("deploymentConfiguration") or {}
    breaker = given.get("deploymentCircuitBreaker") or {}
    own = {
        key: given[key]
        for key, usual in (("maximumPercent", 200), ("minimumHealthyPercent", 100))
        if given.get(key) not in (None, usual)
    }
    return own | ({"deploymentCircuitBreaker": breaker} if breaker.get("enable") else {})


def _task_definition(it: Parts, task: dict[str, Any], tags: list[dict[str, str]]) -> None:
    family = task["family"]
    own = {key: task[key] for key in _TASK if task.get(key)}
    containers = [_container(family, one) for one in task["containerDefinitions"]]
    it.add(
        "ECS::TaskDefinition",
        family,
        {
            **_as_cloudformation(own),
            "ContainerDefinitions": containers,
            "Tags": own_tags([{"Key": tag["key"], "Value": tag["value"]} for tag in tags]),
        },
        ids={"TaskDefinitionArn": task["taskDefinitionArn"]},
        named=("TaskDefinitionArn", family),
    )
    if any(one.get("environment") for one in task["containerDefinitions"]):
        it.leave_out(family, "the values of its environment, which may hold secrets")


def _container(family: str, container: dict[str, Any]) -> dict[str, Value]:
    """A container without empty settings; the values of its environment are asked for."""
    own = {key: value for key, value in container.items() if value not in (None, 0, [], {})}
    own["environment"] = [
        {
            "name": one["name"],
            "value": Parameter(f"{family} {container['name']} {one['name']}", None, is_secret=True),
        }
        for one in container.get("environment", [])
    ]
    if not own["environment"]:
        del own["environment"]
    written: dict[str, Value] = _as_cloudformation(own)
    group = written.get("LogConfiguration", {}).get("Options", {})
    if name := group.get("awslogs-group"):
        group["awslogs-group"] = Named("Logs::LogGroup", name)
    return written


def _as_cloudformation(value: Any) -> Any:
    """ECS's own names, which begin small, as CloudFormation writes them."""
    if isinstance(value, dict):
        return {
            key[:1].upper() + key[1:]: dict(inner) if key in _MAPS else _as_cloudformation(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_as_cloudformation(inner) for inner in value]
    return value
