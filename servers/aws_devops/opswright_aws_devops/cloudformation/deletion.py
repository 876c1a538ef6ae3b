"""Deletes a stack: what goes with it, what stays, and what data is lost."""

from typing import Any

from pydantic import BaseModel, Field

from opswright_aws_devops.cloudformation.change_sets import DATA_LOSS, STATEFUL
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
from opswright_aws_devops.cloudformation.templates import parsed
from opswright_core.aws import Aws
from opswright_core.changes import Action, ChangePlan, ResourceRef
from opswright_core.errors import BadInputError, ConflictError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.text import clean
from opswright_core.verdicts import Check, Unread, check


class DeletedStack(BaseModel):
    """A stack that was deleted."""

    name: str
    stack_id: str
    retained: list[str] = Field(description="Physical ids of what is still there")


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
    kept_on = {
        part["LogicalResourceId"]: policies.get(part["LogicalResourceId"], "")
        for part in parts
    }  # fmt: skip
    saved = {name for name, policy in kept_on.items() if policy == "Snapshot"}
    going = [
        part for part in parts
        if part["LogicalResourceId"] not in retain
        and kept_on[part["LogicalResourceId"]] not in {"Retain", "RetainExceptOnCreate"}
    ]  # fmt: skip
    staying = [part["LogicalResourceId"] for part in parts if part not in going]
    lost = [
        f"{DATA_LOSS}: {part['LogicalResourceId']} ({part['ResourceType']}) and what it holds."
        for part in going
        if part["ResourceType"] in STATEFUL and part["LogicalResourceId"] not in saved
    ]
    return ChangePlan(
        summary=f"Delete stack {name} and {len(going)} of its {len(parts)} resources"
        + (f"; {', '.join(staying)} stay" if staying else ""),
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
        warnings=lost,
        reversible=False,
        observed={"stack": stack["StackId"], "updated": str(stack.get("LastUpdatedTime"))},
    )  # fmt: skip


def _importers(a: Aws, stack: dict[str, Any]) -> str:
    """The stacks that import what this one exports."""
    exports = [o["ExportName"] for o in stack.get("Outputs") or [] if o.get("ExportName")]
    users = [user for export in exports for user in importers_of(a, export)]
    return ", ".join(sorted(set(users)))


def _policies(a: Aws, stack_id: str) -> dict[str, str]:
    """The deletion policy of each resource that has one."""
    found = a.client("cloudformation").get_template(StackName=stack_id)["TemplateBody"]
    template = parsed(found) if isinstance(found, str) else found
    resources = template["Resources"].items()
    return {name: r["DeletionPolicy"] for name, r in resources if r.get("DeletionPolicy")}


def delete(a: Aws, rec: Recorder, name: str, retain: list[str]) -> DeletedStack:
    """Delete the stack and wait for its end."""
    cfn = a.client("cloudformation")
    found = rec.step("stack", lambda: _identity(a, name))
    stack_id = found["stack_id"]

    def send() -> dict[str, bool]:
        cfn.delete_stack(StackName=stack_id, **({"RetainResources": retain} if retain else {}))
        return {"sent": True}

    rec.step(
        f"delete stack {name}",
        send,
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
    return DeletedStack(name=name, stack_id=stack_id, retained=found["retained"])


def _identity(a: Aws, name: str) -> dict[str, Any]:
    stack_id = must_find_stack(a, name)["StackId"]
    policies = _policies(a, stack_id)
    retained = [
        part.get("PhysicalResourceId", "")
        for part in resources_of(a, stack_id)
        if policies.get(part["LogicalResourceId"], "").startswith("Retain")
    ]
    return {"stack_id": stack_id, "retained": retained}


def judge_deleted(gone: DeletedStack, stack: dict[str, Any] | Unread | None) -> list[Check]:
    """Whether the stack is gone; by its name, which a later one may have again."""
    name = "Stack is gone"
    if isinstance(stack, Unread):
        return [check(name, stack, resource=gone.stack_id)]
    status = stack["StackStatus"] if stack else "DELETE_COMPLETE"
    return [check(name, status == "DELETE_COMPLETE", status, gone.stack_id)]
