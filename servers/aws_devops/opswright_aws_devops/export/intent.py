"""The parts of one intent, while they are put together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from opswright_aws_devops.export.model import Part, Ref, Value

Outputs = dict[str, Value]
"""What the tool itself answers, by the same names, as far as it is known before."""


@dataclass(frozen=True)
class Place:
    """Where it will be built, as far as parts depend on it."""

    region: str
    partition: str
    zones: tuple[str, ...] = ()
    """The region's zones that are used, for a network."""
    architecture: str = "x86_64"
    """Of a web tier's instance type."""


@dataclass
class Made:
    """The parts of one intent; `prefix` begins each part's key."""

    prefix: str
    parts: list[Part] = field(default_factory=list)
    outputs: Outputs = field(default_factory=dict)

    def add(
        self,
        key: str,
        kind: str,
        properties: Mapping[str, Value],
        *,
        after: tuple[str, ...] = (),
        holds_data: bool = False,
        name: str = "",
    ) -> Callable[[str], Ref]:
        """Add a part; returns what refers to an attribute of it.

        `name` is its Name tag where its type has no property for tags.
        """
        whole = self.prefix + key
        keys = tuple(self.prefix + other for other in after)
        tags = {"Name": name} if name else {}
        self.parts.append(Part(whole, f"AWS::{kind}", properties, keys, holds_data, tags=tags))
        return lambda attribute: Ref(whole, attribute)


def camel(text: str) -> str:
    """Words as one: eu-west-1a is EuWest1a."""
    words = "".join(c if c.isalnum() else " " for c in text).split()
    return "".join(word[:1].upper() + word[1:] for word in words)


def named(name: str) -> list[dict[str, str]]:
    """The Name tag."""
    return [{"Key": "Name", "Value": name}]
