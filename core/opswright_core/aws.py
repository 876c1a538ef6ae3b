"""One way to AWS: sessions by target, clients reused, and every failure said in words that help.

boto3 is imported on first use, so that a server answers tools/list without it.
"""

import html
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

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


class AwsTarget(BaseModel):
    """Which account and region a call is for; what is left out comes from the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    profile: str | None = Field(None, max_length=200)
    region: str | None = Field(None, max_length=32)
    role_arn: str | None = Field(None, max_length=2048)


HERE = AwsTarget()
Target = Annotated[AwsTarget, Field(description="AWS profile, region, role; default: environment")]


@dataclass
class Aws:
    """A session on one account and region, with its clients; made by `AwsSessions.open`."""

    session: Any
    region: str
    config: Any
    endpoint_url: str | None = None
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _identity: dict[str, str] | None = None

    def client(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service, made once per region."""
        key = (service, region or self.region)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self.session.client(
                    service, region_name=key[1], config=self.config, endpoint_url=self.endpoint_url
                )
            return self._clients[key]

    def pages(self, service: str, operation: str, key: str, **params: Any) -> list[Any]:
        """Every item under `key` over all pages of `operation` (its snake_case name)."""
        client = self.client(service)
        if not client.can_paginate(operation):
            return list(getattr(client, operation)(**params).get(key) or [])
        return [
            item
            for page in client.get_paginator(operation).paginate(**params)
            for item in page.get(key) or []
        ]

    @property
    def account_id(self) -> str:
        """The account the credentials belong to (one call to STS, then remembered)."""
        return self._caller()["Account"]

    @property
    def partition(self) -> str:
        """`aws`, `aws-us-gov` or `aws-cn`."""
        return self._caller()["Arn"].split(":")[1]

    @property
    def caller_arn(self) -> str:
        """Who the credentials are."""
        return self._caller()["Arn"]

    @property
    def is_emulator(self) -> bool:
        """Whether every service's endpoint is on this machine: no real account is behind it.

        An endpoint set for one service alone (AWS_ENDPOINT_URL_EC2, a profile's `services`) counts
        as much as the general one, and so does that of a client made already.
        """
        with self._lock:
            urls = {client.meta.endpoint_url for client in self._clients.values()}
        return all(map(is_loopback, urls | self._configured_endpoints()))

    def _configured_endpoints(self) -> set[str]:
        """The endpoint of each service as botocore would resolve it; '' for the cloud's own."""
        from botocore.configprovider import ConfiguredEndpointProvider

        if self.endpoint_url:
            return {self.endpoint_url}
        core = self.session._session
        if core.get_config_variable("ignore_configured_endpoint_urls"):
            return {""}
        config = core.full_config, core.get_scoped_config()
        names = self.session.get_available_services()
        return {ConfiguredEndpointProvider(*config, name).provide() or "" for name in names}

    def _caller(self) -> dict[str, str]:
        if self._identity is None:
            self._identity = self.client("sts").get_caller_identity()
        return self._identity


class AwsSessions:
    """Opens sessions and keeps them; one per server."""

    def __init__(self) -> None:
        self._opened: dict[AwsTarget, Aws] = {}
        self._lock = threading.Lock()

    def open(self, target: AwsTarget = HERE) -> Aws:
        """The session for a target.

        Raises BadInputError without a region, CredentialsError for an unknown profile.
        """
        with self._lock:
            if target not in self._opened:
                self._opened[target] = _open(target)
            return self._opened[target]

    def forget(self) -> None:
        """Drop every session, so that the next call reads credentials and endpoints again."""
        with self._lock:
            self._opened.clear()


def _open(target: AwsTarget) -> Aws:
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    try:
        session = boto3.Session(profile_name=target.profile, region_name=target.region)
        region = target.region or _environment_region() or session.region_name
    except ProfileNotFound as exc:
        known = ", ".join(botocore.session.Session().full_config["profiles"]) or "none"
        raise CredentialsError(
            f"{_one_line(str(exc))}; profiles here: {known}. Make it with `aws configure --profile "
            "NAME`, or leave `target.profile` out and unset AWS_PROFILE."
        ) from exc
    except BotoCoreError as exc:
        raise CredentialsError(f"The AWS configuration cannot be used: {exc}.") from exc
    if not region:
        raise BadInputError(
            "No AWS region: pass target.region (for example eu-west-1), or set AWS_REGION, or "
            "`region` in the profile."
        )
    if not re.fullmatch(r"[a-z]{2,4}(-[a-z]+)+-\d", region):
        raise BadInputError(f"{region!r} is not an AWS region name; they look like eu-west-1.")
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": 6},
        connect_timeout=5,
        read_timeout=60,
        max_pool_connections=20,
        user_agent_extra="opswright",
    )
    if target.role_arn:
        session = _assume(session, target.profile, target.role_arn, region, config)
    return Aws(session=session, region=region, config=config)


