"""Container services: ECS on Fargate in private subnets, behind a load balancer's listener."""

from typing import Annotated

from pydantic import Field

from opswright_aws_devops.access.roles import ROLE, ServiceRole, make_role
from opswright_aws_devops.balancers.state import TARGETS
from opswright_aws_devops.balancers.targets import RULE
from opswright_aws_devops.containers.images import about_image
from opswright_aws_devops.containers.parts import (
    CLUSTER,
    SCALING,
    SERVICE,
    TASK,
    ContainerMaker,
    execution_role_name,
    known_parts,
    load_service,
    log_group_name,
    target_group_name,
)
from opswright_aws_devops.containers.state import (
    ContainerService,
    Wanted,
    is_steady,
    judge_container_service,
    load_state,
    scaling_of,
)
from opswright_aws_devops.containers.task_definitions import (
    Architecture,
    Task,
    check_size,
    execution_statements,
)
from opswright_aws_devops.environments import Environment, read_secrets, refuse_secrets
from opswright_aws_devops.log_groups import (
    LOG_GROUP,
    RetentionDays,
    logs_are_lost,
    make_log_group,
)
from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.networking.listeners import (
    EVERYTHING,
    Listener,
    free_priority,
    load_listener,
)
from opswright_aws_devops.networking.packet_filters import group_allows
from opswright_aws_devops.networking.placement import place
from opswright_aws_devops.networking.routing import is_public, next_hop, table_of
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool

STEADY_SECONDS = 1200.0
"""Pulling a large image and passing health checks takes minutes; a circuit breaker that trips
after ten failed tasks takes longer."""


@write_tool(toolset="apps")
def create_container_service(
    name: ResourceName,
    image: Annotated[str, Field(description="With tag or digest", max_length=512)],
    subnet_ids: Annotated[list[str], Field(description="Private, in two zones", min_length=2)],
    security_group_ids: Annotated[list[str], Field(description="At least one", min_length=1)],
    listener_arn: Annotated[str, Field(description="Of the load balancer", max_length=300)],
    path: Annotated[str, Field(description="That leads to it", pattern="^/", max_length=128)] = (
        EVERYTHING
    ),
    port: Annotated[int, Field(description="Of the container", ge=1, le=65535)] = 8080,
    health_check_path: Annotated[
        str, Field(description="200 when healthy", pattern="^/")
    ] = "/healthz",
    health_check_grace_seconds: Annotated[int, Field(description="To start", ge=0)] = 60,
    cpu: Annotated[int, Field(description="1024: one vCPU")] = 256,
    memory_mib: Annotated[int, Field(description="Of a task")] = 512,
    architecture: Annotated[Architecture, Field(description="Of the image")] = "X86_64",
    desired_count: Annotated[int, Field(description="Tasks", ge=1, le=1000)] = 2,
    max_count: Annotated[int, Field(description="Scale up to, on CPU", le=1000)] | None = None,
    task_role_arn: Annotated[str, Field(description="Role of the code; none: no AWS access")]
    | None = None,
    environment: Environment = {},  # noqa: B006 (never changed)
    secrets: Annotated[dict[str, str], Field(description="Variable: Secrets Manager ARN")] = {},  # noqa: B006
    log_retention_days: RetentionDays = 30,
    target: Target = HERE,
) -> Work[ContainerService]:
    """Create an ECS service on Fargate in private subnets, behind a load balancer's listener."""
    check_size(cpu, memory_mib)
    if max_count is not None and max_count < desired_count:
        raise BadInputError(f"max_count {max_count} is below desired_count {desired_count}.")
    refuse_secrets(environment, "give its ARN in secrets")
    if twice := sorted({*environment} & {*secrets}):
        raise BadInputError(f"{', '.join(twice)} is in environment and in secrets; choose one.")
    a = aws(target)
    task = Task(
        name=name, image=image, port=port, cpu=cpu, memory_mib=memory_mib,
        architecture=architecture, environment=environment, secrets=secrets,
        task_role_arn=task_role_arn,
    )  # fmt: skip
    wanted = Wanted(
        subnet_ids=subnet_ids, security_group_ids=security_group_ids, listener_arn=listener_arn,
        path=path, health_check_path=health_check_path, desired_count=desired_count,
        max_count=max_count or desired_count, grace_seconds=health_check_grace_seconds,
        log_days=log_retention_days,
    )  # fmt: skip
    request = Request.of("create_container_service", name, task=vars(task), wanted=vars(wanted))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, task, wanted),
        apply=lambda rec: _apply(a, rec, request, task, wanted, target),
        verify=lambda made: judge_container_service(
            made, wanted, load_state(a, made, wanted), runs_tasks=not a.is_emulator
        ),
        outputs=ContainerService,
    )


