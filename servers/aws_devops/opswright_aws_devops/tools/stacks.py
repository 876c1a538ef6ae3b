"""CloudFormation stacks: deployed by a change set that is read first, deleted, and looked at."""

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.cloudformation.deletion import (
    DeletedStack,
    delete,
    deletion,
    judge_deleted,
)
from opswright_aws_devops.cloudformation.deployment import Deployment, Stack
from opswright_aws_devops.cloudformation.drift import DriftedResource, detect, drifted
from opswright_aws_devops.cloudformation.failures import Cause
from opswright_aws_devops.cloudformation.graph import load_graph
from opswright_aws_devops.cloudformation.importing import Import
from opswright_aws_devops.cloudformation.stacks import (
    STEADY,
    cause_of,
    events_of,
    find_stack,
    must_find_stack,
    outputs_of,
    parameters_of,
    resources_of,
)
from opswright_aws_devops.cloudformation.templates import read_template
from opswright_aws_devops.drawing.stack import stack_as_mermaid
from opswright_core.aws import HERE, Target
from opswright_core.changes import Scope, Work
from opswright_core.pages import Page, page
from opswright_core.runtime import aws
from opswright_core.text import clean
from opswright_core.tools import destructive_tool, read_tool, write_tool
from opswright_core.verdicts import attempt

