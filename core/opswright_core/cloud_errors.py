"""What botocore raises, said in words that help: what was refused, and the command that mends it.

Each kind of failure has its class (`errors.py`): throttling, a missing permission, missing or
expired credentials, a region or endpoint that does not answer, an emulator's gap.
"""

import html
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from opswright_core.errors import (
    AccessDeniedError,
    BadInputError,
    CloudError,
    CredentialsError,
    EmulatorGapError,
    EndpointError,
    OpswrightError,
    ThrottledError,
)


@dataclass
class InUse:
    """What the call under way met: the regions and gaps its answer names, the profile to mend."""

    regions: list[str] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    """What the backend lacked, each once."""
    profile: str | None = None


in_use: ContextVar[InUse | None] = ContextVar("opswright_in_use", default=None)
"""Set around every call by the server; worker threads inherit it."""


answered: ContextVar[Callable[[], str]] = ContextVar(
    "opswright_answered", default=lambda: "an operation"
)
"""Names the action whose answer was parsed last, in IAM's words: an answer that botocore cannot
parse raises an error that does not name it."""


def note_gap(text: str) -> None:
    """Remember what the backend lacked for the answer of the call under way."""
    current = in_use.get()
    if current is not None and text not in current.gaps:
        current.gaps.append(text)


ACTION = "OpswrightAction"
PERMISSION = "OpswrightPermission"
"""Where `client_events` notes in a refused answer which action it was, in IAM's words."""

_DENIED = {
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "AuthorizationError",
    "Forbidden",
    "403",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_WRONG = {
    "InvalidClientTokenId",
    "AuthFailure",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_NEXT = (
    (
        # EC2 answers it with status 500, and has launched nothing.
        re.compile(r"^Insufficient\w*Capacity"),
        "AWS has none of it free there now and made nothing: choose another availability zone or "
        "size, or call again later.",
    ),
    (
        re.compile(r"(Limit|Quota)Exceeded|^TooManyBuckets$"),
        "A quota of the account is reached: remove what is not needed, or ask for more in Service "
        "Quotas, then call again.",
    ),
    (
        re.compile(
            r"^(DependencyViolation|DeleteConflict|BucketNotEmpty|HostedZoneNotEmpty|"
            r"ResourceInUse(Exception|Fault)?|InvalidGroup\.InUse|VolumeInUse|"
            r"RepositoryNotEmptyException)$"
        ),
        "Something else uses it still or is in it: remove that first, then call again.",
    ),
)

BAD_CREDENTIALS = frozenset(_EXPIRED | _WRONG)
"""Codes after which the credentials are read again, from wherever they come."""

_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
    "ProvisionedThroughputExceededException",
    "BandwidthLimitExceeded",
}
ABSENT = re.compile(r"NotFound|NoSuch|NonExistent|DoesNotExist|^404$")
"""Codes that mean «there is no such thing»."""

_ABSENT_SAID = re.compile(r"AutoScalingGroup name not found")
"""Auto Scaling has no code for it: a ValidationError says so."""

_EXISTS = re.compile(r"AlreadyExists|AlreadyOwned|Duplicate|ResourceInUse|Conflict")
"""Codes that mean «there is one already»."""

_GAPS = re.compile(
    r"not (?:been |yet )?implemented|NotImplementedError|not yet supported|NotYetImplemented", re.I
)
_GAP_CODES = {"InvalidAction", "NotImplemented", "UnknownOperationException"}
"""How services answer to an operation that they do not know."""

_PERMISSION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z*]+)")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d")
_STALE = "refreshed credentials are still expired"


def translate(exc: Exception) -> Exception:
    """Turn a botocore exception into the CloudError that says what to do; others pass."""
    if isinstance(exc, OpswrightError):
        return exc
    botocore = sys.modules.get("botocore.exceptions")
    if botocore is None:
        return exc
    if isinstance(exc, botocore.ClientError):
        return _client_error(exc)
    if type(exc).__name__ == "ResponseParserError":  # from botocore.parsers, a family of its own
        note_gap(f"The backend does not implement {answered.get()()}.")
        return EmulatorGapError(
            "The backend's answer is not AWS's: it does not implement this operation (emulators "
            f"lack some). Details: {one_line(str(exc))}",
            code="ResponseParserError",
        )
    if said := _about_credentials(exc, botocore):
        return CredentialsError(said)
    if isinstance(
        exc, botocore.ConnectionError | botocore.HTTPClientError | botocore.IncompleteReadError
    ):
        return EndpointError(f"AWS cannot be reached: {one_line(str(exc))}. {_reach(exc)}")
    if isinstance(exc, botocore.ParamValidationError):
        return BadInputError(f"AWS would refuse the parameters: {one_line(str(exc))}")
    if isinstance(exc, botocore.WaiterError):
        return CloudError(
            f"Waiting for AWS ended without success: {one_line(str(exc))}", code="WaiterError"
        )
    if isinstance(exc, botocore.BotoCoreError):
        return CloudError(f"The AWS call could not be made: {one_line(str(exc))}")
    return exc


def error_code(exc: BaseException) -> str:
    """The AWS error code of a ClientError (or of the CloudError made from one), else ''."""
    if isinstance(exc, CloudError):
        return exc.code
    response = getattr(exc, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_absent(exc: BaseException) -> bool:
    """Whether an error means «there is no such thing» (NotFound, NoSuch…, DoesNotExist, 404)."""
    code = error_code(exc)
    unsaid = code == "ValidationError" and _ABSENT_SAID.search(str(exc))
    return bool(ABSENT.search(code) or unsaid)


def met_its_earlier_try(exc: BaseException) -> bool:
    """Whether it says «there is one already» to a create that botocore had sent before.

    The answer to the first try was lost, and what is there is what that try made.
    """
    response = getattr(exc, "response", None) or {}
    retried = response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
    creates = str(getattr(exc, "operation_name", "")).startswith("Create")
    return retried and creates and bool(_EXISTS.search(error_code(exc)))


def is_gap(answer: dict[str, Any]) -> bool:
    """Whether a refused answer means that the backend does not implement the operation."""
    error, status = (
        answer.get("Error", {}),
        answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0),
    )
    code = str(error.get("Code", ""))
    return (
        code in _GAP_CODES
        or bool(_GAPS.search(str(error.get("Message", ""))))
        or (status >= 500 and code in {"500", "501"})
        or (code == "400" and not error.get("Message"))  # AWS says why
    )


