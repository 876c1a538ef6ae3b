"""Sends an operation: at once what only reads, journalled and findable what changes something."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field

from opswright_aws_devops.api import cloud_control
from opswright_aws_devops.api.disclosure import shown
from opswright_aws_devops.api.inverses import Inverse, Look, inverse_of, noun_of
from opswright_aws_devops.api.lost_answers import found_by, looked_before, made_since
from opswright_aws_devops.api.models import Operation, find
from opswright_aws_devops.api.request_tags import tagged, tagged_look
from opswright_aws_devops.api.tokens import tokens_for
from opswright_core.aws import Aws, AwsTarget, is_absent, translate
from opswright_core.changes import ResourceRef, Verb
from opswright_core.cloud_errors import met_its_earlier_try
from opswright_core.errors import AccessDeniedError
from opswright_core.pages import trim
from opswright_core.recorder import Recorder
from opswright_core.text import clean
from opswright_core.undo import UndoStep, aws_undo

KEPT_BYTES = 8_000
"""Of an answer to a change; the journal keeps it too."""


class AwsChange(BaseModel):
    """What an operation that changes answered, without secrets."""

    service: str
    operation: str
    answer: Any
    left_out: list[str] = Field(default_factory=list, description="Of an answer too long to keep")


def send(a: Aws, operation: Operation, parameters: dict[str, Any]) -> dict[str, Any]:
    """Send an operation as it is, and return boto3's answer."""
    from botocore import xform_name

    client = a.client(operation.service)
    answer: dict[str, Any] = getattr(client, xform_name(operation.name))(**parameters)
    return answer


def read(a: Aws, operation: Operation, look: Look) -> Any:
    """What a look answers; None when it says that there is no such thing."""
    try:
        return send(a, find(operation.service, look.operation), look.parameters)
    except Exception as exc:
        if is_absent(exc):
            return None
        raise


def shower(operation: Operation, parameters: dict[str, Any]) -> Any:
    """A function that makes of an operation's answer what may be shown."""
    shape = operation.model.output_shape
    decrypted = parameters.get("WithDecryption") is True
    return lambda answer: shown(answer, shape, decrypted=decrypted)


def named(operation: Operation, kept: dict[str, Any]) -> str:
    """The names among the required parameters, or the operation's own."""
    names = [str(kept[name]) for name in operation.required if isinstance(kept.get(name), str)]
    return clean(", ".join(names) or operation.name, 200)


def verb_of(operation: Operation) -> Verb:
    """What an operation does, by its name."""
    if operation.name.startswith(("Create", "Run", "Allocate", "Import", "Register")):
        return "create"
    if operation.name.startswith(("Delete", "Terminate", "Release", "Deregister", "Purge")):
        return "delete"
    return "modify"


def goes_tagged(operation: Operation, parameters: dict[str, Any]) -> bool:
    """Whether what it makes is known by its id alone, and found by a tag if the answer is lost."""
    inverse = inverse_of(operation, parameters, {})
    return not (inverse and inverse.look) and tagged_look(operation, "") is not None


