"""Calling any AWS operation: what only reads at once, all else through the change protocol."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.api import cloud_control
from opswright_aws_devops.api.access import Access, access_of
from opswright_aws_devops.api.disclosure import shown
from opswright_aws_devops.api.inverses import Look, inverse_of, look_of, noun_of
from opswright_aws_devops.api.lost_answers import is_found
from opswright_aws_devops.api.models import Operation, find
from opswright_aws_devops.api.paging import pagination_of, read_pages
from opswright_aws_devops.api.parameters import prepared
from opswright_aws_devops.api.policy import Call, Decision, Rules
from opswright_aws_devops.api.request_tags import CHANGE_TAG
from opswright_aws_devops.api.sending import (
    AwsChange,
    Sending,
    goes_tagged,
    named,
    read,
    send,
    shower,
    verb_of,
)
from opswright_aws_devops.api.tokens import token_members
from opswright_aws_devops.tools.operations import OperationName, Service, refer
from opswright_core.aws import HERE, Aws, Target
from opswright_core.canonical import canonical_json
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import ApprovalError, BadInputError
from opswright_core.runtime import aws, runtime
from opswright_core.text import clean
from opswright_core.tools import destructive_tool, read_tool
from opswright_core.verdicts import Check, Unread, attempt, check

RULES = "aws_policy"
"""Where the server keeps its rules, in the runtime's extras."""

Parameters = Annotated[
    dict[str, Any],
    Field(description='As describe_operation shows; binary as text or {"base64": "…"}'),
]

DETAIL_CHARACTERS = 1_500
_AGAIN = ("Delete", "Put", "Update", "Modify", "Set", "Tag", "Untag", "Enable", "Disable")
"""Verbs of operations that come to the same when they are sent twice."""


class AwsAnswer(BaseModel):
    """What an operation that only reads answered, without secrets."""

    service: str
    operation: str
    access: str = Field(description="The IAM access level")
    data: Any = Field(description="As AWS shapes it, or what `query` makes of it")
    cursor: str | None = Field(None, description="Pass it for what comes after this")
    summary: str


@read_tool(toolset="api")
def read_aws(
    service: Service,
    operation: OperationName,
    parameters: Parameters = {},  # noqa: B006 (never changed)
    query: Annotated[
        str | None, Field(description="JMESPath over the answer, to keep it short", max_length=500)
    ] = None,
    cursor: Annotated[str | None, Field(description="From the answer before")] = None,
    limit: Annotated[int, Field(description="Most items of a paged answer", ge=1, le=500)] = 50,
    target: Target = HERE,
) -> AwsAnswer:
    """Call an AWS operation that only reads; secrets in the answer are masked."""
    found = find(service, operation)
    access = access_of(found)
    name = f"{found.service} {found.name}"
    if not access.only_reads:
        raise BadInputError(f"{name} is for change_aws: {refer(access)}.")
    _refuse_stream(found)
    keep = _compiled(query)
    ready = prepared(found, parameters)
    a = aws(target)
    decision = _decided(a, found, access, parameters)
    if decision.effect == "ask":
        raise ApprovalError(
            f"A person has to approve {name} here ({decision.said_by}): change_aws asks for it."
        )
    show = shower(found, parameters)
    paging = pagination_of(found)
    if paging is None:
        if cursor is not None:
            raise BadInputError(f"{name} answers in one piece: it takes no cursor.")
        data = keep(show(send(a, found, ready)))
        return AwsAnswer(
            service=found.service, operation=found.name, access=access.level, data=data,
            summary=f"{name} answered",
        )  # fmt: skip
    listing = read_pages(
        lambda given: send(a, found, given),
        paging,
        ready,
        show,
        cursor=cursor,
        limit=limit,
        measured=keep,
    )
    more = "; more with the cursor" if listing.cursor else ""
    return AwsAnswer(
        service=found.service,
        operation=found.name,
        access=access.level,
        data=keep(listing.data),
        cursor=listing.cursor,
        summary=f"{name}: {listing.count} {listing.key}{more}",
    )


