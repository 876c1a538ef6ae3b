"""What is reviewed: resources as they will be, with values that are not known yet as UNKNOWN."""

import base64
import binascii
import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Verb = Literal["create", "update", "replace", "delete", "import", "forget"]


class _Unknown:
    """A value that only the deployment will tell. There is one, and it is not false."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Resource:
    """One resource: its address (logical id), its type and its properties."""

    address: str
    type: str
    properties: Mapping[str, Any]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    """Of a template the whole entry: DeletionPolicy, UpdateReplacePolicy, Properties as written."""

    def at(self, path: str) -> list[Any]:
        """The values at a path like `Ebs.Encrypted` or `Disks[].Encrypted`.

        One value for a path without `[]`, None where nothing is given; one for each entry of a
        list, none for an empty one. What lies inside an UNKNOWN is UNKNOWN.
        """
        values: list[Any] = [self.properties]
        for part in path.split("."):
            name, several = part.removesuffix("[]"), part.endswith("[]")
            values = [_inner(value, name) for value in values]
            if several:
                values = [entry for value in values for entry in _entries(value)]
        return values

    def one(self, path: str) -> Any:
        """The value at a path without `[]`."""
        return self.at(path)[0]


@dataclass(frozen=True)
class Change:
    """What happens to one resource."""

    verb: Verb
    before: Resource | None
    after: Resource | None
    because: tuple[str, ...] = ()
    """The properties that change, or that make it necessary to replace it."""
    may_be_replaced: bool = False

    @property
    def resource(self) -> Resource:
        """The resource as it is, or as it will be when it is new."""
        found = self.before or self.after
        assert found is not None
        return found


def plain(value: Any) -> Any:
    """A value as the provider takes it: `"true"` is true."""
    return {"true": True, "false": False}.get(value.lower(), value) if _is_text(value) else value


def number(value: Any) -> Any:
    """A number, also when it is written as a text; anything else as it is."""
    try:
        return float(value) if _is_text(value) else value
    except ValueError:
        return value


def is_known(value: Any) -> bool:
    """Whether nothing in a value is UNKNOWN."""
    if isinstance(value, Mapping):
        return all(map(is_known, value.values()))
    if isinstance(value, list):
        return all(map(is_known, value))
    return value is not UNKNOWN


def document(value: Any) -> Any:
    """A policy document: as it is, or out of JSON text; UNKNOWN where neither tells."""
    if not _is_text(value):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return UNKNOWN


def texts(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every text in a value with where it is; base64 text is given decoded as well."""
    if isinstance(value, Mapping):
        named = value.get("Name", value.get("name"))  # {"Name": "DB_PASSWORD", "Value": "…"}
        for name, inner in value.items():
            place = named if name in {"Value", "value"} and _is_text(named) else str(name)
            yield from texts(inner, (*path, place))
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner, path)
    elif _is_text(value):
        yield path, value
        with contextlib.suppress(binascii.Error, ValueError):
            yield path, base64.b64decode(value, validate=True).decode()


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _inner(value: Any, name: str) -> Any:
    if isinstance(value, list):  # a Terraform block that may be given once is a list of one
        value = value[0] if len(value) == 1 else None
    if isinstance(value, Mapping):
        return value.get(name)
    return UNKNOWN if value is UNKNOWN else None


def _entries(value: Any) -> list[Any]:
    if value is UNKNOWN:
        return [UNKNOWN]
    return value if isinstance(value, list) else []
