"""Who asks for a change, as the journal names them."""

import functools
import getpass
import os
from contextvars import ContextVar
from typing import Any

from opswright_core.idempotency import own_meta
from opswright_core.text import clean

_inherited: ContextVar[str] = ContextVar("opswright_asked_by", default="")


def asked_by() -> str:
    """Who makes the call under way, or gave the task that makes it: `name (how it is known; host)`.

    The name is that of a bearer token, the subject of a JWT (with the client it was issued to, if
    that is another), or else the user that the server runs as. The host is what the client calls
    itself, and `; for` whom it acts where it says that another asked it; nothing proves either.
    """
    from fastmcp.server.dependencies import get_access_token, get_context

    if task := _inherited.get():
        return task
    try:
        context = get_context()
    except RuntimeError:
        return f"{os_user()} (local)"
    if token := get_access_token():
        name, how = _holder(token)
    elif context.transport in {None, "stdio"}:
        name, how = os_user(), "local"
    else:
        name, how = "anonymous", "HTTP without a token"
    params = context.session.client_params if context.request_context is not None else None
    host = clean(params.client_info.name, 60) if params is not None else ""
    behind = clean(str(own_meta(context.request_context).get("asked_by", "")), 200)
    said = [how, host, f"for {behind}" if behind and behind != name else ""]
    return f"{clean(name, 120)} ({'; '.join(filter(None, said))})"


def inherit_asker() -> None:
    """Let the calls that this one makes be its caller's, as those of an agent's task are."""
    _inherited.set(asked_by())


@functools.cache
def os_user() -> str:
    """The user that this process runs as; not what its environment says."""
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except ImportError:  # Windows
        return getpass.getuser()
    except KeyError:  # no entry, as in many containers
        return f"uid {os.getuid()}"


def _holder(token: Any) -> tuple[str, str]:
    client = token.original_client_id or token.client_id
    if "iss" not in token.claims:
        return client, "bearer token"
    subject = str(token.subject or client)
    return subject, "JWT" if client == subject else f"JWT for {clean(client, 60)}"
