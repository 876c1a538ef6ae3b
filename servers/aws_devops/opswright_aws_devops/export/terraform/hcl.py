"""Writes blocks and values in HCL, laid out as `terraform fmt` does."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from opswright_aws_devops.export.model import Value

_WORD_ENDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Block:
    """A nested block; a list of them is written one after the other."""

    body: Mapping[str, Value]


@dataclass(frozen=True)
class Json:
    """A document that is given as JSON; its keys stay as they are."""

    document: Value


@dataclass(frozen=True)
class Expression:
    """HCL as it stands."""

    text: str


Special = Callable[[Value], str | None]
"""The HCL of a value that only its caller knows, such as a reference; None for any other."""


def snake_case(name: str) -> str:
    """A CloudFormation name in small letters: VPCZoneIdentifier is vpc_zone_identifier."""
    return _WORD_ENDS.sub("_", name).lower()


def text(value: str) -> str:
    """A string in quotes; what HCL would read as a template is escaped."""
    return json.dumps(value, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")


def block(
    head: str, labels: Sequence[str], body: Mapping[str, Value], special: Special
) -> Iterator[str]:
    """The lines of a block: its attributes first, then the blocks in it."""
    yield " ".join([head, *map(text, labels), "{"])
    yield from _body(body, special, "  ")
    yield "}"


def _body(body: Mapping[str, Value], special: Special, pad: str) -> Iterator[str]:
    blocks = [
        (name, inner)
        for name, value in body.items()
        for inner in (value if isinstance(value, list) else [value])
        if isinstance(inner, Block)
    ]
    nested = {name for name, _ in blocks}
    attributes = [
        (name, _value(value, special, len(pad)))
        for name, value in body.items()
        if name not in nested
    ]
    yield from _aligned(attributes, pad)
    for name, inner in blocks:
        yield f"{pad}{name} {{"
        yield from _body(inner.body, special, f"{pad}  ")
        yield f"{pad}}}"


def _value(value: Value, special: Special, indent: int) -> str:
    pad = " " * indent
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, Json):
        return f"jsonencode({_value(value.document, special, indent)})"
    if (written := special(value)) is not None:
        return written
    if isinstance(value, Mapping):
        lines = [
            (
                key if _IDENTIFIER.fullmatch(key) else text(key),
                _value(item, special, indent + 2),
            )
            for key, item in value.items()
        ]
        inner = "".join(f"{line}\n" for line in _aligned(lines, f"{pad}  "))
        return f"{{\n{inner}{pad}}}" if inner else "{}"
    if isinstance(value, list | tuple):
        if len(value) > 1 and any(isinstance(item, Mapping) for item in value):
            items = [_value(item, special, indent + 2) for item in value]
            return "[\n" + "".join(f"{pad}  {item},\n" for item in items) + f"{pad}]"
        return f"[{', '.join(_value(item, special, indent) for item in value)}]"
    return text(value) if isinstance(value, str) else json.dumps(value)


def _aligned(lines: Sequence[tuple[str, str]], pad: str) -> Iterator[str]:
    """Attributes with the signs of a run of short ones in line; a long value ends a run."""
    run: list[tuple[str, str]] = []
    for index, line in enumerate(lines):
        run.append(line)
        if "\n" in line[1] or index == len(lines) - 1:
            short = [key for key, value in run if "\n" not in value]
            width = max(map(len, short), default=0)
            for key, value in run:
                yield f"{pad}{key if chr(10) in value else key.ljust(width)} = {value}"
            run = []
