"""The smallest FastMCP server: what the others are compared with."""

from fastmcp import FastMCP

mcp: FastMCP[None] = FastMCP("hello")


@mcp.tool
def greet(name: str) -> str:
    """Greet someone."""
    return f"Hello {name}"


if __name__ == "__main__":
    mcp.run("stdio", show_banner=False, log_level="WARNING")
