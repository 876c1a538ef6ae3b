"""Whose records a call is about: tokens keep teams that share a server over HTTP apart.

A bearer token or a JWT (claim `opswright_namespaces`) names the namespaces that its holder may see;
one that names none sees the server's own. The first one named is meant, unless the request's header
`Opswright-Namespace` chooses another of them. Over stdio, and without tokens, it is the server's.
"""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from opswright_core.errors import BadInputError
from opswright_core.token_end import token_of

CLAIM = "opswright_namespaces"
HEADER = "Opswright-Namespace"
EVERY = "*"
"""Among a token's namespaces: its holder may choose any."""

_NAME = re.compile(r"[\w.@-]{1,64}")


@dataclass(frozen=True)
class Sight:
    """What a call sees."""

    namespace: str
    is_confined: bool
    """Whether a token keeps the caller to some namespaces: what all share is not for it."""


_inherited: ContextVar[Sight] = ContextVar("opswright_sight")


def named(namespace: str) -> str:
    """The name of a namespace as it is; raises BadInputError when it is none."""
    if not _NAME.fullmatch(namespace):
        raise BadInputError(
            f"{namespace[:80]!r} is no namespace; use 1 to 64 letters, digits and . _ @ -"
        )
    return namespace


def sight() -> Sight:
    """What the call under way sees, or the task that makes it.

    Raises BadInputError when the request chooses a namespace that is not its token's.
    """
    from fastmcp.server.dependencies import get_http_request

    from opswright_core.runtime import runtime  # which asks this module

    if task := _inherited.get(None):
        return task
    try:
        request = get_http_request()
    except RuntimeError:
        request = None
    return sight_of(request, runtime().namespace)


def call_namespace() -> str:
    """The namespace of the call under way; raises what `sight` does."""
    return sight().namespace


def inherit(seen: Sight) -> None:
    """Let the calls that this one makes see what it sees, as those of an agent's task do."""
    _inherited.set(seen)


def sight_of(request: Any, own: str) -> Sight:
    """What an HTTP request (None: none) to a server with a namespace of its own sees.

    Raises BadInputError when it chooses a namespace that is not its token's.
    """
    token = token_of(request)
    claims = token.claims if token is not None else None
    names = _claimed(claims or {}, own)
    first = next((name for name in names if name != EVERY), own)
    chosen = (request.headers.get(HEADER) if request is not None else None) or first
    if chosen != first:
        if EVERY in names:
            named(chosen)
        elif chosen not in names:
            raise BadInputError(
                f"{HEADER} asks for {chosen[:80]!r}; this caller may see "
                f"{', '.join(names) if any(names) else 'what the server has without it'}."
            )
    return Sight(chosen, token is not None and EVERY not in names)


def _claimed(claims: Mapping[str, Any], own: str) -> list[str]:
    if CLAIM not in claims:
        return [own]
    claim = claims[CLAIM]
    names = claim.split() if isinstance(claim, str) else claim
    if (
        not isinstance(names, list)
        or not names
        or not all(
            isinstance(name, str) and (name == EVERY or _NAME.fullmatch(name)) for name in names
        )
    ):
        raise BadInputError(
            f"the token's claim {CLAIM} names no namespaces; it is a list of names of letters, "
            "digits and . _ @ - (or one text with spaces between them), or * for all."
        )
    return names
