"""What our middleware costs a call: a trivial tool through it, beside the same in plain FastMCP.

Both servers run at the same time and are called in turn, in small batches and in changing order, so
that whatever else the machine does falls on both. The client is as bare as can be (it writes the
protocol's lines itself), or its own work would hide the difference. "50" is 50 calls at a time:
over HTTP of 50 clients, each with a session; over stdio, which has one client, on its one
connection. Linux only (/proc).
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

SERVER = Path(__file__).parent / "reference/trivial.py"
KINDS = ("plain", "ours")
GOAL_OVERHEAD = 0.10
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}
CALL = {"name": "greet", "arguments": {"name": "Ada"}}


class Connection(Protocol):
    """One client's."""

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request; returns its result."""


@dataclass
class Served:
    """A running server, its clients, and what was measured."""

    pid: int
    clients: list[Connection]
    seconds: list[float] = field(default_factory=list)
    """The time of each call."""
    rates: list[float] = field(default_factory=list)
    """Calls a second of each batch."""
    cpu_seconds: list[float] = field(default_factory=list)
    """The server's processor time of a call, by batch."""

    def forget(self) -> None:
        """Start measuring anew."""
        for noted in (self.seconds, self.rates, self.cpu_seconds):
            noted.clear()


class Pipe:
    """A stdio connection; requests may overlap."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._in, self._out = process.stdin, process.stdout
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self.notify(method, params, id=number)
        return await answer

    def notify(self, method: str, params: dict[str, Any], **more: Any) -> None:
        self._in.write(_message(method, params, **more) + b"\n")

    async def _read(self) -> None:
        async for line in self._out:
            message = json.loads(line)
            if "result" in message:
                self._waiting.pop(message["id"]).set_result(message["result"])


class Http:
    """A kept-alive HTTP connection with a session; one request at a time."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._session = b""

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        await self.request("initialize", INITIALIZE)
        await self._post(_message("notifications/initialized", {}))

    async def request(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        body = await self._post(_message(method, params, id=1))
        data = next(line[6:] for line in body.splitlines() if line.startswith(b"data: {"))
        result: dict[str, Any] = json.loads(data)["result"]
        return result

    async def _post(self, body: bytes) -> bytes:
        self._writer.write(
            b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
            b"Accept: application/json, text/event-stream\r\nMcp-Protocol-Version: 2025-11-25\r\n"
            b"%sContent-Length: %d\r\n\r\n%s" % (self._port, self._session, len(body), body)
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        if session := fields.get(b"mcp-session-id"):
            self._session = b"Mcp-Session-Id: %s\r\n" % session
        if fields.get(b"transfer-encoding") != b"chunked":
            return await self._reader.readexactly(int(fields.get(b"content-length", b"0")))
        parts = []
        while size := int(await self._reader.readline(), 16):
            parts.append(await self._reader.readexactly(size))
            await self._reader.readexactly(2)
        await self._reader.readexactly(2)
        return b"".join(parts)


def _message(method: str, params: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params, **more}).encode()


@contextlib.asynccontextmanager
async def stdio(kind: str, at_once: int) -> AsyncIterator[Served]:
    """A server on stdio: one connection, which all its clients share."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SERVER), kind, "stdio",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    pipe = Pipe(process)
    await pipe.request("initialize", INITIALIZE)
    pipe.notify("notifications/initialized", {})
    try:
        yield Served(process.pid, [pipe] * at_once)
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def http(kind: str, at_once: int) -> AsyncIterator[Served]:
    """A server on HTTP, and its clients with a connection and a session each."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = await asyncio.create_subprocess_exec(sys.executable, str(SERVER), kind, str(port))
    clients = [Http(port) for _ in range(at_once)]
    try:
        for _ in range(300):
            with contextlib.suppress(ConnectionError):
                await clients[0].open()
                break
            await asyncio.sleep(0.1)
        for client in clients[1:]:
            await client.open()
        yield Served(process.pid, [*clients])
    finally:
        process.kill()
        await process.wait()


TRANSPORTS = {"stdio": stdio, "HTTP": http}


async def batch(served: Served, calls: int) -> None:
    """Share `calls` calls out among the clients, and note what they took."""

    async def one_client(client: Connection) -> None:
        for _ in range(calls // len(served.clients)):
            begun = time.perf_counter()
            result = await client.request("tools/call", CALL)
            served.seconds.append(time.perf_counter() - begun)
            assert result["structuredContent"] == {"text": "Hello Ada"}, result

    cpu, begun = _cpu_seconds(served.pid), time.perf_counter()
    await asyncio.gather(*map(one_client, served.clients))
    elapsed = time.perf_counter() - begun
    served.rates.append(calls / elapsed)
    served.cpu_seconds.append((_cpu_seconds(served.pid) - cpu) / calls)


def _cpu_seconds(pid: int) -> float:
    """Of the threads there are (the pool keeps its own); finer than the ticks of /proc/PID/stat."""
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9


async def compare(plain: Served, ours: Served, rounds: int, calls: int) -> None:
    """Call both in turn, after a batch each to warm up."""
    for served in (plain, ours):
        await batch(served, calls)
        served.forget()
    for number in range(rounds):
        for served in (plain, ours) if number % 2 else (ours, plain):
            await batch(served, calls)


async def measure(rounds: int, calls: int, levels: list[int]) -> bool:
    """Print the table; True when the middleware costs more than the goal."""
    missed = False
    print(f"{'':22}{'p50 ms':>16}{'calls/s':>16}{'server CPU ms':>16}")
    print(f"{'':22}{'plain   ours':>16}{'plain   ours':>16}{'plain   ours':>16}   CPU overhead")
    for (name, transport), at_once in itertools.product(TRANSPORTS.items(), levels):
        async with transport("plain", at_once) as plain, transport("ours", at_once) as ours:
            await compare(plain, ours, rounds, calls)
        p50 = [statistics.median(served.seconds) * 1000 for served in (plain, ours)]
        rate = [statistics.median(served.rates) for served in (plain, ours)]
        cpu = [statistics.median(served.cpu_seconds) * 1000 for served in (plain, ours)]
        pairs = zip(ours.cpu_seconds, plain.cpu_seconds, strict=True)
        overhead = statistics.median(mine / theirs for mine, theirs in pairs) - 1
        missed |= overhead > GOAL_OVERHEAD
        print(
            f"{name + ', ' + str(at_once) + ' at a time':22}"
            f"{p50[0]:9.2f}{p50[1]:7.2f}{rate[0]:9.0f}{rate[1]:7.0f}"
            f"{cpu[0]:9.2f}{cpu[1]:7.2f}{overhead:+13.0%}"
        )
    print(
        f"{rounds} batches of {calls} calls each, in turn; overhead: median of the pairs. "
        f"Goal: at most {GOAL_OVERHEAD:.0%}."
    )
    return missed


def main() -> int:
    """Exit code 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="batches of each (default: 20)")
    parser.add_argument("--calls", type=int, default=100, help="calls in a batch (default: 100)")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 50])
    chosen = parser.parse_args()
    return int(asyncio.run(measure(chosen.rounds, chosen.calls, chosen.clients)))


if __name__ == "__main__":
    sys.exit(main())
