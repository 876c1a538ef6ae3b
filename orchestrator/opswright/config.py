"""Which servers there are: an `mcp.json`, the format that hosts use."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SUITE = ("aws_devops", "cicd", "metrics", "security", "cost", "knowledge")


class ConfigError(Exception):
    """The configuration cannot be used; says which file, what is wrong and what to do."""


class Server(BaseModel):
    """One entry of `mcpServers`: a command to start (stdio) or a URL (streamable HTTP)."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    command: str | None = None
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    url: str | None = None
    headers: dict[str, str] = Field(default_factory=dict)


def config_file(path: Path | None) -> Path | None:
    """The configuration to use: `path`, else `./mcp.json`; None for our own six servers."""
    if path is None and not Path("mcp.json").is_file():
        return None
    return (path or Path("mcp.json")).resolve()


def load_servers(path: Path | None) -> dict[str, Server]:
    """Read the servers from `path`, else `./mcp.json`, else our own six. Raises ConfigError."""
    path = config_file(path)
    if path is None:
        return {
            name: Server(
                command=f"opswright-{name.replace('_', '-')}",
                args=("--allow-writes", "--toolsets", "all"),
            )
            for name in SUITE
        }
    try:
        entries = json.loads(path.read_text())["mcpServers"]
        servers = {name: Server(**entry) for name, entry in entries.items()}
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; give an mcp.json with --config") from None
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as exc:
        raise ConfigError(
            f"{path} is not a valid mcp.json ({exc}); "
            'it holds {"mcpServers": {name: {command, args}}}'
        ) from exc
    for name, server in servers.items():
        if not server.command and not server.url:
            raise ConfigError(f"{path}: server {name!r} has neither a command nor a url")
    return servers


def command_of(server: Server) -> str:
    """The program to start: on PATH, else beside this Python, where the suite is installed."""
    command = server.command or ""
    if shutil.which(command):
        return command
    beside = Path(sys.executable).with_name(command)
    return str(beside) if beside.is_file() else command


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server: ours, AWS and OPSWRIGHT settings included, and `extra`."""
    merged: dict[str, Any] = {**os.environ, "FASTMCP_SHOW_SERVER_BANNER": "false", **extra}
    return {name: value for name, value in merged.items() if value != ""}
