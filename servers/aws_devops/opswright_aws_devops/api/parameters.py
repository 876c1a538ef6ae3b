"""An operation's parameters: their shape in short, and a check before anything is sent."""

import base64
import binascii
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from opswright_aws_devops.api.models import Operation
from opswright_core.errors import BadInputError
from opswright_core.text import clean

MOST_CHOICES = 12
MOST_FINDINGS = 8
DEPTH = 3
"""How many levels of a structure are shown at once."""

BASE64 = "base64"


def shape_of(shape: Any, depth: int = DEPTH) -> Any:
    """A shape in short: a text for a scalar, an object for a structure, a list of one for a list.

    Names of required members end in `*`. What is deeper than `depth`, or holds itself, is only
    named; describe_operation's `member` goes on from there.
    """
    return _short(shape, depth, ())


def _short(shape: Any, depth: int, around: tuple[str, ...]) -> Any:
    kind = shape.type_name
    if kind == "string" and shape.enum:
        more = len(shape.enum) - MOST_CHOICES
        choices = "|".join(shape.enum[:MOST_CHOICES])
        return f"{choices}|… {more} more" if more > 0 else choices
    if kind not in {"structure", "list", "map"}:
        return f"{_NAMES.get(kind, kind)}{_range(shape.metadata)}"
    if depth == 0 or shape.name in around:
        return f"{kind} {shape.name}"
    within = (*around, shape.name)
    if kind == "list":
        return [_short(shape.member, depth, within)]
    if kind == "map":
        return {"<key>": _short(shape.value, depth - 1, within)}
    required = set(shape.required_members)
    return {
        f"{name}*" if name in required else name: _short(member, depth - 1, within)
        for name, member in shape.members.items()
    }


_NAMES = {"blob": "text or {base64}", "long": "integer", "double": "float", "timestamp": "ISO time"}


def _range(metadata: Mapping[str, Any]) -> str:
    low, high = metadata.get("min"), metadata.get("max")
    return "" if low is None and high is None else f" {low or ''}..{high or ''}"


def member(operation: Operation, path: str) -> Any:
    """The shape of one parameter, by its path like `NetworkInterfaces.Groups`.

    Raises BadInputError for one that does not exist.
    """
    shape = operation.model.input_shape
    for name in re.sub(r"\[\d*\]", "", path).split("."):
        while shape is not None and shape.type_name in {"list", "map"}:
            shape = shape.member if shape.type_name == "list" else shape.value
        members = shape.members if shape is not None and shape.type_name == "structure" else {}
        if name not in members:
            near = get_close_matches(name, members, 5, 0.5) or list(members)[:MOST_CHOICES]
            raise BadInputError(
                f"{operation.name} takes no {clean(path, 80)!r}; there: {', '.join(near) or '-'}."
            )
        shape = members[name]
    return shape


def prepared(operation: Operation, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters as botocore takes them, checked against the model before anything is sent.

    `{"base64": "…"}` in the place of a blob becomes its bytes. Raises BadInputError that names
    every parameter that is missing, unknown (with the nearest names) or of another type.
    """
    from botocore.validate import ParamValidator

    shape = operation.model.input_shape
    if shape is None:
        if parameters:
            raise BadInputError(f"{operation.name} takes no parameters.")
        return {}
    ready: dict[str, Any] = _decoded(parameters, shape, operation)
    report = ParamValidator().validate(ready, shape)
    if not report.has_errors():
        return ready
    found = [_explained(line, shape) for line in report.generate_report().splitlines()]
    more = f"; and {len(found) - MOST_FINDINGS} more" if len(found) > MOST_FINDINGS else ""
    raise BadInputError(
        f"{operation.service} {operation.name}, nothing was sent: "
        f"{'; '.join(found[:MOST_FINDINGS])}{more}. describe_operation shows what it takes."
    )


def _explained(line: str, shape: Any) -> str:
    """One line of botocore's report; an unknown parameter with those nearest to it alone."""
    unknown = re.match(r'Unknown parameter in (.+?): "(.*)", must be one of: (.*)$', line)
    if unknown is None:
        return clean(re.sub(r", value: .*?, type: <class '(\w+)'>", r" (sent \1)", line), 300)
    where, name, known = unknown.groups()
    by_lower = {one.lower(): one for one in known.split(", ")}
    near = [by_lower[one] for one in get_close_matches(name.lower(), by_lower, 3, 0.5)]
    named = ", ".join(near or list(by_lower.values())[:MOST_CHOICES])
    return f"unknown parameter {clean(name, 60)!r} in {clean(where, 80)}; nearest: {named}"


def _decoded(value: Any, shape: Any, operation: Operation) -> Any:
    kind = shape.type_name
    if kind == "blob" and isinstance(value, dict) and set(value) == {BASE64}:
        try:
            return base64.b64decode(value[BASE64], validate=True)
        except (binascii.Error, TypeError, ValueError) as exc:
            raise BadInputError(
                f"{operation.name}: what stands for {shape.name} is not base64: {exc}."
            ) from exc
    if kind == "structure" and isinstance(value, dict):
        members = shape.members
        return {
            name: _decoded(inner, members[name], operation) if name in members else inner
            for name, inner in value.items()
        }
    if kind == "list" and isinstance(value, list):
        return [_decoded(inner, shape.member, operation) for inner in value]
    if kind == "map" and isinstance(value, dict):
        return {name: _decoded(inner, shape.value, operation) for name, inner in value.items()}
    return value
