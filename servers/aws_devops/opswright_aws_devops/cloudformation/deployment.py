"""Deploys a stack: by a change set that is worked out, shown, made once more and carried out."""

import time
from collections import Counter
from typing import Any

from pydantic import BaseModel, Field

from opswright_aws_devops.cloudformation.change_sets import DATA_LOSS, actions, warnings
from opswright_aws_devops.cloudformation.failures import last_operation
from opswright_aws_devops.cloudformation.lint import lint_warnings
from opswright_aws_devops.cloudformation.stacks import (
    RETURN_STACK,
    STACK,
    STEADY,
    TIMEOUT_SECONDS,
    VALIDATED,
    cause_of,
    events_of,
    find_stack,
    is_missing,
    is_over,
    must_be_free,
    must_find_stack,
    outputs_of,
    parameters_of,
    resources_of,
    validation_of,
)
from opswright_aws_devops.cloudformation.templates import (
    Template,
    is_template_of,
    keep,
    original_template,
)
from opswright_core.aws import Aws, AwsTarget, translate
from opswright_core.canonical import digest
from opswright_core.changes import ChangePlan, ResourceRef
from opswright_core.errors import BadInputError, EmulatorGapError, OpswrightError
from opswright_core.journal import new_id
from opswright_core.recorder import Recorder
from opswright_core.runtime import runtime
from opswright_core.text import clean
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

REVIEW_SECONDS = 120.0
"""How long CloudFormation may take to work a change set out."""


class Stack(BaseModel):
    """A stack as it was deployed."""

    name: str
    stack_id: str
    status: str
    outputs: dict[str, str]
    resources: dict[str, str] = Field(description="Physical id by logical id")


