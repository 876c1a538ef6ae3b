"""Who may call over HTTP."""

import json
import logging
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from mcp.shared.exceptions import MCPError
from tests.core.issuers import AUDIENCE, ISSUER, Issuer
from tests.core.processes import SHELF, environment, serving
from tests.core.shelf import create_server

from opswright_core import cli
from opswright_core.authentication import Callers, NamedToken, TokenFile, is_loopback, parse_tokens
from opswright_core.errors import BadInputError

ALICE, CI = "a" * 24, "c1" * 16


def refusal(base: str, token: str | None) -> int:
    """The status that a call without a valid token gets."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    body = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    }  # fmt: skip
    request = urllib.request.Request(f"{base}/mcp", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a token from the environment and one from a file."""
    place = tmp_path_factory.mktemp("guarded")
    tokens = place / "tokens"
    tokens.write_text(f"# who may call\n\nalice:{ALICE}\n")
    tokens.chmod(0o600)
    flags = ["--token-file", str(tokens)]
    extra = {"OPSWRIGHT_BEARER_TOKENS": f"ci:{CI}"}
    with serving(SHELF, place / "state", *flags, **extra) as base:
        yield base


@pytest.mark.parametrize("token", [ALICE, CI], ids=["file", "environment"])
async def test_a_named_token_lets_in_in_both_eras(guarded: str, era: str, token: str) -> None:
    async with Client(f"{guarded}/mcp", mode=era, auth=BearerAuth(token)) as client:
        assert (await client.call_tool("list_things", {})).structured_content["total"] == 0


@pytest.mark.parametrize("token", [None, "", "wrong" * 8, ALICE[:-1], ALICE + "a", "ñ"])
def test_any_other_is_refused(guarded: str, token: str | None) -> None:
    quoted = token and urllib.parse.quote(token)
    assert refusal(guarded, quoted) == 401


def test_health_is_open(guarded: str) -> None:
    with urllib.request.urlopen(f"{guarded}/health", timeout=20) as answer:
        assert set(json.load(answer)) == {"server", "version", "ok"}


def test_an_address_that_others_can_reach_needs_callers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for host in ("0.0.0.0", "::", "10.1.2.3", "server.example.com"):
        assert cli.main(create_server, "shelf", ["--transport", "http", "--host", host]) == 2
        said = capsys.readouterr().err
        assert f"refusing to listen on {host} without authentication" in said
        assert "--token-file" in said
        assert "OPSWRIGHT_BEARER_TOKENS" in said


def test_with_callers_it_listens_where_others_can_reach_it(tmp_path: Path) -> None:
    extra = {"OPSWRIGHT_BEARER_TOKENS": f"ci:{CI}"}
    flags = ["--allowed-host", "ops.example"]
    with serving(SHELF, tmp_path / "state", *flags, host="0.0.0.0", **extra) as base:
        assert refusal(base, None) == 401
        assert refusal(base, CI) == 200
        statuses = {name: _status_for_host(base, name) for name in ("ops.example", "evil.example")}
        assert statuses == {"ops.example": 200, "evil.example": 421}
    (log,) = tmp_path.glob("server-*.log")
    assert "without TLS" in log.read_text()


def _status_for_host(base: str, name: str) -> int:
    request = urllib.request.Request(f"{base}/health", headers={"Host": name})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        refused.close()
        return refused.code


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("localhost", True),
        ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("", False),
        ("localhost.evil.example", False),
    ],
)  # fmt: skip
def test_only_this_machine_is_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CI, "entry 1: write name:token"),
        (f"# c\nci:{CI}\nci:{ALICE}", "entry 3: there is a token for ci already"),
        ("ci:short", "the token of ci has 5 characters; use at least 20"),
        (f"c i:{CI}", "write name:token"),
        (f"ci:{CI} a/b", "after the token of ci, 'a/b' is no namespace"),
        (f":{CI}", "write name:token"),
    ],
)
def test_what_is_no_token_is_refused_without_being_quoted(text: str, words: str) -> None:
    with pytest.raises(BadInputError) as refused:
        parse_tokens(text, "the file")
    assert words in str(refused.value)
    assert str(refused.value).startswith("the file, entry")
    assert CI not in str(refused.value)
    assert "short" not in str(refused.value)


def test_flags_go_before_the_environment(tmp_path: Path) -> None:
    environ = {
        "OPSWRIGHT_TOKEN_FILE": str(tmp_path / "none"), "OPSWRIGHT_JWT_JWKS_URI": "https://a/keys",
        "OPSWRIGHT_JWT_ISSUER": "a", "OPSWRIGHT_JWT_AUDIENCE": "b",
    }  # fmt: skip
    chosen = tmp_path / "tokens"
    chosen.write_text(f"ci:{CI}")
    callers = Callers.read(environ, token_file=str(chosen), jwt_issuer="c", jwt_audience=None)
    assert callers.token_file is not None
    assert callers.token_file.tokens() == {"ci": NamedToken(CI)}
    assert (callers.issuer, callers.audience) == ("c", "b")
    assert CI not in repr(callers)


def test_a_token_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot read the token file"):
        Callers.read({}, token_file=str(tmp_path / "none"))


def test_a_token_file_that_everyone_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"ci:{CI}")
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        Callers.read({}, token_file=str(path))
    assert f"chmod 600 {path}" in caplog.text


