"""A third-party MCP server, not built on core, that hangs, dies, floods and loses its answers.

`stranger.py [--http PORT]`; notes go to OPSWRIGHT_TEST_THINGS, a line each, one for each time that
a note is really taken.
"""

import os
import signal
import sys
import time
from pathlib import Path

import anyio
from fastmcp import Context, FastMCP
from mcp_types import ToolAnnotations

NOTES = Path(os.environ.get("OPSWRIGHT_TEST_THINGS", ".")) / "notes.log"
mcp = FastMCP("stranger")


def _write(line: str) -> None:
    with NOTES.open("a") as notes:
        notes.write(f"{line}\n")


@mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
def look() -> list[str]:
    """List the notes."""
    return NOTES.read_text().splitlines() if NOTES.exists() else []


@mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
async def ponder(seconds: float, ctx: Context, every: float = 0.0) -> str:
    """Think for so long, telling of it from time to time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await anyio.sleep(every or seconds)
        if every:
            await ctx.report_progress(1, None, "still thinking")
    return "42"


@mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
async def freeze() -> str:
    """Hang the whole server."""
    time.sleep(60)
    return "thawed"


@mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
async def flood(ctx: Context, notices: int, characters: int = 10) -> str:
    """Send many notices, write much to standard error, answer at length."""
    for number in range(notices):
        await ctx.report_progress(number, None, f"notice {number}")
        print("x" * 1000, file=sys.stderr)
    return "y" * characters


@mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
def status(status: str) -> dict[str, str]:
    """Answer with a status of its own."""
    return {"status": status, "change_id": "none of yours"}


@mcp.tool(annotations=ToolAnnotations(read_only_hint=True))
def fragile_look(name: str) -> str:
    """Die the first time it is asked for a name."""
    if not (mark := NOTES.with_name(f"{name}.died")).exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return name


@mcp.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False))
async def note(text: str, die: bool = False, seconds: float = 0.0) -> str:
    """Take a note; the answer may be lost after that, or come late."""
    _write(text)
    await anyio.sleep(seconds)
    if die:
        os.kill(os.getpid(), signal.SIGKILL)
    return text


@mcp.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=False))
def note_once(text: str, idempotency_key: str = "", die: bool = False) -> str:
    """Take a note, once for a key; the first answer may be lost."""
    mark = NOTES.with_name(f"{idempotency_key.replace('/', '-')}.key")
    if not mark.exists():
        mark.touch()
        _write(text)
        if die:
            os.kill(os.getpid(), signal.SIGKILL)
    return text


@mcp.tool(annotations=ToolAnnotations(read_only_hint=False, destructive_hint=True))
def tear_out(text: str) -> str:
    """Tear a note out."""
    lines = NOTES.read_text().splitlines()
    lines.remove(text)
    NOTES.write_text("".join(f"{line}\n" for line in lines))
    return text


if __name__ == "__main__":
    if "--http" in sys.argv:
        mcp.run("http", port=int(sys.argv[-1]), host="127.0.0.1", show_banner=False)
    else:
        mcp.run(show_banner=False)
