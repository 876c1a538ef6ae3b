"""Functions, containers, log groups and alarms, in the provider's words."""

from typing import Any

from opswright_aws_devops.export.model import Join, Ref, Value
from opswright_aws_devops.export.terraform.draft import Draft, Kind, generic
from opswright_aws_devops.export.terraform.hcl import Block, Json, snake_case


def _function(draft: Draft) -> None:
    """A function; code in S3 is a zip file to Terraform, which it reads when it changes the code.

    Of one that exists, neither the code nor the values of its environment are compared.
    """
    code = draft.take("Code")
    if "ImageUri" in code:
        draft.body["image_uri"] = code["ImageUri"]
    elif draft.exists:
        draft.body["filename"] = f"{draft.rest['FunctionName']}.zip"
        draft.ignored = ("filename", snake_case("Publish"))  # not the operation of that name
    else:
        draft.body |= {"s3_bucket": code["S3Bucket"], "s3_key": code["S3Key"]}
    environment = draft.take("Environment")
    if environment and draft.exists:
        draft.ignored = (*draft.ignored, "environment")
    elif environment:
        draft.body["environment"] = Block({"variables": environment["Variables"]})


def _cluster(draft: Draft) -> None:
    """A cluster; its capacity providers are a resource of their own."""
    draft.body["setting"] = generic(draft.take("ClusterSettings", []))
    providers = draft.take("CapacityProviders")
    strategy = draft.take("DefaultCapacityProviderStrategy", [])
    if providers:
        body = {
            "cluster_name": draft("ClusterName"),
            "capacity_providers": providers,
            "default_capacity_provider_strategy": generic(strategy),
        }
        kind = "aws_ecs_cluster_capacity_providers"
        draft.add(kind, "", body, draft.there("ClusterName"))


def _task_definition(draft: Draft) -> None:
    """A task definition; containers are JSON as ECS itself writes it."""
    draft.body["container_definitions"] = Json(
        [_as_ecs(container) for container in draft.take("ContainerDefinitions")]
    )
    if draft.exists:
        draft.ignored = ("skip_destroy", "track_latest")
        if any("Environment" in one for one in draft.part.properties["ContainerDefinitions"]):
            draft.ignored = (*draft.ignored, "container_definitions")
    if storage := draft.take("EphemeralStorage"):
        draft.body["ephemeral_storage"] = Block({"size_in_gib": storage["SizeInGiB"]})
    volumes = [
        {key: value for key, value in one.items() if key != "Host"} | one.get("Host", {})
        for one in draft.take("Volumes", [])
    ]
    draft.body["volume"] = [
        Block(
            {
                ("host_path" if k == "SourcePath" else snake_case(k)): generic(v)
                for k, v in one.items()
            }
        )
        for one in volumes
    ]


def _as_ecs(value: Value) -> Value:
    if isinstance(value, dict):
        return {
            key[:1].lower() + key[1:]: inner if key in _MAPS else _as_ecs(inner)
            for key, inner in value.items()
        }
    return [_as_ecs(inner) for inner in value] if isinstance(value, list) else value


_MAPS = frozenset({"Options", "DockerLabels"})


def _service(draft: Draft) -> None:
    """A service; how many tasks it has at the moment is its scaling's to say."""
    if network := draft.take("NetworkConfiguration"):
        own = dict(network["AwsvpcConfiguration"])
        public = own.pop("AssignPublicIp", "DISABLED") == "ENABLED"
        draft.body["network_configuration"] = Block(
            {snake_case(key): value for key, value in own.items()} | {"assign_public_ip": public}
        )
    draft.body["load_balancer"] = generic(draft.take("LoadBalancers", []))
    deployment = draft.take("DeploymentConfiguration", {})
    if breaker := deployment.get("DeploymentCircuitBreaker"):
        draft.body["deployment_circuit_breaker"] = generic(breaker)
    for key, name in (
        ("MaximumPercent", "deployment_maximum_percent"),
        ("MinimumHealthyPercent", "deployment_minimum_healthy_percent"),
    ):
        if key in deployment:
            draft.body[name] = deployment[key]
    draft.ignored = ("desired_count",)
    task = draft.rest["TaskDefinition"]
    if draft.exists and isinstance(task, Ref):
        # As the provider reads it on import; an ARN would show as a change.
        draft.take("TaskDefinition")
        parts = (Ref(task.part, "Family"), ":", Ref(task.part, "Revision"))
        draft.body["task_definition"] = Join(parts)
    if draft.exists:
        draft.ignored = (*draft.ignored, "wait_for_steady_state")


def _alarm(draft: Draft) -> None:
    if dimensions := draft.take("Dimensions"):
        draft.body["dimensions"] = {one["Name"]: one["Value"] for one in dimensions}
    draft.body["metric_query"] = [_query(query) for query in draft.take("Metrics", [])]


def _query(query: dict[str, Any]) -> Block:
    """One metric, or an expression over others."""
    body = {snake_case(key): value for key, value in query.items() if key != "MetricStat"}
    if stat := query.get("MetricStat"):
        metric = dict(stat["Metric"])
        dimensions = {one["Name"]: one["Value"] for one in metric.pop("Dimensions", [])}
        own = {snake_case(key): value for key, value in metric.items()}
        rest = {snake_case(key): value for key, value in stat.items() if key != "Metric"}
        body["metric"] = Block(own | rest | ({"dimensions": dimensions} if dimensions else {}))
    return Block(body)


KINDS = {
    "AWS::Lambda::Function": Kind(
        "aws_lambda_function",
        renamed={"TracingConfig": "tracing_config", "KmsKeyArn": "kms_key_arn"},
        import_id="{FunctionName}",
        write=_function,
    ),
    "AWS::ECS::Cluster": Kind(
        "aws_ecs_cluster",
        {"ClusterName": "name"},
        {"ClusterName": "name"},
        "{ClusterName}",
        _cluster,
    ),
    "AWS::ECS::TaskDefinition": Kind(
        "aws_ecs_task_definition",
        {"TaskDefinitionArn": "arn"},
        import_id="{TaskDefinitionArn}",
        write=_task_definition,
    ),
    "AWS::ECS::Service": Kind(
        "aws_ecs_service",
        {"ServiceArn": "id"},
        {"ServiceName": "name", "EnableECSManagedTags": "enable_ecs_managed_tags"},
        "{Path}",
        _service,
    ),
    "AWS::Logs::LogGroup": Kind(
        "aws_cloudwatch_log_group",
        {"LogGroupName": "name"},
        {"LogGroupName": "name"},
        "{LogGroupName}",
    ),
    "AWS::CloudWatch::Alarm": Kind(
        "aws_cloudwatch_metric_alarm",
        renamed={
            "OKActions": "ok_actions",
            "EvaluateLowSampleCountPercentile": "evaluate_low_sample_count_percentiles",
        },
        import_id="{AlarmName}",
        write=_alarm,
    ),
}
