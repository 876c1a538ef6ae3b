"""Undoes a deployment: deletes the stack it made, or gives one back the template it had."""

import time

from opswright_aws_devops.cloudformation.stacks import (
    STEADY,
    TIMEOUT_SECONDS,
    cause_of,
    find_stack,
    is_missing,
    is_over,
)
from opswright_aws_devops.cloudformation.templates import is_template_of, kept, parsed
from opswright_core.aws import Aws, AwsTarget
from opswright_core.errors import OpswrightError
from opswright_core.runtime import aws, runtime
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check


class StackUndo:
    """Deletes a stack that a change made, or gives one back the template it had."""

    def replay(self, step: UndoStep) -> None:
        """Send it and wait for its end. Raises OpswrightError when CloudFormation fails."""
        a, name = aws(AwsTarget(**step.args["target"])), step.args["stack"]
        stack = find_stack(a, name)
        if stack is None:
            return
        cfn = a.client("cloudformation")
        if "template" not in step.args:
            cfn.delete_stack(StackName=stack["StackId"])
        else:
            _discard(a, StackName=name, ChangeSetName=step.args["change_set"])
            try:
                cfn.update_stack(
                    StackName=name,
                    TemplateBody=kept(step.args["template"], runtime().settings.state_dir),
                    Parameters=step.args["parameters"],
                    Capabilities=step.args["capabilities"],
                )
            except Exception as exc:
                if "No updates are to be performed" not in str(exc):
                    raise
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while (left := find_stack(a, stack["StackId"])) and not is_over(left["StackStatus"]):
            if time.monotonic() > deadline:
                raise OpswrightError(
                    f"Stack {name} is {left['StackStatus']} still; call again later."
                )
            time.sleep(1 if a.is_emulator else 5)
        if left and left["StackStatus"].endswith("_FAILED"):
            raise OpswrightError(
                f"Stack {name} is {left['StackStatus']}: {cause_of(a, left['StackId'])}"
            )

    def verify(self, step: UndoStep) -> Check:
        """PASS when the stack is gone, or has its earlier template again."""
        a, name = aws(AwsTarget(**step.args["target"])), step.args["stack"]
        stack = attempt(lambda: find_stack(a, name))
        if isinstance(stack, Unread):
            return check(step.description, stack)
        if "template" not in step.args:
            status = stack["StackStatus"] if stack else "gone"
            return check(step.description, stack is None or status == "DELETE_COMPLETE", status)
        if stack is None:
            return check(step.description, False, "the stack is gone")
        before = parsed(kept(step.args["template"], runtime().settings.state_dir))
        same = attempt(lambda: is_template_of(a, name, before))
        if isinstance(same, Unread):
            return check(step.description, same)
        return check(
            step.description, same and stack["StackStatus"] in STEADY, stack["StackStatus"]
        )


def _discard(a: Aws, **which: str) -> None:
    """Remove the change set of a change that was cut off before it was carried out."""
    cfn = a.client("cloudformation")
    try:
        waits = cfn.describe_change_set(**which)["ExecutionStatus"] == "AVAILABLE"
    except Exception as exc:
        if not is_missing(exc):
            raise
        return
    if waits:
        cfn.delete_change_set(**which)
