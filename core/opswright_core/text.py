"""Text from outside (tags, names, logs, files) is data: cleaned, cut, and fenced for a model."""

import re

from opswright_core.redact import redact_text

# C0 and C1 controls but tab and newline; soft hyphen; bidirectional, zero-width and invisible
# format characters; line and paragraph separators; halves of surrogate pairs, which UTF-8 has no
# bytes for; and the tag characters that spell hidden ASCII.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)
_FENCE = re.compile(r"<(?=\s*/?\s*untrusted)", re.IGNORECASE)


def clean(text: str, limit: int = 500) -> str:
    """Strip control and hidden characters, mask credentials, and cut at `limit` characters."""
    cleaned = redact_text(visible(text))
    return cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…"


def visible(text: str) -> str:
    """Strip control and hidden characters."""
    return text if text.isascii() and text.isprintable() else _HIDDEN.sub("", text)


def untrusted(text: str, source: str, limit: int = 4000) -> str:
    """Fence outside text for a model's eyes; neither mark can be forged from inside."""
    body = _FENCE.sub("‹", clean(text, limit))
    name = re.sub(r"[\"<>\n]", "", clean(source, 80))
    return f'<untrusted source="{name}">\n{body}\n</untrusted>'
