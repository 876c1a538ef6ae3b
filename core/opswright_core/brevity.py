"""Shapes tools' schemas: without references, and short, as a model reads every word each turn."""

from typing import Any


def brief(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema without what a model does not need, though every bound is still checked.

    Left out: the null of an optional value and empty defaults (leaving such an argument out means
    null, which itself is still accepted); an object's default that its fields have already; the
    docstrings of models, for which the argument's own description stands; greatest lengths, which
    only a broken call reaches; and inside an argument, whether further keys are accepted.
    """
    models = schema.get("$defs", {})
    short = {key: _brief(value, models) for key, value in schema.items()}
    for model in short.get("$defs", {}).values():
        model.pop("description", None)
    return short


def inline(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with each definition in the place of its references, which some hosts ignore.

    One that refers to itself is left as it is.
    """
    definitions = schema.get("$defs", {})
    try:
        whole: dict[str, Any] = _inline(
            {key: value for key, value in schema.items() if key != "$defs"}, definitions, ()
        )
    except RecursionError:
        return schema
    return whole


def _inline(value: Any, definitions: dict[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [_inline(item, definitions, within) for item in value]
    if not isinstance(value, dict):
        return value
    whole = {
        key: _inline(inner, definitions, within) for key, inner in value.items() if key != "$ref"
    }
    if isinstance(reference := value.get("$ref"), str):
        name = reference.removeprefix("#/$defs/")
        if name in within:
            raise RecursionError(name)
        return {**_inline(definitions[name], definitions, (*within, name)), **whole}
    return whole


def _brief(value: Any, models: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_brief(item, models) for item in value]
    if not isinstance(value, dict):
        return value
    short = {key: _brief(inner, models) for key, inner in value.items() if not _is_idle(key, inner)}
    if "default" in value and _is_idle_default(value, models):
        del short["default"]
        some = [option for option in short.get("anyOf", []) if option != {"type": "null"}]
        if len(some) == 1 and len(short["anyOf"]) == 2:
            del short["anyOf"]
            short = {**some[0], **short}
    return short


def _is_idle(key: str, value: Any) -> bool:
    """Whether a keyword is left out. A property of that name is not: its schema is an object."""
    return (key == "maxLength" and isinstance(value, int)) or (
        key == "additionalProperties" and isinstance(value, bool)
    )


def _is_idle_default(schema: dict[str, Any], models: dict[str, Any]) -> bool:
    default = schema["default"]
    if _is_empty(default):
        return True
    model = models.get(str(schema.get("$ref", "")).removeprefix("#/$defs/"), {})
    fields = model.get("properties", {})
    return isinstance(default, dict) and default == {
        name: field["default"] for name, field in fields.items() if "default" in field
    }


def _is_empty(default: Any) -> bool:
    """Whether a default is null, or an object or list of such."""
    if isinstance(default, dict):
        return all(_is_empty(inner) for inner in default.values())
    return default is None or default == []
