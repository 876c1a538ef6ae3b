"""What of a request or an answer may be shown: JSON without secrets, binary as size and digest.

Secrets are what the service's model marks as sensitive, and what opswright_core.redact knows by its
name or look.
"""

import hashlib
import re
from datetime import date, datetime
from typing import Any

from opswright_core.redact import MASK, redact
from opswright_core.text import clean

TEXT_CHARACTERS = 1_048_576
"""A text longer than this is cut. The largest templates and documents fit: what is too long for an
answer is kept whole beside it."""

STREAM_BYTES = 1_048_576
"""Of a streamed body at most this is read."""

_OPEN = {"PSParameterValue"}
"""Marked as sensitive, but encrypted or plain configuration unless decryption was asked for."""

_SIGNED = re.compile(r"(X-Amz-(?:Credential|Security-Token|Signature))=[^&\s\"']+", re.IGNORECASE)
"""What makes a presigned address open something (a Lambda function's code, say)."""


def shown(value: Any, shape: Any, *, decrypted: bool = False) -> Any:
    """A request's or an answer's value as JSON that may be shown, by its botocore shape.

    `decrypted` says that the caller asked for secrets in the clear.
    """
    if isinstance(value, dict):
        value = {name: inner for name, inner in value.items() if name != "ResponseMetadata"}
    return redact(_json(value) if shape is None else _masked(value, shape, decrypted))


def _masked(value: Any, shape: Any, decrypted: bool) -> Any:
    if value is None:
        return None
    if shape.metadata.get("sensitive") and (decrypted or shape.name not in _OPEN):
        return MASK
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = shape.members
        return {
            name: _masked(inner, members[name], decrypted) if name in members else _json(inner)
            for name, inner in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [_masked(inner, shape.member, decrypted) for inner in value]
    if kind == "map" and isinstance(value, dict):
        return {
            clean(str(name)): _masked(inner, shape.value, decrypted)
            for name, inner in value.items()
        }
    return _json(value)


def _json(value: Any) -> Any:
    """A JSON value: times in ISO form, texts cleaned, binary as its size and SHA-256."""
    if isinstance(value, dict):
        return {clean(str(name)): _json(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json(inner) for inner in value]
    if isinstance(value, str):
        return clean(_SIGNED.sub(rf"\1={MASK}", value), TEXT_CHARACTERS)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return _blob(bytes(value), whole=True)
    if hasattr(value, "read"):
        return _stream(value)
    return value if isinstance(value, bool | int | float | None) else clean(str(value))


def _stream(body: Any) -> dict[str, Any]:
    """A streamed body, read up to the limit; what is text is shown."""
    try:
        read = body.read(STREAM_BYTES + 1)
    finally:
        body.close()
    whole = len(read) <= STREAM_BYTES
    read = read[:STREAM_BYTES]
    described = _blob(read, whole=whole)
    try:
        text = read.decode()
    except UnicodeDecodeError:
        return described
    return described if "\0" in text else {**described, "text": clean(text, TEXT_CHARACTERS)}


def _blob(content: bytes, *, whole: bool) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    if whole:
        return {"size_bytes": len(content), "sha256": digest}
    return {"first_bytes": len(content), "sha256_of_first_bytes": digest}
