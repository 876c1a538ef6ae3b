"""The parts of a Lambda function: its permissions, itself, what starts it; made and taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.access.roles import ROLE, find_role
from opswright_aws_devops.access.statements import Statement
from opswright_aws_devops.functions.invocation import Invoker, allow_invoke
from opswright_aws_devops.log_groups import LOG_GROUP, find_log_group, log_group_arn
from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.ownership import Maker, Request, key
from opswright_aws_devops.steps import send
from opswright_core.aws import Aws, AwsTarget, tags_of
from opswright_core.changes import ResourceRef
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.undo import UndoStep, aws_undo

FUNCTION, SCHEDULE, TRIGGER = "lambda:function", "events:rule", "lambda:event-source-mapping"
TAKING = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
"""What a function needs of a queue whose messages start it."""

ACTIVE_SECONDS = 600.0
"""A function in a VPC waits for its network interfaces, a large image for its layers."""


def log_group_name(name: str) -> str:
    """The log group that Lambda writes to."""
    return f"/aws/lambda/{name}"


def function_arn(a: Aws, name: str) -> str:
    """The ARN of a function of this account and region."""
    return f"arn:{a.partition}:lambda:{a.region}:{a.account_id}:function:{name}"


def check_runtime(a: Aws, runtime: str) -> None:
    """Raise BadInputError for a runtime that Lambda does not have."""
    known = a.client("lambda").meta.service_model.shape_for("Runtime").enum
    if runtime not in known:
        language = runtime.rstrip(".0123456789x")
        near = [one for one in known if one.startswith(language)] or known
        raise BadInputError(f"runtime {runtime!r} is not known; try {', '.join(near[-3:])}.")


def load_function(a: Aws, name: str) -> dict[str, Any] | None:
    """Lambda's configuration of a function with its `Tags`; None when there is none."""
    client = a.client("lambda")
    found = if_exists(lambda: client.get_function(FunctionName=name))
    return {**found["Configuration"], "Tags": found.get("Tags", {})} if found else None


def _load_rule(a: Aws, name: str) -> dict[str, Any] | None:
    events = a.client("events")
    return if_exists(lambda: events.describe_rule(Name=name))


def find_trigger(a: Aws, name: str, queue_arn: str) -> dict[str, Any] | None:
    """The event source mapping between a queue and a function, or None."""
    which = {"FunctionName": name, "EventSourceArn": queue_arn}
    found = if_exists(
        lambda: a.pages("lambda", "list_event_source_mappings", "EventSourceMappings", **which)
    )
    return first([m for m in found or [] if m.get("State") != "Deleting"])


def known_parts(a: Aws, request: Request, queue_arn: str | None) -> dict[str, str]:
    """Ids of the parts that the request made before, by `key(kind, name)`.

    Raises ConflictError for a name that something else has.
    """
    name, known = request.name, {}
    if find_log_group(a, request, log_group_name(name)):
        known[key(LOG_GROUP, log_group_name(name))] = log_group_name(name)
    if find_role(a, request, name):
        known[key(ROLE, name)] = name
    if function := load_function(a, name):
        request.claim(f"function {name}", function["Tags"])
        known[key(FUNCTION, name)] = name
    if rule := _load_rule(a, name):
        tags = a.client("events").list_tags_for_resource(ResourceARN=rule["Arn"])["Tags"]
        request.claim(f"EventBridge rule {name}", tags_of(tags))
        known[key(SCHEDULE, name)] = name
    if queue_arn and function and (mapping := find_trigger(a, name, queue_arn)):
        known[key(TRIGGER, name)] = mapping["UUID"]
    return known


