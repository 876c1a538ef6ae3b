"""AWS sessions that refuse chosen operations, as a missing permission would."""

from collections.abc import Callable
from typing import Any

from opswright_core.aws import HERE, Aws, AwsSessions, AwsTarget

WHOAMI = "sts:GetCallerIdentity"
"""Allowed to everyone; asked once and kept."""

DENIED = ("AccessDenied", "no identity-based policy allows it", 403)


class RefusingSessions(AwsSessions):
    """Real clients; what is `refused` is answered with AccessDenied, before it is sent.

    `refused` has by operation, with its service (`ec2:CreateVpc`) or for all services without
    (`TagResource`), how many calls are let through first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, int] = {}
        self.answer = DENIED
        """Code, message and status of what is refused."""
        self.patience: int | None = None
        """How many calls of any kind are let through still; None for all. WHOAMI is free."""
        self.sent: list[str] = []
        """Every operation that was let through, with its service."""
        self.denied: list[str] = []
        """Every operation that was not."""
        self.once: dict[str, Callable[[], Any]] = {}
        """What somebody else does as soon as an operation has been answered, one time."""

    def open(self, target: AwsTarget = HERE) -> Aws:
        """The session of a target."""
        first = target not in self._opened
        session = super().open(target)
        if first:
            session.session.events.register("before-call", self._refuse)
            session.session.events.register("after-call", self._interfere)
        return session

    def _interfere(self, model: Any, **_: Any) -> None:
        if does := self.once.pop(model.name, None):
            does()

    def _lets_through(self, call: str, name: str) -> bool:
        if self.patience is not None and call != WHOAMI:
            self.patience -= 1
            return self.patience >= 0
        key = call if call in self.refused else name
        left = self.refused.get(key)
        if left:
            self.refused[key] = left - 1
        return left is None or left > 0

    def _refuse(self, model: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        call = f"{model.service_model.service_name}:{model.name}"
        if self._lets_through(call, model.name):
            self.sent.append(call)
            return None
        self.denied.append(call)
        code, message, status = self.answer
        # The answer to a HEAD has no body that could name another code.
        error = {"Code": "403" if model.name.startswith("Head") else code, "Message": message}
        answer = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}
        return AWSResponse("https://refused.invalid", status, {}, None), answer
