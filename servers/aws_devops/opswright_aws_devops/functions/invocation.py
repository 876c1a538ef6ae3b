"""Who may invoke a function: a service for one source of its, by a statement of the policy."""

import contextlib
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws, AwsTarget
from opswright_core.recorder import Recorder
from opswright_core.undo import aws_undo


@dataclass(frozen=True)
class Invoker:
    """What invokes a function, and how the statement that lets it is called."""

    statement_id: str
    service: str
    source_arn: str


def allow_invoke(client: Any, function: str, invoker: Invoker) -> dict[str, bool]:
    """Let a service invoke a function for one source of its; nothing when it may already."""
    # A conflict is the same statement of this request, whose answer was lost.
    with contextlib.suppress(client.exceptions.ResourceConflictException):
        client.add_permission(
            FunctionName=function,
            StatementId=invoker.statement_id,
            Action="lambda:InvokeFunction",
            Principal=invoker.service,
            SourceArn=invoker.source_arn,
        )
    return {"done": True}


def let_invoke(a: Aws, rec: Recorder, function: str, invoker: Invoker, target: AwsTarget) -> None:
    """Let something invoke a function of somebody else's, until the change is undone."""
    client, sid, which = a.client("lambda"), invoker.statement_id, {"FunctionName": function}
    rec.step(
        f"permission to invoke {function}",
        lambda: allow_invoke(client, function, invoker),
        undo=[
            aws_undo(
                f"take the permission to invoke {function} back",
                "lambda",
                "remove_permission",
                {**which, "StatementId": sid},
                target=target,
                region=a.region,
                gone=("get_policy", which, f"""contains(Policy, '"{sid}"')"""),
            )
        ],
    )


def may_invoke(a: Aws, function: str, invoker: Invoker) -> bool:
    """Whether the function's policy lets this invoke it."""
    client = a.client("lambda")
    policy = if_exists(lambda: client.get_policy(FunctionName=function)["Policy"]) or ""
    return f'"{invoker.statement_id}"' in policy and invoker.source_arn in policy