def _about_credentials(exc: Exception, botocore: Any) -> str | None:
    """What to do when there are no usable credentials; None for an error of another kind."""
    said = one_line(str(exc))
    if isinstance(exc, botocore.SSOError | botocore.TokenRetrievalError):
        return (
            f"The AWS SSO session is over: run `{_command('sso login')}`, then call again. ({said})"
        )
    if isinstance(exc, botocore.LoginError):
        return f"The AWS sign-in is over: run `{_command('login')}`, then call again. ({said})"
    if isinstance(exc, botocore.NoCredentialsError | botocore.PartialCredentialsError):
        return (
            f"No AWS credentials: run `{_command('configure')}` or `{_command('sso login')}`, or "
            f"set AWS_PROFILE for this server. ({said})"
        )
    if isinstance(exc, botocore.RefreshWithMFAUnsupportedError):
        return no_prompt()
    if isinstance(exc, botocore.CredentialRetrievalError):
        return (
            f"The AWS credentials could not be read: {said}. Run "
            f"`{_command('configure export-credentials')}` to see it fail, mend it, and call again."
        )
    if isinstance(exc, RuntimeError) and _STALE in said:
        return (
            "The AWS credentials are expired, and so are those that their source gives anew. Sign "
            f"in again there (`{_command('sso login')}` for SSO), then call again."
        )
    return None


def no_prompt() -> str:
    """Why a profile that asks for a code cannot be used by a server, and what can."""
    return (
        "The profile asks for an MFA code, and a server cannot ask for it: get a session first "
        f"(`{_command('sts get-session-token')} --serial-number DEVICE --token-code CODE`) and put "
        "it in a profile without mfa_serial."
    )


def _command(name: str) -> str:
    current = in_use.get()
    profile = current.profile if current else None
    return f"aws {name} --profile {profile}" if profile else f"aws {name}"


def _reach(exc: Exception) -> str:
    """What to look at when an endpoint does not answer: a region that nobody knows comes first."""
    url = str(getattr(exc, "kwargs", {}).get("endpoint_url", ""))
    named = _REGION.search(url)
    if named and ".amazonaws." in url and named.group() not in (known := known_regions()):
        from difflib import get_close_matches

        near = ", ".join(get_close_matches(named.group(), known, 3)) or "eu-west-1, us-east-1"
        return f"No AWS region {named.group()!r} is known here; near it: {near}."
    return "Check the network, the region's name and AWS_ENDPOINT_URL."


def known_regions() -> list[str]:
    """The regions of every partition that the installed botocore knows."""
    from botocore.session import Session

    session = Session()
    return [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    ]


def _advice(code: str) -> str | None:
    """What to do next about a code whose message does not say."""
    return next((advice for pattern, advice in _NEXT if pattern.search(code)), None)


def _client_error(exc: Any) -> CloudError:
    error, metadata = exc.response.get("Error", {}), exc.response.get("ResponseMetadata", {})
    code, message = str(error.get("Code", "")), one_line(str(error.get("Message", "")))
    status = metadata.get("HTTPStatusCode", 0)
    named = _PERMISSION.search(message)
    # UnauthorizedOperation is EC2's own code, and its message does not name the action.
    prefix = "ec2:" if code == "UnauthorizedOperation" else ""
    noted = metadata.get(PERMISSION) or f"{prefix}{exc.operation_name}"
    permission = named.group(1) if named else noted
    what = {"operation": str(metadata.get(ACTION) or exc.operation_name), "code": code}
    said = f"{exc.operation_name}: {code}: {message}"
    if is_gap(exc.response):
        return EmulatorGapError(
            f"The backend does not implement {exc.operation_name} ({message})", **what
        )
    if code in _DENIED or "AccessDenied" in code or "not authorized" in message:
        return AccessDeniedError(
            f"{said}. Grant {permission} to the credentials and call again.",
            permission=permission,
            **what,
        )
    if code in _EXPIRED:
        return CredentialsError(
            f"{said}. The credentials are expired: run `{_command('sso login')}`, or put new "
            "session credentials where these came from, then call again (no restart is needed).",
            **what,
        )
    if code in _WRONG:
        return CredentialsError(
            f"{said}. The credentials are not valid for this account, or the region is not "
            f"enabled in it; `{_command('sts get-caller-identity')}` tells which.",
            **what,
        )
    if code in _THROTTLED or "Throttl" in code:
        return ThrottledError(
            f"{said}. AWS asks to slow down, and retries ran out: call again in a minute, or ask "
            "for less at once (one region, a narrower filter).",
            **what,
        )
    if advice := _advice(code):
        return CloudError(f"{said}. {advice}", **what)
    if status >= 500:
        return EndpointError(
            f"{said}. AWS failed inside; whether it took effect is not known.", **what
        )
    return CloudError(said, **what)


def one_line(text: str, limit: int = 400) -> str:
    """A provider's message, without markup and line ends, cut."""
    plain = re.sub(r"<[^>]+>", " ", html.unescape(text)) if "<html" in text.lower() else text
    return re.sub(r"\s+", " ", plain).strip()[:limit]
