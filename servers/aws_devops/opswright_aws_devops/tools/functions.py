"""Functions: Lambda from a folder, a ZIP file or an image, with a role of least privilege."""

import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from opswright_aws_devops.access.queue_policies import admits
from opswright_aws_devops.access.roles import ROLE, ServiceRole, make_role
from opswright_aws_devops.access.statements import Statements, review_statements
from opswright_aws_devops.environments import Environment, read_secrets, refuse_secrets
from opswright_aws_devops.functions.code import FunctionCode, find_code
from opswright_aws_devops.functions.parts import (
    FUNCTION,
    SCHEDULE,
    TAKING,
    TRIGGER,
    FunctionMaker,
    check_runtime,
    function_arn,
    known_parts,
    log_group_name,
    role_statements,
)
from opswright_aws_devops.functions.state import Function, Wanted, judge_function, load_state
from opswright_aws_devops.log_groups import (
    LOG_GROUP,
    RetentionDays,
    logs_are_lost,
    make_log_group,
)
from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.networking.placement import place
from opswright_aws_devops.ownership import Request, ResourceName, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError, EmulatorGapError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool


@write_tool(toolset="apps")
def create_function(
    name: ResourceName,
    code: Annotated[
        str,
        Field(description="s3://bucket/key, local ZIP or folder, or ECR image", max_length=1024),
    ],
    runtime: Annotated[str, Field(description="Like python3.13; not for images")] | None = None,
    handler: Annotated[str, Field(description="Like app.handler; not for images")] | None = None,
    statements: Statements = [],  # noqa: B006 (never changed)
    environment: Environment = {},  # noqa: B006
    secrets: Annotated[
        dict[str, str], Field(description="Variable: Secrets Manager ARN, which it may read")
    ] = {},  # noqa: B006
    memory_mib: Annotated[int, Field(description="Memory", ge=128, le=10240)] = 256,
    timeout_seconds: Annotated[int, Field(description="Longest run", ge=1, le=900)] = 30,
    architecture: Annotated[Literal["x86_64", "arm64"], Field(description="CPU")] = "x86_64",
    subnet_ids: Annotated[list[str], Field(description="To run in a VPC; private")] = [],  # noqa: B006
    security_group_ids: Annotated[list[str], Field(description="In the VPC")] = [],  # noqa: B006
    dead_letter_arn: Annotated[str, Field(description="Queue or topic for failed events")]
    | None = None,
    queue_arn: Annotated[str, Field(description="SQS queue that starts it")] | None = None,
    schedule: Annotated[
        str, Field(description="rate(5 minutes) or cron(…)", pattern=r"^(rate|cron)\(.+\)$")
    ]
    | None = None,
    function_url: Annotated[bool, Field(description="HTTPS address, IAM-signed")] = False,
    reserved_concurrency: Annotated[int, Field(description="Most at once", ge=1)] | None = None,
    log_retention_days: RetentionDays = 30,
    target: Target = HERE,
) -> Work[Function]:
    """Create a Lambda function with least privilege, and what starts it: queue, schedule, URL."""
    wanted = Wanted(
        name=name, handler=handler, runtime=runtime, memory_mib=memory_mib,
        timeout_seconds=timeout_seconds, architecture=architecture, environment=environment,
        secrets=secrets, reserved_concurrency=reserved_concurrency,
        dead_letter_arn=dead_letter_arn, subnet_ids=subnet_ids,
        security_group_ids=security_group_ids, function_url=function_url, schedule=schedule,
        queue_arn=queue_arn, log_days=log_retention_days,
    )  # fmt: skip
    a = aws(target)
    _check(wanted, a.region)
    found = find_code(a, code)
    _check_runtime(a, wanted, is_image=found.is_image)
    own = [statement.as_policy() for statement in statements]
    request = Request.of(
        "create_function", name, wanted=vars(wanted), code=found.identity, statements=own
    )

    def plan() -> ChangePlan:
        where = {"partition": a.partition, "account_id": a.account_id}
        return _plan(a, request, wanted, found, review_statements(statements, **where))

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=lambda rec: _apply(a, rec, request, wanted, found, own, target),
        verify=lambda made: judge_function(made, wanted, found.identity, load_state(a, wanted)),
        outputs=Function,
    )


