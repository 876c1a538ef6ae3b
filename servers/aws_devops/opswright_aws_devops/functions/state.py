"""What a function is: what was asked for, what was read of it, and how that is judged."""

import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from opswright_aws_devops.functions.parts import find_trigger, load_function, log_group_name
from opswright_aws_devops.log_groups import load_log_group
from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws
from opswright_core.verdicts import Check, Unread, check


class Function(BaseModel):
    """A function; `code` is what it was made from, `url` its own address, if it has one."""

    function_name: str
    function_arn: str
    role_arn: str
    log_group: str
    code: str
    url: str | None


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What was asked for, besides the code and the role's own statements."""

    name: str
    handler: str | None
    runtime: str | None
    memory_mib: int
    timeout_seconds: int
    architecture: str
    environment: dict[str, str]
    secrets: dict[str, str]
    reserved_concurrency: int | None
    dead_letter_arn: str | None
    subnet_ids: list[str]
    security_group_ids: list[str]
    function_url: bool
    schedule: str | None
    queue_arn: str | None
    log_days: int


class FunctionState(BaseModel):
    """What was read of a function: Lambda's and EventBridge's descriptions of its parts."""

    function: dict[str, Any] | None
    policy: list[dict[str, Any]] = []
    url_auth: str | None = None
    reserved: int | None = None
    rule: dict[str, Any] | None = None
    trigger: dict[str, Any] | None = None
    log_days: int | None = None


def load_state(a: Aws, wanted: Wanted) -> FunctionState:
    """Read the function and what starts it."""
    client, events, name = a.client("lambda"), a.client("events"), wanted.name
    which = {"FunctionName": name}
    function = load_function(a, name)
    if function is None:
        return FunctionState(function=None)
    policy = if_exists(lambda: client.get_policy(**which)["Policy"])
    url = if_exists(lambda: client.get_function_url_config(**which))
    reserved = client.get_function_concurrency(**which)
    return FunctionState(
        function=function,
        policy=json.loads(policy)["Statement"] if policy else [],
        url_auth=url["AuthType"] if url else None,
        reserved=reserved.get("ReservedConcurrentExecutions"),
        rule=if_exists(lambda: events.describe_rule(Name=name)) if wanted.schedule else None,
        trigger=find_trigger(a, name, wanted.queue_arn) if wanted.queue_arn else None,
        log_days=(load_log_group(a, log_group_name(name)) or {}).get("retentionInDays"),
    )


def judge_function(made: Function, wanted: Wanted, code: str, state: FunctionState) -> list[Check]:
    """Whether the function is ready, private, and started by what was asked for.

    A later release is not a fault; that the code named now is the one it was made from is asked.
    """
    found = state.function
    if found is None:
        return [
            check("Function exists", False, "Lambda knows none of that name", made.function_arn)
        ]
    unsaid = Unread(operation="lambda:GetFunction", reason="this backend does not tell")
    public = [s for s in state.policy if s.get("Principal") in ("*", {"AWS": "*"})]
    dead_letters = found.get("DeadLetterConfig", {}).get("TargetArn")
    facts: list[tuple[str, bool | Unread, str]] = [
        ("Function is active", found.get("State", "Active") == "Active", str(found.get("State"))),
        ("It was made from this code", made.code == code, made.code),
        ("It has its role", found["Role"] == made.role_arn, found["Role"]),
        ("Nobody may invoke it without permission", not public, ""),
        ("Its log is kept as asked for", state.log_days == wanted.log_days, f"{state.log_days}"),
        (
            "Its concurrency is as asked for",
            state.reserved == wanted.reserved_concurrency,
            str(state.reserved),
        ),
        (
            "Its URL asks for signed requests" if wanted.function_url else "It has no URL",
            state.url_auth == ("AWS_IAM" if wanted.function_url else None),
            str(state.url_auth),
        ),
    ]
    if wanted.dead_letter_arn:
        kept = unsaid if dead_letters is None else dead_letters == wanted.dead_letter_arn
        facts.append(("Failed events are kept", kept, str(dead_letters)))
    if wanted.subnet_ids:
        subnets = found.get("VpcConfig", {}).get("SubnetIds", [])
        in_them = sorted(subnets) == sorted(wanted.subnet_ids)
        facts.append(("It runs in its subnets", in_them, ", ".join(subnets)))
    if wanted.schedule:
        rule = state.rule or {}
        on_time = (rule.get("ScheduleExpression"), rule.get("State")) == (
            wanted.schedule,
            "ENABLED",
        )
        allowed = any(
            s.get("Principal") == {"Service": "events.amazonaws.com"} for s in state.policy
        )
        facts.append(("It is started on schedule", on_time and allowed, wanted.schedule))
    if wanted.queue_arn:
        mapping = (state.trigger or {}).get("State", "missing")
        taking = mapping in {"Creating", "Enabling", "Enabled", "Updating"}
        facts.append(("The queue starts it", taking, mapping))
    return [check(name, ok, evidence, made.function_arn) for name, ok, evidence in facts]
