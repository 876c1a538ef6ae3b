"""Shortens tools' input schemas: a model reads every word of them on every turn."""

from typing import Any


def brief(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema without what says nothing: the null of an optional value, and empty defaults.

    Leaving such an argument out means null; null itself is still accepted.
    """
    return {key: _brief(value) for key, value in schema.items()}


def _brief(value: Any) -> Any:
    if isinstance(value, list):
        return [_brief(item) for item in value]
    if not isinstance(value, dict):
        return value
    short = {key: _brief(inner) for key, inner in value.items()}
    if "default" in value and _is_empty(value["default"]):
        del short["default"]
        some = [option for option in short.get("anyOf", []) if option != {"type": "null"}]
        if len(some) == 1 and len(short["anyOf"]) == 2:
            del short["anyOf"]
            short = {**some[0], **short}
    return short


def _is_empty(default: Any) -> bool:
    """Whether a default is null, or an object or list of such."""
    if isinstance(default, dict):
        return all(_is_empty(inner) for inner in default.values())
    return default is None or default == []
