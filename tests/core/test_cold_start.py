"""Promises about what a start leaves out; how much that saves is in benchmarks/cold_start.py."""

import asyncio
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client, Context, FastMCP

from opswright_core import startup
from opswright_core.brevity import inline
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import read_tool

ROOT = Path(__file__).parents[2]
SERVERS = ["aws_devops", "cicd", "cost", "knowledge", "metrics", "security"]

HEAVY = {
    "anthropic", "boto3", "botocore", "docker", "git", "sqlalchemy", "dbos", "psycopg", "numpy",
    "beartype", "key_value",  # FastMCP's store of session state
    "griffe",  # its parser of docstrings
    "jsonref", "requests",  # its inlining of references
    "opentelemetry.sdk",
}  # fmt: skip

CLIENT = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}


def imported(stderr: str) -> set[str]:
    """What `-X importtime` says was imported: `import time: self | cumulative | name`."""
    lines = [line for line in stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def heavy_in(modules: set[str]) -> set[str]:
    return {name for name in HEAVY if name in modules}


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_imports_nothing_heavy_until_its_tools_are_listed(
    name: str, tmp_path: Path
) -> None:
    messages: list[dict[str, Any]] = [
        {"id": 0, "method": "initialize", "params": CLIENT},
        {"method": "notifications/initialized"},
        {"id": 1, "method": "tools/list", "params": {}},
    ]
    command = [sys.executable, "-X", "importtime", "-m", f"opswright_{name}"]
    with (tmp_path / "stderr").open("w+") as stderr:
        server = subprocess.Popen(
            [*command, "--allow-writes", "--toolsets", "all"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True,
        )  # fmt: skip
        assert server.stdin
        assert server.stdout
        with server:
            for message in messages:
                server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            server.stdin.flush()
            answers = [json.loads(server.stdout.readline()) for _ in range(2)]
            stderr.seek(0)
            modules = imported(stderr.read())
            server.stdin.close()
    assert answers[1]["result"]["tools"]
    assert "fastmcp.server.server" in modules  # or nothing was seen
    assert heavy_in(modules) == set()


@pytest.mark.parametrize(
    ("code", "left_out"),
    [
        ("import opswright.cli", {"fastmcp", "mcp", "pydantic", "rich", "dbos", "asyncio"}),
        ("from opswright.cli import main; main(['--help'])", {"fastmcp", "mcp", "pydantic"}),
        ("from opswright_core import startup", {"fastmcp", "mcp", "pydantic"}),
    ],
    ids=["orchestrator", "help", "startup"],
)
def test_a_command_line_imports_no_protocol_before_it_needs_it(
    code: str, left_out: set[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert imported(done.stderr) & (left_out | HEAVY) == set()


@pytest.fixture
def _collected() -> Iterator[None]:
    from pydantic import BaseModel

    yield
    gc.enable()
    gc.unfreeze()
    BaseModel.model_config.pop("defer_build", None)


@pytest.mark.usefixtures("_collected")
def test_garbage_is_collected_again_once_the_start_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pydantic import BaseModel

    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)
    startup.begin()
    assert not gc.isenabled()
    assert os.environ["PYDANTIC_DISABLE_PLUGINS"] == "__all__"

    class Late(BaseModel):
        number: int

    assert not Late.__pydantic_complete__, "is built when it is first used"
    assert Late(number="7").number == 7
    startup.finish()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("_collected")
def test_an_operators_own_choice_of_plugins_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", "one-of-them")
    startup.begin()
    assert os.environ["PYDANTIC_DISABLE_PLUGINS"] == "one-of-them"


def test_a_tool_keeps_its_docstring(settings: Settings) -> None:
    @read_tool
    def look() -> str:
        """Look at it."""
        return "seen"

    server: FastMCP[Any] = build_server(
        "one", title="One", instructions="Looks.", tools=[look], settings=settings
    )
    assert look.__doc__ == "Look at it."
    (listed,) = [t for t in asyncio.run(server.list_tools()) if t.name == "look"]
    assert listed.description == "Look at it."


async def test_a_tool_may_keep_session_state_all_the_same(settings: Settings) -> None:
    @read_tool
    async def count(context: Context) -> int:
        """Count the calls of a session."""
        seen: int = await context.get_state("seen") or 0
        await context.set_state("seen", seen + 1)
        return seen

    server = build_server(
        "one", title="One", instructions="Counts.", tools=[count], settings=settings
    )
    async with Client(server, mode="legacy") as client:  # there are no sessions in 2026-07-28
        assert [(await client.call_tool("count")).data for _ in range(3)] == [0, 1, 2]


async def test_state_is_gone_once_deleted() -> None:
    class Store(dict[str, str]):
        async def get(self, key: str) -> str | None:  # type: ignore[override]
            return super().get(key)

        async def put(self, key: str, value: str) -> None:
            self[key] = value

        async def delete(self, key: str) -> bool:
            return self.pop(key, None) is not None

    made: list[Store] = []

    def make() -> Store:
        made.append(Store())
        return made[-1]

    state = startup.DeferredState(make)
    assert await state.get(key="a") is None
    assert not await state.delete(key="a")
    assert made == []
    await state.put(key="a", value="1")
    assert await state.get(key="a") == "1"
    assert await state.delete(key="a")
    assert await state.get(key="a") is None
    assert len(made) == 1


PORT = {"type": "object", "properties": {"number": {"type": "integer"}}}


def test_definitions_stand_where_they_are_referred_to() -> None:
    host = {"properties": {"ports": {"items": {"$ref": "#/$defs/Port"}}}}
    schema = {
        "$defs": {"Port": PORT, "Host": host},
        "properties": {"host": {"$ref": "#/$defs/Host", "description": "Which"}},
    }
    assert inline(schema) == {
        "properties": {"host": {"properties": {"ports": {"items": PORT}}, "description": "Which"}}
    }


def test_a_definition_that_refers_to_itself_is_left_as_it_is() -> None:
    node = {"properties": {"next": {"$ref": "#/$defs/Node"}}}
    schema = {"$defs": {"Node": node}, "properties": {"first": {"$ref": "#/$defs/Node"}}}
    assert inline(schema) == schema
