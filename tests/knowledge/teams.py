"""Two teams with a token each, at one knowledge server over HTTP."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from tests.core.processes import serving

KNOWLEDGE = [sys.executable, "-m", "opswright_knowledge"]
TOKENS = {name: f"{name}-" + "0123456789" * 2 for name in ("a", "b", "both", "all", "own")}
FILE = "\n".join(
    f"{name}:{TOKENS[name]} {namespaces}"
    for name, namespaces in {
        "a": "team-a",
        "b": "team-b",
        "both": "team-b team-a",
        "all": "*",
        "own": "",
    }.items()
)


@contextmanager
def serving_teams(place: Path, **extra: str) -> Iterator[str]:
    """The server's address; its tokens are `TOKENS`."""
    tokens = place / "tokens"
    tokens.write_text(FILE)
    tokens.chmod(0o600)
    flags = ["--token-file", str(tokens), "--toolsets", "all"]
    with serving(KNOWLEDGE, place / "state", *flags, **extra) as base:
        yield f"{base}/mcp"


def transport(url: str, token: str, namespace: str = "") -> StreamableHttpTransport:
    """Towards the server with a token, choosing a namespace."""
    headers = {"Authorization": f"Bearer {TOKENS.get(token, token)}"}
    if namespace:
        headers["Opswright-Namespace"] = namespace
    return StreamableHttpTransport(url, headers=headers)


def member(url: str, token: str, namespace: str = "", *, era: str = "auto") -> Client[Any]:
    """A client of the server."""
    return Client(transport(url, token, namespace), mode=era)
