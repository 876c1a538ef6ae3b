"""Deletes a stack: what goes with it, what stays, and what data is lost."""

from typing import Any

from pydantic import BaseModel, Field

from opswright_aws_devops.cloudformation.change_sets import DATA_LOSS, STATEFUL
from opswright_aws_devops.cloudformation.recreation import (
    creating_again,
    hindrance,
    keep_stack,
    kept_template,
    stack_policy,
)
from opswright_aws_devops.cloudformation.stacks import (
    STACK,
    TIMEOUT_SECONDS,
    cause_of,
    find_stack,
    importers_of,
    is_over,
    must_be_free,
    must_find_stack,
    resources_of,
)
from opswright_aws_devops.cloudformation.templates import original_template, parsed
from opswright_core.aws import Aws, AwsTarget
from opswright_core.changes import Action, ChangePlan, ResourceRef
from opswright_core.errors import BadInputError, ConflictError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.text import clean
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, check

RETAINING = frozenset({"Retain", "RetainExceptOnCreate"})
"""Deletion policies by which a resource stays when its stack goes."""


class DeletedStack(BaseModel):
    """A stack that was deleted."""

    name: str
    stack_id: str
    retained: list[str] = Field(description="Physical ids of what is still there")
    template: str = Field("", description="Path of the template it had, where undo cannot use it")


def deletion(a: Aws, name: str, retain: list[str]) -> ChangePlan:
    """Plan the deletion. Raises NotFoundError, ConflictError when it may not go."""
    stack = must_find_stack(a, name)
    if stack.get("EnableTerminationProtection"):
        raise ConflictError(
            f"Stack {name} is protected against deletion; if it is really to go, switch that off "
            "first (aws cloudformation update-termination-protection)."
        )
    if stack["StackStatus"].endswith("_IN_PROGRESS"):
        must_be_free(stack)
    if retain and stack["StackStatus"] != "DELETE_FAILED":
        raise BadInputError(
            "retain: CloudFormation takes it only for a stack that is DELETE_FAILED; give what is "
            "to stay a DeletionPolicy of Retain in the template."
        )
    if users := _importers(a, stack):
        raise ConflictError(
            f"Stack {name} exports values that {users} use; delete or change those first."
        )
    parts = resources_of(a, stack["StackId"])
    if unknown := set(retain) - {part["LogicalResourceId"] for part in parts}:
        raise BadInputError(f"retain: the stack has no {', '.join(sorted(unknown))}.")
    policies = _policies(a, stack["StackId"])
    saved = {key for key, policy in policies.items() if policy == "Snapshot"}
    staying = _staying(parts, policies, retain)
    going = [part for part in parts if part not in staying]
    lost = [
        f"{DATA_LOSS}: {part['LogicalResourceId']} ({part['ResourceType']}) and what it holds."
        for part in going
        if part["ResourceType"] in STATEFUL and part["LogicalResourceId"] not in saved
    ]
    names = ", ".join(part["LogicalResourceId"] for part in staying)
    hindered = hindrance(stack, original_template(a, stack["StackId"]), _said(staying))
    return ChangePlan(
        summary=f"Delete stack {name} and {len(going)} of its {len(parts)} resources"
        + (f"; {names} stay" if staying else ""),
        actions=[
            Action(
                verb="delete",
                type=part["ResourceType"],
                name=part["LogicalResourceId"],
                detail=clean(part.get("PhysicalResourceId", ""), 200)
                + ("; a snapshot is kept" if part["LogicalResourceId"] in saved else ""),
            )
            for part in going
        ] or [Action(verb="delete", type=STACK, name=name)],
        warnings=[*lost, hindered] if hindered else [*lost, *_undoing(a, stack, lost, saved)],
        reversible=not hindered and not lost and not saved,
        observed={"stack": stack["StackId"], "updated": str(stack.get("LastUpdatedTime"))},
    )  # fmt: skip


def _undoing(a: Aws, stack: dict[str, Any], lost: list[str], saved: set[str]) -> list[str]:
    """What to know of an undo that creates the stack again."""
    told = []
    if lost or saved:
        told.append(
            "Undoing this creates the stack again from its template, with new ids and empty: "
            "the data does not come back"
            + (
                f", nor does that of {', '.join(sorted(saved))} from its snapshot."
                if saved
                else "."
            )
        )
    policy = stack_policy(a, stack["StackId"])
    if isinstance(policy, Unread):
        told.append(f"Undoing this gives it no stack policy, which was not read: {policy.reason}")
    return told


