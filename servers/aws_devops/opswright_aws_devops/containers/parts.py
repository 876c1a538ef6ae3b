"""The parts of a container service: found by their tags, made through the recorder, taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.access.roles import ROLE, find_role
from opswright_aws_devops.balancers.state import TARGETS
from opswright_aws_devops.balancers.targets import RULE, TargetMaker, find_rule, find_target_group
from opswright_aws_devops.containers.releases import number_of, remove_revision
from opswright_aws_devops.log_groups import LOG_GROUP, find_log_group
from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.ownership import Maker, Request, key, short_name
from opswright_aws_devops.steps import send
from opswright_core.aws import Aws, AwsTarget
from opswright_core.changes import ResourceRef
from opswright_core.recorder import Recorder
from opswright_core.undo import UndoStep, aws_undo

CLUSTER, SERVICE, TASK = "ecs:cluster", "ecs:service", "ecs:task-definition"
SCALING = "application-autoscaling:scalable-target"
CPU_PERCENT = 60.0
DEREGISTRATION_SECONDS = "30"
"""How long the load balancer lets requests under way end; AWS's own 300 slows every release."""


def log_group_name(name: str) -> str:
    """The log group of a service."""
    return f"/ecs/{name}"


def execution_role_name(name: str) -> str:
    """The role by which ECS starts a service's tasks."""
    return f"{name}-execution"


def target_group_name(name: str) -> str:
    """The target group of a service's tasks; the service's own name may be its load balancer's."""
    return short_name(f"{name}-tasks")


def load_service(a: Aws, name: str) -> dict[str, Any] | None:
    """ECS's description of the service in the cluster of its name; None when there is none."""
    ecs = a.client("ecs")
    which = {"cluster": name, "services": [name], "include": ["TAGS"]}
    found = if_exists(lambda: ecs.describe_services(**which)["services"])
    return first([s for s in found or [] if s["status"] != "INACTIVE"])


def _load_cluster(a: Aws, name: str) -> dict[str, Any] | None:
    found = a.client("ecs").describe_clusters(clusters=[name], include=["TAGS"])["clusters"]
    return first([cluster for cluster in found if cluster["status"] != "INACTIVE"])


def _newest_definition(a: Aws, family: str) -> tuple[str, dict[str, str]] | None:
    """ARN and tags of a family's newest active task definition."""
    ecs = a.client("ecs")
    arns = a.pages(
        "ecs",
        "list_task_definitions",
        "taskDefinitionArns",
        familyPrefix=family,
        status="ACTIVE",
        sort="DESC",
    )
    own = [arn for arn in arns if arn.split("/")[-1].rpartition(":")[0] == family]
    if not own:
        return None
    newest = max(own, key=number_of)
    answer = ecs.describe_task_definition(taskDefinition=newest, include=["TAGS"])
    return newest, _tags(answer.get("tags"))


def _tags(items: list[dict[str, str]] | None) -> dict[str, str]:
    return {item["key"]: item["value"] for item in items or []}


def known_parts(a: Aws, request: Request, listener_arn: str) -> dict[str, str]:
    """Ids of the parts that the request made before, by `key(kind, name)`.

    Raises ConflictError for a name that something else has.
    """
    name, known = request.name, {}
    if find_log_group(a, request, log_group_name(name)):
        known[key(LOG_GROUP, log_group_name(name))] = log_group_name(name)
    if find_role(a, request, execution_role_name(name)):
        known[key(ROLE, execution_role_name(name))] = execution_role_name(name)
    if cluster := _load_cluster(a, name):
        request.claim(f"ECS cluster {name}", _tags(cluster.get("tags")))
        known[key(CLUSTER, name)] = name
    if newest := _newest_definition(a, name):
        request.claim(f"task definition {name}", newest[1])
        known[key(TASK, name)] = newest[0]
    if service := load_service(a, name):
        request.claim(f"ECS service {name}", _tags(service.get("tags")))
        known[key(SERVICE, name)] = name
    if arn := find_target_group(a, request, target_group_name(name)):
        known[key(TARGETS, target_group_name(name))] = arn
    rules = a.pages("elbv2", "describe_rules", "Rules", ListenerArn=listener_arn)
    if arn := find_rule(a, request, rules):
        known[key(RULE, name)] = arn
    return known


