"""Serves a server over stdio or HTTP until its host is gone or it is told to end."""

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opswright_core import startup
from opswright_core.authentication import Callers, is_loopback
from opswright_core.errors import BadInputError
from opswright_core.lifetime import ends_with_host
from opswright_core.protocol import THREAD_NAME
from opswright_core.settings import Settings

log = logging.getLogger(__name__)

FINISH_SECONDS = 1.0
"""How long changes under way may still run when the host has gone."""

CreateServer = Callable[[Settings], Any]


@dataclass(frozen=True, kw_only=True)
class Http:
    """Where a server listens and whom it serves."""

    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: Sequence[str] = ()
    """Names that clients may reach it by, besides the address it listens on."""
    token_file: str | None = None
    jwt_jwks_uri: str | None = None
    jwt_issuer: str | None = None
    jwt_audience: str | None = None


def serve_stdio(create_server: CreateServer, settings: Settings) -> None:
    """Serve one host over stdin and stdout until it is gone."""
    server = create_server(settings)
    startup.finish()
    with ends_with_host():
        server.run("stdio", show_banner=False)
        _let_changes_finish()


def serve_http(create_server: CreateServer, settings: Settings, http: Http) -> None:
    """Serve many hosts over streamable HTTP.

    Raises BadInputError for an address beyond this machine without callers that are named.
    """
    callers = Callers.read(
        os.environ,
        token_file=http.token_file,
        jwt_jwks_uri=http.jwt_jwks_uri,
        jwt_issuer=http.jwt_issuer,
        jwt_audience=http.jwt_audience,
    )
    provider = callers.provider()
    if not is_loopback(http.host):
        if provider is None:
            raise BadInputError(
                f"refusing to listen on {http.host} without authentication: name the callers "
                "with --token-file (name:token lines), OPSWRIGHT_BEARER_TOKENS or the --jwt-* "
                "options, or keep to --host 127.0.0.1"
            )
        log.warning("listening on %s without TLS; put a TLS proxy before it", http.host)
    server = create_server(settings)
    server.auth = provider
    callers_are = "with a token" if provider else "from this machine"
    where = f"[{http.host}]" if ":" in http.host else http.host
    print(f"serving callers {callers_are} on http://{where}:{http.port}/mcp", file=sys.stderr)
    startup.finish()
    server.run(
        "http",
        show_banner=False,
        host=http.host,
        port=http.port,
        host_origin_protection=True,
        allowed_hosts=list(http.allowed_hosts) or None,
        uvicorn_config={"log_config": None},  # its own writes requests to stdout
    )
    _let_changes_finish()


def _let_changes_finish() -> None:
    """Give changes under way a moment when the host has closed the server.

    What is left then is `interrupted` in the journal, and the same call resumes it.
    """
    deadline = time.monotonic() + FINISH_SECONDS
    for thread in threading.enumerate():
        if thread.name.startswith(THREAD_NAME):
            thread.join(max(0.0, deadline - time.monotonic()))