def _check(wanted: Wanted, region: str) -> None:
    refuse_secrets(wanted.environment, "give its ARN in secrets; the code reads it")
    if twice := sorted({*wanted.environment} & {*wanted.secrets}):
        raise BadInputError(f"{', '.join(twice)} is in environment and in secrets; choose one.")
    if bool(wanted.subnet_ids) != bool(wanted.security_group_ids):
        raise BadInputError("For a VPC give subnet_ids and security_group_ids; else neither.")
    for arn, services in (
        (wanted.dead_letter_arn, ("sqs", "sns")),
        (wanted.queue_arn, ("sqs",)),
    ):
        if arn and (arn.count(":") != 5 or arn.split(":")[2] not in services):
            raise BadInputError(f"{arn!r} is no ARN of {' or '.join(services)}.")
        if arn and arn.split(":")[3] != region:
            raise BadInputError(
                f"{arn} is in {arn.split(':')[3]}: Lambda takes queues and topics of its own "
                f"region, {region}, alone."
            )
    if wanted.dead_letter_arn and wanted.dead_letter_arn.endswith(".fifo"):
        raise BadInputError(
            f"dead_letter_arn {wanted.dead_letter_arn}: Lambda takes no FIFO here; give a standard "
            "queue or topic."
        )


def _check_runtime(a: Aws, wanted: Wanted, *, is_image: bool) -> None:
    if is_image:
        if wanted.runtime or wanted.handler:
            raise BadInputError("An image has its own runtime and handler; leave them out.")
        return
    if not wanted.runtime or not wanted.handler:
        raise BadInputError("runtime and handler are needed, like python3.13 and app.handler.")
    check_runtime(a, wanted.runtime)


def _actions(wanted: Wanted, found: FunctionCode) -> list[Action]:
    name = wanted.name
    size = f"{wanted.memory_mib} MiB, {wanted.timeout_seconds} s, {wanted.architecture}"
    made = [
        (LOG_GROUP, log_group_name(name), f"kept {wanted.log_days} days"),
        (ROLE, name, "taken by lambda"),
        (FUNCTION, name, f"{wanted.runtime or 'image'}, {size}, {found.identity[:80]}"),
    ]
    if wanted.schedule:
        made.append((SCHEDULE, name, wanted.schedule))
    if wanted.queue_arn:
        made.append((TRIGGER, name, wanted.queue_arn))
    return [Action(verb="create", type=t, name=n, detail=d) for t, n, d in made]


def _plan(
    a: Aws, request: Request, wanted: Wanted, found: FunctionCode, warnings: list[str]
) -> ChangePlan:
    known = known_parts(a, request, wanted.queue_arn)
    if wanted.subnet_ids:
        place(a, wanted.subnet_ids, wanted.security_group_ids)
    read_secrets(a, wanted.secrets)
    if arn := wanted.dead_letter_arn:
        _must_receive(a, arn)
    else:
        warnings.append("No dead_letter_arn: an event that fails three times is lost.")
    if wanted.queue_arn:
        warnings += _about_queue(a, wanted.queue_arn, wanted.timeout_seconds)
    return ChangePlan(
        summary=f"Create function {wanted.name} in {a.region}",
        actions=outstanding(_actions(wanted, found), known),
        warnings=[*found.warnings, *warnings, logs_are_lost(log_group_name(wanted.name))],
        observed={"known": known, "code": found.identity},
    )


def _must_receive(a: Aws, arn: str) -> None:
    """Raise NotFoundError for a queue or topic that is not there."""
    if arn.split(":")[2] == "sns":
        sns = a.client("sns")
        must_exist(f"Topic {arn}", lambda: sns.get_topic_attributes(TopicArn=arn))
    else:
        _must_admit(a, arn, _queue(a, arn), ["sqs:SendMessage"])


def _queue(a: Aws, arn: str) -> dict[str, str]:
    """The attributes of a queue that was named by its ARN. Raises NotFoundError."""
    sqs, parts = a.client("sqs"), arn.split(":")
    which = {"QueueName": parts[5], "QueueOwnerAWSAccountId": parts[4]}
    url = must_exist(f"Queue {arn}", lambda: sqs.get_queue_url(**which)["QueueUrl"])
    wanted = ["Policy", "QueueArn", "VisibilityTimeout"]
    read = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=wanted)
    attributes: dict[str, str] = read["Attributes"]
    if attributes["QueueArn"] != arn:
        raise EmulatorGapError(
            f"The backend does not reach queues of other accounts: asked for {arn}, it answered "
            f"with {attributes['QueueArn']}."
        )
    return attributes


