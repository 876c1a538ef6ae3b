"""A team of small stdio agents, and sessions on it."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.orchestrator.team import OpenSession
from tests.orchestrator.terminal import Terminal

from opswright.session import Place, Session, opened

AGENT = Path(__file__).with_name("agent.py")


@pytest.fixture
def things(tmp_path: Path) -> Path:
    """The folder where the agents make things."""
    folder = tmp_path / "things"
    folder.mkdir()
    return folder


@pytest.fixture
def config(tmp_path: Path, things: Path) -> Path:
    """An mcp.json of two small agents that make things."""

    def agent(name: str, **env: str) -> dict[str, Any]:
        return {
            "command": sys.executable,
            "args": [str(AGENT), "--allow-writes", "--approvals", "token"],
            "env": {"OPSWRIGHT_TEST_AGENT": name, "OPSWRIGHT_TEST_THINGS": str(things), **env},
        }

    path = tmp_path / "mcp.json"
    servers = {"maker": agent("maker"), "other": agent("other")}
    path.write_text(json.dumps({"mcpServers": servers}))
    return path


def _joined(config: Path, name: str, server: dict[str, Any]) -> None:
    servers = json.loads(config.read_text())
    servers["mcpServers"][name] = server
    config.write_text(json.dumps(servers))


@pytest.fixture
def knowledge(config: Path) -> None:
    """Put the knowledge server into the team; it is left out elsewhere to be quick."""
    server = {"command": "opswright-knowledge", "args": ["--toolsets", "all"]}
    _joined(config, "knowledge", server)


@pytest.fixture
def stranger(config: Path, things: Path) -> None:
    """Put a third party's server into the team."""
    server = {
        "command": sys.executable,
        "args": [str(AGENT.with_name("stranger.py"))],
        "env": {"OPSWRIGHT_TEST_THINGS": str(things)},
    }
    _joined(config, "stranger", server)


@pytest.fixture
def open_session(tmp_path: Path, config: Path) -> OpenSession:
    """`async with open_session() as session` starts the agents."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[Session]:
        state_dir = tmp_path / "state"
        state_dir.mkdir(exist_ok=True)
        async with opened(Place(state_dir), config) as session:
            yield session

    return opening


@pytest.fixture
def terminal(tmp_path: Path, config: Path) -> Terminal:
    """`terminal("status")` runs `opswright status` on the small agents."""
    return Terminal(tmp_path, config)
