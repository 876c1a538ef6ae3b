"""Text from outside (tags, names, logs, files) is data: cleaned, shortened, and marked when a model reads it."""

import re

from opswright_core.redact import redact_text

# C0 and C1 controls but tab and newline, and the bidirectional and zero-width characters that hide text.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def clean(text: str, limit: int = 500) -> str:
    """Strip control and hidden characters, mask credentials, and cut at `limit` characters."""
    cleaned = redact_text(_HIDDEN.sub("", text))
    return cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…"


def untrusted(text: str, source: str, limit: int = 4000) -> str:
    """Fence outside text for a model's eyes; the closing mark cannot be forged from inside."""
    body = clean(text, limit).replace("</untrusted", "<\\/untrusted")
    return f'<untrusted source="{clean(source, 80)}">\n{body}\n</untrusted>'