@dataclass(frozen=True)
class Sending:
    """One operation that changes something, as it was asked for."""

    a: Aws
    operation: Operation
    parameters: dict[str, Any]
    kept: dict[str, Any]
    """The parameters as they may be shown."""
    target: AwsTarget

    def apply(self, rec: Recorder) -> AwsChange:
        """Send it once, so that what it made is found again when its answer is lost."""
        operation = self.operation
        name = f"{operation.service} {operation.name} {named(operation, self.kept)}"
        seeking = self._seeking(rec, name)
        result: dict[str, Any] = rec.step(
            name,
            lambda: self._sent(rec.change_id, seeking),
            undo=self._undo,
            resource=None if cloud_control.makes(operation) else self._resource,
            find=seeking.find if seeking else None,
        )
        if request := result.get("follows"):
            result = self._settled(rec, name, request)
        return AwsChange(
            service=operation.service,
            operation=operation.name,
            answer=result["answer"],
            left_out=result.get("left_out", []),
        )

    def _settled(self, rec: Recorder, name: str, request: str) -> dict[str, Any]:
        event = cloud_control.followed(self.a, rec, name, request)
        if cloud_control.makes(self.operation):
            made = event["Identifier"]
            cloud_control.record_made(rec, self.parameters, made, self.target, self.a.region)
        return _kept(shower(self.operation, self.parameters)({"ProgressEvent": event}))

    def _seeking(self, rec: Recorder, name: str) -> "_Seeking | None":
        """How to find what is made: by the caller's name for it, else by a tag, else not at all."""
        inverse = inverse_of(self.operation, self.parameters, {})
        look = inverse.look if inverse else None
        if look is not None:
            before = rec.step(f"look before: {name}", lambda: looked_before(look, self._read))
            return _Seeking(lambda: _found("found", made_since(before, look, self._read)))
        tagged_by = tagged_look(self.operation, rec.change_id)
        if tagged_by is None:
            return None
        noun = noun_of(self.operation) or ""

        def find() -> dict[str, Any] | None:
            found = found_by(tagged_by, self._read(tagged_by))
            return _found(noun, found[0]) if found else None

        return _Seeking(find, by_tag=True)

    def _read(self, look: Look) -> Any:
        return read(self.a, self.operation, look)

    def _sent(self, change_id: str, seeking: "_Seeking | None") -> dict[str, Any]:
        operation, parameters = self.operation, self.parameters
        # By its change's id, so that a call that is sent again after a lost answer is the same.
        parameters = {**parameters, **tokens_for(operation, parameters, change_id)}
        try:
            if seeking and seeking.by_tag:
                answer = self._sent_tagged(parameters, change_id)
            else:
                answer = send(self.a, operation, parameters)
        except Exception as exc:
            if met_its_earlier_try(exc) and seeking and (made := seeking.find()):
                return made
            raise
        request = answer.get("ResponseMetadata", {}).get("RequestId", "")
        begun = cloud_control.is_followed(operation)
        follows = {"follows": cloud_control.request_of(answer)} if begun else {}
        kept = _kept(shower(operation, self.parameters)(answer))
        return {**kept, "request_id": request, **follows}

    def _sent_tagged(self, parameters: dict[str, Any], change_id: str) -> dict[str, Any]:
        """Tagging may need a permission of its own, which the call itself does not."""
        with_tag = tagged(self.operation, parameters, change_id)
        try:
            return send(self.a, self.operation, with_tag)
        except Exception as exc:
            if not isinstance(translate(exc), AccessDeniedError):
                raise
            # Another token: AWS refuses one that comes again with other parameters.
            again = tokens_for(self.operation, self.parameters, f"{change_id} untagged")
            return send(self.a, self.operation, {**parameters, **again})

    def _undo(self, result: dict[str, Any]) -> list[UndoStep]:
        inverse = inverse_of(self.operation, self.parameters, result["answer"])
        return [_undo_step(inverse, self.target, self.a.region)] if inverse else []

    def _resource(self, result: dict[str, Any]) -> ResourceRef:
        operation = self.operation
        inverse = inverse_of(operation, self.parameters, result["answer"])
        ids = ", ".join(inverse.parameters.values()) if inverse else named(operation, self.kept)
        done = {"create": "created", "delete": "deleted"}.get(verb_of(operation), "modified")
        kind = f"{operation.service}:{noun_of(operation) or operation.name}"
        return ResourceRef.model_validate({"type": kind, "id": ids, "action": done})


@dataclass(frozen=True)
class _Seeking:
    """Finds what a call made whose answer was lost."""

    find: Callable[[], dict[str, Any] | None]
    by_tag: bool = False


def _found(key: str, thing: Any) -> dict[str, Any] | None:
    return {**_kept({key: shown(thing, None)}), "request_id": ""} if thing else None


def _kept(answer: dict[str, Any]) -> dict[str, Any]:
    """What the journal keeps of an answer, and what of it was too long."""
    said, lost = trim(answer, KEPT_BYTES)
    rest = [*lost, "read_aws reads what there is by now"] if lost else []
    return {"answer": said, "left_out": rest}


def _undo_step(inverse: Inverse, target: AwsTarget, region: str) -> UndoStep:
    from botocore import xform_name

    look = inverse.look
    gone = (xform_name(look.operation), look.parameters, look.found) if look else None
    names = ", ".join(inverse.parameters.values())
    return aws_undo(
        f"{inverse.service} {inverse.operation} {names}",
        inverse.service,
        xform_name(inverse.operation),
        inverse.parameters,
        target=target,
        region=region,
        gone=gone,
        wait_gone=gone is not None,
    )
