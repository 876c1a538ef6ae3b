"""Random JSON Schemas, values that are valid for one, and paths into them, for property tests."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

NAMES = ["id", "name", "ids", "size"]
PATTERNS = {"^v[0-9]+$": ["v1", "v22"], "^[a-z]+$": ["a", "shop"]}
WORDS = ["", "a", "b", "shop", "v1", "v22", "2026-01-01"]
VALUES = [None, True, 0, 1, 7, 0.5, *WORDS]


@st.composite
def _texts(draw: DrawFn) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    match draw(st.integers(0, 4)):
        case 0:
            schema["pattern"] = draw(st.sampled_from(sorted(PATTERNS)))
        case 1:
            schema["minLength"] = draw(st.integers(0, 2))
        case 2:
            schema["maxLength"] = draw(st.integers(0, 4))
        case 3:
            schema["enum"] = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))
    return schema


@st.composite
def _numbers(draw: DrawFn) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": draw(st.sampled_from(["integer", "number"]))}
    if draw(st.booleans()):
        schema["minimum"] = draw(st.integers(-2, 2))
    if draw(st.booleans()):
        schema["maximum"] = draw(st.integers(3, 6))
    return schema


@st.composite
def _arrays(draw: DrawFn, items: SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "array", "items": draw(items)}
    if draw(st.booleans()):
        schema["minItems"] = draw(st.integers(0, 2))
    if draw(st.booleans()):
        schema["maxItems"] = draw(st.integers(2, 3))
    return schema


@st.composite
def objects(
    draw: DrawFn, fields: SearchStrategy[dict[str, Any]], *, least: int = 0
) -> dict[str, Any]:
    """Objects with up to three fields, some of them required."""
    properties = draw(st.dictionaries(st.sampled_from(NAMES), fields, min_size=least, max_size=3))
    required = [name for name in properties if draw(st.integers(0, 3))]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        schema["required"] = required
    if draw(st.booleans()):
        schema["additionalProperties"] = False
    return schema


@st.composite
def _unions(draw: DrawFn, options: SearchStrategy[dict[str, Any]]) -> dict[str, Any]:
    return {"anyOf": [*draw(st.lists(options, min_size=1, max_size=2)), {"type": "null"}]}


_SIMPLE = st.one_of(
    _texts(),
    _numbers(),
    st.just({"type": "boolean"}),
    st.just({}),
    st.builds(lambda value: {"const": value}, st.sampled_from(VALUES)),
)
SCHEMAS: SearchStrategy[dict[str, Any]] = st.recursive(
    _SIMPLE, lambda inner: st.one_of(_arrays(inner), objects(inner), _unions(inner)), max_leaves=5
)


@st.composite
def near(draw: DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, or one that differs from it in one place; it may be wider, narrower or off."""
    changed = dict(schema)
    match draw(st.integers(0, 7)):
        case 0:
            return {"anyOf": [changed, draw(_SIMPLE)]}
        case 1 if len(changed) > 1:
            del changed[draw(st.sampled_from(sorted(set(changed) - {"properties", "items"})))]
        case 2 if changed.get("type") in {"integer", "number"}:
            changed["minimum"] = draw(st.integers(-3, 3))
        case 3 if changed.get("type") == "string" and "enum" not in changed:
            changed |= {"minLength": draw(st.integers(0, 2))}
        case 4 if changed.get("type") == "array":
            changed["items"] = draw(near(changed["items"]))
        case 5 if changed.get("type") == "array":
            changed["minItems"] = draw(st.integers(0, 2))
        case 6 if changed.get("properties"):
            name = draw(st.sampled_from(sorted(changed["properties"])))
            field = draw(near(changed["properties"][name]))
            changed["properties"] = {**changed["properties"], name: field}
        case 7 if changed.get("properties"):
            changed["required"] = sorted(changed["properties"])
    return changed


@st.composite
def values(draw: DrawFn, schema: dict[str, Any]) -> Any:
    """A value that is valid for the schema."""
    if "anyOf" in schema:
        return draw(values(draw(st.sampled_from(schema["anyOf"]))))
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "string":
            if "pattern" in schema:
                return draw(st.sampled_from(PATTERNS[schema["pattern"]]))
            sizes = schema.get("minLength", 0), schema.get("maxLength", 5)
            return draw(st.text("abv1", min_size=sizes[0], max_size=sizes[1]))
        case "integer":
            return draw(st.integers(schema.get("minimum", -9), schema.get("maximum", 9)))
        case "number":
            low, high = schema.get("minimum", -9), schema.get("maximum", 9)
            return draw(st.floats(low, high, allow_nan=False))
        case "boolean":
            return draw(st.booleans())
        case "null":
            return None
        case "array":
            sizes = schema.get("minItems", 0), schema.get("maxItems", 3)
            item = values(schema.get("items", {}))
            return draw(st.lists(item, min_size=sizes[0], max_size=sizes[1]))
        case "object":
            properties, required = schema.get("properties", {}), schema.get("required", [])
            there = [n for n in properties if n in required or draw(st.booleans())]
            return {name: draw(values(properties[name])) for name in there}
    return draw(st.sampled_from([*VALUES, [], ["a"], {}, {"id": 1}]))


def paths(schema: dict[str, Any], depth: int = 3) -> list[list[str]]:
    """Paths that may lead somewhere in a value of the schema."""
    found: list[list[str]] = [[]]
    if depth:
        for name, field in schema.get("properties", {}).items():
            found += [[name, *rest] for rest in paths(field, depth - 1)]
        if schema.get("type") == "array":
            found += [["0", *rest] for rest in paths(schema.get("items", {}), depth - 1)]
        for option in schema.get("anyOf", []):
            found += [path for path in paths(option, depth - 1) if path]
    return found