@dataclass(frozen=True)
class ContainerMaker:
    """Makes the parts of one request's container service, each once and with its inverse."""

    a: Aws
    rec: Recorder
    request: Request
    target: AwsTarget
    known: Mapping[str, str]

    @property
    def _tags(self) -> list[dict[str, str]]:
        return [{"key": k, "value": v} for k, v in self.request.tags(self.request.name).items()]

    def _undo(self, what: str, service: str, operation: str, **more: Any) -> UndoStep:
        return aws_undo(what, service, operation, target=self.target, region=self.a.region, **more)

    def cluster(self) -> None:
        """The cluster, which costs nothing by itself, with its metrics."""
        ecs, name = self.a.client("ecs"), self.request.name

        def make() -> dict[str, str]:
            if key(CLUSTER, name) not in self.known:
                ecs.create_cluster(
                    clusterName=name,
                    settings=[{"name": "containerInsights", "value": "enabled"}],
                    tags=self._tags,
                )
            return {"cluster": name}

        alive = ("describe_clusters", {"clusters": [name]}, "clusters[?status!='INACTIVE']")
        self.rec.step(
            f"cluster {name}",
            make,
            undo=[
                self._undo(
                    f"delete cluster {name}", "ecs", "delete_cluster",
                    params={"cluster": name}, gone=alive,
                )
            ],
            resource=ResourceRef(type=CLUSTER, id=name, name=name),
        )  # fmt: skip

    @property
    def targets(self) -> TargetMaker:
        """What makes the target group and the rule to it."""
        return TargetMaker(self.a, self.rec, self.request, self.target, self.known)

    def target_group(self, **parameters: Any) -> str:
        """The target group of the tasks' addresses; returns its ARN."""
        elb = self.a.client("elbv2")
        arn = self.targets.target_group(
            target_group_name(self.request.name),
            Protocol="HTTP",
            TargetType="ip",
            HealthCheckProtocol="HTTP",
            HealthCheckIntervalSeconds=10,
            HealthCheckTimeoutSeconds=5,
            HealthyThresholdCount=2,
            UnhealthyThresholdCount=3,
            **parameters,
        )
        delay = {
            "Key": "deregistration_delay.timeout_seconds", "Value": DEREGISTRATION_SECONDS,
        }  # fmt: skip
        self.rec.step(
            "deregistration delay",
            lambda: send(
                elb.modify_target_group_attributes, TargetGroupArn=arn, Attributes=[delay]
            ),
        )
        return arn

    def task_definition(self, definition: dict[str, Any]) -> str:
        """The first revision of the service's task definition; returns its ARN."""
        ecs, name = self.a.client("ecs"), self.request.name

        def create() -> str:
            made = ecs.register_task_definition(**definition, tags=self._tags)
            arn: str = made["taskDefinition"]["taskDefinitionArn"]
            return arn

        def undo(arn: str) -> list[UndoStep]:
            return remove_revision(arn, self.target, self.a.region)

        return Maker(self.rec, self.known).make(TASK, name, create, undo)

    def service(self, **parameters: Any) -> None:
        """The service: its tasks in private subnets, a failed deployment rolled back."""
        ecs, name = self.a.client("ecs"), self.request.name

        def make() -> dict[str, str]:
            if key(SERVICE, name) not in self.known:
                ecs.create_service(
                    cluster=name,
                    serviceName=name,
                    clientToken=self.rec.change_id,
                    launchType="FARGATE",
                    platformVersion="LATEST",
                    availabilityZoneRebalancing="ENABLED",
                    deploymentConfiguration={
                        "deploymentCircuitBreaker": {"enable": True, "rollback": True},
                        "minimumHealthyPercent": 100,
                        "maximumPercent": 200,
                    },
                    enableECSManagedTags=True,
                    propagateTags="SERVICE",
                    tags=self._tags,
                    **parameters,
                )
            return {"service": name}

        which = {"cluster": name, "service": name}
        read = {"cluster": name, "services": [name]}
        self.rec.step(
            f"service {name}",
            make,
            undo=[
                self._undo(
                    f"scale service {name} to 0 and wait for its tasks to stop", "ecs",
                    "update_service", params={**which, "desiredCount": 0}, wait_gone=True,
                    gone=("describe_services", read, "services[?runningCount > `0`]"),
                ),
                self._undo(
                    f"delete service {name}", "ecs", "delete_service",
                    params={**which, "force": True}, wait_gone=True,
                    gone=("describe_services", read, "services[?status!='INACTIVE']"),
                ),
            ],
            resource=ResourceRef(type=SERVICE, id=f"{name}/{name}", name=name),
        )  # fmt: skip

    def scaling(self, least: int, most: int) -> None:
        """Scale the service between two counts so that its CPU stays near 60 %."""
        scaling, name = self.a.client("application-autoscaling"), self.request.name
        which = {
            "ServiceNamespace": "ecs",
            "ResourceId": f"service/{name}/{name}",
            "ScalableDimension": "ecs:service:DesiredCount",
        }
        read = {"ServiceNamespace": "ecs", "ResourceIds": [which["ResourceId"]]}
        self.rec.step(
            f"scaling of {name}",
            lambda: send(
                scaling.register_scalable_target, **which, MinCapacity=least, MaxCapacity=most
            ),
            undo=[
                self._undo(
                    f"stop scaling {name}", "application-autoscaling",
                    "deregister_scalable_target", params=which,
                    gone=("describe_scalable_targets", read, "ScalableTargets[]"),
                )
            ],
            resource=ResourceRef(type=SCALING, id=which["ResourceId"], name=name),
        )  # fmt: skip
        metric = {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}
        self.rec.step(  # it goes with the scalable target, so it needs no undo
            f"scale {name} on CPU",
            lambda: send(
                scaling.put_scaling_policy,
                **which,
                PolicyName="cpu",
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration={
                    "TargetValue": CPU_PERCENT,
                    "PredefinedMetricSpecification": metric,
                },
            ),
        )
