"""Undoes the deletion of a stack: creates it again from what was kept of it, without its data."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from opswright_aws_devops.cloudformation.stacks import (
    STEADY,
    TIMEOUT_SECONDS,
    cause_of,
    find_stack,
    is_over,
    parameters_of,
)
from opswright_aws_devops.cloudformation.templates import (
    MOST_BYTES,
    is_template_of,
    keep,
    kept,
    parsed,
    path_of,
)
from opswright_core.aws import Aws, AwsTarget
from opswright_core.errors import ConflictError, OpswrightError
from opswright_core.journal import new_id
from opswright_core.runtime import aws, runtime
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

CREATE_AGAIN = "cloudformation-stack-again"
"""The kind of undo step that creates a deleted stack again."""

WORKED = STEADY | {"UPDATE_ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
"""Where a stack's template and parameters are known to make its resources."""

_AS_IT_WAS = (
    "Capabilities", "NotificationARNs", "RoleARN", "RollbackConfiguration", "Tags",
    "TimeoutInMinutes",
)  # fmt: skip
"""What CreateStack takes as DescribeStacks tells it."""


def hindrance(stack: dict[str, Any], template: str, retained: Sequence[str]) -> str:
    """Why a stack could not be created again once it is deleted, with what to do; '' when it could.

    `retained` names, for people, what stays of it.
    """
    name, status = stack["StackName"], stack["StackStatus"]
    if status not in WORKED:
        return f"Undo cannot create it again: it is {status}, and never worked as it is."
    if retained:
        return (
            f"Undo cannot create it again while {', '.join(retained)} stays: a second one would be "
            "made, or its name be in the way. Take what stays into a new stack with "
            f"import_resources, then deploy_stack(name={name!r}) the whole template."
        )
    secret = [p["ParameterKey"] for p in parameters_of(stack) if p["ParameterValue"] == "****"]
    if secret:
        return (
            f"Undo cannot create it again: the value of {', '.join(secret)} is a secret (NoEcho) "
            f"that CloudFormation does not tell. deploy_stack(name={name!r}) does, given the "
            "template and that value."
        )
    if len(template.encode()) > MOST_BYTES:
        return (
            f"Undo cannot create it again: its template has more than the {MOST_BYTES} bytes that "
            "a call takes. Put it into S3 and create the stack from there "
            "(aws cloudformation create-stack --template-url)."
        )
    return ""


def keep_stack(a: Aws, stack: dict[str, Any], template: str) -> str:
    """Keep all that a stack was made of, in a file, since the journal masks secrets; its key.

    A stack policy that may not be read is left out; the plan of the deletion says so.
    """
    request = {key: stack[key] for key in _AS_IT_WAS if stack.get(key)}
    request["StackName"], request["TemplateBody"] = stack["StackName"], template
    request["Parameters"] = [
        {key: parameter[key] for key in ("ParameterKey", "ParameterValue")}
        for parameter in parameters_of(stack)
    ]
    policy = stack_policy(a, stack["StackId"])
    if isinstance(policy, str) and policy:
        request["StackPolicyBody"] = policy
    return keep(json.dumps(request), runtime().settings.state_dir)


def stack_policy(a: Aws, stack_id: str) -> str | Unread:
    """A stack's policy, '' when it has none."""
    read = a.client("cloudformation").get_stack_policy
    return attempt(lambda: str(read(StackName=stack_id).get("StackPolicyBody") or ""))


def kept_template(template: str) -> Path:
    """Where a template lies that was kept by itself, for a person to deploy again."""
    state_dir = runtime().settings.state_dir
    return path_of(keep(template, state_dir), state_dir)


def creating_again(name: str, stack_id: str, request: str, target: AwsTarget) -> UndoStep:
    """The inverse of deleting a stack; `request` is the key of what was kept of it."""
    return UndoStep(
        kind=CREATE_AGAIN,
        description=f"create stack {name} again from the template it had, without the data",
        args={
            "stack": name,
            "stack_id": stack_id,
            "request": request,
            "target": target.model_dump(exclude_none=True),
        },
    )


class StackRecreation:
    """Creates a stack again that a change deleted."""

    def replay(self, step: UndoStep) -> None:
        """Create it and wait for its end.

        A stack that was not deleted after all, or is there again, is left as it is. Raises
        ConflictError for another one of its name, OpswrightError when CloudFormation fails.
        """
        a, name = aws(AwsTarget(**step.args["target"])), step.args["stack"]
        request = _request(step)
        there = _ended(a, name)
        if there is not None and there["StackStatus"] == "DELETE_FAILED":
            raise ConflictError(
                f"Stack {name} is DELETE_FAILED: part of it is gone. Bring that to its end with "
                "delete_stack (`retain` names what cannot be deleted), then undo again."
            )
        if there is not None and not _is_of(a, there, request):
            raise ConflictError(
                f"Another stack {name} is there by now, of another template: delete that one, or "
                f"deploy the one before under another name from {_path(step)}."
            )
        if there is not None and there["StackStatus"] in WORKED:
            return
        if there is not None:  # of an undo that was cut off
            _remove(a, there["StackId"])
        made = a.client("cloudformation").create_stack(
            **request, ClientRequestToken=f"opswright-{new_id('undo')}"
        )
        stack = _ended(a, made["StackId"])
        if stack is None or stack["StackStatus"] not in WORKED:
            status = stack["StackStatus"] if stack else "gone"
            cause = attempt(lambda: cause_of(a, made["StackId"]))
            why = cause.reason if isinstance(cause, Unread) else cause
            left = _remove(a, made["StackId"])
            raise OpswrightError(
                f"Stack {name} could not be created again and ended {status}: "
                f"{why or 'no event says why.'} {left}What it was made of is in {_path(step)}."
            )

    def verify(self, step: UndoStep) -> Check:
        """PASS when the stack is there, complete and of that template."""
        a, name = aws(AwsTarget(**step.args["target"])), step.args["stack"]
        stack = attempt(lambda: find_stack(a, name))
        if isinstance(stack, Unread):
            return check(step.description, stack)
        if stack is None:
            return check(step.description, False, "there is no such stack")
        same = attempt(lambda: _is_of(a, stack, _request(step)))
        if isinstance(same, Unread):
            return check(step.description, same)
        status = stack["StackStatus"]
        said = status if same else f"{status}, of another template"
        return check(step.description, same and status in WORKED, said)


def _remove(a: Aws, stack_id: str) -> str:
    """Delete what a creation that failed has left; in words what stays even so, else ''."""
    a.client("cloudformation").delete_stack(StackName=stack_id)
    left = _ended(a, stack_id)
    gone = left is None or left["StackStatus"] == "DELETE_COMPLETE"
    return "" if gone or left is None else f"What it left is {left['StackStatus']}. "


def _request(step: UndoStep) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kept(step.args["request"], runtime().settings.state_dir))
    return found


def _path(step: UndoStep) -> Path:
    return path_of(step.args["request"], runtime().settings.state_dir)


def _is_of(a: Aws, stack: dict[str, Any], request: dict[str, Any]) -> bool:
    return is_template_of(a, stack["StackId"], parsed(request["TemplateBody"]))


def _ended(a: Aws, name: str) -> dict[str, Any] | None:
    """A stack once nothing is being done to it any more; None when there is none.

    Raises OpswrightError at the deadline.
    """
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (stack := find_stack(a, name)) and not is_over(stack["StackStatus"]):
        if time.monotonic() > deadline:
            raise OpswrightError(f"Stack {name} is {stack['StackStatus']} still; call again later.")
        time.sleep(0.2 if a.is_emulator else 5)
    return stack