def _actions(task: Task, wanted: Wanted) -> list[Action]:
    name = task.name
    count = f"{wanted.desired_count} tasks"
    scaled = wanted.max_count > wanted.desired_count
    size = f"{task.cpu / 1024:g} vCPU, {task.memory_mib} MiB, {task.architecture}"
    secrets = f", {len(task.secrets)} secrets" if task.secrets else ""
    made = [
        (LOG_GROUP, log_group_name(name), f"kept {wanted.log_days} days"),
        (ROLE, execution_role_name(name), f"pulls the image, writes the log{secrets}"),
        (CLUSTER, name, ""),
        (
            TARGETS,
            target_group_name(name),
            f"HTTP {task.port}, healthy at {wanted.health_check_path}",
        ),
        (RULE, name, f"{wanted.path} to the target group"),
        (TASK, name, f"{task.image}, {size}"),
        (SERVICE, name, f"{count}, a failed deployment is rolled back"),
    ]
    if scaled:
        detail = f"{wanted.desired_count} to {wanted.max_count} tasks on CPU"
        made.append((SCALING, f"service/{name}/{name}", detail))
    return [Action(verb="create", type=t, name=n, detail=d) for t, n, d in made]


def _plan(a: Aws, request: Request, task: Task, wanted: Wanted) -> ChangePlan:
    placement = place(a, wanted.subnet_ids, wanted.security_group_ids)
    listener = load_listener(a, wanted.listener_arn)
    if listener.balancer["VpcId"] != placement.vpc_id:
        raise BadInputError(
            f"The load balancer is in {listener.balancer['VpcId']}, the subnets in "
            f"{placement.vpc_id}; use one VPC."
        )
    known = known_parts(a, request, wanted.listener_arn)
    free_priority(listener.rules, wanted.path, known.get(key(RULE, task.name)))
    read_secrets(a, task.secrets)
    if role := task.task_role_arn:
        iam, name = a.client("iam"), role.rpartition("/")[2]
        must_exist(f"Role {role}", lambda: iam.get_role(RoleName=name))
    warnings = [
        *about_image(a, task.image),
        *_about_network(a, placement.vpc_id, task, wanted, listener),
        logs_are_lost(log_group_name(task.name)),
        f"{wanted.desired_count} tasks or more are billed by the second.",
    ]
    if wanted.desired_count == 1:
        warnings.append("One task: its zone's failure stops the service.")
    if not task.task_role_arn:
        warnings.append("No task role: the code in the container has no access to AWS.")
    return ChangePlan(
        summary=f"Run {task.image} as service {task.name}: {wanted.desired_count} tasks over "
        f"{', '.join(placement.azs)} at {listener.url}{wanted.path}",
        actions=outstanding(_actions(task, wanted), _scaling_too(a, known, task.name)),
        warnings=warnings,
        observed={"known": known},
    )


def _scaling_too(a: Aws, known: dict[str, str], name: str) -> dict[str, str]:
    """The known parts with the scaling of the service, which has no tags of its own."""
    if key(SERVICE, name) not in known or not scaling_of(a, name, name):
        return known
    return {**known, key(SCALING, f"service/{name}/{name}"): name}