class Deployment:
    """One stack and what it is to become."""

    def __init__(
        self,
        a: Aws,
        name: str,
        template: Template,
        parameters: dict[str, str],
        capabilities: list[str],
    ) -> None:
        self._a, self._cfn = a, a.client("cloudformation")
        self._name, self._template, self._parameters = name, template, parameters
        self._request: dict[str, Any] = {
            "StackName": name,
            "TemplateBody": template.text,
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()
            ],
            "Capabilities": capabilities,
        }

    def plan(self) -> ChangePlan:
        """Have CloudFormation work out what would change; what it makes for that is removed."""
        stack = find_stack(self._a, self._name)
        if stack is not None:
            must_be_free(stack)
        self._check()
        changes = self._reviewed(is_new=_is_new(stack), is_absent=stack is None)
        told = warnings(changes)
        verb = "Create" if _is_new(stack) else "Update"
        return ChangePlan(
            summary=f"{verb} stack {self._name}: {_counted(changes)}",
            actions=actions(changes),
            warnings=told + lint_warnings(self._template.text, self._a.region),
            reversible=not any(warning.startswith(DATA_LOSS) for warning in told),
            observed={
                "stack": stack and [stack["StackId"], str(stack.get("LastUpdatedTime"))],
                "changes": digest(changes),
            },
        )

    def _check(self) -> None:
        """Raise BadInputError for a template that CloudFormation refuses, or that asks for more."""
        said = self._cfn.validate_template(TemplateBody=self._template.text)
        missing = set(said.get("Capabilities", [])) - set(self._request["Capabilities"])
        if (
            missing == {"CAPABILITY_IAM"}
            and "CAPABILITY_NAMED_IAM" in self._request["Capabilities"]
        ):
            missing = set()
        if missing:
            raise BadInputError(
                f"The template needs {', '.join(sorted(missing))} acknowledged "
                f"({clean(said.get('CapabilitiesReason', ''), 200)}); "
                "name them in `capabilities` if that is meant."
            )
        declared = self._template.content.get("Parameters") or {}
        secret = {key for key, own in declared.items() if str(own.get("NoEcho")).lower() == "true"}
        if bare := [
            key for key in secret & self._parameters.keys()
            if not self._parameters[key].startswith("{{resolve:")
        ]:  # fmt: skip
            raise BadInputError(
                f"{', '.join(sorted(bare))} is a secret (NoEcho), and calls are journalled: put it "
                "into Secrets Manager and pass {{resolve:secretsmanager:NAME:SecretString:KEY}}."
            )

    def _reviewed(self, *, is_new: bool, is_absent: bool) -> list[dict[str, Any]]:
        name = f"opswright-{new_id('plan')}"
        self._create(name, is_new=is_new)
        try:
            deadline = time.monotonic() + REVIEW_SECONDS
            while not self._is_ready(name):
                if time.monotonic() > deadline:
                    raise OpswrightError(
                        f"CloudFormation did not work the change set of {self._name} out within "
                        f"{REVIEW_SECONDS:.0f} s; nothing was changed. Call again."
                    )
                time.sleep(1)
            return self._changes(name)
        finally:
            self._discard(name, is_absent=is_absent)

    def _create(self, change_set: str, *, is_new: bool) -> str:
        made = self._cfn.create_change_set(
            **self._request, ChangeSetName=change_set, ChangeSetType=self._kind(is_new=is_new)
        )
        return str(made["StackId"])

    def _kind(self, *, is_new: bool) -> str:
        return "CREATE" if is_new else "UPDATE"

    def _is_ready(self, change_set: str) -> bool:
        found = self._cfn.describe_change_set(StackName=self._name, ChangeSetName=change_set)
        if found["Status"] == "FAILED":
            reason = found.get("StatusReason", "")
            if "didn't contain changes" in reason or "No updates are to be performed" in reason:
                return True
            found_out = VALIDATED in reason and validation_of(
                self._a, StackName=self._name, ChangeSetName=change_set
            )
            said = str(found_out) if found_out else clean(reason, 600)
            raise BadInputError(f"CloudFormation refused the template: {said}")
        if found["Status"] == "CREATE_COMPLETE" and found.get("ExecutionStatus") == "UNAVAILABLE":
            reason = clean(found.get("StatusReason", "it does not say why"), 600)
            said = f"The change set was worked out and cannot be executed: {reason}"
            raise EmulatorGapError(said) if self._a.is_emulator else OpswrightError(said)
        return bool(found["Status"] == "CREATE_COMPLETE")

    def _changes(self, change_set: str) -> list[dict[str, Any]]:
        which = {"StackName": self._name, "ChangeSetName": change_set}
        return self._a.pages("cloudformation", "describe_change_set", "Changes", **which)

    def _discard(self, change_set: str, *, is_absent: bool) -> None:
        """Remove a change set that was only for reading, and the empty stack it came with.

        An empty stack that was there before has the change set of a change that was cut off.
        Raises OpswrightError that names what stays where it may not be removed.
        """
        try:
            self._remove(change_set, is_absent=is_absent)
        except Exception as exc:
            kind = f"the empty stack {self._name}" if is_absent else f"the change set {change_set}"
            raise OpswrightError(
                f"{translate(exc)} Until then {kind} stays, which was made to see what would "
                "change; nothing is in it."
            ) from exc

    def _remove(self, change_set: str, *, is_absent: bool) -> None:
        if is_absent:
            stack = find_stack(self._a, self._name)
            if stack is not None and stack["StackStatus"] == "REVIEW_IN_PROGRESS":
                self._cfn.delete_stack(StackName=stack["StackId"])
        else:
            self._cfn.delete_change_set(StackName=self._name, ChangeSetName=change_set)

    def apply(self, rec: Recorder, target: AwsTarget) -> Stack:
        """Make the change set once more, carry it out, and wait for its end."""
        stack = find_stack(self._a, self._name)
        is_new, change_set = _is_new(stack), f"opswright-{rec.change_id}"
        inverse = self._inverse(change_set, stack, target)
        made = rec.step(
            f"change set {change_set}",
            lambda: {"stack_id": self._create(change_set, is_new=is_new), "is_new": is_new},
            undo=inverse,
            find=lambda: self._made(change_set, is_new=is_new),
        )
        rec.wait(
            "change set is worked out",
            lambda: self._is_ready(change_set),
            timeout_seconds=REVIEW_SECONDS,
        )
        # Looked up anew: an emulator gives a stack without resources another id for a change set.
        stack_id = (find_stack(self._a, self._name) or {"StackId": made["stack_id"]})["StackId"]
        rec.step(
            f"stack {self._name}",
            lambda: self._execute(change_set),
            resource=ResourceRef(
                type=STACK,
                id=stack_id,
                name=self._name,
                action="created" if made["is_new"] else "modified",
            ),
            find=lambda: self._executed(change_set),
        )
        self._wait(rec, stack_id)
        return _as_stack(self._a, must_find_stack(self._a, stack_id))

    def _made(self, change_set: str, *, is_new: bool) -> dict[str, Any] | None:
        which = {"StackName": self._name, "ChangeSetName": change_set}
        try:
            found = self._cfn.describe_change_set(**which)
        except Exception as exc:
            if is_missing(exc):
                return None
            raise
        return {"stack_id": found["StackId"], "is_new": is_new}

    def _execute(self, change_set: str) -> dict[str, Any]:
        self._cfn.execute_change_set(
            StackName=self._name,
            ChangeSetName=change_set,
            ClientRequestToken=change_set,
        )
        return {"executed": True}

    def _executed(self, change_set: str) -> dict[str, Any] | None:
        which = {"StackName": self._name, "ChangeSetName": change_set}
        found = attempt(lambda: self._cfn.describe_change_set(**which))
        begun = isinstance(found, Unread) or found["ExecutionStatus"] != "AVAILABLE"
        return {"executed": True} if begun else None

    def _inverse(
        self, change_set: str, stack: dict[str, Any] | None, target: AwsTarget
    ) -> list[UndoStep]:
        where = target.model_copy(update={"region": self._a.region}).model_dump(exclude_none=True)
        if _is_new(stack):
            return [
                UndoStep(
                    kind=RETURN_STACK,
                    description=f"delete stack {self._name} and what it made",
                    args={"stack": self._name, "target": where},
                )
            ]
        assert stack is not None
        return [
            UndoStep(
                kind=RETURN_STACK,
                description=f"give stack {self._name} back the template and parameters it had",
                args={
                    "stack": self._name,
                    "target": where,
                    "change_set": change_set,
                    "template": keep(
                        original_template(self._a, self._name), runtime().settings.state_dir
                    ),
                    "capabilities": stack.get("Capabilities", []),
                    "parameters": [_earlier(p) for p in parameters_of(stack)],
                },
            )
        ]

    def _wait(self, rec: Recorder, stack_id: str) -> None:
        told: set[str] = set()

        def ended() -> bool:
            """Tell every event since the last look, oldest first."""
            stack = must_find_stack(self._a, stack_id)
            events = attempt(lambda: last_operation(events_of(self._a, stack_id)))
            for event in [] if isinstance(events, Unread) else reversed(events):
                if event["EventId"] not in told:
                    told.add(event["EventId"])
                    rec.progress(_told(event))
            return is_over(stack["StackStatus"])

        rec.wait(f"stack {self._name}", ended, timeout_seconds=TIMEOUT_SECONDS)
        status = must_find_stack(self._a, stack_id)["StackStatus"]
        if status not in STEADY and status != "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS":
            cause = attempt(lambda: cause_of(self._a, stack_id))
            why = (
                f"its events were not read: {cause.reason}" if isinstance(cause, Unread) else cause
            )
            # CloudFormation has rolled back; what it left of a new stack goes too, so that the
            # same call can be made again.
            rec.reverse()
            raise OpswrightError(
                f"Stack {self._name} ended {status} and was returned to what it was. "
                f"{why or 'No event says why.'}"
            )

    def existing(self) -> Stack:
        """The stack as it stands, where nothing is to be done."""
        return _as_stack(self._a, must_find_stack(self._a, self._name))

    def verify(self, made: Stack) -> list[Check]:
        """Whether the stack is in place, with this template and these parameters."""
        stack = attempt(lambda: find_stack(self._a, made.stack_id))
        name = "Stack is in place"
        if isinstance(stack, Unread):
            return [check(name, stack, resource=made.stack_id)]
        if stack is None or stack["StackStatus"] == "DELETE_COMPLETE":
            return [check(name, False, "there is no such stack", made.stack_id)]
        has = {p["ParameterKey"]: p["ParameterValue"] for p in parameters_of(stack)}
        differ = [
            key for key, value in self._parameters.items()
            if has.get(key) not in {value, "****"} and "{{resolve:" not in value
        ]  # fmt: skip
        parts = attempt(lambda: resources_of(self._a, made.stack_id))
        broken = (
            parts if isinstance(parts, Unread)
            else not [p for p in parts if not _is_whole(p["ResourceStatus"])]
        )  # fmt: skip
        template = attempt(lambda: self._has_template(made.stack_id))
        status = stack["StackStatus"]
        return [
            check(
                name, status in STEADY | {"UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"}, status, made.name
            ),
            check("It has this template", template, "", made.name),
            check(
                "It has these parameters",
                not differ,
                f"others: {differ}" if differ else "",
                made.name,
            ),
            check("Every resource of it is complete", broken, "", made.name),
        ]

    def _has_template(self, stack_id: str) -> bool:
        return is_template_of(self._a, stack_id, self._template.content)


