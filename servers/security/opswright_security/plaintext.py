"""Credentials in clear in a script or an environment: found and named, never shown."""

import base64
import gzip
import re
import zlib
from collections.abc import Mapping

from opswright_core.redact import MASK, redact_text

_NAME = (
    r"[A-Za-z0-9_.\-]*(?:password|passwd|passphrase|secret|token|api_?key|access_?key|private_?key)"
    r"[A-Za-z0-9_.\-]*"
)
_ASSIGNED = re.compile(rf"(?P<name>{_NAME})[\"']?\s*(?:=|:\s)\s*[\"']?(?P<value>[^\s\"',;]+)", re.I)
# Names that only point to a secret, or describe one.
_POINTER = re.compile(
    r"(?:arn|name|id|path|file|url|uri|endpoint|ttl|seconds|length|policy|version|region|tokens|manager|"
    r"enabled|required|type|rotation|key_id)$",
    re.I,
)
# Values that are filled in at run time, or point elsewhere.
_REFERENCE = re.compile(
    r"^(?:[$`<%/]|\{\{|arn:|aws:|ssm:|vault:|https?://[^@]*$|true$|false$|none$|null$|required$|optional$|"
    r"changeme$|\d{1,5}$)",
    re.I,
)
_SHORTEST = 6


def credentials_in(text: str) -> list[str]:
    """Where credentials stand, masked: `["line 3: DB_PASSWORD=[redacted]"]`."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        named = next((m["name"] for m in _ASSIGNED.finditer(line) if _is_secret(m)), None)
        if named:
            found.append(f"line {number}: {named[:60]}={MASK}")
        elif redact_text(line) != line:
            found.append(f"line {number}: something that looks like a credential")
    return found


def credential_variables(environment: Mapping[str, str]) -> list[str]:
    """Names of the environment variables whose values are credentials in clear."""
    return [
        name for name, value in sorted(environment.items()) if credentials_in(f"{name}={value}")
    ]


def decode_user_data(encoded: str | None) -> str:
    """EC2 user data as text: base64, perhaps gzip inside; bytes that are no text are dropped."""
    try:
        raw = base64.b64decode(encoded or "", validate=False)
    except ValueError:  # not base64, or not ASCII
        raw = (encoded or "").encode()
    if raw.startswith(b"\x1f\x8b"):
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error):
            return ""
    return raw.decode(errors="ignore")


def _is_secret(match: re.Match[str]) -> bool:
    value = match["value"]
    return (
        len(value) >= _SHORTEST
        and not _POINTER.search(match["name"])
        and not _REFERENCE.match(value)
    )
