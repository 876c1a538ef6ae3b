"""Releases to a container service that is there: image, variables, size, number of tasks."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.containers.images import about_image, ecr_image
from opswright_aws_devops.containers.parts import SERVICE, TASK
from opswright_aws_devops.containers.releases import (
    Deployed,
    choose_container,
    find_revision,
    give_back_service,
    load_deployed,
    next_revision,
    remove_revision,
    rollout,
    settings_of,
)
from opswright_aws_devops.containers.state import scaling_of
from opswright_aws_devops.containers.task_definitions import check_size
from opswright_aws_devops.differences import Difference, Planned, differences
from opswright_aws_devops.environments import Environment, refuse_secrets
from opswright_aws_devops.steps import send
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, ConflictError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, Unread, check

ROLLOUT_SECONDS = 1800.0
"""New tasks are started, found healthy and the old ones drained, in two batches or more."""


class ContainerRelease(BaseModel):
    """What a service runs now, and the task definition that it ran before."""

    service_name: str
    cluster_name: str
    task_definition_arn: str
    was: str
    image: str
    desired_count: int


@write_tool(toolset="updates")
def update_container_service(
    service: Annotated[str, Field(description="ECS service", min_length=1, max_length=255)],
    cluster: Annotated[
        str | None, Field(description="Default: of the service's name", max_length=255)
    ] = None,
    image: Annotated[str | None, Field(description="With tag or digest", max_length=512)] = None,
    environment: Environment = {},  # noqa: B006 (never changed)
    cpu: Annotated[int | None, Field(description="1024: one vCPU")] = None,
    memory_mib: Annotated[int | None, Field(description="Of a task")] = None,
    desired_count: Annotated[int | None, Field(description="Tasks", ge=0, le=1000)] = None,
    container: Annotated[
        str | None, Field(description="Default: the one behind the load balancer")
    ] = None,
    target: Target = HERE,
) -> Work[ContainerRelease]:
    """Release an image, variables or a size to an ECS service, and wait for the roll-out.

    What is not given stays. When ECS gives up, the revision before is back.
    """
    given = (image, cpu, memory_mib, desired_count)
    if not environment and all(value is None for value in given):
        raise BadInputError(
            "Nothing to change: give image, environment, cpu, memory_mib or desired_count."
        )
    refuse_secrets(environment, "give it to the task definition as a secret")
    a = aws(target)
    where = cluster or service
    wanted: dict[str, Any] = {
        "image": image,
        **{f"variable {name}": value for name, value in environment.items()},
        "cpu": cpu,
        "memory_mib": memory_mib,
        "desired_count": desired_count,
    }
    planned = Planned(f"Service {service}", lambda: load_deployed(a, where, service))

    def settings(now: Deployed) -> dict[str, Any]:
        return settings_of(now, choose_container(now, container))

    def judge(_: ContainerRelease) -> list[Check]:
        now = load_deployed(a, where, service)
        found = differences(settings(now), wanted)
        return judge_release(now, found, wanted, runs_tasks=not a.is_emulator)

    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, planned.read(), wanted, container),
        apply=lambda rec: _apply(a, rec, planned.confirm(), wanted, container, target),
        verify=judge,
        outputs=ContainerRelease,
        existing=lambda: _existing(a, where, service, container),
    )


def _plan(a: Aws, now: Deployed, wanted: dict[str, Any], container: str | None) -> ChangePlan:
    name = choose_container(now, container)
    found = differences(settings_of(now, name), wanted)
    revision = _of_revision(found)
    actions, warnings = [], []
    if revision:
        size = settings_of(now, name) | {word: one.new for word, one in found.items()}
        if size["cpu"] and size["memory_mib"] and now.is_fargate:
            check_size(size["cpu"], size["memory_mib"])
        detail = "; ".join(map(str, revision.values()))
        actions.append(Action(verb="create", type=TASK, name=now.family, detail=detail))
    if found:
        detail = "; ".join(
            [
                *(["the new revision, in place of " + now.revision] if revision else []),
                *(str(one) for word, one in found.items() if word == "desired_count"),
            ]
        )
        actions.append(Action(verb="modify", type=SERVICE, name=now.service, detail=detail))
        warnings = _warnings(a, now, found)
    return ChangePlan(
        summary=f"Update service {now.service}: {'; '.join(map(str, found.values()))}",
        actions=actions,
        warnings=warnings,
        observed={
            "task_definition": now.task_definition_arn,
            "count": now.desired_count if "desired_count" in found else None,
        },
    )


def _of_revision(found: dict[str, Difference]) -> dict[str, Difference]:
    """The differences that a task definition has, and not the service."""
    return {word: one for word, one in found.items() if word != "desired_count"}


def _warnings(a: Aws, now: Deployed, found: dict[str, Difference]) -> list[str]:
    said = []
    if image := found.get("image"):
        said += about_image(a, image.new)
        old, new = ecr_image(image.old or ""), ecr_image(image.new)
        if new and (old is None or old.repository != new.repository):
            said.append(
                f"The execution role {now.execution_role or '(none)'} has to allow the pull from "
                f"{new.repository}; what create_container_service made allows one repository."
            )
    if _of_revision(found):
        if now.least_healthy < 100:
            said.append(
                f"ECS may stop tasks before new ones run: {now.least_healthy} % are kept healthy."
            )
        if not now.rolls_back:
            said.append(
                "The service has no circuit breaker with roll-back: a release that never gets "
                "healthy is tried again and again until undo_change."
            )
    if count := found.get("desired_count"):
        said += _about_count(a, now, count.new)
    return said


def _about_count(a: Aws, now: Deployed, count: int) -> list[str]:
    """What a number of tasks means. Raises BadInputError for one that scaling would undo."""
    if count == 0:
        return ["No task will run: the service answers nothing."]
    for bounds in scaling_of(a, now.cluster, now.service):
        least, most = bounds["MinCapacity"], bounds["MaxCapacity"]
        if not least <= count <= most:
            raise BadInputError(
                f"desired_count {count}: {now.service} scales between {least} and {most}, which "
                "would set it back at once; give a count in between."
            )
        return [f"It scales between {least} and {most} tasks: the count may soon be another."]
    return ["One task: its zone's failure stops the service."] if count == 1 else []


def _apply(
    a: Aws,
    rec: Recorder,
    now: Deployed,
    wanted: dict[str, Any],
    container: str | None,
    target: AwsTarget,
) -> ContainerRelease:
    ecs, name = a.client("ecs"), choose_container(now, container)
    found = differences(settings_of(now, name), wanted)
    arn = now.task_definition_arn
    if revision := _of_revision(found):
        new = {word: one.new for word, one in revision.items()}

        def register() -> dict[str, str]:
            made = ecs.register_task_definition(**next_revision(now, name, new))
            return {"arn": made["taskDefinition"]["taskDefinitionArn"]}

        def find() -> dict[str, str] | None:
            there = find_revision(a, now, name, new)
            return {"arn": there} if there else None

        made: dict[str, str] = rec.step(
            f"revision after {now.revision}",
            register,
            find=find,
            undo=lambda result: remove_revision(result["arn"], target, a.region),
            resource=lambda result: ResourceRef(type=TASK, id=result["arn"], name=now.family),
        )
        arn = made["arn"]
    if found:
        count = found.get("desired_count")
        rec.step(
            f"service {now.service} to {arn.split('/')[-1]}"
            + (f", {count.new} tasks" if count else ""),
            lambda: send(
                ecs.update_service,
                cluster=now.cluster,
                service=now.service,
                taskDefinition=arn,
                **({"desiredCount": count.new} if count else {}),
            ),
            undo=give_back_service(now, bool(count), target, a.region),
            resource=ResourceRef(
                type=SERVICE, id=f"{now.cluster}/{now.service}", name=now.service,
                action="modified",
            ),
        )  # fmt: skip
    if a.is_emulator:
        rec.gap("The emulator runs no containers: whether the release gets healthy is not known.")
    else:
        _await(a, rec, now, arn)
    return _outputs(load_deployed(a, now.cluster, now.service), name, was=now.task_definition_arn)


def _await(a: Aws, rec: Recorder, now: Deployed, arn: str) -> None:
    """Wait for the roll-out; a service whose release ECS gave up is left as it was before."""
    seen = False

    def is_over() -> bool:
        nonlocal seen
        live = load_deployed(a, now.cluster, now.service)
        state = rollout(live, arn, now.task_definition_arn, seen=seen)
        seen = seen or arn in live.deployments
        if state == "replaced":
            raise ConflictError(
                f"Somebody else has released {live.revision} to {now.service} meanwhile; nothing "
                "was taken back. Look at it before you call again."
            )
        if state == "given up":
            rec.reverse()
            raise OpswrightError(
                f"ECS gave the release {arn.split('/')[-1]} up: {live.reason} {now.service} is "
                f"back at {now.revision}."
            )
        return state == "complete"

    rec.wait(
        f"{arn.split('/')[-1]} rolled out to {now.service}",
        is_over,
        timeout_seconds=ROLLOUT_SECONDS,
        every_seconds=10,
    )


def _existing(a: Aws, cluster: str, service: str, container: str | None) -> ContainerRelease:
    now = load_deployed(a, cluster, service)
    return _outputs(now, choose_container(now, container), was=now.task_definition_arn)


def _outputs(now: Deployed, container: str, *, was: str) -> ContainerRelease:
    return ContainerRelease(
        service_name=now.service,
        cluster_name=now.cluster,
        task_definition_arn=now.task_definition_arn,
        was=was,
        image=settings_of(now, container)["image"],
        desired_count=now.desired_count,
    )


def judge_release(
    now: Deployed, found: dict[str, Difference], wanted: dict[str, Any], *, runs_tasks: bool
) -> list[Check]:
    """Whether the service has what was asked for and runs it.

    `runs_tasks` is False where the backend runs no tasks: whether they would is then UNKNOWN.
    """
    idle = Unread(operation="ecs:DescribeServices", reason="this backend runs no tasks")
    facts: list[tuple[str, bool | Unread, str]] = [
        (f"Its {word} is as asked", word not in found, str(found.get(word, "read")))
        for word, value in wanted.items()
        if value is not None
    ]
    facts.append(
        (
            "Its tasks run",
            now.running_count >= now.desired_count or (False if runs_tasks else idle),
            f"{now.running_count} of {now.desired_count}",
        )
    )
    facts.append(
        (
            "The roll-out is over",
            now.newest_state in ("COMPLETED", "") or (False if runs_tasks else idle),
            now.newest_state,
        )
    )
    return [check(name, ok, evidence, now.service) for name, ok, evidence in facts]
