"""Carries the protocol over stdin and stdout on the event loop itself.

The SDK's transport has worker threads read and write each message, which is about half of what a
small call costs. Pipes and sockets, which hosts give a server, can be waited for instead. What
cannot (a terminal, a file, Windows) is left to the SDK.
"""

import os
import stat
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

CHUNK_BYTES = 256 * 1024


@asynccontextmanager
async def host_streams() -> AsyncIterator[tuple[Any, Any]]:
    """The streams of messages from the host and to it, as the SDK's `Server.run` takes them.

    Meanwhile the process's own stdin is empty and its stdout is stderr, so that neither a tool nor
    its children can get between the messages.
    """
    if not _can_be_waited_for():
        async with stdio_server() as streams:
            yield streams
        return
    with _own_pipes() as (incoming, outgoing):
        lines: Any = _lines(incoming)  # all that the SDK does with its files
        async with stdio_server(lines, _Outgoing(outgoing)) as streams:  # type: ignore[arg-type]
            yield streams


def _can_be_waited_for() -> bool:
    if os.name != "posix":
        return False
    try:
        kinds = [os.fstat(number).st_mode for number in (0, 1, 2)]
    except OSError:  # one of them is closed
        return False
    return all(stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) for kind in kinds[:2])


@contextmanager
def _own_pipes() -> Iterator[tuple[int, int]]:
    """Move stdin and stdout elsewhere, where they do not block; put them back in the end."""
    import fcntl  # not on Windows

    moved = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3) for number in (0, 1)]
    blocked = [os.get_blocking(each) for each in moved]
    sys.stdout.flush()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    for each in moved:
        os.set_blocking(each, False)
    try:
        yield moved[0], moved[1]
    finally:
        sys.stdout.flush()
        for number, each in enumerate(moved):
            os.set_blocking(each, blocked[number])  # others may hold the same pipe
            os.dup2(each, number)
            os.close(each)


async def _lines(pipe: int) -> AsyncIterator[str]:
    begun: list[bytes] = []
    while data := await _read(pipe):
        first, *others = data.split(b"\n")
        begun.append(first)
        for other in others:
            yield _text(begun)
            begun = [other]
    if any(begun):
        yield _text(begun)


def _text(parts: list[bytes]) -> str:
    return b"".join(parts).decode("utf-8", "replace")


async def _read(pipe: int) -> bytes:
    while True:
        try:
            return os.read(pipe, CHUNK_BYTES)
        except BlockingIOError:
            await anyio.wait_readable(pipe)


class _Outgoing:
    """What the SDK writes to: each message is with the system before the next one comes."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    async def write(self, line: str) -> None:
        rest = memoryview(line.encode())
        while rest:
            try:
                rest = rest[os.write(self._pipe, rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._pipe)
            except (BrokenPipeError, ConnectionResetError):  # nobody reads any more
                raise anyio.ClosedResourceError from None

    async def flush(self) -> None:
        """Nothing is held back."""