def _staying(
    parts: list[dict[str, Any]], policies: dict[str, str], retain: list[str]
) -> list[dict[str, Any]]:
    """What of a stack's resources is still there when it is gone."""
    return [
        part
        for part in parts
        if part["LogicalResourceId"] in retain
        or policies.get(part["LogicalResourceId"]) in RETAINING
    ]


def _said(parts: list[dict[str, Any]]) -> list[str]:
    """Resources in words: name, type and id."""
    return [
        f"{part['LogicalResourceId']} ({part['ResourceType']} "
        f"{clean(part.get('PhysicalResourceId', ''), 200)})"
        for part in parts
    ]


def _importers(a: Aws, stack: dict[str, Any]) -> str:
    """The stacks that import what this one exports."""
    exports = [o["ExportName"] for o in stack.get("Outputs") or [] if o.get("ExportName")]
    users = [user for export in exports for user in importers_of(a, export)]
    return ", ".join(sorted(set(users)))


def _policies(a: Aws, stack_id: str) -> dict[str, str]:
    """The deletion policy of each resource that has one."""
    found = a.client("cloudformation").get_template(StackName=stack_id)["TemplateBody"]
    template = parsed(found) if isinstance(found, str) and found else found or {}
    resources = template.get("Resources", {}).items()  # none where only a change set was made
    return {name: r["DeletionPolicy"] for name, r in resources if r.get("DeletionPolicy")}


def delete(a: Aws, rec: Recorder, name: str, retain: list[str], target: AwsTarget) -> DeletedStack:
    """Delete the stack and wait for its end; what it was made of is kept before."""
    cfn = a.client("cloudformation")
    found = rec.step("stack", lambda: _kept(a, name, retain))
    stack_id = found["stack_id"]

    def send() -> dict[str, bool]:
        cfn.delete_stack(StackName=stack_id, **({"RetainResources": retain} if retain else {}))
        return {"sent": True}

    again = _once_more(find_stack(a, stack_id))
    rec.step(
        f"delete stack {name}{again}",
        send,
        undo=[] if again else _inverse(a, name, found, target),
        resource=ResourceRef(type=STACK, id=stack_id, name=name, action="deleted"),
    )
    rec.wait(
        f"stack {name} is deleted",
        lambda: is_over(
            (find_stack(a, stack_id) or {"StackStatus": "DELETE_COMPLETE"})["StackStatus"]
        ),
        timeout_seconds=TIMEOUT_SECONDS,
    )
    left = find_stack(a, stack_id)
    if left is not None and left["StackStatus"] == "DELETE_FAILED":
        cause = cause_of(a, stack_id)
        raise OpswrightError(
            f"Stack {name} is DELETE_FAILED: {cause or 'no event says why'} "
            "Mend it and call again, or name in `retain` what cannot be deleted."
        )
    return DeletedStack(
        name=name, stack_id=stack_id, retained=found["retained"], template=found["template"]
    )


def _kept(a: Aws, name: str, retain: list[str]) -> dict[str, Any]:
    """What is known of a stack as long as it is there, and the key of what undo makes it of."""
    stack = must_find_stack(a, name)
    stack_id, text = stack["StackId"], original_template(a, name)
    staying = _staying(resources_of(a, stack_id), _policies(a, stack_id), retain)
    hindered = hindrance(stack, text, _said(staying))
    return {
        "stack_id": stack_id,
        "retained": [part.get("PhysicalResourceId", "") for part in staying],
        "template": str(kept_template(text)) if hindered else "",
        "request": "" if hindered else keep_stack(a, stack, text),
    }


def _inverse(a: Aws, name: str, found: dict[str, Any], target: AwsTarget) -> list[UndoStep]:
    if not found["request"]:
        return []
    where = target.model_copy(update={"region": a.region})
    return [creating_again(name, found["stack_id"], found["request"], where)]


def _once_more(stack: dict[str, Any] | None) -> str:
    """Makes a step of its own of each try after one that CloudFormation could not finish."""
    if stack is None or stack["StackStatus"] != "DELETE_FAILED":
        return ""
    return f", which could not be deleted at {stack.get('DeletionTime')}"


def judge_deleted(gone: DeletedStack, stack: dict[str, Any] | Unread | None) -> list[Check]:
    """Whether the stack is gone; by its name, which a later one may have again."""
    name = "Stack is gone"
    if isinstance(stack, Unread):
        return [check(name, stack, resource=gone.stack_id)]
    status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
    return [check(name, status == "DELETE_COMPLETE", status, gone.stack_id)]
