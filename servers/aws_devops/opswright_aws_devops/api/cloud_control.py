"""Cloud Control answers before it is done: its requests are followed to their end, and undone.

It makes, updates and deletes resources of any CloudFormation type by five operations of its own, so
that what `inverses` finds in a service's model does not fit it.
"""

from collections.abc import Mapping
from typing import Any

from opswright_aws_devops.api.inverses import Look
from opswright_aws_devops.api.models import Operation
from opswright_core.aws import Aws, AwsTarget
from opswright_core.changes import ResourceRef
from opswright_core.errors import OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.redact import redact_text
from opswright_core.text import clean
from opswright_core.undo import UndoStep, aws_undo

SERVICE = "cloudcontrol"
CREATE = "CreateResource"
_FOLLOWED = (CREATE, "UpdateResource", "DeleteResource")
_ENDED = ("SUCCESS", "FAILED", "CANCEL_COMPLETE")
SETTLE_SECONDS = 3_600.0
"""A database takes the longest of what is usual, up to an hour."""


def is_followed(operation: Operation) -> bool:
    """Whether an operation only begins what it is for."""
    return operation.service == SERVICE and operation.name in _FOLLOWED


def makes(operation: Operation) -> bool:
    """Whether it makes a resource; it fails where there is one already (AlreadyExists)."""
    return operation.service == SERVICE and operation.name == CREATE


def request_of(answer: Mapping[str, Any]) -> str:
    """What a request goes by, for asking how far it is."""
    return str(answer["ProgressEvent"]["RequestToken"])


def followed(a: Aws, rec: Recorder, what: str, request: str) -> dict[str, Any]:
    """Wait until a request has ended well; its last event.

    Raises OpswrightError with the reason that its resource's handler gave, when it did not.
    """
    event: dict[str, Any] = {}

    def has_ended() -> bool:
        asked = a.client(SERVICE).get_resource_request_status(RequestToken=request)
        event.update(asked["ProgressEvent"])
        return event["OperationStatus"] in _ENDED

    rec.wait(f"{what} settled", has_ended, timeout_seconds=SETTLE_SECONDS)
    if event["OperationStatus"] != "SUCCESS":
        code = event.get("ErrorCode", event["OperationStatus"])
        why = clean(redact_text(event.get("StatusMessage", "")), 600) or "no reason given"
        raise OpswrightError(
            f"{what}: {code}: {why}. What a failed create left behind, Cloud Control's GetResource "
            f"({event.get('Identifier', 'without an identifier')}) or the service's own tool shows."
        )
    return event


def record_made(
    rec: Recorder,
    parameters: Mapping[str, Any],
    identifier: str,
    target: AwsTarget,
    region: str,
) -> None:
    """Journal what was made, with its deletion by Cloud Control as the inverse."""
    kind = parameters["TypeName"]
    same = {k: parameters[k] for k in ("TypeName", "TypeVersionId", "RoleArn") if k in parameters}
    named = {**same, "Identifier": identifier}

    def undo(_: Any) -> list[UndoStep]:
        return [
            aws_undo(
                f"{SERVICE} DeleteResource {kind} {identifier}",
                SERVICE,
                "delete_resource",
                named,
                target=target,
                region=region,
                gone=("get_resource", named, "ResourceDescription"),
                wait_gone=True,
            )
        ]

    rec.step(
        f"made {kind} {identifier}",
        lambda: {"id": identifier},
        undo=undo,
        resource=ResourceRef(type=kind, id=identifier),
    )


def look_at(operation: Operation, parameters: Mapping[str, Any], answer: Any) -> Look | None:
    """The read of what a request was for; None where its identifier is not known."""
    event = answer.get("ProgressEvent", {}) if isinstance(answer, dict) else {}
    identifier = parameters.get("Identifier") or event.get("Identifier")
    if not is_followed(operation) or not identifier:
        return None
    asked = {"TypeName": parameters["TypeName"], "Identifier": identifier}
    return Look("GetResource", asked, "ResourceDescription")
