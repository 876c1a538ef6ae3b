"""AWS sessions to which some regions are refused, as a service control policy would refuse them."""

from typing import Any

from opswright_core.aws import HERE, Aws, AwsSessions, AwsTarget

REFUSED = "with an explicit deny in a service control policy"


class DeniedSessions(AwsSessions):
    """Real clients; in the denied regions every call is answered with UnauthorizedOperation."""

    def __init__(self, *regions: str) -> None:
        super().__init__()
        self._denied = set(regions)
        self.calls: list[tuple[str, str]] = []
        """(region, operation) of every call."""

    def open(self, target: AwsTarget = HERE) -> Aws:
        """The session of a target."""
        first = target not in self._opened
        session = super().open(target)
        if first:
            session.session.events.register("before-call", self._refuse)
        return session

    def _refuse(self, model: Any, context: dict[str, Any], **_: Any) -> Any:
        from botocore.awsrequest import AWSResponse

        region = context["client_region"]
        self.calls.append((region, model.name))
        if region not in self._denied:
            return None
        error = {"Code": "UnauthorizedOperation", "Message": f"You are not authorized {REFUSED}."}
        answer = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 403}}
        return AWSResponse("https://denied.invalid", 403, {}, b""), answer
