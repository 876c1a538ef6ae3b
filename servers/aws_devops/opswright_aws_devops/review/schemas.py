"""Which properties of a CloudFormation type cannot change without a new resource.

The resource providers' schemas say so; cfn-lint (the extra `lint`) carries them as files.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class CreateOnly:
    """Top-level properties by what a change of them leads to."""

    always: frozenset[str]
    sometimes: frozenset[str]
    """Where a part of the property, or only some values, need a new resource."""


@lru_cache(maxsize=256)
def create_only(resource_type: str, region: str) -> CreateOnly | None:
    """What a change of the type's properties leads to; None when no schema is here."""
    schema = schema_of(resource_type, region)
    if schema is None:
        return None
    paths = [_path(pointer) for pointer in schema.get("createOnlyProperties", [])]
    more = [_path(pointer) for pointer in schema.get("conditionalCreateOnlyProperties", [])]
    always = frozenset(path[0] for path in paths if len(path) == 1)
    nested = frozenset(path[0] for path in paths if len(path) > 1)
    return CreateOnly(always, (nested | frozenset(path[0] for path in more)) - always)


def schema_of(resource_type: str, region: str) -> dict[str, Any] | None:
    """The type's own schema, or None when none is here."""
    found = find_spec("cfnlint")
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "data" / "schemas"
    names = _names(folder, region) or _names(folder, "us-east-1")
    try:
        text = (folder / "resources" / f"{names[resource_type]}.json").read_text(encoding="utf-8")
        schema: dict[str, Any] = json.loads(text)
    except (KeyError, OSError, ValueError):
        return None
    return schema


@lru_cache(maxsize=4)
def _names(folder: Path, region: str) -> dict[str, str]:
    """The file of each type's schema in a region."""
    try:
        text = (folder / "providers" / f"{region}.json").read_text(encoding="utf-8")
        names: dict[str, str] = json.loads(text)
    except (OSError, ValueError):
        return {}
    return names


def _path(pointer: str) -> list[str]:
    return pointer.removeprefix("/properties/").split("/")
