"""Credentials that expire while a server runs: it goes on without a restart, or says what to do."""

import hashlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.transports import StdioTransport
from tests.core.aws_front import Front, in_seconds
from tests.core.processes import ROOT, environment, serving

from opswright_core.aws import AwsSessions, AwsTarget, translate
from opswright_core.errors import CredentialsError

ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.fixture
def front(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    made = Front(cloud.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.url)
    yield made
    made.close()


def networks(sessions: AwsSessions, target: AwsTarget) -> int:
    """One call, as a tool makes it."""
    return len(sessions.open(target).pages("ec2", "describe_vpcs", "Vpcs"))


BY_ARGUMENT = AwsTarget(region="eu-west-1", role_arn=ROLE)
BY_PROFILE = AwsTarget(region="eu-west-1", profile="reader")


@pytest.fixture
def reader(front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that assumes the role with the credentials of the environment."""
    config = tmp_path / "config"
    config.write_text(f"[profile reader]\nrole_arn = {ROLE}\ncredential_source = Environment\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("target", [BY_ARGUMENT, BY_PROFILE], ids=["role_arn", "profile"])
def test_a_role_is_assumed_again_before_it_expires_without_a_restart(
    front: Front, target: AwsTarget
) -> None:
    front.role_seconds = [60.0, 3600.0]
    sessions = AwsSessions()
    for _ in range(3):
        assert networks(sessions, target) == 1
    assert len(front.calls("AssumeRole")) == 2
    first, second, third = front.calls("DescribeVpcs")
    assert first != second == third
    sessions.forget()


@pytest.mark.parametrize("target", [BY_ARGUMENT, BY_PROFILE], ids=["role_arn", "profile"])
@pytest.mark.usefixtures("reader")
def test_a_role_whose_source_is_expired_says_so_and_works_when_it_is_renewed(
    front: Front, target: AwsTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "old")
    front.role_seconds = [60.0]
    sessions = AwsSessions()
    assert networks(sessions, target) == 1
    front.refused = {"old"}
    with pytest.raises(Exception) as raised:  # noqa: PT011 (whatever boto raises)
        networks(sessions, target)
    said = translate(raised.value)
    assert isinstance(said, CredentialsError)
    assert "AssumeRole: ExpiredToken" in str(said)
    assert "no restart is needed" in str(said)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "new")
    assert networks(sessions, target) == 1
    assert front.calls("AssumeRole") == ["old", "old", "new"]
    sessions.forget()


async def test_over_http_the_connections_to_aws_outlive_the_hosts_that_come_and_go(
    front: Front, tmp_path: Path, era: str
) -> None:
    command = [sys.executable, str(ROOT / "tests/core/accounts.py")]
    with serving(command, tmp_path / "state") as base:
        for _ in range(3):
            async with Client(f"{base}/mcp", mode=era) as client:
                answer = await client.call_tool("count_networks", {})
            assert answer.structured_content["count"] == 1
    assert len(front.calls("DescribeVpcs")) == 3
    assert front.connections == 1


class Sso:
    """A home directory with a profile that signs in by SSO."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "config").write_text(
            "[profile work]\nregion = eu-west-1\nsso_session = corp\n"
            "sso_account_id = 123456789012\nsso_role_name = reader\n"
            "[sso-session corp]\nsso_region = eu-west-1\n"
            "sso_start_url = https://corp.awsapps.com/start\n"
        )
        name = hashlib.sha1(b"corp").hexdigest()
        self.path = home / ".aws/sso/cache" / f"{name}.json"
        self.path.parent.mkdir(parents=True)

    def sign_in(self, access: str, *, refresh: str, seconds: float) -> None:
        """What `aws sso login` leaves behind."""
        token = {
            "startUrl": "https://corp.awsapps.com/start", "region": "eu-west-1",
            "accessToken": access, "expiresAt": in_seconds(seconds), "refreshToken": refresh,
            "clientId": "c", "clientSecret": "s", "registrationExpiresAt": in_seconds(86_400),
        }  # fmt: skip
        self.path.write_text(json.dumps(token))


@pytest.fixture
def sso(tmp_path: Path) -> Sso:
    home = tmp_path / "home"
    home.mkdir()
    return Sso(home)


Serve = Callable[[], Any]


@pytest.fixture
def server(front: Front, sso: Sso, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """A server process of that home; botocore looks for the token where HOME was at its start."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        state = str(sso.home / "state")
        transport = StdioTransport(
            sys.executable,
            [str(ROOT / "tests/core/accounts.py"), "--state-dir", state],
            env=environment(HOME=str(sso.home), AWS_CONFIG_FILE=str(sso.home / "config")),
            keep_alive=False,
        )
        async with Client(transport) as client:

            async def count() -> Any:
                return await client.call_tool(
                    "count_networks", {"target": {"profile": "work"}}, raise_on_error=False
                )

            yield count

    return opened


async def test_an_expired_sso_token_is_refreshed_and_kept(
    front: Front, sso: Sso, server: Serve
) -> None:
    front.sso_tokens = {"refresh-1": "fresh"}
    sso.sign_in("stale", refresh="refresh-1", seconds=-60)
    async with server() as count:
        answer = await count()
        assert answer.structured_content["count"] == 1
        await count()
    assert front.calls("DescribeVpcs") == ["key-of-fresh"] * 2
    assert front.sso_calls == ["CreateToken", "GetRoleCredentials"]
    assert json.loads(sso.path.read_text())["accessToken"] == "fresh"


async def test_an_sso_session_that_cannot_be_refreshed_names_the_command_and_then_works(
    front: Front, sso: Sso, server: Serve
) -> None:
    sso.sign_in("stale", refresh="revoked", seconds=-60)
    async with server() as count:
        for _ in range(2):
            refused = await count()
            assert refused.is_error
            said = refused.content[0].text
            assert "The AWS SSO session is over: run `aws sso login --profile work`" in said
        assert set(front.sso_calls) == {"CreateToken"}

        front.sso_tokens = {"refresh-2": "signed-in"}
        sso.sign_in("signed-in", refresh="refresh-2", seconds=3600)
        answer = await count()
        assert answer.structured_content["count"] == 1
    assert front.calls("DescribeVpcs") == ["key-of-signed-in"]


async def test_an_sso_token_that_was_revoked_early_names_the_command(
    sso: Sso, server: Serve
) -> None:
    sso.sign_in("revoked", refresh="r", seconds=3600)
    async with server() as count:
        refused = await count()
    assert "run `aws sso login --profile work`" in refused.content[0].text