def _about_network(
    a: Aws, vpc_id: str, task: Task, wanted: Wanted, listener: Listener
) -> list[str]:
    """What may keep the tasks from working. Raises BadInputError for public subnets."""
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    tables = a.pages("ec2", "describe_route_tables", "RouteTables", Filters=here)
    if public := [s for s in wanted.subnet_ids if is_public(s, tables)]:
        raise BadInputError(
            f"{', '.join(public)} is a public subnet, where tasks without a public address reach "
            "nothing; give private subnets (create_network makes them)."
        )
    said = []
    if shut := [s for s in wanted.subnet_ids if next_hop(table_of(s, tables)) is None]:
        said.append(
            f"{', '.join(shut)} has no way out: the image, the log and the secrets are reached "
            "only if the VPC has endpoints for ecr.api, ecr.dkr, s3, logs and secretsmanager."
        )
    ec2 = a.client("ec2")
    groups = ec2.describe_security_groups(GroupIds=wanted.security_group_ids)["SecurityGroups"]
    balancer_groups = listener.balancer.get("SecurityGroups", [])
    if not group_allows(
        groups, egress=False, port=task.port, peer_cidr="0.0.0.0/0", peer_group_ids=balancer_groups
    ):
        said.append(
            f"No rule of {', '.join(wanted.security_group_ids)} lets the load balancer's security "
            f"groups in on port {task.port}: its health checks would fail."
        )
    return said


def _apply(
    a: Aws, rec: Recorder, request: Request, task: Task, wanted: Wanted, target: AwsTarget
) -> ContainerService:
    name, log_group = task.name, log_group_name(task.name)
    listener = load_listener(a, wanted.listener_arn)
    known = known_parts(a, request, wanted.listener_arn)
    maker = ContainerMaker(a, rec, request, target, known)
    log_arn = make_log_group(a, rec, request, log_group, wanted.log_days, target)
    statements = execution_statements(task.image, log_arn, a.partition)
    statements += read_secrets(a, task.secrets)
    # The ECS guide shows the account in the trust of task roles, not in that of this one.
    role = ServiceRole(execution_role_name(name), "ecs-tasks", statements, by_account=False)
    execution_role_arn = make_role(a, rec, request, role, target)
    maker.cluster()
    group_arn = maker.target_group(
        Port=task.port,
        VpcId=listener.balancer["VpcId"],
        HealthCheckPath=wanted.health_check_path,
    )
    priority = free_priority(listener.rules, wanted.path, known.get(key(RULE, name)))
    rule_arn = maker.targets.rule(wanted.listener_arn, wanted.path, priority, group_arn)
    definition_arn = maker.task_definition(
        task.definition(log_group=log_group, region=a.region, execution_role_arn=execution_role_arn)
    )
    maker.service(
        taskDefinition=definition_arn,
        desiredCount=wanted.desired_count,
        healthCheckGracePeriodSeconds=wanted.grace_seconds,
        loadBalancers=[
            {"targetGroupArn": group_arn, "containerName": name, "containerPort": task.port}
        ],
        networkConfiguration={
            "awsvpcConfiguration": {
                "subnets": wanted.subnet_ids,
                "securityGroups": wanted.security_group_ids,
                "assignPublicIp": "DISABLED",
            }
        },
    )
    if wanted.max_count > wanted.desired_count:
        maker.scaling(wanted.desired_count, wanted.max_count)
    if a.is_emulator:
        rec.gap("The emulator runs no containers: nothing answers behind the load balancer.")
    else:
        rec.wait(
            f"{wanted.desired_count} tasks of {name} running and healthy",
            lambda: is_steady(load_service(a, name), wanted.desired_count),
            timeout_seconds=STEADY_SECONDS,
            every_seconds=10,
        )
    return ContainerService(
        service_name=name,
        cluster_name=name,
        task_definition_arn=definition_arn,
        target_group_arn=group_arn,
        rule_arn=rule_arn,
        execution_role_arn=execution_role_arn,
        log_group=log_group,
        url=listener.url + wanted.path.removesuffix("*"),
    )