async def test_a_token_taken_out_of_its_file_is_refused_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"alice:{ALICE}\nci:{CI}\n")
    path.chmod(0o600)
    with serving(SHELF, tmp_path / "state", "--token-file", str(path)) as base:
        async with Client(f"{base}/mcp", mode="legacy", auth=BearerAuth(ALICE)) as open_session:
            assert await open_session.list_tools()
            path.write_text(f"ci:{CI}\n")
            with pytest.raises(MCPError, match="error response"):
                await open_session.list_tools()
        assert [refusal(base, token) for token in (ALICE, CI)] == [401, 200]

        path.write_text(f"alice:{ALICE}\n")  # as long as before, or longer: both are seen
        assert [refusal(base, token) for token in (ALICE, CI)] == [200, 401]

        path.write_text("ci:short\n")
        assert [refusal(base, token) for token in (ALICE, CI)] == [401, 401]
        path.unlink()
        assert refusal(base, ALICE) == 401

        path.write_text(f"alice:{ALICE}\n")
        assert refusal(base, ALICE) == 200
    (log,) = tmp_path.glob("server-*.log")
    said = log.read_text()
    assert "the token of ci has 5 characters" in said
    assert "cannot read the token file" in said
    assert "refused until it is mended" in said
    assert ALICE not in said


def test_a_token_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    path.write_text(f"ci:{CI}")
    tokens = TokenFile(path)
    seen = path.stat()
    path.write_text(f"ci:{CI[::-1]}")
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert tokens.tokens() == {"ci": NamedToken(CI)}
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns + 1))
    assert tokens.tokens() == {"ci": NamedToken(CI[::-1])}


@pytest.mark.parametrize("missing", ["JWKS_URI", "ISSUER", "AUDIENCE"])
def test_a_jwt_must_name_its_issuer_and_audience(missing: str) -> None:
    environ = {f"OPSWRIGHT_JWT_{n}": "https://x" for n in ("JWKS_URI", "ISSUER", "AUDIENCE")}
    del environ[f"OPSWRIGHT_JWT_{missing}"]
    with pytest.raises(BadInputError, match="made for another service"):
        Callers.read(environ)


async def test_a_token_stands_for_its_name() -> None:
    provider: Any = Callers(tokens=parse_tokens(f"alice:{ALICE}\nci:{CI}", "x")).provider()
    assert (await provider.verify_token(CI)).client_id == "ci"
    assert (await provider.verify_token(ALICE)).client_id == "alice"
    assert await provider.verify_token("ñ" * 30) is None


async def test_tokens_and_jwts_can_be_used_side_by_side(issuer: Issuer) -> None:
    callers = Callers(
        tokens={"ci": NamedToken(CI)}, jwks_uri=issuer.uri, issuer=ISSUER, audience=AUDIENCE
    )
    provider: Any = callers.provider()
    assert '"ci"' in (await provider.verify_token(CI)).client_id  # beside which of the two it was
    assert '"bob"' in (await provider.verify_token(issuer.token())).client_id
    assert await provider.verify_token("x" * 30) is None


def test_the_server_asks_whom_the_command_line_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPSWRIGHT_BEARER_TOKENS", f"ci:{CI}")
    seen: list[Any] = []

    class Server:
        auth: Any = None

        def run(self, _: str, **options: Any) -> None:
            seen.extend([self.auth, options["host"], options["allowed_hosts"]])

    flags = ["--transport", "http", "--host", "::", "--allowed-host", "a", "--allowed-host", "b"]
    assert cli.main(lambda _: Server(), "x", flags) == 0
    assert seen[0] is not None
    assert seen[1:] == ["::", ["a", "b"]]
    assert "serving callers with a token on http://[::]:8000/mcp" in capsys.readouterr().err


def test_nobody_named_is_nobody_asked() -> None:
    assert Callers.read({}).provider() is None


@pytest.fixture(scope="module")
def federated(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that takes JWTs, and one named token beside them."""
    flags = [
        "--jwt-jwks-uri", issuer.uri, "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE,
    ]  # fmt: skip
    state = tmp_path_factory.mktemp("federated") / "state"
    with serving(SHELF, state, *flags, OPSWRIGHT_BEARER_TOKENS=f"ci:{CI}") as base:
        yield base


async def test_a_jwt_of_the_issuer_lets_in(federated: str, issuer: Issuer, era: str) -> None:
    for token in (issuer.token(), CI):
        async with Client(f"{federated}/mcp", mode=era, auth=BearerAuth(token)) as client:
            assert await client.list_tools()


@pytest.mark.parametrize(
    "claims",
    [
        {"issuer": "https://other.example"},
        {"audience": "another-service"},
        {"expires_in_seconds": -60},
    ],
    ids=["issuer", "audience", "expired"],
)
def test_a_jwt_for_something_else_is_refused(
    federated: str, issuer: Issuer, claims: dict[str, Any]
) -> None:
    assert refusal(federated, issuer.token()) == 200
    assert refusal(federated, issuer.token(**claims)) == 401


def test_a_jwt_signed_by_another_is_refused(federated: str) -> None:
    from fastmcp.server.auth.providers.jwt import RSAKeyPair

    other = RSAKeyPair.generate().create_token(issuer=ISSUER, audience=AUDIENCE, kid="k1")
    assert refusal(federated, other) == 401


def test_the_same_holds_for_the_command_line(tmp_path: Path) -> None:
    import subprocess

    ended = subprocess.run(
        [*SHELF, "--transport", "http", "--host", "0.0.0.0", "--state-dir", str(tmp_path)],
        capture_output=True, text=True, timeout=60, env=environment(),
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
