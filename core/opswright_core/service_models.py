"""botocore's models of services in little memory: no documentation, and parts read when used."""

import functools
import json
import os
import re
import sys
from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any

_SHAPES = "shapes"
"""The part of a service's model with hundreds or thousands of entries, of which calls use a few.

Of its operations a client looks at every one.
"""


class Unfolding(dict[str, Any]):
    """Entries that are kept as JSON text until they are asked for, by name or all.

    A dict as botocore wants it, which looks entries up by name and merges its extras into them.
    """

    def __getitem__(self, name: str) -> Any:
        entry = super().__getitem__(name)
        if type(entry) is str:
            entry = self[name] = _DECODER.decode(entry)
        return entry

    def get(self, name: str, default: Any = None) -> Any:
        """The entry of that name, or the default."""
        try:
            return self[name]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[str]:  # or dict() would copy the texts
        return super().__iter__()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """Every entry with its name."""
        return {name: self[name] for name in self}.items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """Every entry."""
        return dict(self.items()).values()


@functools.cache
def service_models(data_path: str | None) -> Any:
    """The process's one loader of botocore's models of services; it keeps what it read.

    Without the models' documentation, which calls do not need and which is much of what they weigh.
    """
    from botocore.loaders import JSONFileLoader, create_loader

    class Light(JSONFileLoader):  # type: ignore[misc]
        def _load_file(self, full_path: str, open_method: Any) -> Any:
            if not os.path.isfile(full_path):
                return None
            with open_method(full_path, "rb") as file:
                return folded(file.read().decode())

    loader = create_loader(data_path)
    loader.file_loader = Light()
    return loader


def folded(text: str) -> dict[str, Any]:
    """A JSON object without documentation, its `shapes` kept as texts.

    Entry by entry: the whole at once, most of it let go again, would leave memory full of holes.
    Of the rest, each plain reference to a shape is kept once.
    """
    references: dict[str, dict[str, Any]] = {}

    def shared(part: dict[str, Any]) -> dict[str, Any]:
        part = _undocumented(part)
        if len(part) == 1 and type(name := part.get("shape")) is str:
            return references.setdefault(name, part)
        return part

    decoder = json.JSONDecoder(object_hook=shared)

    def entry(_: str, begin: int) -> tuple[str, int]:
        value, end = _DECODER.raw_decode(text, begin)
        return _as_text(value), end

    def part(name: str, begin: int) -> tuple[Any, int]:
        if name == _SHAPES and text[begin] == "{":
            entries, end = _members(text, begin, entry)
            return Unfolding(entries), end
        return decoder.raw_decode(text, begin)

    return _members(text, 0, part)[0]


def _members(
    text: str, begin: int, read: Callable[[str, int], tuple[Any, int]]
) -> tuple[dict[str, Any], int]:
    """The members of the JSON object at `begin`, each read from where it begins, and its end."""
    found: dict[str, Any] = {}
    at = _between(text, begin + 1)
    while text[at] == '"':
        name, at = _DECODER.raw_decode(text, at)
        found[sys.intern(name)], at = read(name, _between(text, at))
        at = _between(text, at)
    return found, at + 1


def _between(text: str, at: int) -> int:
    """Where the next name, value or end is."""
    match = _SEPARATORS.match(text, at)
    return match.end() if match else at


def _undocumented(part: dict[str, Any]) -> dict[str, Any]:
    """A part of a model without its documentation; botocore wants the key beside a `type`."""
    if isinstance(part.get("documentation"), str):  # a shape's member may be called that, too
        if "type" in part:
            part["documentation"] = ""
        else:
            del part["documentation"]
    for key, value in part.items():
        if type(value) is str:
            part[key] = sys.intern(value)
    if "dnsSuffix" in part and "services" in part:  # where every service of a partition is
        part["services"] = Unfolding((k, _as_text(v)) for k, v in part["services"].items())
    return part


def _as_text(entry: Any) -> str:
    return json.dumps(entry, separators=(",", ":"))


_SEPARATORS = re.compile(r"[\s:,]*")
_DECODER = json.JSONDecoder(object_hook=_undocumented)