def role_statements(
    a: Aws,
    name: str,
    *,
    in_vpc: bool,
    dead_letter_arn: str | None,
    queue_arn: str | None,
    own: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """What a function may do: write its log, what its settings need, and `own`."""
    logs = f"{log_group_arn(a, log_group_name(name))}:*"
    made = [Statement(actions=["logs:CreateLogStream", "logs:PutLogEvents"], resources=[logs])]
    if dead_letter_arn:
        put = "sqs:SendMessage" if ":sqs:" in dead_letter_arn else "sns:Publish"
        made.append(Statement(actions=[put], resources=[dead_letter_arn]))
    if queue_arn:
        made.append(Statement(actions=TAKING, resources=[queue_arn]))
    statements = [statement.as_policy() for statement in made]
    return [*statements, *(_network_interfaces(a, name) if in_vpc else []), *map(dict, own)]


def _network_interfaces(a: Aws, name: str) -> list[dict[str, Any]]:
    """What Lambda needs to join a VPC; refused to the code itself (Lambda guide, VPC access)."""
    actions = [
        "ec2:AssignPrivateIpAddresses",
        "ec2:CreateNetworkInterface",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DescribeSubnets",
        "ec2:UnassignPrivateIpAddresses",
    ]
    by_code = {"ArnEquals": {"lambda:SourceFunctionArn": [function_arn(a, name)]}}
    return [
        {"Effect": "Allow", "Action": actions, "Resource": ["*"]},
        {"Effect": "Deny", "Action": actions, "Resource": ["*"], "Condition": by_code},
    ]


@dataclass(frozen=True)
class FunctionMaker:
    """Makes the parts of one request's function, each once and with its inverse."""

    a: Aws
    rec: Recorder
    request: Request
    target: AwsTarget
    known: Mapping[str, str]

    def _undo(self, what: str, service: str, operation: str, **more: Any) -> UndoStep:
        return aws_undo(what, service, operation, target=self.target, region=self.a.region, **more)

    def function(self, **parameters: Any) -> None:
        """The function, once Lambda has it ready."""
        client, name = self.a.client("lambda"), self.request.name
        which = {"FunctionName": name}

        def make() -> dict[str, str]:
            if load_function(self.a, name) is None:
                client.create_function(**which, **parameters, Tags=self.request.tags(name))
            return {"function": name}

        self.rec.step(
            f"function {name}",
            make,
            undo=[
                self._undo(
                    f"delete function {name}", "lambda", "delete_function", params=which,
                    gone=("get_function", which, "Configuration"), wait_gone=True,
                )
            ],
            resource=ResourceRef(type=FUNCTION, id=name, name=name),
        )  # fmt: skip
        self.rec.wait(
            f"function {name} active", lambda: _is_active(self.a, name),
            timeout_seconds=ACTIVE_SECONDS,
        )  # fmt: skip

    def concurrency(self, reserved: int) -> None:
        """How many of it run at once at most; it goes with the function, and needs no undo."""
        client = self.a.client("lambda")
        self.rec.step(
            "reserved concurrency",
            lambda: send(
                client.put_function_concurrency,
                FunctionName=self.request.name,
                ReservedConcurrentExecutions=reserved,
            ),
        )

    def url(self) -> str:
        """An address that asks for signed requests; it goes with the function. Returns it."""
        client, which = self.a.client("lambda"), {"FunctionName": self.request.name}

        def make() -> dict[str, str]:
            found = if_exists(lambda: client.get_function_url_config(**which))
            found = found or client.create_function_url_config(**which, AuthType="AWS_IAM")
            return {"url": found["FunctionUrl"]}

        url: str = self.rec.step("function URL", make)["url"]
        return url

    def schedule(self, expression: str) -> None:
        """The rule of EventBridge that starts the function, and its permission to."""
        events, client, name = self.a.client("events"), self.a.client("lambda"), self.request.name

        def make() -> dict[str, str]:
            if key(SCHEDULE, name) not in self.known:
                events.put_rule(
                    Name=name,
                    ScheduleExpression=expression,
                    State="ENABLED",
                    Tags=self.request.tag_list(name),
                )
            return {"rule": name}

        self.rec.step(
            f"schedule {name}",
            make,
            undo=[
                self._undo(
                    f"delete schedule {name}", "events", "delete_rule", params={"Name": name},
                    gone=("describe_rule", {"Name": name}, "Name"),
                )
            ],
            resource=ResourceRef(type=SCHEDULE, id=name, name=name),
        )  # fmt: skip
        rule_arn = events.describe_rule(Name=name)["Arn"]
        self.rec.step(
            f"permission of schedule {name}",
            lambda: allow_invoke(
                client, name, Invoker("schedule", "events.amazonaws.com", rule_arn)
            ),
        )
        self.rec.step(
            f"target of schedule {name}",
            lambda: send(
                events.put_targets,
                Rule=name,
                Targets=[{"Id": "function", "Arn": function_arn(self.a, name)}],
            ),
            undo=[
                self._undo(
                    f"take the function out of schedule {name}", "events", "remove_targets",
                    params={"Rule": name, "Ids": ["function"]},
                    gone=("list_targets_by_rule", {"Rule": name}, "Targets[]"),
                )
            ],
        )  # fmt: skip

    def trigger(self, queue_arn: str) -> str:
        """What starts the function with a queue's messages; returns its UUID."""
        client, name = self.a.client("lambda"), self.request.name

        def create() -> str:
            made = client.create_event_source_mapping(
                FunctionName=name, EventSourceArn=queue_arn, Tags=self.request.tags(name)
            )
            uuid: str = made["UUID"]
            return uuid

        def undo(uuid: str) -> list[UndoStep]:
            which = {"UUID": uuid}
            return [
                self._undo(
                    f"take the queue's trigger off {name}", "lambda",
                    "delete_event_source_mapping", params=which, wait_gone=True,
                    gone=("get_event_source_mapping", which, "UUID"),
                )
            ]  # fmt: skip

        return Maker(self.rec, self.known).make(TRIGGER, name, create, undo)


def _is_active(a: Aws, name: str) -> bool:
    found = load_function(a, name) or {}
    if found.get("State") == "Failed":
        raise OpswrightError(
            f"Lambda could not make function {name}: {found.get('StateReason', 'no reason given')} "
            "undo_change removes what was made."
        )
    return bool(found.get("State", "Active") == "Active")
