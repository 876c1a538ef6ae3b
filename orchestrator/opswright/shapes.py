"""JSON Schemas of what steps make and take, and what lies at a path inside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["unproven", "absent", "wrong"]
Schema = Any
"""A JSON Schema: a mapping or a boolean; within a made-up one, a Shape stands for its schema."""

SEVERITY: Mapping[Kind, int] = {"unproven": 1, "absent": 2, "wrong": 3}
ANNOTATIONS = {
    "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly",
    "$defs", "$schema", "$id", "$comment", "discriminator",
}  # fmt: skip


@dataclass(frozen=True)
class Mismatch:
    """Why a made value may not be a wanted one. `where` is the path inside the value."""

    kind: Kind
    where: str
    why: str


@dataclass(frozen=True, eq=False)
class Shape:
    """A schema with the document that its `$ref`s point into."""

    schema: Schema
    root: Mapping[str, Any]

    def of(self, schema: Schema) -> "Shape":
        """A part of this shape's schema, opened: without `$ref`, a boolean as a mapping."""
        if isinstance(schema, Shape):
            return schema.of(schema.schema)
        if schema is True:
            return Shape({}, self.root)
        if schema is False:
            return Shape({"enum": []}, self.root)
        if "$ref" in schema:
            target: Any = self.root
            for part in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
                target = target[part] if part else target
            beside = {k: v for k, v in schema.items() if k != "$ref" and k not in ANNOTATIONS}
            return self.of({**target, **beside} if beside else target)
        return Shape(schema, self.root)

    @property
    def opened(self) -> "Shape":
        """Itself without a `$ref` at its top."""
        return self.of(self.schema)

    def options(self) -> "list[Shape]":
        """The cases of a union, or nothing for what is none."""
        union = self.schema.get("anyOf") or self.schema.get("oneOf")
        if union:
            return [self.of(option) for option in union]
        kinds = self.schema.get("type")
        if isinstance(kinds, list):
            return [Shape({**self.schema, "type": kind}, self.root) for kind in kinds]
        return []


def shape(schema: Schema) -> Shape:
    """The shape of a whole schema document."""
    return Shape(schema, schema if isinstance(schema, Mapping) else {}).opened


def union(shapes: Sequence[Shape]) -> Shape:
    """What is of one of these shapes."""
    return shapes[0] if len(shapes) == 1 else Shape({"anyOf": list(shapes)}, {})


def without_null(made: Shape) -> Shape:
    """The shape of what is there, of a value that may be null."""
    cases = [case for case in made.options() if case.schema.get("type") != "null"]
    return union(cases) if cases else made


def faults(value: Any, wanted: Shape) -> list[Mismatch]:
    """What is wrong with a value at hand."""
    from jsonschema import Draft202012Validator

    schema = {**wanted.schema, "$defs": wanted.root.get("$defs", {})}
    return [
        Mismatch("wrong", ".".join(map(str, error.absolute_path)), error.message)
        for error in Draft202012Validator(schema).iter_errors(value)
    ]


def misfits(args: Mapping[str, Any], names: Iterable[str], input_schema: Mapping[str, Any]) -> str:
    """What is wrong with the values of the arguments named; empty when nothing is."""
    wanted, slots = shape(input_schema), input_schema.get("properties", {})
    found = [
        f"{'.'.join(filter(None, [name, fault.where]))}: {fault.why}"
        for name in names
        for fault in faults(args[name], wanted.of(slots.get(name, True)))
    ]
    return "; ".join(found)


def inner(made: Shape, part: str) -> tuple[Shape | None, Kind | None]:
    """The shape at one part of a path: None when it cannot be there, and whether it is in doubt."""
    if cases := made.options():
        found = [inner(c, part) for c in cases if c.schema.get("type") != "null"]
        there = [(s, kind) for s, kind in found if s is not None]
        if not there:
            return None, None
        doubts: list[Kind | None] = [kind for _, kind in there]
        if len(found) < len(cases):
            doubts.append("absent")
        if len(there) < len(found):
            doubts.append("unproven")
        return union([s for s, _ in there]), _worst(doubts)
    schema = made.schema
    if "allOf" in schema:
        for whole in schema["allOf"]:
            found_inner = inner(made.of(whole), part)
            if found_inner[0] is not None:
                return found_inner
    kind = schema.get("type")
    if (
        part.isdigit()
        and kind in {None, "array"}
        and ("items" in schema or "prefixItems" in schema)
    ):
        index, prefix = int(part), schema.get("prefixItems", [])
        if index >= schema.get("maxItems", index + 1):
            return None, None
        item = prefix[index] if index < len(prefix) else schema.get("items", True)
        return made.of(item), None if index < schema.get("minItems", 0) else "unproven"
    properties, more = schema.get("properties", {}), schema.get("additionalProperties")
    if kind in {None, "object"} and part in properties:
        there_for_sure = part in schema.get("required", [])
        field = made.of(properties[part])
        has_default = "default" in properties[part] if isinstance(properties[part], Mapping) else 0
        return field, None if there_for_sure else "unproven" if has_default else "absent"
    if kind in {None, "object"} and (more or (more is None and not properties)):
        return made.of(True if more is None else more), "unproven"
    return (made.of(True), "unproven") if kind == "array" and part.isdigit() else (None, None)


def _worst(doubts: Iterable[Kind | None]) -> Kind | None:
    told = [doubt for doubt in doubts if doubt is not None]
    return max(told, key=lambda kind: SEVERITY[kind], default=None)
