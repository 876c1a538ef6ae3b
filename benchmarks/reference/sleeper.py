"""A stdio server with one tool that takes as long as it is told."""

import anyio
from fastmcp import FastMCP
from mcp_types import ToolAnnotations

server: FastMCP[None] = FastMCP("sleeper")


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
async def wait(seconds: float) -> float:
    """Wait for some seconds."""
    await anyio.sleep(seconds)
    return seconds


if __name__ == "__main__":
    server.run("stdio", show_banner=False, log_level="WARNING")
