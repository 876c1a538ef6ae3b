"""The key that tells a request made twice from two requests.

A caller that lost an answer repeats its call with the same key in `_meta`. The change protocol then
answers with the change that the first one made, as that caller's own; without a key, or with
another, a change that was made before is somebody else's and is answered as `reused`.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

_inherited: ContextVar[str | None] = ContextVar("opswright_idempotency_key", default=None)


def request_meta(key: str, asked_by: str = "") -> dict[str, Any]:
    """The `_meta` of a call with an idempotency key, and whom the caller makes it for."""
    own = {"idempotency_key": key} | ({"asked_by": asked_by} if asked_by else {})
    return {"opswright": own}


def own_meta(request: Any) -> Mapping[str, Any]:
    """What a request's `_meta` says to opswright; empty without a request."""
    given: Any = (request.meta if request is not None else None) or {}
    own = given.get("opswright")
    return own if isinstance(own, Mapping) else {}


def request_key() -> str | None:
    """The key of the call under way, or of the task that makes it; None without one."""
    from fastmcp.server.dependencies import get_context

    try:
        request = get_context().request_context
    except RuntimeError:
        request = None
    key = own_meta(request).get("idempotency_key")
    return str(key)[:200] if key else _inherited.get()


def inherit_key() -> None:
    """Let the calls that this one makes carry its key, as those of an agent's task do."""
    _inherited.set(request_key())
