"""Inverse steps: data written to the journal when a change is made, replayed by `undo_change`."""

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import AwsTarget, error_code, is_absent, translate
from opswright_core.verdicts import Check, Unread, attempt

BUSY_CODES = frozenset(
    {
        "DependencyViolation",
        "ResourceInUse",
        "ResourceInUseException",
        "InvalidDBClusterStateFault",
        "InvalidDBInstanceState",
        "InvalidDBSubnetGroupStateFault",
        "ScalingActivityInProgress",
        "DeleteConflict",
        "OperationNotPermitted",
        "InvalidIPAddress.InUse",
        "ClusterContainsServicesException",
        "ClusterContainsTasksException",
    }
)
"""Codes that AWS answers while something else is still going away; tried again for a while."""

DONE_CODES = frozenset(
    {
        "InvalidPermission.Duplicate",
        "Gateway.NotAttached",
        "RouteAlreadyExists",
        "Resource.AlreadyAssociated",
        "ServiceNotActiveException",
    }
)
"""Codes that AWS answers when the state is already the one to restore; a read still verifies it."""

NO_READ = "no read tells whether it took effect"
"""The evidence of a step that nothing can verify, unlike one whose read was refused."""

DEADLINE_SECONDS = 1200.0

TOLD_SECONDS = 0.5
"""A wait that has come to pauses of this length is told: what is busy may be so for good."""

tell_waiting: ContextVar[Callable[[str], None]] = ContextVar(
    "opswright_tell_waiting", default=lambda _: None
)
"""What a replay is told to while something that is still in use keeps it waiting."""


class UndoStep(BaseModel):
    """One inverse step. `kind` names its handler; `args` is all that needs, without secrets."""

    model_config = ConfigDict(frozen=True)
    kind: str
    description: str = Field(description="What replaying it does, in words")
    args: dict[str, Any] = Field(default_factory=dict)


class UndoHandler(Protocol):
    """Replays the steps of one kind, and tells by reading whether they took effect."""

    def replay(self, step: UndoStep) -> None:
        """Carry out the step; what is already undone is no error."""

    def verify(self, step: UndoStep) -> Check:
        """Read whether the step took effect."""


def aws_undo(
    description: str,
    service: str,
    operation: str,
    params: dict[str, Any],
    *,
    target: AwsTarget,
    region: str,
    gone: tuple[str, dict[str, Any], str] | None = None,
    wait_gone: bool = False,
) -> UndoStep:
    """An inverse that is one AWS call.

    `operation` is boto3's snake_case name. `gone` is `(operation, params, jmespath)`: the read that
    finds nothing once the step took effect (a NotFound-like error, or an empty result of the
    expression). `wait_gone` keeps the replay from going on until that is so, for what others
    depend on.
    """
    return UndoStep(
        kind="aws",
        description=description,
        args={
            "service": service,
            "operation": operation,
            "params": params,
            "target": target.model_dump(exclude_none=True),
            "region": region,
            "gone": list(gone) if gone else None,
            "wait_gone": wait_gone,
        },
    )


class AwsUndo:
    """Replays `aws` steps through the server's sessions."""

    def __init__(self, open_client: Callable[[AwsTarget, str, str], Any]) -> None:
        self._client = open_client

    def replay(self, step: UndoStep) -> None:
        """Send the call; absent or restored is done, busy is tried again for up to 20 minutes."""
        args, deadline, pause = step.args, time.monotonic() + DEADLINE_SECONDS, 0.2
        client = self._open(step)
        while True:
            try:
                getattr(client, args["operation"])(**args["params"])
                break
            except Exception as exc:
                if is_absent(exc) or error_code(exc) in DONE_CODES:
                    break
                if error_code(exc) not in BUSY_CODES or time.monotonic() > deadline:
                    raise
                if pause >= TOLD_SECONDS:
                    tell_waiting.get()(f"{step.description} waits: {translate(exc)}")
            time.sleep(pause)
            pause = min(pause * 2, 15.0)
        while args["wait_gone"] and not self._is_gone(step) and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(pause * 2, 15.0)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the read finds nothing, UNKNOWN when it could not be made or there is none."""
        if step.args["gone"] is None:
            return Check(
                name=step.description,
                verdict="UNKNOWN",
                evidence=NO_READ,
            )
        gone = attempt(lambda: self._is_gone(step))
        if isinstance(gone, Unread):
            return Check(name=step.description, verdict="UNKNOWN", evidence=gone.reason)
        evidence = f"{step.args['gone'][0]} finds {'nothing' if gone else 'it still'}"
        return Check(name=step.description, verdict="PASS" if gone else "FAIL", evidence=evidence)

    def _open(self, step: UndoStep) -> Any:
        return self._client(
            AwsTarget(**step.args["target"]), step.args["service"], step.args["region"]
        )

    def _is_gone(self, step: UndoStep) -> bool:
        import jmespath

        if step.args["gone"] is None:
            return True
        operation, params, expression = step.args["gone"]
        try:
            answer = getattr(self._open(step), operation)(**params)
        except Exception as exc:
            if is_absent(exc):
                return True
            raise
        return not jmespath.search(expression, answer)
