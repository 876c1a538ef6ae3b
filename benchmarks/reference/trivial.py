"""One trivial tool, served by plain FastMCP or through opswright's middleware.

`trivial.py plain|ours stdio` or `trivial.py plain|ours PORT`.
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastmcp import FastMCP
from pydantic import BaseModel, Field

from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import read_tool


class Greeting(BaseModel):
    """What greet answers."""

    text: str


def greet(name: Annotated[str, Field(description="Whom")]) -> Greeting:
    """Greet someone."""
    return Greeting(text=f"Hello {name}")


def plain() -> FastMCP[Any]:
    server: FastMCP[Any] = FastMCP("plain")
    server.tool(greet)
    return server


def ours() -> FastMCP[Any]:
    settings = Settings(state_dir=Path(tempfile.mkdtemp()))
    return build_server(
        "ours", title="Ours", instructions="Greets.", tools=[read_tool(greet)], settings=settings
    )


def main() -> None:
    server = {"plain": plain, "ours": ours}[sys.argv[1]]()
    if sys.argv[2] == "stdio":
        server.run("stdio", show_banner=False, log_level="WARNING")
    else:
        server.run(
            "http",
            port=int(sys.argv[2]),
            show_banner=False,
            log_level="WARNING",
            host_origin_protection=True,
            uvicorn_config={"access_log": False, "log_level": "warning"},
        )


if __name__ == "__main__":
    main()
