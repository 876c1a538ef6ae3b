"""One way to AWS: sessions by target, clients reused, and every failure said in words that help.

boto3 is imported on first use, so that a server answers tools/list without it.
"""

import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.client_events import (
    CONNECT_SECONDS,
    READ_SECONDS,
    ClientEvents,
    without_account_prefix,
)
from opswright_core.cloud_errors import error_code as error_code
from opswright_core.cloud_errors import in_use, no_prompt, one_line
from opswright_core.cloud_errors import is_absent as is_absent
from opswright_core.cloud_errors import translate as translate
from opswright_core.errors import BadInputError, CredentialsError
from opswright_core.service_models import service_models

ALL_REGIONS = "all"


class AwsTarget(BaseModel):
    """Which account and region a call is for; what is left out comes from the environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    profile: str | None = Field(None, max_length=200)
    region: str | None = Field(None, max_length=500)
    role_arn: str | None = Field(None, max_length=2048)


HERE = AwsTarget()
Target = Annotated[AwsTarget, Field(description="Profile, region, role; else environment")]


@dataclass
class Aws:
    """A session on one account and region, with its clients; made by `AwsSessions.open`."""

    session: Any
    region: str
    config: Any
    endpoint_url: str | None = None
    _events: ClientEvents = field(default_factory=ClientEvents)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _identity: dict[str, str] | None = None

    def client(self, service: str, region: str | None = None) -> Any:
        """The boto3 client of a service, made once per region."""
        key = (service, region or self.region)
        if made := self._clients.get(key):  # without waiting for another service's, being made
            return made
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make(service, key[1])
            return self._clients[key]

    def at(self, region: str) -> "Aws":
        """The same credentials and clients, with another region as the default."""
        _named(region)
        return replace(self, region=region)

    def close(self) -> None:
        """Close the connections of its clients and let these go; a later use makes new ones."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    @property
    def is_stale(self) -> bool:
        """Whether AWS refused the credentials, or there were none, so that they are read again."""
        return self._events.stale.is_set()

    def _make(self, service: str, region: str) -> Any:
        client = self.session.client(
            service, region_name=region, config=self.config, endpoint_url=self.endpoint_url
        )
        if service == "s3control" and is_loopback(client.meta.endpoint_url):
            client.meta.events.register("before-sign", without_account_prefix)
        if self.session.get_credentials() is None:
            self._events.stale.set()
        return client

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
        if current := in_use.get():
            current.profile = target.profile or os.environ.get("AWS_PROFILE")
        with self._lock:
            known = self._opened.get(target)
            if known is None or known.is_stale:
                known = self._opened[target] = _open(target)
        note_region(known.region)
        return known

    def forget(self) -> None:
        """Close every session, so that the next call reads credentials and endpoints again.

        What is under way in a thread ends as it would have; its connections close after it.
        """
        with self._lock:
            opened = list(self._opened.values())
            self._opened.clear()
        for session in opened:
            session.close()


def note_region(region: str) -> None:
    """Remember a region for the answer of the call under way."""
    current = in_use.get()
    if current is not None and region not in current.regions:
        current.regions.append(region)


def _open(target: AwsTarget) -> Aws:
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ProfileNotFound

    if target.region and (target.region == ALL_REGIONS or "," in target.region):
        raise BadInputError(
            f"This reads one region at a time, not {target.region!r}: name one, like eu-west-1. "
            "The tools that read several say so."
        )
    try:
        session = _session(botocore.session.Session(profile=target.profile), target.region)
        region = target.region or _environment_region() or session.region_name
    except ProfileNotFound as exc:
        known = ", ".join(botocore.session.Session().full_config["profiles"]) or "none"
        raise CredentialsError(
            f"{one_line(str(exc))}; profiles here: {known}. Make it with `aws configure --profile "
            "NAME`, or leave `target.profile` out and unset AWS_PROFILE."
        ) from exc
    except BotoCoreError as exc:
        raise CredentialsError(f"The AWS configuration cannot be used: {exc}.") from exc
    if not region:
        raise BadInputError(
            "No AWS region: pass target.region (for example eu-west-1), or set AWS_REGION, or "
            "`region` in the profile."
        )
    _named(region)
    config = Config(
        retries={"mode": "adaptive", "total_max_attempts": 6},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=40,  # as many as the threads that tools run in
        user_agent_extra="opswright",
    )
    events = ClientEvents()
    _prepare(session, events)
    if target.role_arn:
        session = _assume(session, target.profile, target.role_arn, region, config)
        _prepare(session, events)
    return Aws(session=session, region=region, config=config, _events=events)


def _session(core: Any, region: str | None) -> Any:
    """A boto3 session that shares the services' models, megabytes each, with all the others."""
    import boto3

    models = service_models(core.get_config_variable("data_path"))
    core.register_component("data_loader", models)
    session = boto3.Session(botocore_session=core, region_name=region)
    models.search_paths[:] = dict.fromkeys(models.search_paths)  # each session adds boto3's own
    return session


def _named(region: str) -> None:
    if not re.fullmatch(r"[a-z]{2,4}(-[a-z]+)+-\d", region):
        raise BadInputError(f"{region!r} is not an AWS region name; they look like eu-west-1.")


def _prepare(session: Any, events: ClientEvents) -> None:
    """Watch a session's clients, and never ask for an MFA code: stdin is the protocol's."""
    events.watch(session)
    providers = session._session.get_component("credential_provider")
    providers.get_provider("assume-role")._prompter = _refuse_prompt  # there is no public setter


def _refuse_prompt(_: str) -> str:
    raise CredentialsError(no_prompt())


def _environment_region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")


def _assume(session: Any, profile: str | None, role_arn: str, region: str, config: Any) -> Any:
    """A session whose credentials are the role's, refreshed by botocore before they expire.

    It keeps the profile, whose configuration (endpoints above all) holds for the role as well.
    """
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
    return _session(inner, region)


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine."""
    import ipaddress

    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
