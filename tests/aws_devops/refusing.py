"""AWS sessions that refuse chosen operations, as a missing permission would."""

from collections.abc import Callable
from typing import Any

from opswright_core.aws import HERE, Aws, AwsSessions, AwsTarget


class RefusingSessions(AwsSessions):
    """Real clients; what is `refused` is answered with AccessDenied, before it is sent.

    `refused` has by operation how many calls are let through first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, int] = {}
        self.sent: list[str] = []
        """Every operation that was let through."""
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

    def _refuse(self, model: Any, **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        left = self.refused.get(model.name)
        if left is None or left > 0:
            self.sent.append(model.name)
            if left:
                self.refused[model.name] = left - 1
            return None
        # The answer to a HEAD has no body that could name another code.
        code = "403" if model.name.startswith("Head") else "AccessDenied"
        error = {"Code": code, "Message": "no identity-based policy allows it"}
        answer = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}
        return AWSResponse("https://refused.invalid", 403, {}, b""), answer
