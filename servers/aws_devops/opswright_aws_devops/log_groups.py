"""Log groups that keep their events for a time, made for what writes to them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from opswright_aws_devops.ownership import Request
from opswright_aws_devops.steps import send
from opswright_core.aws import Aws, AwsTarget
from opswright_core.changes import ResourceRef
from opswright_core.recorder import Recorder
from opswright_core.undo import aws_undo

LOG_GROUP = "logs:log-group"
RetentionDays = Annotated[Literal[7, 14, 30, 90, 180, 365], Field(description="Logs are kept")]


def load_log_group(a: Aws, name: str) -> dict[str, Any] | None:
    """CloudWatch Logs' description of a log group, or None when there is none."""
    found = a.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
    return next((group for group in found if group["logGroupName"] == name), None)


def log_group_arn(a: Aws, name: str) -> str:
    """The ARN of a log group, without the `:*` that means its streams."""
    return f"arn:{a.partition}:logs:{a.region}:{a.account_id}:log-group:{name}"


def find_log_group(a: Aws, request: Request, name: str) -> bool:
    """Whether the request made that log group. Raises ConflictError when another did."""
    if load_log_group(a, name) is None:
        return False
    logs = a.client("logs")
    tags = logs.list_tags_for_resource(resourceArn=log_group_arn(a, name))["tags"]
    request.claim(f"log group {name}", tags)
    return True


def make_log_group(
    a: Aws, rec: Recorder, request: Request, name: str, days: int, target: AwsTarget
) -> str:
    """Make the log group and set how many days it keeps its events; returns its ARN."""
    logs, which = a.client("logs"), {"logGroupName": name}

    def make() -> dict[str, str]:
        if not find_log_group(a, request, name):
            logs.create_log_group(**which, tags=request.tags(name))
        return which

    rec.step(
        f"log group {name}",
        make,
        undo=[
            aws_undo(
                f"delete log group {name} with its logs",
                "logs",
                "delete_log_group",
                which,
                target=target,
                region=a.region,
                gone=(
                    "describe_log_groups",
                    {"logGroupNamePrefix": name},
                    f"logGroups[?logGroupName=='{name}']",
                ),
            )
        ],
        resource=ResourceRef(type=LOG_GROUP, id=name, name=name),
    )
    rec.step(  # it goes with the log group, so it needs no undo
        f"retention of {name}",
        lambda: send(logs.put_retention_policy, **which, retentionInDays=days),
    )
    return log_group_arn(a, name)


def logs_are_lost(name: str) -> str:
    """What a plan says of the log group's undo."""
    return f"Undoing this deletes the log group {name} with its logs."
