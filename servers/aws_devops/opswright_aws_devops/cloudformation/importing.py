"""Takes resources that exist into a stack: they are adopted as they are, not made or changed."""

from collections.abc import Mapping
from typing import Any

from opswright_aws_devops.cloudformation.deletion import RETAINING
from opswright_aws_devops.cloudformation.deployment import Deployment, Stack
from opswright_aws_devops.cloudformation.stacks import find_stack, resources_of
from opswright_aws_devops.cloudformation.templates import Template
from opswright_core.aws import Aws
from opswright_core.changes import ChangePlan
from opswright_core.errors import BadInputError, EmulatorGapError, OpswrightError
from opswright_core.verdicts import Check, Unread, attempt, check

LATER = (
    "An import compares nothing: where the template differs from a resource, the next update of "
    "the stack changes the resource. find_stack_drift tells where, once the stack is in a state "
    "that CloudFormation compares."
)

Identifiers = Mapping[str, Mapping[str, str]]
"""By logical id what tells each resource: the properties of its type's primary identifier."""


class Import(Deployment):
    """One stack, and the resources that it is to take in.

    Undone, the stack is deleted or given back its template; the resources stay, since each has to
    have a DeletionPolicy that retains it.
    """

    def __init__(
        self,
        a: Aws,
        name: str,
        template: Template,
        parameters: dict[str, str],
        capabilities: list[str],
        identifiers: Identifiers,
    ) -> None:
        super().__init__(a, name, template, parameters, capabilities)
        self._identifiers = identifiers
        if not identifiers:
            raise BadInputError("resources: name at least one that is to be imported.")
        declared = template.content["Resources"]
        if unknown := sorted(identifiers.keys() - declared.keys()):
            raise BadInputError(f"resources: the template has no {', '.join(unknown)}.")
        losing = [
            key for key in identifiers if declared[key].get("DeletionPolicy") not in RETAINING
        ]
        if losing:
            raise BadInputError(
                f"resources: {', '.join(losing)} needs DeletionPolicy: Retain in the template, so "
                "that undoing the import, or deleting the stack, leaves what exists."
            )
        self._request["ResourcesToImport"] = [
            {
                "ResourceType": declared[key]["Type"],
                "LogicalResourceId": key,
                "ResourceIdentifier": dict(which),
            }
            for key, which in identifiers.items()
        ]

    def plan(self) -> ChangePlan:
        """Have CloudFormation look for the resources; nothing is taken in.

        What has been imported already is nothing to do: CloudFormation refuses to import it again.
        """
        stack = find_stack(self._a, self._name)
        if stack and self._has_template(stack["StackId"]) and not self._others(stack["StackId"]):
            said = f"Stack {self._name} has the {len(self._identifiers)} resources already"
            return ChangePlan(summary=said, actions=[], observed={"stack": stack["StackId"]})
        plan = super().plan()
        return plan.model_copy(
            update={
                "summary": f"Import {len(self._identifiers)} resources that exist into stack "
                f"{self._name}; none of them is changed",
                "warnings": [*plan.warnings, LATER],
            }
        )

    def _kind(self, *, is_new: bool) -> str:
        return "IMPORT"

    def _changes(self, change_set: str) -> list[dict[str, Any]]:
        """The changes, each an import. Raises EmulatorGapError where a backend would make them."""
        found = super()._changes(change_set)
        made = [c["ResourceChange"] for c in found if c["ResourceChange"]["Action"] != "Import"]
        if not made and found:
            return found
        names = ", ".join(change["LogicalResourceId"] for change in made) or "nothing"
        said = f"The change set would not import but add or change {names}; nothing was done."
        if self._a.is_emulator:
            raise EmulatorGapError(f"The emulator does not implement import: {said}")
        raise OpswrightError(said)

    def _execute(self, change_set: str) -> dict[str, Any]:
        self._changes(change_set)
        return super()._execute(change_set)

    def verify(self, made: Stack) -> list[Check]:
        """Whether the stack is in place and has the resources by the ids they had."""
        others = attempt(lambda: self._others(made.stack_id))
        name = "It has the resources that were to be imported"
        if isinstance(others, Unread):
            return [*super().verify(made), check(name, others, "", made.name)]
        return [*super().verify(made), check(name, not others, "; ".join(others), made.name)]

    def _others(self, stack_id: str) -> list[str]:
        """In words what of the resources a stack does not have by the ids they had."""
        has = {
            part["LogicalResourceId"]: part.get("PhysicalResourceId")
            for part in resources_of(self._a, stack_id)
        }
        return [
            f"{key} is {has.get(key) or 'not in it'}"
            for key, which in self._identifiers.items()
            if _own_part(has.get(key) or "") not in map(_own_part, which.values())
        ]


def _own_part(physical_id: str) -> str:
    """What follows the last slash: a queue's address may be told with another host."""
    return physical_id.rpartition("/")[2]
