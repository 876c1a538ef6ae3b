"""Keeps secrets out of journals, reports and prompts: by key name and by the look of the value."""

import re
from typing import Any

from pydantic import BaseModel

MASK = "[redacted]"

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_KEYS = re.compile(
    r"(?:^|[_\-.])(?:password|passwd|passphrase|secret[_\-]?string|secret[_\-]?binary|"
    r"secret[_\-]?(?:access[_\-]?)?key|session[_\-]?token|access[_\-]?token|refresh[_\-]?token|auth[_\-]?token|bearer|"
    r"authorization|api[_\-]?key|private[_\-]?key|client[_\-]?secret|token)$|password$",
    re.IGNORECASE,
)
# Tokens that page through a list or make a call idempotent open nothing.
_HARMLESS = re.compile(
    r"(?:next|client|continuation|client_request|page)[_\-]?token$", re.IGNORECASE
)
# Formats published by their issuers: AWS access key ids; GitHub, GitLab, Slack and Anthropic
# tokens; PEM keys; JWTs; user and password, or a token alone, in a URL.
_VALUES = re.compile(
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bgh[pousr]_[A-Za-z0-9]{36,}\b|\bgithub_pat_[A-Za-z0-9_]{22,}\b"
    r"|\bglpat-[A-Za-z0-9_\-]{20,}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10,}\b|\bsk-ant-[A-Za-z0-9_\-]{20,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)"
    r"|\beyJ[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}\.[A-Za-z0-9_\-]{10,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?:(?<=http://)|(?<=https://))[^/\s:@\[]+(?=@)"
)
# A value given beside a telling name, as in logs and command lines: `password=x`, `"token": "x"`,
# `Authorization: Bearer x`. Not a value that points elsewhere (`$NAME`, `<name>`, `{{ name }}`,
# `[redacted]`), nor what follows a colon without a space, as in an ARN.
_POINTER = r"(?![$<{\[%\"'])"
_GIVEN = re.compile(
    r"(?i)(?<![A-Za-z0-9])(?P<name>(?:[A-Za-z0-9]*[_-])?(?:password|passwd|pwd|passphrase|secret|"
    r"(?:secret|access|private)[_-]?key|api[_-]?key|token|authorization))"
    r"(?P<is>[\"']?\s*=\s*|[\"']\s*:\s*|:\s+)"
    rf"(?:(?P<quote>[\"']){_POINTER}[^\"']+(?P=quote)"
    rf"|(?:bearer|basic|token)\s+{_POINTER}[^\s,;&\"']+|{_POINTER}[^\s,;&\"')\]}}]+)"
)
# One of these, in lower case, is in whatever the patterns above find.
_HINTS = (
    "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox",
    "sk-ant-", "eyj", "://", "passw", "passphrase", "pwd", "secret", "key", "token", "bearer",
    "authorization",
)  # fmt: skip


def is_harmless(text: str) -> bool:
    """Whether nothing in a text, or in the JSON that it is, can look like a secret.

    A quick look, twenty times quicker than the patterns; False says only that they should decide.
    """
    if not text.isascii():  # there are letters beyond that which the patterns take for k and s
        return False
    lower = text.lower()
    for hint in _HINTS:  # noqa: SIM110 - `any` with a generator takes twice the time
        if hint in lower:
            return False
    return True


def redact(value: Any) -> Any:
    """Return a copy of a JSON value (or a pydantic model) with secrets replaced by `[redacted]`."""
    if isinstance(value, BaseModel):
        return redact(value.model_dump(mode="json"))
    if isinstance(value, dict):
        return {k: MASK if _is_secret(k, v) else redact(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [redact(v) for v in value]
    if isinstance(value, str):
        return redact_text(value)
    return value


def redact_text(text: str) -> str:
    """Replace what looks like a credential in free text."""
    if is_harmless(text):
        return text
    return _GIVEN.sub(_mask_given, _VALUES.sub(MASK, text))


def _mask_given(match: re.Match[str]) -> str:
    if _HARMLESS.search(match["name"]):
        return match.group()
    quote = match["quote"] or ""
    return f"{match['name']}{match['is']}{quote}{MASK}{quote}"


def _is_secret(key: object, value: Any) -> bool:
    if not isinstance(key, str) or not isinstance(value, str) or not value or is_harmless(key):
        return False
    name = _CAMEL.sub("_", key)
    return bool(_KEYS.search(name)) and not _HARMLESS.search(name)