def _must_admit(a: Aws, arn: str, attributes: dict[str, str], actions: Sequence[str]) -> None:
    """Raise BadInputError where another account's queue lets nobody of this one do something.

    AWS would refuse the function after its role is made. The role itself cannot be named yet.
    """
    missing = [act for act in actions if not admits(attributes.get("Policy"), a.account_id, act)]
    if arn.split(":")[4] == a.account_id or not missing:
        return
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:{a.partition}:iam::{a.account_id}:root"},
        "Action": missing,
        "Resource": arn,
    }
    raise BadInputError(
        f"Queue {arn} is of another account, and its policy does not let {a.account_id} use it. "
        f"Its owner has to add to it: {json.dumps(statement)}"
    )


def _about_queue(a: Aws, arn: str, timeout_seconds: int) -> list[str]:
    """What is to be known of a queue whose messages start the function.

    Raises BadInputError where another account's does not admit this one, or where it gives messages
    out again before a run may end, which Lambda refuses; it advises six times the function's
    timeout ("Using Lambda with Amazon SQS").
    """
    queue = _queue(a, arn)
    _must_admit(a, arn, queue, TAKING)
    hidden = int(queue["VisibilityTimeout"])
    if hidden < timeout_seconds:
        raise BadInputError(
            f"timeout_seconds {timeout_seconds}: the queue gives messages out again after {hidden} "
            "s; lower it, or raise the queue's visibility timeout."
        )
    if hidden < 6 * timeout_seconds:
        advised = 6 * timeout_seconds
        return [f"The queue's visibility timeout is {hidden} s; AWS advises {advised} s here."]
    return []


def _apply(
    a: Aws,
    rec: Recorder,
    request: Request,
    wanted: Wanted,
    found: FunctionCode,
    own: list[dict[str, Any]],
    target: AwsTarget,
) -> Function:
    name, log_group = wanted.name, log_group_name(wanted.name)
    known = known_parts(a, request, wanted.queue_arn)
    maker = FunctionMaker(a, rec, request, target, known)
    make_log_group(a, rec, request, log_group, wanted.log_days, target)
    statements = role_statements(
        a,
        name,
        in_vpc=bool(wanted.subnet_ids),
        dead_letter_arn=wanted.dead_letter_arn,
        queue_arn=wanted.queue_arn,
        own=[*own, *read_secrets(a, wanted.secrets)],
    )
    role_arn = make_role(a, rec, request, ServiceRole(name, "lambda", statements), target)
    maker.function(Role=role_arn, Code=found.parameters(), **_configuration(wanted))
    if wanted.reserved_concurrency is not None:
        maker.concurrency(wanted.reserved_concurrency)
    url = maker.url() if wanted.function_url else None
    if wanted.schedule:
        maker.schedule(wanted.schedule)
    if wanted.queue_arn:
        maker.trigger(wanted.queue_arn)
    if a.is_emulator:
        rec.gap("The emulator does not run the function: whether its code works is not known.")
    return Function(
        function_name=name,
        function_arn=function_arn(a, name),
        role_arn=role_arn,
        log_group=log_group,
        code=found.identity,
        url=url,
    )


def _configuration(wanted: Wanted) -> dict[str, Any]:
    """Lambda's `CreateFunction`, without the role, the code and the tags."""
    settings: dict[str, Any] = {
        "MemorySize": wanted.memory_mib,
        "Timeout": wanted.timeout_seconds,
        "Architectures": [wanted.architecture],
        "PackageType": "Zip" if wanted.runtime else "Image",
        "Environment": {"Variables": {**wanted.environment, **wanted.secrets}},
    }
    if wanted.runtime:
        settings |= {"Runtime": wanted.runtime, "Handler": wanted.handler}
    if wanted.dead_letter_arn:
        settings["DeadLetterConfig"] = {"TargetArn": wanted.dead_letter_arn}
    if wanted.subnet_ids:
        settings["VpcConfig"] = {
            "SubnetIds": wanted.subnet_ids,
            "SecurityGroupIds": wanted.security_group_ids,
        }
    return settings