def _told(event: dict[str, Any]) -> str:
    reason = clean(event.get("ResourceStatusReason", ""), 200)
    status = event["ResourceStatus"].lower().replace("_", " ")
    return f"{event['LogicalResourceId']}: {status}{f' ({reason})' if reason else ''}"


def _counted(changes: list[dict[str, Any]]) -> str:
    counts = Counter(action.verb for action in actions(changes))
    return ", ".join(f"{counts[verb]} to {verb}" for verb in counts) or "nothing changes"


def _is_new(stack: dict[str, Any] | None) -> bool:
    """Whether nothing was ever deployed under this name, or only looked at."""
    return stack is None or stack["StackStatus"] == "REVIEW_IN_PROGRESS"


def _is_whole(status: str) -> bool:
    return status.endswith("_COMPLETE") and "ROLLBACK" not in status and status != "DELETE_COMPLETE"


def _earlier(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter as it is now; a secret's value is not told, and stays what it is."""
    if parameter["ParameterValue"] == "****":
        return {"ParameterKey": parameter["ParameterKey"], "UsePreviousValue": True}
    return {key: parameter[key] for key in ("ParameterKey", "ParameterValue")}


def _as_stack(a: Aws, stack: dict[str, Any]) -> Stack:
    parts = resources_of(a, stack["StackId"])
    return Stack(
        name=stack["StackName"],
        stack_id=stack["StackId"],
        status=stack["StackStatus"],
        outputs=outputs_of(stack),
        resources={p["LogicalResourceId"]: p.get("PhysicalResourceId", "") for p in parts},
    )
