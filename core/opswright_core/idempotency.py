"""The key that tells a request made twice from two requests.

A caller that lost an answer repeats its call with the same key in `_meta`. The change protocol then
answers with the change that the first one made, as that caller's own; without a key, or with
another, a change that was made before is somebody else's and is answered as `reused`.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

_inherited: ContextVar[str | None] = ContextVar("opswright_idempotency_key", default=None)


def request_meta(key: str) -> dict[str, Any]:
    """The `_meta` of a call with an idempotency key."""
    return {"opswright": {"idempotency_key": key}}


def request_key() -> str | None:
    """The key of the call under way, or of the task that makes it; None without one."""
    from fastmcp.server.dependencies import get_context

    try:
        request = get_context().request_context
    except RuntimeError:
        request = None
    given: Any = (request.meta if request is not None else None) or {}
    own = given.get("opswright")
    key = own.get("idempotency_key") if isinstance(own, Mapping) else None
    return str(key)[:200] if key else _inherited.get()


def inherit_key() -> None:
    """Let the calls that this one makes carry its key, as those of an agent's task do."""
    _inherited.set(request_key())
