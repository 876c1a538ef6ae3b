"""The addresses of the store's resources, and which of them a change concerns."""

from collections.abc import Iterable
from urllib.parse import quote, unquote

SCHEME = "knowledge://"
ENVIRONMENT_SCOPE = "env:"
"""Shared values in the scope `env:prod` are the configuration of the environment prod."""

RUN_PARTS = ("plan", "steps", "report")


def address(*parts: str, cursor: str | None = None) -> str:
    """The address of a resource; each part may hold any character."""
    path = "/".join(quote(part, safe=":@") for part in parts)
    return f"{SCHEME}{path}" + (f"?cursor={cursor}" if cursor else "")


def concerned(uris: Iterable[str], changes: Iterable[tuple[str, str]]) -> list[str]:
    """Those of the URIs whose resources the changes, as (kind, key) of the log, concern.

    An index stands for all that is below it: `knowledge://resources/ec2:vpc` for every VPC. URIs
    are compared decoded, however they were written, and without a cursor. That of a thread is
    concerned by every message, since the log does not tell a message's thread.
    """
    paths = {uri: unquote(uri.removeprefix(SCHEME).partition("?")[0]) for uri in uris}
    touched = [path for kind, key in changes for path in _paths(kind, key)]
    return [uri for uri, path in paths.items() if any(_below(one, path) for one in touched)]


def _paths(kind: str, key: str) -> list[str]:
    """The paths that a change concerns; those above them too. `*` is any one part."""
    most, _, last = key.rpartition("/")
    match kind:
        case "resource":
            own = [f"resources/{key}"]
        case "deployment":  # application/environment/id, and the names may hold slashes
            names = most.split("/")
            places = ["/".join(names[at:]) for at in range(1, len(names))]
            own = [f"deployments/{key}", *(f"environments/{place}" for place in places)]
        case "memory":
            own = [f"agents/{most}/memory/{last}"]
        case "message":
            own = [f"agents/{most}/inbox/{last}", "threads/*"]
        case "context":
            own = [f"context/{key}"]
            if key.startswith(ENVIRONMENT_SCOPE):
                own.append(f"environments/{key.removeprefix(ENVIRONMENT_SCOPE)}")
        case "run":
            own = [f"runs/{key}/{part}" for part in RUN_PARTS]
        case _:
            own = []
    return [*own, f"history/{kind}/{key}", "changes"]


def _below(touched: str, path: str) -> bool:
    """Whether a path is one that was touched, or above it."""
    if "*" in touched.split("/"):
        parts = touched.split("/"), path.split("/")
        touched = "/".join(b if a == "*" else a for a, b in zip(*parts, strict=False))
    return touched == path or touched.startswith(f"{path}/")
