"""How a tag's value is looked up: PostgreSQL indexes no entry beyond a third of a page."""

from opswright_core.canonical import digest

LONGEST = 200
"""Longer values, in characters, are looked up by their beginning and a digest of the whole."""


def looked_up(value: str) -> str:
    """The value, or what stands for it where it is long.

    >>> looked_up("web")
    'web'
    """
    return value if len(value) <= LONGEST else f"{value[:100]} {digest(value)}"
