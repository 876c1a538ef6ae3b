"""The journal names who asked for a change, and who said yes."""

import dataclasses
import json
import os
import pwd
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.transports import StdioTransport
from mcp_types import Implementation
from tests.core.issuers import AUDIENCE, ISSUER, Issuer
from tests.core.processes import SHELF, environment, serving
from tests.core.shelf import create_server

from opswright_core.asker import os_user
from opswright_core.settings import Settings

ALICE, CI = "a" * 24, "c1" * 16
CURSOR = Implementation(name="cursor", version="1.0")
ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture(scope="module")
def served(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of named tokens and JWTs, which asks for an approval."""
    flags = [
        "--allow-writes", "--approvals", "token", "--jwt-jwks-uri", issuer.uri,
        "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE,
    ]  # fmt: skip
    tokens = {"OPSWRIGHT_BEARER_TOKENS": f"alice:{ALICE},ci:{CI}"}
    state = tmp_path_factory.mktemp("served") / "state"
    with serving(SHELF, state, *flags, **tokens, OPSWRIGHT_MIND="skills") as base:
        yield base


@asynccontextmanager
async def client_of(base: str, token: str | None, era: str = "auto") -> AsyncIterator[Any]:
    auth = BearerAuth(token) if token else None
    async with Client(f"{base}/mcp", mode=era, auth=auth, client_info=CURSOR) as client:
        yield client


async def call(client: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.call_tool(tool, arguments)).structured_content
    return answer


async def test_over_http_both_the_asker_and_the_approver_are_named_by_token(
    served: str, era: str
) -> None:
    names = [f"thing-{era}"]
    async with client_of(served, ALICE, era) as client:
        asked = await call(client, "shelve", names=names)
        assert asked["status"] == "needs_approval"
        waiting = await call(client, "get_change", change_id=asked["change_id"])
        assert waiting["asked_by"] == "alice (bearer token; cursor)"
        assert waiting["approved_by"] == ""
    async with client_of(served, CI, era) as client:
        token = asked["approval"]["token"]
        done = await call(client, "shelve", names=names, approval=token)
        listed = await call(client, "list_changes")
        uri = f"journal://changes/{asked['change_id']}"
        (resource,) = await client.read_resource(uri)
    assert done["status"] == "done"
    assert done["asked_by"] == "ci (bearer token; cursor)"
    assert done["approved_by"] == "ci (bearer token; cursor) by token"
    line = next(c for c in listed["items"] if c["change_id"] == asked["change_id"])
    shown = json.loads(resource.text)
    for place in (line, shown):
        assert place["asked_by"] == done["asked_by"]
        assert place["approved_by"] == done["approved_by"]
    events = {e["kind"]: e for e in shown["events"]}
    assert events["requested"]["asked_by"] == "alice (bearer token; cursor)"
    assert events["approved"]["who"] == "ci (bearer token; cursor)"


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({}, "bob (JWT; cursor)"),
        ({"client_id": "app-7"}, "bob (JWT for app-7; cursor)"),
    ],
    ids=["subject", "client"],
)
async def test_a_jwt_names_its_subject(
    served: str, issuer: Issuer, claims: dict[str, Any], name: str
) -> None:
    token = issuer.token(additional_claims=claims)
    async with client_of(served, token) as client:
        asked = await call(client, "shelve", names=["jug"])
        change = await call(client, "get_change", change_id=asked["change_id"])
    assert change["asked_by"] == name


async def test_what_a_task_changes_was_asked_for_by_who_gave_the_task(served: str) -> None:
    async with client_of(served, ALICE) as client:
        report = await call(client, "handle_task", task="put a thing named vase on the shelf")
        assert report["status"] == "needs_approval"
        newest = (await call(client, "list_changes"))["items"][0]
        change = await call(client, "get_change", change_id=newest["change_id"])
    assert change["status"] == "needs_approval"
    assert change["asked_by"] == "alice (bearer token; cursor)"


async def test_without_a_token_the_caller_is_anonymous(tmp_path: Path) -> None:
    flags = ["--allow-writes", "--approvals", "auto"]
    with serving(SHELF, tmp_path / "state", *flags) as base:
        async with client_of(base, None) as client:
            done = await call(client, "shelve", names=["lamp"])
    assert done["asked_by"] == "anonymous (HTTP without a token; cursor)"
    assert done["approved_by"] == "auto (sandbox)"


async def test_over_stdio_it_is_the_user_of_the_machine_and_never_the_environments(
    tmp_path: Path, era: str
) -> None:
    flags = ["--allow-writes", "--approvals", "out-of-band", "--state-dir", str(tmp_path / "s")]
    forged = environment(USER="mallory", LOGNAME="mallory")
    transport = StdioTransport(SHELF[0], [*SHELF[1:], *flags], env=forged, keep_alive=False)
    async with Client(transport, mode=era, client_info=CURSOR) as client:
        change_id = (await call(client, "shelve", names=["lamp"]))["change_id"]
        command = [*SHELF, "--state-dir", str(tmp_path / "s"), "approve", change_id]
        subprocess.run(command, check=True, capture_output=True, timeout=60, env=forged)
        done = await call(client, "shelve", names=["lamp"], approval=change_id)
    assert done["asked_by"] == f"{ME} (local; cursor)"
    assert done["approved_by"] == f"{ME} (local) by out-of-band"


async def test_a_question_was_answered_by_the_askers_user(settings: Settings, era: str) -> None:
    async def yes(*_: Any) -> Any:
        return ElicitResult(action="accept", content={"approve": True})

    server = create_server(dataclasses.replace(settings, approvals="elicit"))
    async with Client(server, mode=era, client_info=CURSOR, elicitation_handler=yes) as client:
        done = await call(client, "shelve", names=["lamp"])
    assert done["approved_by"] == f"{ME} (local; cursor) by elicit"


async def test_a_clients_name_is_cleaned_and_cut(settings: Settings) -> None:
    odd = Implementation(name="a\u202eb\n" + "x" * 500, version="1")
    async with Client(create_server(settings), client_info=odd) as client:
        done = await call(client, "shelve", names=["lamp"])
    assert len(done["asked_by"]) < 120
    assert "\u202e" not in done["asked_by"]


def test_a_user_without_an_entry_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    lookup: Callable[[], str] = os_user.__wrapped__
    assert lookup() == ME

    def unknown(_: int) -> None:
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert lookup() == f"uid {os.getuid()}"
