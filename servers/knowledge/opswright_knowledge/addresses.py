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


def key_of(*parts: str) -> str:
    """What the change log calls a record: its parts, a `/` or `%` encoded in all but the last.

    >>> key_of("github/repo", "org/app")
    'github%2Frepo/org/app'
    """
    *leading, last = parts
    return "/".join([*(part.replace("%", "%25").replace("/", "%2F") for part in leading), last])


def parts_of(key: str, count: int) -> list[str]:
    """The parts that `key_of` made a key of."""
    *leading, last = key.split("/", count - 1)
    return [*map(unquote, leading), last]


def concerned(uris: Iterable[str], changes: Iterable[tuple[str, str]]) -> list[str]:
    """Those of the URIs whose resources the changes, as (kind, key) of the log, concern.

    An index stands for all that is below it: `knowledge://resources/ec2:vpc` for every VPC. URIs
    are compared decoded, however they were written, and without a cursor. That of a thread is
    concerned by every message, since the log does not tell a message's thread.
    """
    paths = {uri: _path(uri) for uri in uris}
    touched = [path for kind, key in changes for path in _paths(kind, key)]
    return [uri for uri, path in paths.items() if any(_below(one, path) for one in touched)]


_Path = tuple[str, ...]
_OPEN = {"resources": 2, "context": 2, "history": 2}
"""Addresses whose last part may hold a `/` as it is, and how many parts come before it."""


def _path(uri: str) -> _Path:
    pieces = uri.removeprefix(SCHEME).partition("?")[0].split("/")
    closed = _OPEN.get(pieces[0], len(pieces))
    rest = ["/".join(pieces[closed:])] if pieces[closed:] else []
    return tuple(map(unquote, pieces[:closed] + rest))


def _paths(kind: str, key: str) -> list[_Path]:
    """The paths that a change concerns; those above them too. `*` is any one part."""
    own: list[_Path]
    match kind:
        case "resource":
            own = [("resources", *parts_of(key, 2))]
        case "deployment":
            application, environment, deployment = parts_of(key, 3)
            own = [
                ("deployments", application, environment, deployment),
                ("environments", environment),
            ]
        case "memory":
            agent, memory = parts_of(key, 2)
            own = [("agents", agent, "memory", memory)]
        case "message":
            agent, message = parts_of(key, 2)
            own = [("agents", agent, "inbox", message), ("threads", "*")]
        case "context":
            scope, name = parts_of(key, 2)
            own = [("context", scope, name)]
            if scope.startswith(ENVIRONMENT_SCOPE):
                own.append(("environments", scope.removeprefix(ENVIRONMENT_SCOPE)))
        case "run":
            own = [("runs", key, part) for part in RUN_PARTS]
        case _:
            own = []
    return [*own, ("history", kind, key), ("changes",)]


def _below(touched: _Path, path: _Path) -> bool:
    """Whether a path is one that was touched, or above it."""
    return len(path) <= len(touched) and all(
        a in {"*", b} for a, b in zip(touched, path, strict=False)
    )
