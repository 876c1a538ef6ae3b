"""Where a repository is: a path or a git URL, checked before git sees it, secrets apart."""

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from opswright_core.errors import BadInputError
from opswright_core.local_paths import local_path

SCHEMES = ("https", "http", "ssh", "git", "file")
"""What git may fetch over. `ext::` and other transport helpers run commands and are refused."""

_SCP_LIKE = re.compile(r"[A-Za-z0-9_][\w.-]*@([A-Za-z0-9][\w.-]*):[^:]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Location:
    """A checked repository.

    Exactly one of `path` and `url` is set; `shown` never holds a credential.
    """

    shown: str
    path: Path | None = None
    url: str = ""
    config: dict[str, str] = field(default_factory=dict, repr=False)
    """Git configuration with the credentials, passed in the environment, never as an argument."""


def locate(repository: str) -> Location:
    """Check a repository argument.

    Raises BadInputError for what is not a path or a plain git URL.
    """
    text = repository.strip()
    if not text or text.startswith("-") or _CONTROL.search(text):
        raise BadInputError(
            f"{_short(text)!r} is not a repository: give a local path or a git URL; "
            "it may not be empty, begin with '-' or hold control characters."
        )
    if re.match(r"[\w+.-]+::", text):
        raise BadInputError(
            f"{_short(text)!r} names a git transport helper, which runs commands; "
            f"use a path or a URL with {', '.join(SCHEMES)}."
        )
    if "://" in text:
        return _url(text)
    if match := _SCP_LIKE.fullmatch(text):
        if match[1].startswith("-"):
            raise BadInputError(f"{_short(text)!r} names a host that begins with '-'.")
        return Location(shown=text, url=text)
    path = local_path(text)
    if not path.is_dir():
        raise BadInputError(
            f"{_short(text)!r} is not a directory here. Give the path of a git repository, or its "
            "URL."
        )
    return Location(shown=str(path), path=path)


def _url(text: str) -> Location:
    parts = urlsplit(text)
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme not in SCHEMES:
        raise BadInputError(
            f"git over {scheme or '?'}:// is not offered; use {', '.join(SCHEMES)} or a local path."
        )
    if host.startswith("-") or (scheme != "file" and not host):
        raise BadInputError("The repository URL has no usable host name.")
    if scheme not in {"https", "http"} or "@" not in parts.netloc:
        if parts.password:
            raise BadInputError(f"A password in a {scheme}:// URL is not used; use an ssh key.")
        return Location(shown=text, url=text)
    address = parts.netloc.rpartition("@")[2]
    plain = urlunsplit((scheme, address, parts.path, parts.query, ""))
    if parts.password is None:
        raise BadInputError(
            f"For {plain}: write a token as a password, with the user name x-access-token, so that "
            "it is kept out of records, or leave it out and set up a git credential helper."
        )
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
    header = f"Authorization: Basic {base64.b64encode(pair.encode()).decode()}"
    return Location(
        shown=plain, url=plain, config={f"http.{scheme}://{address}/.extraHeader": header}
    )


def _short(text: str) -> str:
    return re.sub(r"//[^/@]*@", "//", _CONTROL.sub("?", text))[:80]
