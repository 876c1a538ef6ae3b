"""Keeps secrets out of the journal, of reports and of prompts: by key name and by the look of the value."""

import re
from typing import Any

MASK = "[redacted]"

_KEYS = re.compile(
    r"(?:^|[_\-.])(?:password|passwd|passphrase|secret_?string|secret_?binary|secret_?(?:access_?)?key|"
    r"session_?token|access_?token|refresh_?token|auth_?token|bearer|authorization|api_?key|private_?key|"
    r"client_?secret|token)$|^(?:.*password|secretstring|secretbinary|secretaccesskey|sessiontoken)$",
    re.IGNORECASE,
)
# Formats published by their issuers: AWS access key ids, GitHub, GitLab, Slack and Anthropic tokens, PEM keys, JWTs.
_VALUES = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{22,}\b|\bglpat-[A-Za-z0-9_\-]{20,}\b"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}\b|\bsk-ant-[A-Za-z0-9_\-]{20,}\b"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|\beyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


def redact(value: Any) -> Any:
    """Return a copy of a JSON value with secrets replaced by `[redacted]`."""
    if isinstance(value, dict):
        return {k: MASK if _is_secret(k, v) else redact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(v) for v in value]
    if isinstance(value, str):
        return redact_text(value)
    return value


def redact_text(text: str) -> str:
    """Replace what looks like a credential in free text."""
    return _VALUES.sub(MASK, text)


def _is_secret(key: object, value: Any) -> bool:
    return (
        isinstance(key, str) and isinstance(value, str) and bool(value) and bool(_KEYS.search(key))
    )
