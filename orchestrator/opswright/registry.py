"""The agents: one live session each, over MCP alone, isolated from each other's failures."""

import asyncio
import contextlib
import json
import math
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opswright.breaker import Breaker
from opswright.config import Server, child_environment, command_of
from opswright_core.canonical import digest
from opswright_core.idempotency import request_meta

CARD = "agent://card"
CALLS_AT_ONCE = 4
CONNECT_SECONDS = 45.0
STRAGGLER_SECONDS = 15.0
"""How long planning waits for an agent; one that needs longer is waited for by its own steps."""

PROBE_SECONDS = 5.0
PROGRESS_PAUSE_SECONDS = 0.1
"""Progress that comes faster than this extends the time-out and is not passed on."""

MOST_ANSWER_CHARACTERS = 4_000_000
LOG_TAIL_BYTES = 4096

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
    idempotent: bool = False

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The schemas of its arguments, by name."""
        named: Mapping[str, Any] = self.input_schema.get("properties", {})
        return named

    @property
    def is_journalled(self) -> bool:
        """Whether it goes through the change protocol, whose journal finds a repeated request."""
        return "approval" in self.arguments and "dry_run" in self.arguments

    @property
    def is_repeatable(self) -> bool:
        """Whether a call whose answer was lost may be made again."""
        return (
            self.risk in {"read", "record"}
            or self.is_journalled
            or self.idempotent
            or "idempotency_key" in self.arguments
        )


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
    breaker: Breaker = field(default_factory=Breaker)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CALLS_AT_ONCE))
    """Bounds the steps under way on it."""
    _client: Any = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_up(self) -> bool:
        """Whether the last attempt to reach the agent went well."""
        return self._client is not None

    async def connect(self) -> None:
        """Start (or reach) the server and read its tools and card. Raises AgentDownError."""
        async with self._lock:
            if self._client is not None:
                return
            if self.breaker.state == "open":
                raise AgentDownError(
                    f"{self.error} (it failed {self.breaker.failures} times in a row and is left "
                    "alone for a while)"
                )
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    self._client = await self._open()
            except Exception as exc:
                self.breaker.failed()
                self.error = f"{self.name} did not start: {_reason(exc, self.log_file)}"
                raise AgentDownError(self.error) from exc
            self.error = None

    async def call(
        self,
        tool: str,
        args: Mapping[str, Any],
        idle_seconds: float,
        progress: Progress,
        *,
        total_seconds: float = math.inf,
        key: str | None = None,
        asked_by: str = "",
    ) -> Answer:
        """Call a tool; it may be silent for `idle_seconds`, and progress extends that to the total.

        A repeat under the same idempotency `key` is the same request for a server that knows it,
        and with it goes who `asked_by` wishes it.

        Raises AgentDownError when it was not sent, OutcomeUnknownError when the answer was lost.
        """
        from mcp import MCPError

        await self.connect()
        client, loop = self._client, asyncio.get_running_loop()
        end, told = loop.time() + total_seconds, -math.inf

        async def on_progress(_: float, __: float | None, message: str | None) -> None:
            nonlocal told
            with contextlib.suppress(RuntimeError):  # it came when the time was just over
                limit.reschedule(min(loop.time() + idle_seconds, end))
            if message and loop.time() - told > PROGRESS_PAUSE_SECONDS:
                told = loop.time()
                await progress(message)

        limit = asyncio.timeout_at(min(loop.time() + idle_seconds, end))
        try:
            async with limit:
                result = await client.call_tool_mcp(
                    tool,
                    dict(args),
                    progress_handler=on_progress,
                    meta=request_meta(key, asked_by) if key else None,
                )
        except Exception as exc:
            if isinstance(exc, MCPError) and "closed" not in str(exc).lower():
                return Answer({}, str(exc), True)
            raise await self._no_answer(client, tool, exc, timed_out=limit.expired()) from exc
        self.breaker.succeeded()
        text = "\n".join(block.text for block in result.content if getattr(block, "text", None))
        if len(text) > MOST_ANSWER_CHARACTERS:
            return Answer({}, f"{self.name}.{tool} answered {len(text)} characters: too many", True)
        value = result.structured_content or _json(text)
        if not value and text and not result.is_error:
            value = {"result": text}  # a server without output schemas answers text alone
        return Answer(value, text, bool(result.is_error))

    async def _no_answer(
        self, client: Any, tool: str, exc: Exception, *, timed_out: bool
    ) -> OutcomeUnknownError:
        """What a call without an answer comes to; a session that broke is dropped.

        One that only is slow is kept, for the other calls under way on it.
        """
        if timed_out and await self._answers(client):
            self.breaker.failed()
            return OutcomeUnknownError(f"{self.name}.{tool} did not answer in time")
        reason = "it hangs" if timed_out else _reason(exc, self.log_file)
        if self._client is client:  # of the calls that were under way on it, the first one is here
            self.error = f"{self.name} was lost: {reason}"
            self.breaker.failed()
            await self.close()
        return OutcomeUnknownError(f"{self.name}.{tool}: {reason}")

    @staticmethod
    async def _answers(client: Any) -> bool:
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                await client.list_tools()
        except Exception:
            return False
        return True

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


class Registry:
    """All agents of a configuration."""

    def __init__(
        self, servers: Mapping[str, Server], environment: Mapping[str, str], log_dir: Path
    ) -> None:
        self.agents = {
            name: Agent(name, server, environment, log_dir / f"{name}.log")
            for name, server in servers.items()
        }
        self._starting: set[asyncio.Task[None]] = set()

    async def connect(self, names: Iterable[str] | None = None) -> None:
        """Reach the agents named, or all, at once; one that is down keeps its error.

        Those that need longer than the rest are not waited for; they go on starting.
        """
        wanted = [a for n, a in self.agents.items() if names is None or n in set(names)]
        starting = [asyncio.create_task(_reach(a)) for a in wanted if not a.is_up]
        if not starting:
            return
        _, late = await asyncio.wait(starting, timeout=STRAGGLER_SECONDS)
        self._starting |= late
        for task in late:
            task.add_done_callback(self._starting.discard)
        for agent in wanted:
            if not agent.is_up and agent.error is None:
                agent.error = f"{agent.name} is still starting after {STRAGGLER_SECONDS:.0f} s"

    async def close(self) -> None:
        """End every session."""
        for task in list(self._starting):
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
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


async def _reach(agent: Agent) -> None:
    with contextlib.suppress(AgentDownError):
        await agent.connect()


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
        tool.name,
        tool.description or "",
        tool.input_schema,
        tool.output_schema,
        declared,
        bool(hints and hints.idempotent_hint),
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
        with log_file.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            last = log.read().decode(errors="replace").strip().splitlines()[-1:]
    except OSError:
        last = []
    return f"{said} (its log ends: {last[0].strip()[:200]})" if last else said
