"""Why a stack failed: the first event that failed by itself, and what mends it."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from opswright_core.text import clean

DEEPEST = 5
"""Nested stacks that are followed to the cause."""

_CAUSED = re.compile(
    r"cancell?ed|The following resource\(s\) failed|Rollback requested|"
    r"Dependency(?!Violation)|^$",
    re.IGNORECASE,
)
"""Reasons of what failed because something else did."""

_NESTED = re.compile(r"arn:[\w-]+:cloudformation:[\w-]+:\d+:stack/[\w-]+/[\w-]+")

_MENDS = (
    (r"bucket you tried to delete is not empty|BucketNotEmpty|bucket is not empty",
     "Empty it first (aws s3 rm s3://BUCKET --recursive; its versions too, where it keeps them)."),
    (r"DependencyViolation|has dependencies|has a dependent object|is in use|DeleteConflict",
     "Something that is not of the stack is in it or uses it: explain_resource names it."),
    (r"already exists|AlreadyExists",
     "Its name is taken: choose another, or take what there is into a stack (import_resources)."),
    (r"not authori[sz]ed|AccessDenied|is not able to assume",
     "Grant the permission that the message names to the role that deploys."),
    (r"limit|quota|maximum number", "A quota is reached: raise it, or delete what is not used."),
    (r"InsufficientInstanceCapacity|insufficient capacity",
     "The zone has none of that type now: choose another type or zone."),
    (r"did not stabilize|timed out|Failed to receive|WaitCondition",
     "It did not become ready in time: read the resource's own log, then deploy again."),
    (r"not exist|NotFound|could not be found",
     "What it refers to is not there: look at the parameters."),
    (r"Invalid|validation|malformed|must |Value .* for parameter",
     "A property has a value that its service refuses: mend it in the template."),
)  # fmt: skip


class Cause(BaseModel):
    """The resource that failed first, why, and what to do."""

    model_config = ConfigDict(frozen=True)
    resource: str
    type: str
    reason: str
    mend: str

    def __str__(self) -> str:
        return f"{self.resource} ({self.type}) failed: {self.reason} {self.mend}".strip()


Events = Sequence[dict[str, Any]]


def root_cause(
    events: Events, events_of: Callable[[str], Events] = lambda _: (), depth: int = DEEPEST
) -> Cause | None:
    """The cause of the last operation's failure, or None when nothing failed.

    `events` are a stack's, newest first, as `describe_stack_events` gives them; `events_of` reads
    those of a nested stack by its ARN.
    """
    failed = [
        event for event in last_operation(events)
        if event["ResourceStatus"].endswith("_FAILED")
        and not _CAUSED.search(event.get("ResourceStatusReason", ""))
    ]  # fmt: skip
    if not failed:
        return None
    first = failed[-1]
    reason = first.get("ResourceStatusReason", "")
    nested = _NESTED.search(reason) or _NESTED.match(first.get("PhysicalResourceId", ""))
    is_nested = first["ResourceType"] == "AWS::CloudFormation::Stack"
    if is_nested and nested and nested[0] != first.get("StackId") and depth:
        deeper = root_cause(events_of(nested[0]), events_of, depth - 1)
        if deeper is not None:
            name = f"{first['LogicalResourceId']}/{deeper.resource}"
            return deeper.model_copy(update={"resource": name})
    return Cause(
        resource=clean(first["LogicalResourceId"], 255),
        type=first["ResourceType"],
        reason=clean(reason, 600),
        mend=_mend_of(reason),
    )


def validation_cause(events: Events) -> Cause | None:
    """The first error that CloudFormation's validation before a deployment found, how many more.

    `events` are as `describe_events` gives them; the stack's own event only points to them.
    """
    failed = [
        event for event in events
        if event.get("EventType") == "VALIDATION_ERROR"
        and event.get("ValidationFailureMode", "FAIL") == "FAIL"
    ]  # fmt: skip
    if not failed:
        return None
    first = failed[-1]
    reason = first.get("ValidationStatusReason", "")
    where = f" ({path})" if (path := first.get("ValidationPath")) else ""
    more = f" {len(failed) - 1} more errors were found." if len(failed) > 1 else ""
    return Cause(
        resource=clean(first.get("LogicalResourceId", ""), 255),
        type=first.get("ResourceType", ""),
        reason=clean(f"{reason}{where}{more}", 600),
        mend=_mend_of(reason),
    )


def _mend_of(reason: str) -> str:
    return next((mend for pattern, mend in _MENDS if re.search(pattern, reason, re.I)), "")


def last_operation(events: Events) -> list[dict[str, Any]]:
    """The events since the stack itself last began to be created, updated or deleted."""
    taken = []
    for event in events:
        taken.append(event)
        begins = event["ResourceStatus"] in {
            "CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "IMPORT_IN_PROGRESS",
        }  # fmt: skip
        if begins and event.get("PhysicalResourceId") == event.get("StackId"):
            break
    return taken