Name = Annotated[
    str, Field(description="Stack", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,127}$", max_length=128)
]
Capability = Literal["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]


class StackEvent(BaseModel):
    """Something that happened to a resource of a stack."""

    at: str
    resource: str
    type: str
    status: str
    reason: str = ""


class StackDetails(BaseModel):
    """A stack as it stands; `cause` is why its last operation failed."""

    name: str
    stack_id: str
    status: str
    summary: str
    cause: Cause | None
    outputs: dict[str, str]
    parameters: dict[str, str]
    resources: dict[str, int] = Field(description="How many are in each status")
    drift: str = Field(description="As last detected; NOT_CHECKED when never")
    events: list[StackEvent] = Field(description="Newest first")


@read_tool(toolset="iac")
def get_stack(
    name: Annotated[str, Field(description="Name or id", min_length=1, max_length=300)],
    events: Annotated[int, Field(description="Newest events shown", ge=0, le=100)] = 10,
    target: Target = HERE,
) -> StackDetails:
    """Read a CloudFormation stack: status, outputs, events, and the root cause of a failure."""
    a = aws(target)
    stack = must_find_stack(a, name)
    status, stack_id = stack["StackStatus"], stack["StackId"]
    cause = None if status in STEADY else cause_of(a, stack_id)
    parts = resources_of(a, stack_id)
    counts = Counter(part["ResourceStatus"] for part in parts)
    failed = f": {cause}" if cause else ""
    return StackDetails(
        name=stack["StackName"],
        stack_id=stack_id,
        status=status,
        summary=f"{stack['StackName']} is {status} with {len(parts)} resources{failed}",
        cause=cause,
        outputs=outputs_of(stack),
        parameters={
            p["ParameterKey"]: clean(p["ParameterValue"], 300) for p in parameters_of(stack)
        },
        resources=dict(counts),
        drift=stack.get("DriftInformation", {}).get("StackDriftStatus", "NOT_CHECKED"),
        events=[_event(e) for e in events_of(a, stack_id)[:events]] if events else [],
    )


@read_tool(toolset="iac")
def find_stack_drift(
    name: Annotated[str, Field(description="Name or id", min_length=1, max_length=300)],
    cursor: Annotated[str, Field(description="From the page before")] | None = None,
    target: Target = HERE,
) -> Page[DriftedResource]:
    """Find what was changed or deleted of a stack outside of CloudFormation."""
    a = aws(target)
    stack = must_find_stack(a, name)
    status = detect(a, stack["StackId"])["StackDriftStatus"]
    found = drifted(a, stack["StackId"])
    said = f"{len(found)} of its resources differ" if found else "what could be compared is as made"
    return page(found, cursor=cursor, summary=f"{stack['StackName']} is {status}: {said}")


class StackDrawing(BaseModel):
    """A stack, its nested stacks, and what is imported between stacks, as Mermaid text."""

    summary: str
    mermaid: str
    unread: list[str] = Field(description="What could not be read, so that it is not shown")


@read_tool(toolset="iac")
def draw_stack(
    name: Annotated[str, Field(description="Name or id", min_length=1, max_length=300)],
    target: Target = HERE,
) -> StackDrawing:
    """Draw a stack: what refers to what, nested stacks, exports and the stacks that import them."""
    a = aws(target)
    unread: list[str] = []
    graph = load_graph(a, must_find_stack(a, name), unread)
    users = {user for found in graph.exports.values() for user in found or []}
    return StackDrawing(
        summary=f"{graph.name}: {len(graph.resources)} resources, {len(graph.references)} "
        f"references, {len(graph.nested)} nested stacks, {len(users)} stacks import from it",
        mermaid=stack_as_mermaid(graph),
        unread=unread,
    )


@write_tool(toolset="iac")
def deploy_stack(
    name: Name,
    template: Annotated[
        str,
        Field(description="Path of a file, or the YAML or JSON", min_length=1, max_length=60_000),
    ],
    parameters: Annotated[
        dict[str, str], Field(description="Secrets as {{resolve:secretsmanager:…}}", max_length=200)
    ] = {},  # noqa: B006 (pydantic copies it)
    capabilities: Annotated[list[Capability], Field(description="Acknowledged")] = [],  # noqa: B006
    target: Target = HERE,
) -> Work[Stack]:
    """Create or update a stack; the plan is its change set: replacements and data loss named."""
    a = aws(target)
    deployment = Deployment(a, name, read_template(template), parameters, list(capabilities))
    return Work(
        scope=Scope.of(a),
        plan=deployment.plan,
        apply=lambda rec: deployment.apply(rec, target),
        verify=deployment.verify,
        existing=deployment.existing,
        outputs=Stack,
    )


@write_tool(toolset="iac")
def import_resources(
    name: Name,
    template: Annotated[
        str,
        Field(
            description="Path or text, with all that stays in it", min_length=1, max_length=60_000
        ),
    ],
    resources: Annotated[
        dict[str, dict[str, str]],
        Field(
            description='By logical id: {"Jobs": {"QueueUrl": "https://…"}}',
            max_length=200,
        ),
    ],
    parameters: Annotated[
        dict[str, str], Field(description="As of deploy_stack", max_length=200)
    ] = {},  # noqa: B006
    capabilities: Annotated[list[Capability], Field(description="Acknowledged")] = [],  # noqa: B006
    target: Target = HERE,
) -> Work[Stack]:
    """Take resources that exist into a stack, new or existing, unchanged; undone, they stay."""
    a = aws(target)
    importing = Import(a, name, read_template(template), parameters, list(capabilities), resources)
    return Work(
        scope=Scope.of(a),
        plan=importing.plan,
        apply=lambda rec: importing.apply(rec, target),
        verify=importing.verify,
        existing=importing.existing,
        outputs=Stack,
    )


@destructive_tool(toolset="iac")
def delete_stack(
    name: Name,
    retain: Annotated[
        list[str], Field(description="Logical ids to keep; only of a DELETE_FAILED stack")
    ] = [],  # noqa: B006
    target: Target = HERE,
) -> Work[DeletedStack]:
    """Delete a stack; the plan names what goes, stays and is lost. Undo makes it again, empty."""
    a = aws(target)
    return Work(
        scope=Scope.of(a),
        plan=lambda: deletion(a, name, retain),
        apply=lambda rec: delete(a, rec, name, retain, target),
        verify=lambda gone: judge_deleted(gone, attempt(lambda: find_stack(a, gone.name))),
        outputs=DeletedStack,
    )


def _event(event: dict[str, Any]) -> StackEvent:
    return StackEvent(
        at=event["Timestamp"].isoformat(timespec="seconds"),
        resource=clean(event["LogicalResourceId"], 255),
        type=event["ResourceType"],
        status=event["ResourceStatus"],
        reason=clean(event.get("ResourceStatusReason", ""), 400),
    )
