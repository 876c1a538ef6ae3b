"""Tells when the bearer token of a request that lasts is accepted no more."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.auth.provider import AccessToken

LOOK_SECONDS = 2.0
"""How often a token is looked at again while a stream goes on."""

Verify = Callable[[str], Awaitable["AccessToken | None"]]


def token_of(request: Any) -> "AccessToken | None":
    """The bearer token of an HTTP request (None: of the call under way), when it has one."""
    from mcp.server.auth.middleware.auth_context import get_access_token
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser

    user = request.scope.get("user") if request is not None else None
    return user.access_token if isinstance(user, AuthenticatedUser) else get_access_token()


async def ended(token: "AccessToken", verify: Verify) -> str:
    """Wait until a token is accepted no more, or not for the same; returns what became of it."""
    while True:
        left = LOOK_SECONDS
        if token.expires_at is not None:
            left = min(left, token.expires_at - time.time())
            if left <= 0:
                return "has expired"
        await asyncio.sleep(max(left, 0.05))
        now = await verify(token.token)
        if now is None:
            is_over = token.expires_at is not None and token.expires_at <= time.time()
            return "has expired" if is_over else "is accepted no more"
        if now.claims != token.claims:
            return "may see other namespaces now"
