"""What a container service runs: its revision, the next one, and the way back to the last."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from opswright_aws_devops.differences import is_not
from opswright_aws_devops.lookup import first, must_exist
from opswright_core.aws import Aws, AwsTarget
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.undo import UndoStep, aws_undo

_READ_ONLY = {
    "compatibilities",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
    "deleteRequestedAt",
}
"""What ECS says of a revision and does not take for a new one (ECS API, TaskDefinition)."""


Rollout = Literal["complete", "under way", "given up", "replaced"]


@dataclass(frozen=True)
class Deployed:
    """What was read of a service and of the task definition that it runs."""

    cluster: str
    service: str
    task_definition_arn: str
    desired_count: int = field(compare=False)  # scaling may set another at any time
    definition: dict[str, Any]
    tags: list[dict[str, str]]
    balanced: str
    """The container behind the load balancer; empty without one."""
    rolls_back: bool
    least_healthy: int
    running_count: int = field(compare=False)
    deployments: dict[str, str] = field(compare=False)
    """ECS's state of each deployment by its task definition; empty where it does not tell."""
    primary: str = field(compare=False)
    """The task definition of the newest deployment."""
    reason: str = field(compare=False)
    """What ECS said last of its deployments."""

    @property
    def newest_state(self) -> str:
        """ECS's state of the newest deployment."""
        return self.deployments.get(self.primary, "")

    @property
    def family(self) -> str:
        """The family of the task definition."""
        return str(self.definition["family"])

    @property
    def revision(self) -> str:
        """Family and number, like `shop-api:3`."""
        return self.task_definition_arn.split("/")[-1]

    @property
    def is_fargate(self) -> bool:
        """Whether its tasks run on Fargate, which has certain sizes alone."""
        return "FARGATE" in (self.definition.get("requiresCompatibilities") or [])

    @property
    def execution_role(self) -> str:
        """The name of the role by which ECS pulls the image."""
        return str(self.definition.get("executionRoleArn", "")).rpartition("/")[2]


def load_deployed(a: Aws, cluster: str, service: str) -> Deployed:
    """Read a service. Raises NotFoundError, or BadInputError where ECS does not deploy it."""
    ecs = a.client("ecs")
    which = {"cluster": cluster, "services": [service]}
    answer = must_exist(f"ECS cluster {cluster}", lambda: ecs.describe_services(**which))
    found = first([s for s in answer["services"] if s["status"] == "ACTIVE"])
    if found is None:
        raise NotFoundError(
            f"There is no active service {service!r} in cluster {cluster!r}; list_resources shows "
            "what there is."
        )
    controller = found.get("deploymentController", {}).get("type", "ECS")
    if controller != "ECS":
        raise BadInputError(
            f"Service {service} is deployed by {controller}, not by ECS itself: release through it."
        )
    described = ecs.describe_task_definition(
        taskDefinition=found["taskDefinition"], include=["TAGS"]
    )
    definition = described["taskDefinition"]
    deployments = found.get("deployments", [])
    primary = first([d for d in deployments if d["status"] == "PRIMARY"]) or {}
    settings = found.get("deploymentConfiguration") or {}
    breaker = settings.get("deploymentCircuitBreaker") or {}
    events = "; ".join(event["message"] for event in found.get("events", [])[:3])
    return Deployed(
        cluster=cluster,
        service=service,
        task_definition_arn=definition["taskDefinitionArn"],
        desired_count=found["desiredCount"],
        definition=definition,
        tags=described.get("tags") or [],
        balanced=next((b["containerName"] for b in found.get("loadBalancers", [])), ""),
        rolls_back=bool(breaker.get("enable") and breaker.get("rollback")),
        least_healthy=settings.get("minimumHealthyPercent", 100),
        running_count=found["runningCount"],
        deployments={d["taskDefinition"]: d.get("rolloutState", "") for d in deployments},
        primary=primary.get("taskDefinition", ""),
        reason=" ".join(
            [*(d.get("rolloutStateReason", "") for d in deployments), f"Its last events: {events}"]
        ),
    )


def choose_container(now: Deployed, named: str | None) -> str:
    """The container that is meant. Raises BadInputError when that is not clear."""
    names = [str(c["name"]) for c in now.definition["containerDefinitions"]]
    if named in names:
        return named
    if named is None and (now.balanced in names or len(names) == 1):
        return now.balanced or names[0]
    what = f"container {named!r} is not in it" if named else "name one of them as container"
    raise BadInputError(f"Task definition {now.revision} has {', '.join(names)}: {what}.")


def settings_of(now: Deployed, container: str) -> dict[str, Any]:
    """What can be changed, as it is: image, `variable NAME`, cpu, memory_mib, desired_count."""
    found = _container(now, container)
    size = {word: now.definition.get(word) for word in ("cpu", "memory")}
    return {
        "image": found["image"],
        **{f"variable {item['name']}": item["value"] for item in found.get("environment") or []},
        "cpu": int(size["cpu"]) if size["cpu"] else None,
        "memory_mib": int(size["memory"]) if size["memory"] else None,
        "desired_count": now.desired_count,
    }


