"""What every AWS client does besides its calls: a deadline, IAM's names, stale credentials noticed.

Handlers of botocore's events, registered on a session before its clients are made, which inherit
them. The retries themselves are botocore's (adaptive mode); here is what ends them.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from opswright_core.cloud_errors import (
    ACTION,
    BAD_CREDENTIALS,
    PERMISSION,
    answered,
    is_gap,
    note_gap,
)
from opswright_core.errors import ThrottledError
from opswright_core.not_yet import SPREAD_SECONDS, is_not_yet, pause_after
from opswright_core.parallel import refuse_late
from opswright_core.permissions import action_of
from opswright_core.sent_again import makes_another

CALL_SECONDS = 20.0
"""From a call's start: no attempt begins later, and no pause goes on beyond. Hosts give a tool call
30 to 60 s; with READ_SECONDS for the last attempt this stays inside."""
CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 20.0
"""Of botocore's standard and adaptive retries: a random share of 2^(attempt - 1), 20 at most."""

_DEADLINE = "opswright_deadline"
_NOT_YET = "opswright_not_yet"
"""Since when AWS has not known what a call needs."""


class ClientEvents:
    """The handlers of one session's clients; `stale` is set when its credentials were refused."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.stale = threading.Event()
        self._clock = clock

    def watch(self, session: Any) -> None:
        """Register on a boto3 session, before it makes clients."""
        session.events.register_first("before-call", self._begin)
        session.events.register_last("before-send", self._refuse_late)
        session.events.register_first("before-parse", _name_answered)
        session.events.register_first("needs-retry", self._end_retries)
        session.events.register_first("after-call", self._note)

    def _begin(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        refuse_late(action_of(model.service_model, model.name))
        context[_DEADLINE] = self._clock() + CALL_SECONDS

    def _refuse_late(self, request: Any, **_: Any) -> None:
        """Send nothing that waited too long for its turn: throttled clients queue for one."""
        if self._clock() > request.context.get(_DEADLINE, float("inf")):
            raise ThrottledError(
                "AWS asked to slow down, and the call's turn did not come within "
                f"{CALL_SECONDS:.0f} s: call again in a minute, or ask for less at once.",
                code="Throttling",
            )

    def _end_retries(
        self,
        response: Any,
        operation: Any,
        attempts: int,
        caught_exception: Exception | None,
        request_dict: dict[str, Any],
        **_: Any,
    ) -> float | None:
        """The pause before a call that came too early is sent again; None leaves it to botocore.

        Raises what went wrong, instead of a pause that could go on beyond the deadline.
        """
        from botocore.exceptions import ClientError

        if response is not None and (error := _refusal(response[1])):
            again = self._too_early(error, operation.name, attempts, request_dict)
            if again is not None:
                return again
        pause = min(2.0 ** (attempts - 1), LONGEST_PAUSE_SECONDS)
        in_time = self._clock() + pause <= request_dict["context"].get(_DEADLINE, float("inf"))
        lost = _is_lost(response, caught_exception)
        if in_time and not (lost and makes_another(operation, request_dict)):
            return None
        if caught_exception is not None:
            raise caught_exception
        _http, parsed = response
        if "Error" in parsed:
            self._note(parsed, operation)
            raise ClientError(parsed, operation.name)
        return None

    def _too_early(
        self, error: dict[str, Any], operation: str, attempt: int, request: dict[str, Any]
    ) -> float | None:
        """The pause until what this change has made is known; None for any other refusal."""
        if not is_not_yet(operation, error, request):
            return None
        now, context = self._clock(), request["context"]
        if now - context.setdefault(_NOT_YET, now) > SPREAD_SECONDS:
            error["Message"] = (
                f"{error.get('Message', '')} (AWS did not know within {SPREAD_SECONDS:.0f} s what "
                "this change has made: repeat the call to go on.)"
            )
            return None
        pause = pause_after(attempt, operation, error)
        context[_DEADLINE] = now + pause + CALL_SECONDS
        return pause

    def _note(self, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        """Of a refused answer: its action in IAM's words, bad credentials, what a backend lacks."""
        if "Error" not in parsed:
            return
        if parsed["Error"].get("Code") in BAD_CREDENTIALS:
            self.stale.set()
        permission, action = action_of(model.service_model, model.name), _named(model)
        parsed.setdefault("ResponseMetadata", {}).update({ACTION: action, PERMISSION: permission})
        if is_gap(parsed):
            note_gap(f"The backend does not implement {action}.")


def _named(model: Any) -> str:
    """An operation as IAM prefixes it: `ec2:DescribeVpcs`."""
    return f"{action_of(model.service_model, model.name).partition(':')[0]}:{model.name}"


def _name_answered(operation_model: Any, **_: Any) -> None:
    answered.set(lambda: _named(operation_model))


def _is_lost(response: Any, caught_exception: Exception | None) -> bool:
    """Whether AWS may have carried out a call that it did not answer for."""
    from botocore.exceptions import (
        ConnectTimeoutError,
        EndpointConnectionError,
        ProxyConnectionError,
    )

    if caught_exception is not None:
        never_sent = ConnectTimeoutError | EndpointConnectionError | ProxyConnectionError
        return not isinstance(caught_exception, never_sent)
    http, parsed = response
    # 503 is «not now»: throttled, or no capacity.
    return http.status_code >= 500 and http.status_code != 503 and "Error" in parsed


def _refusal(parsed: dict[str, Any]) -> dict[str, Any] | None:
    """The error in an answer, also in one of EC2's that says 200 and did nothing of what was asked.

    Such an answer has `Unsuccessful`, and beside it at most the request's own token.
    """
    error: dict[str, Any] | None = parsed.get("Error")
    if error or not (unsuccessful := parsed.get("Unsuccessful")):
        return error
    beside = parsed.keys() - {"Unsuccessful", "ClientToken", "ResponseMetadata"}
    return None if any(parsed[name] for name in beside) else unsuccessful[0].get("Error")


def without_account_prefix(request: Any, **_: Any) -> None:
    """Undo what S3 Control does: the account id before the host, also before a loopback address."""
    account_id = request.headers.get("x-amz-account-id", "")
    request.url = request.url.replace(f"//{account_id}.", "//", 1)
