"""Finding and describing AWS operations, without credentials or a network."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.api import catalogue
from opswright_aws_devops.api.access import Access, access_of
from opswright_aws_devops.api.models import Operation, find, first_sentence, plain
from opswright_aws_devops.api.paging import pagination_of
from opswright_aws_devops.api.parameters import member, shape_of
from opswright_core.text import clean
from opswright_core.tools import read_tool

Tool = Literal["read_aws", "change_aws"]
Service = Annotated[str, Field(description="boto3's name, like secretsmanager", max_length=80)]
OperationName = Annotated[str, Field(description="Like RotateSecret", max_length=120)]

ABOUT_CHARACTERS = 1_200
PARAMETER_CHARACTERS = 120


class FoundOperation(BaseModel):
    """An operation that fits the words."""

    service: str
    operation: str
    summary: str
    required: list[str] = Field(description="Parameters that must be given")
    access: str = Field(description="IAM access level; unknown counts as a change")
    tool: Tool = Field(description="What calls it")


class FoundOperations(BaseModel):
    """What fits, best first."""

    operations: list[FoundOperation]
    summary: str


class Parameter(BaseModel):
    """One parameter of an operation."""

    name: str
    required: bool
    shape: Any = Field(description="Names of required members end in *; a list holds its element")
    about: str


class DescribedOperation(BaseModel):
    """What an operation does, takes and answers."""

    service: str
    operation: str
    about: str
    access: str
    action: str = Field(description="The IAM action that allows it")
    resource_types: list[str] = Field(description="What the action works on, in IAM's words")
    tool: Tool
    parameters: list[Parameter]
    answer: Any = Field(description="The shape of the answer")
    pages: bool = Field(description="Whether read_aws takes a cursor")


@read_tool(toolset="api")
def find_operation(
    query: Annotated[str, Field(description="In words", min_length=1, max_length=300)],
    service: Annotated[str | None, Field(description="Only this one", max_length=80)] = None,
    limit: Annotated[int, Field(description="How many", ge=1, le=30)] = 8,
) -> FoundOperations:
    """Search all AWS operations by what they do, like "rotate a secret".

    The first search after an update of botocore takes some seconds.
    """
    found = catalogue.search(query, limit, service)
    operations = [
        FoundOperation(
            service=entry.service,
            operation=entry.operation,
            summary=entry.summary,
            required=entry.required,
            access=entry.access,
            tool=tool_of(entry.only_reads),
        )
        for entry in found
    ]
    return FoundOperations(
        operations=operations,
        summary=f"{len(found)} operations, best first"
        if found
        else "Nothing fits. Say what it does in other words; `service` takes boto3's names.",
    )


@read_tool(toolset="api")
def describe_operation(
    service: Service,
    operation: OperationName,
    parameter: Annotated[
        str | None, Field(description="Go into one, like NetworkInterfaces.Groups", max_length=200)
    ] = None,
) -> DescribedOperation:
    """Describe one AWS operation: what it does, takes and answers, and its access level."""
    found = find(service, operation)
    access = access_of(found)
    return DescribedOperation(
        service=found.service,
        operation=found.name,
        about=clean(plain(str(found.declared.get("documentation", ""))), ABOUT_CHARACTERS),
        access=access.level,
        action=access.action,
        resource_types=list(access.resource_types),
        tool=tool_of(access.only_reads),
        parameters=[_described(found, parameter)] if parameter else _parameters(found),
        answer=_answer(found),
        pages=pagination_of(found) is not None,
    )


def tool_of(only_reads: bool) -> Tool:
    """The tool that calls an operation."""
    return "read_aws" if only_reads else "change_aws"


def refer(access: Access) -> str:
    """Why an operation counts as a change, in words."""
    if access.level == "unknown":
        return "AWS's reference has no access level for it, so it counts as a change"
    if access.level in {"List", "Read"}:
        return f"AWS ranks it as {access.level}, but by its name it may do more than read"
    return f"its IAM access level is {access.level}"


def _parameters(operation: Operation) -> list[Parameter]:
    """All parameters, the required ones first; fewer levels of each where there are many."""
    shape = operation.model.input_shape
    if shape is None:
        return []
    required = set(shape.required_members)
    depth = 3 if len(shape.members) <= 12 else 1
    return [
        Parameter(
            name=name,
            required=name in required,
            shape=shape_of(inner, depth),
            about=first_sentence(inner.documentation, PARAMETER_CHARACTERS),
        )
        for name, inner in sorted(shape.members.items(), key=lambda item: item[0] not in required)
    ]


def _described(operation: Operation, path: str) -> Parameter:
    shape = member(operation, path)
    return Parameter(
        name=path,
        required=path in operation.required,
        shape=shape_of(shape),
        about=clean(plain(shape.documentation), ABOUT_CHARACTERS),
    )


def _answer(operation: Operation) -> Any:
    shape = operation.model.output_shape
    if shape is None:
        return {}
    if operation.model.has_event_stream_output:
        return "an event stream, which cannot be called here"
    return {name: shape_of(inner, 1) for name, inner in shape.members.items()}