def _environment_region() -> str | None:
    import os

    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _assume(session: Any, profile: str | None, role_arn: str, region: str, config: Any) -> Any:
    """A session whose credentials are the role's, refreshed by botocore before they expire.

    It keeps the profile, whose configuration (endpoints above all) holds for the role as well.
    """
    import boto3
    from botocore.credentials import DeferredRefreshableCredentials, create_assume_role_refresher
    from botocore.session import Session

    sts = session.client("sts", region_name=region, config=config)
    inner = Session(profile=profile)
    inner._credentials = (
        DeferredRefreshableCredentials(  # the public API offers no setter for refreshable ones
            method="assume-role",
            refresh_using=create_assume_role_refresher(
                sts, {"RoleArn": role_arn, "RoleSessionName": "opswright", "DurationSeconds": 3600}
            ),
        )
    )
    return boto3.Session(botocore_session=inner, region_name=region)


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine."""
    import ipaddress

    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
_THROTTLED = {
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
}
_GAPS = re.compile(
    r"not (?:been |yet )?implemented|NotImplementedError|not yet supported|NotYetImplemented", re.I
)
_PERMISSION = re.compile(r"not authorized to perform:? ([a-z0-9-]+:[A-Za-z*]+)")


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
        return EmulatorGapError(
            "The backend's answer is not AWS's: it does not implement this operation (emulators "
            f"lack some). Details: {_one_line(str(exc))}",
            code="ResponseParserError",
        )
    if isinstance(
        exc,
        botocore.SSOTokenLoadError
        | botocore.UnauthorizedSSOTokenError
        | botocore.TokenRetrievalError,
    ):
        return CredentialsError(
            f"The AWS SSO session is over: run `aws sso login` and call again. ({exc})"
        )
    if isinstance(exc, botocore.NoCredentialsError | botocore.PartialCredentialsError):
        return CredentialsError(
            "No AWS credentials: run `aws configure` or `aws sso login`, or set AWS_PROFILE for "
            "this server."
        )
    if isinstance(exc, botocore.CredentialRetrievalError):
        return CredentialsError(f"The AWS credentials could not be read: {_one_line(str(exc))}")
    if isinstance(
        exc, botocore.ConnectionError | botocore.HTTPClientError | botocore.IncompleteReadError
    ):
        return EndpointError(
            f"AWS cannot be reached: {_one_line(str(exc))}. Check the network, the region's name "
            "and AWS_ENDPOINT_URL."
        )
    if isinstance(exc, botocore.ParamValidationError):
        return BadInputError(f"AWS would refuse the parameters: {_one_line(str(exc))}")
    if isinstance(exc, botocore.WaiterError):
        return CloudError(
            f"Waiting for AWS ended without success: {_one_line(str(exc))}", code="WaiterError"
        )
    if isinstance(exc, botocore.BotoCoreError):
        return CloudError(f"The AWS call could not be made: {_one_line(str(exc))}")
    return exc


def error_code(exc: BaseException) -> str:
    """The AWS error code of a ClientError (or of the CloudError made from one), else ''."""
    if isinstance(exc, CloudError):
        return exc.code
    response = getattr(exc, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def _client_error(exc: Any) -> CloudError:
    error = exc.response.get("Error", {})
    code, message = str(error.get("Code", "")), _one_line(str(error.get("Message", "")))
    status = exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    named = _PERMISSION.search(message)
    # UnauthorizedOperation is EC2's own code, and its message does not name the action.
    prefix = "ec2:" if code == "UnauthorizedOperation" else ""
    operation = named.group(1) if named else f"{prefix}{exc.operation_name}"
    said = f"{exc.operation_name}: {code}: {message}"
    if _GAPS.search(message) or (status >= 500 and code in {"500", "501"}):
        return EmulatorGapError(
            f"The backend does not implement {exc.operation_name} ({message})", **_what(exc, code)
        )
    if code in _DENIED or "AccessDenied" in code or "not authorized" in message:
        return AccessDeniedError(
            f"{said}. Grant {operation} to the credentials and call again.",
            permission=operation,
            **_what(exc, code),
        )
    if code in _EXPIRED:
        return CredentialsError(
            f"{said}. Refresh them: `aws sso login`, or new session credentials.",
            **_what(exc, code),
        )
    if code in _WRONG:
        return CredentialsError(
            f"{said}. The credentials are not valid for this account.", **_what(exc, code)
        )
    if code in _THROTTLED or "Throttl" in code:
        return ThrottledError(
            f"{said}. AWS asks to slow down; call again in a minute.", **_what(exc, code)
        )
    if status >= 500:
        return EndpointError(
            f"{said}. AWS failed inside; whether it took effect is not known.", **_what(exc, code)
        )
    return CloudError(said, **_what(exc, code))


def _what(exc: Any, code: str) -> dict[str, str]:
    return {"operation": str(exc.operation_name), "code": code}


def _one_line(text: str, limit: int = 400) -> str:
    plain = re.sub(r"<[^>]+>", " ", html.unescape(text)) if "<html" in text.lower() else text
    return re.sub(r"\s+", " ", plain).strip()[:limit]


def tags_of(items: list[dict[str, str]] | None) -> dict[str, str]:
    """`[{"Key": k, "Value": v}]` → `{k: v}`."""
    return {item["Key"]: item["Value"] for item in items or []}


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    """`{k: v}` → `[{"Key": k, "Value": v}]`."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def exists(read: Callable[[], Any]) -> bool:
    """Whether a describe call finds its subject; errors that are not NotFound-like are raised."""
    try:
        read()
    except Exception as exc:
        if is_absent(exc):
            return False
        raise
    return True


def is_absent(exc: BaseException) -> bool:
    """Whether an error means «there is no such thing» (NotFound, NoSuch…, DoesNotExist, 404)."""
    return bool(re.search(r"NotFound|NoSuch|NonExistent|DoesNotExist|^404$", error_code(exc)))
