"""Whether a value of one shape always is one of another: what a step makes, the next one takes.

Decides by structure, after "Type Safety with JSON Subschema" (Habib et al., ISSTA 2021), with
three answers: no mismatch is a proof, `wrong` and `absent` are faults, `unproven` is what only the
value itself can tell. Keywords of the made schema that are not understood only widen it, which is
safe; those of the wanted schema leave the fit unproven.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from opswright.shapes import ANNOTATIONS, SEVERITY, Kind, Mismatch, Shape, faults

_UNDERSTOOD = ANNOTATIONS | {
    "type", "enum", "const", "anyOf", "oneOf", "allOf",
    "minLength", "maxLength", "pattern", "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "items", "prefixItems", "minItems", "maxItems", "uniqueItems",
    "properties", "required", "additionalProperties",
}  # fmt: skip
_SIMPLE = {"string", "integer", "number", "boolean", "null"}


def mismatches(
    made: Shape, wanted: Shape, where: str = "", _seen: frozenset[tuple[int, int]] = frozenset()
) -> list[Mismatch]:
    """Why a value of the made shape may not be of the wanted one; an empty list is a proof."""
    made, wanted = made.opened, wanted.opened
    pair = (id(made.schema), id(wanted.schema))
    if pair in _seen or not set(wanted.schema) - ANNOTATIONS:
        return []
    seen = _seen | {pair}
    if "const" in made.schema or "enum" in made.schema:
        return _values(made, wanted, where)
    if cases := made.options():
        return _all_cases([mismatches(case, wanted, where, seen) for case in cases])
    if "allOf" in made.schema:
        own = Shape({k: v for k, v in made.schema.items() if k != "allOf"}, made.root)
        parts = [mismatches(made.of(p), wanted, where, seen) for p in [own, *made.schema["allOf"]]]
        surely = [part for part in parts if _severity(part) == SEVERITY["wrong"]]
        return surely[0] if surely else min(parts, key=_severity)
    found = []
    for keyword in ("anyOf", "oneOf"):
        if keyword in wanted.schema:
            ways = [mismatches(made, wanted.of(o), where, seen) for o in wanted.schema[keyword]]
            found += _one_way(ways, only_one=keyword == "oneOf", where=where)
    for part in wanted.schema.get("allOf", []):
        found += mismatches(made, wanted.of(part), where, seen)
    found += _kind_of_value(made, wanted, where)
    if not found:
        check = {"string": _text, "integer": _number, "number": _number}.get(
            made.schema.get("type")
        )
        if check:
            found += [Mismatch(kind, where, why) for kind, why in check(made.schema, wanted.schema)]
        elif made.schema.get("type") == "array":
            found += _array(made, wanted, where, seen)
        elif made.schema.get("type") == "object":
            found += _object(made, wanted, where, seen)
        elif made.schema.get("type") is None and set(wanted.schema) - ANNOTATIONS - {
            "anyOf", "oneOf", "allOf",
        }:  # fmt: skip
            found.append(Mismatch("unproven", where, "its producer does not say what it is"))
    strange = sorted(set(wanted.schema) - _UNDERSTOOD)
    if strange and any(made.schema.get(k) != wanted.schema[k] for k in strange):
        found.append(Mismatch("unproven", where, f"its {', '.join(strange)} is known by its value"))
    return found


def _values(made: Shape, wanted: Shape, where: str) -> list[Mismatch]:
    values = [made.schema["const"]] if "const" in made.schema else made.schema["enum"]
    wrong = {i: faults(value, wanted) for i, value in enumerate(values)}
    bad = {i: found for i, found in wrong.items() if found}
    if not bad:
        return []
    kind: Kind = "wrong" if len(bad) == len(values) else "unproven"
    if kind == "unproven" and any(values[i] is None for i in bad):
        kind = "absent"
    return [
        Mismatch(kind, ".".join(filter(None, [where, fault.where])), fault.why)
        for fault in next(iter(bad.values()))
    ]


def _all_cases(cases: list[list[Mismatch]]) -> list[Mismatch]:
    """Of a union that is made: wrong only if every case is, but a null is never let through."""
    if all(_severity(case) == SEVERITY["wrong"] for case in cases):
        return cases[0]
    return [
        Mismatch("unproven", m.where, f"it may be one that is not taken: {m.why}")
        if m.kind == "wrong"
        else m
        for case in cases
        for m in case
    ]


def _one_way(ways: list[list[Mismatch]], *, only_one: bool, where: str) -> list[Mismatch]:
    """Of a union that is wanted: one of its cases has to take what is made."""
    best = min(ways, key=_severity)
    if only_one and sum(_severity(way) < SEVERITY["wrong"] for way in ways) > 1:
        return [Mismatch("unproven", where, "exactly one of several shapes has to be the one")]
    return best


def _kind_of_value(made: Shape, wanted: Shape, where: str) -> list[Mismatch]:
    makes, takes = made.schema.get("type"), wanted.schema.get("type")
    if takes is not None:
        kinds = [takes] if isinstance(takes, str) else takes
        if makes is None:
            return [Mismatch("unproven", where, "its producer does not say what it is")]
        if makes not in kinds and not (makes == "integer" and "number" in kinds):
            wants = " or ".join(kinds)
            if makes == "null":
                return [Mismatch("absent", where, f"it may be null, and {wants} is wanted")]
            if makes == "number" and "integer" in kinds:
                return [Mismatch("unproven", where, "a number need not be an integer")]
            return [Mismatch("wrong", where, f"it is {makes}, not {wants}")]
    if "const" in wanted.schema or "enum" in wanted.schema:
        allowed = wanted.schema.get("enum", [wanted.schema.get("const")])
        told = ", ".join(map(str, allowed))
        if makes in _SIMPLE and all(faults(value, made) for value in allowed):
            return [Mismatch("wrong", where, f"it can be none of {told}")]
        return [Mismatch("unproven", where, f"it has to be one of {told}")]
    return []


Told = Iterable[tuple[Kind, str]]


def _text(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> Told:
    yield from _range(made, wanted, "minLength", "maxLength", "length")
    for keyword in ("pattern", "format"):
        if keyword in wanted and wanted[keyword] != made.get(keyword):
            yield "unproven", f"it has to be of the {keyword} {wanted[keyword]}"


def _number(made: Mapping[str, Any], wanted: Mapping[str, Any]) -> Told:
    yield from _range(made, wanted, "minimum", "maximum", "value")
    for keyword in ("exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
        if keyword in wanted and wanted[keyword] != made.get(keyword):
            yield "unproven", f"its {keyword} has to be {wanted[keyword]}"


def _range(
    made: Mapping[str, Any], wanted: Mapping[str, Any], least: str, most: str, what: str
) -> Told:
    low, high = made.get(least), made.get(most)
    floor, ceiling = wanted.get(least), wanted.get(most)
    if (floor is not None and high is not None and high < floor) or (
        ceiling is not None and low is not None and low > ceiling
    ):
        yield "wrong", f"its {what} is never from {floor} to {ceiling}"
        return
    trivial = 0 if least != "minimum" else None
    if floor is not None and floor != trivial and (low is None or low < floor):
        yield "unproven", f"its {what} has to be {floor} or more"
    if ceiling is not None and (high is None or high > ceiling):
        yield "unproven", f"its {what} has to be {ceiling} or less"


def _array(
    made: Shape, wanted: Shape, where: str, seen: frozenset[tuple[int, int]]
) -> list[Mismatch]:
    have, want = made.schema, wanted.schema
    found = [
        Mismatch(kind, where, why)
        for kind, why in _range(have, want, "minItems", "maxItems", "number of items")
    ]
    if want.get("uniqueItems") and not have.get("uniqueItems") and have.get("maxItems", 2) > 1:
        found.append(Mismatch("unproven", where, "its items have to differ"))
    first, of_first = have.get("prefixItems", []), want.get("prefixItems", [])
    length = max(len(first), len(of_first))
    for index in range(min(length, have.get("maxItems", length))):
        item = first[index] if index < len(first) else have.get("items", True)
        slot = of_first[index] if index < len(of_first) else want.get("items", True)
        at = f"{where}.{index}".strip(".")
        found += mismatches(made.of(item), wanted.of(slot), at, seen)
    if have.get("maxItems", length + 1) > length and have.get("items", True) is not False:
        item, slot = made.of(have.get("items", True)), wanted.of(want.get("items", True))
        found += mismatches(item, slot, f"{where}.*".strip("."), seen)
    return found


def _object(
    made: Shape, wanted: Shape, where: str, seen: frozenset[tuple[int, int]]
) -> list[Mismatch]:
    have, want = made.schema, wanted.schema
    fields, slots = have.get("properties", {}), want.get("properties", {})
    sure, closed = set(have.get("required", [])), have.get("additionalProperties") is False
    found = []
    for name in want.get("required", []):
        if name in sure:
            continue
        if name not in fields:
            kind: Kind = "wrong" if closed else "unproven"
            found.append(Mismatch(kind, where, f"it has no {name!r}, which is required"))
        else:
            kind = "unproven" if "default" in made.of(fields[name]).schema else "absent"
            found.append(Mismatch(kind, where, f"it may lack {name!r}, which is required"))
    rest = want.get("additionalProperties", True)
    for name, field in fields.items():
        at = f"{where}.{name}".strip(".")
        of_field = mismatches(made.of(field), wanted.of(slots.get(name, rest)), at, seen)
        if name not in sure:  # it is wrong only when it is there
            of_field = _all_cases([[], of_field])
        found += of_field
    others = made.of(have.get("additionalProperties", True))
    if not closed:
        for name in slots.keys() - fields.keys():
            found += _all_cases([[], mismatches(others, wanted.of(slots[name]), where, seen)])
        found += _all_cases([[], mismatches(others, wanted.of(rest), where, seen)])
    return found


def _severity(found: Iterable[Mismatch]) -> int:
    return max((SEVERITY[m.kind] for m in found), default=0)
