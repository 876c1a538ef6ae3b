"""Judges awscc configurations: parsed as HCL, each block against the schema of its type.

The provider awscc is generated from CloudFormation's schemas, which cfn-lint carries.
"""

import io
from collections.abc import Iterator
from typing import Any

from opswright_aws_devops.export.model import DOCUMENTS
from opswright_aws_devops.export.terraform import snake_case
from opswright_aws_devops.review.schemas import schema_of

KINDS = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list}
META = {"lifecycle", "depends_on"}


def blocks_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Every resource block: its type and its attributes. Fails for what is no HCL."""
    import hcl2

    found = []
    for block in hcl2.load(io.StringIO(text)).get("resource", []):
        ((kind, named),) = block.items()
        (body,) = named.values()
        found.append((kind.strip('"'), body))
    return found


def faults(text: str, types: dict[str, str]) -> list[str]:
    """What the provider would refuse; `types` gives the CloudFormation type of each of its own."""
    found = []
    for kind, body in blocks_of(text):
        schema = schema_of(types[kind], "eu-west-1")
        assert schema is not None, kind
        own = {k: v for k, v in body.items() if k not in META}
        found += [f"{kind}: {fault}" for fault in _object(own, schema, schema, kind)]
        read_only = {p.removeprefix("/properties/") for p in schema.get("readOnlyProperties", [])}
        written = {snake_case(n) for n in read_only if "/" not in n} & own.keys()
        found += [f"{kind}: {name} is read-only" for name in written]
    return found


def attributes(resource_type: str) -> set[str]:
    """What a reference to the type may name: nested ones by their path."""
    schema = schema_of(resource_type, "eu-west-1")
    assert schema is not None
    paths = set(schema["properties"])
    paths |= {p.removeprefix("/properties/") for p in schema.get("readOnlyProperties", [])}
    return {".".join(snake_case(word) for word in path.split("/")) for path in paths}


def _object(
    value: dict[str, Any], own: dict[str, Any], schema: dict[str, Any], path: str
) -> Iterator[str]:
    properties = own.get("properties")
    if properties is None:  # open, like tags by key, or a choice
        return
    known = {snake_case(name): (name, rule) for name, rule in properties.items()}
    for name in own.get("required", []):
        if snake_case(name) not in value:
            yield f"{path} lacks {snake_case(name)}"
    for key, inner in value.items():
        if key.startswith("__"):
            continue
        if key not in known:
            yield f"{path} has no {key}"
            continue
        name, rule = known[key]
        if name in DOCUMENTS:
            if not str(inner).startswith("${jsonencode("):
                yield f"{path}.{key} is no JSON"
            continue
        yield from _value(inner, rule, schema, f"{path}.{key}")


def _value(value: Any, rule: dict[str, Any], schema: dict[str, Any], path: str) -> Iterator[str]:
    while "$ref" in rule:
        rule = schema["definitions"][rule["$ref"].rpartition("/")[2]]
    if isinstance(value, str) and value.startswith("${"):
        return  # an expression
    wanted = rule.get("type")
    if isinstance(wanted, str) and wanted in KINDS:
        is_bool = isinstance(value, bool) and wanted != "boolean"
        if not isinstance(value, KINDS[wanted]) or is_bool:  # type: ignore[arg-type]
            yield f"{path} is no {wanted}: {value!r}"
            return
    if isinstance(value, list):
        for item in value:
            yield from _value(item, rule.get("items", {}), schema, path)
    elif isinstance(value, dict):
        yield from _object(value, rule, schema, path)
