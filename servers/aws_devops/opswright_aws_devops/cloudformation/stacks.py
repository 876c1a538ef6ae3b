"""Stacks: reading them, and waiting for what is done to them to end."""

from typing import Any

from opswright_aws_devops.cloudformation.failures import Cause, root_cause, validation_cause
from opswright_core.aws import Aws, error_code
from opswright_core.errors import ConflictError, NotFoundError
from opswright_core.text import clean
from opswright_core.verdicts import Unread, attempt

STACK = "cloudformation:stack"
RETURN_STACK = "cloudformation-stack"
"""The kind of undo step that deletes a stack, or gives it back the template it had."""

TIMEOUT_SECONDS = 2 * 3600.0
"""How long a deployment or deletion is waited for."""

STEADY = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
"""Where what was asked for is in place."""

MOST_EVENTS = 500


def find_stack(a: Aws, name: str) -> dict[str, Any] | None:
    """A stack by name or id, or None when there is none (a deleted one is found by id alone)."""
    try:
        found: dict[str, Any] = a.client("cloudformation").describe_stacks(StackName=name)[
            "Stacks"
        ][0]
    except Exception as exc:
        if is_missing(exc):
            return None
        raise
    return found


def must_find_stack(a: Aws, name: str) -> dict[str, Any]:
    """A stack by name or id. Raises NotFoundError."""
    found = find_stack(a, name)
    if found is None:
        raise NotFoundError(
            f"There is no stack {name!r} in {a.region}; look in another region (target.region)."
        )
    return found


def is_missing(exc: Exception) -> bool:
    """Whether an error says that there is no such stack or change set."""
    return error_code(exc) in {"ChangeSetNotFound", "ChangeSetNotFoundException"} or (
        error_code(exc) == "ValidationError" and "does not exist" in str(exc)
    )


def is_over(status: str) -> bool:
    """Whether nothing is being done to a stack any more; a clean-up after an update still may."""
    return not status.endswith("_IN_PROGRESS") or status == "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"


def must_be_free(stack: dict[str, Any]) -> None:
    """Raise ConflictError for a stack that CloudFormation will not update, with what to do."""
    name, status = stack["StackName"], stack["StackStatus"]
    if status == "REVIEW_IN_PROGRESS":
        return
    if status.endswith("_IN_PROGRESS"):
        raise ConflictError(f"Stack {name} is {status}; wait until get_stack shows that it ended.")
    if status in {"ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED"}:
        raise ConflictError(f"Stack {name} is {status} and takes no update; delete_stack first.")
    if status == "UPDATE_ROLLBACK_FAILED":
        raise ConflictError(
            f"Stack {name} is {status}: its roll-back has to be brought to an end first "
            "(aws cloudformation continue-update-rollback)."
        )


def events_of(a: Aws, stack: str) -> list[dict[str, Any]]:
    """The newest events of a stack, at most `MOST_EVENTS`."""
    taken: list[dict[str, Any]] = []
    pages = a.client("cloudformation").get_paginator("describe_stack_events")
    for found in pages.paginate(StackName=stack):
        taken += found["StackEvents"]
        if len(taken) >= MOST_EVENTS:
            break
    return taken[:MOST_EVENTS]


def cause_of(a: Aws, stack_id: str) -> Cause | None:
    """Why a stack's last operation failed, nested stacks looked into; None when it did not."""

    def nested(arn: str) -> list[dict[str, Any]]:
        found = attempt(lambda: events_of(a, arn))
        return [] if isinstance(found, Unread) else found

    cause = root_cause(events_of(a, stack_id), nested)
    if cause is None or VALIDATED not in cause.reason:
        return cause
    return validation_of(a, StackName=stack_id) or cause


VALIDATED = "DescribeEvents"
"""What CloudFormation says to call where its validation before a deployment found errors."""


def validation_of(a: Aws, **which: str) -> Cause | None:
    """What that validation found of a stack or change set; None when it is not to be read."""
    cfn = a.client("cloudformation")
    failed = attempt(lambda: cfn.describe_events(**which, Filters={"FailedEvents": True}))
    return None if isinstance(failed, Unread) else validation_cause(failed["OperationEvents"])


def parameters_of(stack: dict[str, Any]) -> list[dict[str, Any]]:
    """A stack's parameters."""
    return list(stack.get("Parameters") or [])


def outputs_of(stack: dict[str, Any]) -> dict[str, str]:
    """A stack's outputs by key."""
    found = stack.get("Outputs") or []
    return {o["OutputKey"]: clean(o["OutputValue"], 500) for o in found}


def resources_of(a: Aws, stack: str) -> list[dict[str, Any]]:
    """A stack's resources, in short."""
    return a.pages(
        "cloudformation", "list_stack_resources", "StackResourceSummaries", StackName=stack
    )


def importers_of(a: Aws, export: str) -> list[str]:
    """The names of the stacks that import an export."""
    try:
        return a.pages("cloudformation", "list_imports", "Imports", ExportName=export)
    except Exception as exc:
        if "is not imported by any stack" not in str(exc):
            raise
        return []
