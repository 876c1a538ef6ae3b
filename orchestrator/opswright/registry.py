"""The agents: one live session each, over MCP alone, isolated from each other's failures."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opswright.config import Server, child_environment, command_of
from opswright_core.canonical import digest

CARD = "agent://card"
CONNECT_SECONDS = 45.0
BREAKER_FAILURES, BREAKER_SECONDS = 3, 30.0

Progress = Callable[[str], Awaitable[None]]


async def silent(_: str) -> None:
    """Take in the progress of a call that nobody watches."""


class AgentDownError(Exception):
    """The agent cannot be reached: missing, crashed, or shut off by the circuit breaker."""


class OutcomeUnknownError(Exception):
    """A call was sent and its answer lost; whether it took effect is not known."""


@dataclass(frozen=True)
class Answer:
    """What a tool answered. `value` is its structured content; an error's text is never data."""

    value: dict[str, Any]
    text: str
    is_error: bool


@dataclass(frozen=True)
class ToolInfo:
    """A tool as its server lists it; risk is what it declares, else what its annotations hint."""

    name: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    risk: str


@dataclass
class Agent:
    """One server of the configuration and the session on it."""

    name: str
    server: Server
    environment: Mapping[str, str]
    log_file: Path
    tools: dict[str, ToolInfo] = field(default_factory=dict)
    card: dict[str, Any] = field(default_factory=dict)
    error: str | None = None
    _client: Any = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _failures: int = 0
    _closed_until: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether the last attempt to reach the agent went well."""
        return self._client is not None

    async def connect(self) -> None:
        """Start (or reach) the server and read its tools and card. Raises AgentDownError."""
        async with self._lock:
            if self._client is not None:
                return
            if time.monotonic() < self._closed_until:
                raise AgentDownError(
                    f"{self.error} (it failed {self._failures} times and is left alone for a while)"
                )
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    self._client = await self._open()
            except Exception as exc:
                self._note_failure()
                self.error = f"{self.name} did not start: {_reason(exc, self.log_file)}"
                raise AgentDownError(self.error) from exc
            self.error = None

    async def call(
        self, tool: str, args: Mapping[str, Any], timeout_seconds: float, progress: Progress
    ) -> Answer:
        """Call a tool.

        Raises AgentDownError when it was not sent, OutcomeUnknownError when the answer was lost.
        """
        from mcp import MCPError

        await self.connect()
        client = self._client

        async def on_progress(_: float, __: float | None, message: str | None) -> None:
            if message:
                await progress(message)

        try:
            result = await client.call_tool_mcp(
                tool, dict(args), timeout=timeout_seconds, progress_handler=on_progress
            )
        except MCPError as exc:
            if "closed" not in str(exc).lower() and "timed out" not in str(exc).lower():
                return Answer({}, str(exc), True)
            await self._lost(client, exc)
            raise OutcomeUnknownError(f"{self.name}.{tool}: {_reason(exc, self.log_file)}") from exc
        except Exception as exc:
            await self._lost(client, exc)
            raise OutcomeUnknownError(f"{self.name}.{tool}: {_reason(exc, self.log_file)}") from exc
        self._failures = 0
        text = "\n".join(block.text for block in result.content if getattr(block, "text", None))
        return Answer(result.structured_content or _json(text), text, bool(result.is_error))

    async def close(self) -> None:
        """End the session, and with it the child process."""
        client, self._client = self._client, None
        if client is not None:
            try:
                async with asyncio.timeout(10):
                    await client.close()
            except Exception as exc:
                self.error = f"{self.name} did not close cleanly: {exc}"

    async def _open(self) -> Any:
        from fastmcp import Client

        from opswright_core.answers import own_client

        client: Any = Client(self._transport(), client_info=own_client())
        await client.__aenter__()
        try:
            listed = await client.list_tools()
            self.tools = {tool.name: _tool_info(tool) for tool in listed}
            if any(str(resource.uri) == CARD for resource in await client.list_resources()):
                self.card = _json((await client.read_resource(CARD))[0].text)
        except BaseException:
            await client.close()
            raise
        return client

    def _transport(self) -> Any:
        if self.server.url:
            from fastmcp.client.transports import StreamableHttpTransport

            return StreamableHttpTransport(self.server.url, headers=dict(self.server.headers))
        from fastmcp.client.transports import StdioTransport

        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        return StdioTransport(
            command=command_of(self.server),
            args=list(self.server.args),
            env=child_environment({**self.environment, **self.server.env}),
            cwd=self.server.cwd or os.getcwd(),
            keep_alive=False,
            log_file=self.log_file,
        )

    async def _lost(self, client: Any, exc: Exception) -> None:
        """Drop a session that broke; of the calls that were under way on it, the first one does."""
        if self._client is client:
            self.error = f"{self.name} was lost: {_reason(exc, self.log_file)}"
            self._note_failure()
            await self.close()

    def _note_failure(self) -> None:
        self._failures += 1
        if self._failures >= BREAKER_FAILURES:
            self._closed_until = time.monotonic() + BREAKER_SECONDS


class Registry:
    """All agents of a configuration."""

    def __init__(
        self, servers: Mapping[str, Server], environment: Mapping[str, str], log_dir: Path
    ) -> None:
        self.agents = {
            name: Agent(name, server, environment, log_dir / f"{name}.log")
            for name, server in servers.items()
        }

    async def connect(self) -> None:
        """Reach every agent at once; one that is down keeps its error and stops no other."""
        await asyncio.gather(
            *(agent.connect() for agent in self.agents.values()), return_exceptions=True
        )

    async def close(self) -> None:
        """End every session."""
        await asyncio.gather(*(agent.close() for agent in self.agents.values()))

    @property
    def up(self) -> dict[str, Agent]:
        """The agents that answered."""
        return {name: agent for name, agent in self.agents.items() if agent.is_up}

    @property
    def catalogue_hash(self) -> str:
        """Changes when any agent's tools do."""
        return digest(
            {
                name: {t.name: t.input_schema for t in a.tools.values()}
                for name, a in self.agents.items()
            }
        )


def _tool_info(tool: Any) -> ToolInfo:
    declared = ((tool.meta or {}).get("opswright") or {}).get("risk")
    hints = tool.annotations
    if declared is None:
        reads = bool(hints and hints.read_only_hint)
        declared = (
            "read"
            if reads
            else "write"
            if hints and hints.destructive_hint is False
            else "destructive"
        )
    return ToolInfo(
        tool.name, tool.description or "", tool.input_schema, tool.output_schema, declared
    )


def _json(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {"result": value}


def _reason(exc: BaseException, log_file: Path) -> str:
    said = str(exc).strip() or type(exc).__name__
    try:
        last = [line for line in log_file.read_text(errors="replace").splitlines() if line.strip()][
            -1:
        ]
    except OSError:
        last = []
    return f"{said} (its log ends: {last[0].strip()[:200]})" if last else said