def _container(now: Deployed, name: str) -> dict[str, Any]:
    definitions: list[dict[str, Any]] = now.definition["containerDefinitions"]
    return next(c for c in definitions if c["name"] == name)


def next_revision(now: Deployed, container: str, new: dict[str, Any]) -> dict[str, Any]:
    """`RegisterTaskDefinition` for a revision that differs in `new` alone, tags included."""
    variables = {w.partition(" ")[2]: v for w, v in new.items() if w.startswith("variable ")}
    old = _container(now, container)
    if secret := sorted({*variables} & {s["name"] for s in old.get("secrets") or []}):
        raise BadInputError(
            f"{', '.join(secret)} is a secret of {now.revision}; a plain variable cannot be too."
        )
    kept = {item["name"]: item["value"] for item in old.get("environment") or []}
    changed = {
        **old,
        "image": new.get("image", old["image"]),
        "environment": [{"name": k, "value": v} for k, v in (kept | variables).items()],
    }
    others = now.definition["containerDefinitions"]
    definition = {k: v for k, v in now.definition.items() if k not in _READ_ONLY}
    definition["containerDefinitions"] = [changed if c is old else c for c in others]
    if "cpu" in new:
        definition["cpu"] = str(new["cpu"])
    if "memory_mib" in new:
        definition["memory"] = str(new["memory_mib"])
    return definition | ({"tags": now.tags} if now.tags else {})


def find_revision(a: Aws, now: Deployed, container: str, new: dict[str, Any]) -> str | None:
    """The revision after the service's that differs in `new` alone: one whose answer was lost."""
    ecs, family = a.client("ecs"), now.family
    arns = a.pages(
        "ecs", "list_task_definitions", "taskDefinitionArns", familyPrefix=family, status="ACTIVE"
    )
    own = [arn for arn in arns if arn.split("/")[-1].rpartition(":")[0] == family]
    newest = max(own, key=number_of, default=now.task_definition_arn)
    if number_of(newest) <= number_of(now.task_definition_arn):
        return None
    found = ecs.describe_task_definition(taskDefinition=newest)["taskDefinition"]
    wanted = settings_of(now, container) | new
    names = [c["name"] for c in found["containerDefinitions"]]
    same = container in names and settings_of(replace(now, definition=found), container) == wanted
    return newest if same else None


def number_of(arn: str) -> int:
    """The number of a task definition's revision."""
    return int(arn.rpartition(":")[2])


def rollout(now: Deployed, arn: str, before: str, *, seen: bool) -> Rollout:
    """How far a release is; complete once ECS finds its targets healthy.

    Its circuit breaker returns to the revision `before`, after which the release's deployment
    goes: missing it says so only once it was `seen`, as reads may be behind.
    """
    if now.deployments.get(arn) == "FAILED" or (seen and now.primary == before != arn):
        return "given up"
    if now.primary not in (arn, before):
        return "replaced"
    done = now.newest_state == "COMPLETED" and now.running_count >= now.desired_count
    return "complete" if now.primary == arn and done else "under way"


def give_back_service(
    now: Deployed, counted: bool, target: AwsTarget, region: str
) -> list[UndoStep]:
    """The revision that the service runs now, and its count where that changes too."""
    count = {"desiredCount": now.desired_count} if counted else {}
    tasks = f" with {now.desired_count} tasks" if counted else ""
    before = {"taskDefinition": now.task_definition_arn, **count}
    # Tasks of the release may go on until those of the revision before are healthy.
    left = f"services[?{is_not(before)} || length(deployments)>`1`]"
    read = {"cluster": now.cluster, "services": [now.service]}
    return [
        aws_undo(
            f"return {now.service} to {now.revision}{tasks}", "ecs", "update_service",
            {"cluster": now.cluster, "service": now.service, **before},
            target=target, region=region, wait_gone=True, gone=("describe_services", read, left),
        )
    ]  # fmt: skip


def remove_revision(arn: str, target: AwsTarget, region: str) -> list[UndoStep]:
    """Deregister and delete a revision of a task definition."""
    what = arn.split("/")[-1]
    family = what.rpartition(":")[0]

    def listed(status: str) -> tuple[str, dict[str, Any], str]:
        which = {"familyPrefix": family, "status": status, "sort": "DESC"}
        return "list_task_definitions", which, f"taskDefinitionArns[?@=='{arn}']"

    def undo(what: str, operation: str, params: dict[str, Any], status: str) -> UndoStep:
        return aws_undo(
            what, "ecs", operation, params, target=target, region=region, gone=listed(status)
        )

    return [
        undo(
            f"deregister task definition {what}", "deregister_task_definition",
            {"taskDefinition": arn}, "ACTIVE",
        ),
        undo(
            f"delete task definition {what}", "delete_task_definitions",
            {"taskDefinitions": [arn]}, "INACTIVE",
        ),
    ]  # fmt: skip