@destructive_tool(toolset="api")
def change_aws(
    service: Service,
    operation: OperationName,
    parameters: Parameters = {},  # noqa: B006 (never changed)
    target: Target = HERE,
) -> Work[AwsChange]:
    """Call an AWS operation that changes something: planned, approved, journalled.

    Prefer a tool made for the purpose: it verifies, and undoes with certainty.
    """
    found = find(service, operation)
    access = access_of(found)
    _refuse_stream(found)
    ready = prepared(found, parameters)
    a = aws(target)
    decision = _decided(a, found, access, parameters)
    if access.only_reads and decision.effect != "ask":
        raise BadInputError(f"{found.service} {found.name} only reads: read_aws calls it.")
    shape = found.model.input_shape
    kept = shown(ready, shape) if shape else {}
    where = target.model_dump(mode="json")
    asked = Sending(a, found, ready, kept, target)

    def look(made: AwsChange) -> Look | None:
        if cloud_control.is_followed(found):
            return cloud_control.look_at(found, parameters, made.answer)
        inverse = inverse_of(found, parameters, made.answer)
        return inverse.look if inverse else look_of(found, parameters)

    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(asked, access, decision),
        apply=asked.apply,
        verify=lambda made: _verify(a, found, look(made)),
        outputs=AwsChange,
        repeatable=noun_of(found) is None and not cloud_control.makes(found),
        by_person=decision.effect == "ask",
        arguments={
            "service": found.service, "operation": found.name, "parameters": kept, "target": where,
        },
    )  # fmt: skip


def _decided(a: Aws, operation: Operation, access: Access, parameters: dict[str, Any]) -> Decision:
    """What the operator's rules say. Raises ApprovalError for what they deny, naming the rule."""
    rules: Rules = runtime().extras[RULES]
    call = Call(operation, access, lambda: a.account_id, a.region, parameters)
    decision = rules.decide(call)
    if decision.effect == "deny":
        raise ApprovalError(
            f"{operation.service} {operation.name} is denied here by {decision.said_by}. Nothing "
            "was sent. The operator of this server may allow it with a rule in the file of "
            "OPSWRIGHT_AWS_POLICY."
        )
    return decision


def _refuse_stream(operation: Operation) -> None:
    model = operation.model
    if model.has_event_stream_output or model.has_event_stream_input:
        raise BadInputError(
            f"{operation.service} {operation.name} goes over an event stream, which a tool call "
            "cannot hold. find_operation may show another that answers at once."
        )


def _compiled(query: str | None) -> Any:
    """A function that picks what `query` asks for. Raises BadInputError for what is no JMESPath."""
    if query is None:
        return lambda data: data
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        expression = jmespath.compile(query)
    except JMESPathError as exc:
        said = clean(" ".join(str(exc).split()), 300)
        raise BadInputError(f"query is not JMESPath: {said}") from exc

    def pick(data: Any) -> Any:
        try:
            return expression.search(data)
        except JMESPathError as exc:
            raise BadInputError(f"query does not fit the answer: {clean(str(exc), 300)}") from exc

    return pick


def _plan(asked: Sending, access: Access, decision: Decision) -> ChangePlan:
    operation, kept = asked.operation, asked.kept
    level = f"IAM action {access.action}, access level {access.level}"
    touched = f", on {', '.join(access.resource_types)}" if access.resource_types else ""
    warnings = []
    noun = "Resource" if cloud_control.makes(operation) else noun_of(operation)
    if noun is None:
        warnings.append(
            "Irreversible here: no inverse of it is certain, so undo_change cannot reverse it."
        )
    else:
        warnings.append(f"Undoing this sends Delete{noun}, with what is in it by then.")
    if decision.effect == "ask":
        warnings.append(f"A person has to approve it: {decision.said_by}.")
    if goes_tagged(operation, asked.parameters):
        warnings.append(
            f"It gets a tag {CHANGE_TAG}, by which it is found if the answer is lost (left out "
            "where tagging is not allowed)."
        )
    if not token_members(operation) and not _comes_to_the_same(operation):
        warnings.append(
            "Sent twice, it may take effect twice: if its answer is lost, read what is there "
            "before calling again."
        )
    parameters = clean(canonical_json(kept), DETAIL_CHARACTERS)
    return ChangePlan(
        summary=f"{operation.service} {operation.name} in {asked.a.account_id} {asked.a.region}",
        actions=[
            Action(
                verb=verb_of(operation),
                type=f"{operation.service}:{operation.name}",
                name=named(operation, kept),
                detail=f"{parameters} ({level}{touched})",
            )
        ],
        warnings=warnings,
        reversible=noun is not None,
    )


def _comes_to_the_same(operation: Operation) -> bool:
    declared = bool(operation.declared.get("idempotent"))
    return declared or noun_of(operation) is not None or operation.name.startswith(_AGAIN)


def _verify(a: Aws, operation: Operation, look: Look | None) -> list[Check]:
    """Whether what was made or deleted is there or gone; UNKNOWN where no read tells."""
    if look is None:
        said = "AWS accepted the call; no read is known here that shows its effect"
        return [Check(name=f"{operation.name} took effect", verdict="UNKNOWN", evidence=said)]
    found = attempt(lambda: is_found(look, read(a, operation, look)))
    condition = (
        found if isinstance(found, Unread) else found is not (verb_of(operation) == "delete")
    )
    evidence = f"{look.operation} finds {'it' if found is True else 'nothing'}"
    return [check(f"{operation.name} took effect", condition, evidence)]
