"""What one part becomes: a resource of the provider, and others beside it where AWS has one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opswright_aws_devops.export.model import Part, Ref, Value
from opswright_aws_devops.export.terraform.hcl import Block, snake_case


@dataclass
class Resource:
    """A `resource` block; `import_id` is empty where it is to be made."""

    type: str
    name: str
    body: Mapping[str, Value]
    import_id: str = ""
    ignored: tuple[str, ...] = ()
    """Arguments whose changes Terraform leaves alone."""


@dataclass
class Draft:
    """A part while it is put into the provider's words.

    `rest` has the properties not yet written; what a `Write` leaves there is written as it is,
    in snake case. So nothing is lost in silence: a wrong name does not pass `terraform validate`.
    """

    part: Part
    name: str
    exists: bool
    literal: Callable[[Value], str]
    """What a value is in the account; empty where it is not known before it is built."""
    rest: dict[str, Value]
    body: dict[str, Value] = field(default_factory=dict)
    beside: list[Resource] = field(default_factory=list)
    ignored: tuple[str, ...] = ()

    def take(self, name: str, otherwise: Value = None) -> Value:
        """A property, which is then the caller's to write."""
        return self.rest.pop(name, otherwise)

    def __call__(self, attribute: str) -> Ref:
        """A reference to an attribute of this part."""
        return Ref(self.part.key, attribute)

    def there(self, name: str) -> str:
        """An id, or a property that names it, of what exists; else empty."""
        if not self.exists:
            return ""
        return self.part.ids.get(name) or self.literal(self.part.properties.get(name))

    def add(self, type_: str, suffix: str, body: Mapping[str, Value], import_id: str = "") -> None:
        """Another resource that the part needs."""
        self.beside.append(Resource(type_, f"{self.name}{suffix}", body, import_id))


Write = Callable[[Draft], None]


@dataclass(frozen=True)
class Kind:
    """What a CloudFormation type is to the provider."""

    type: str
    gives: Mapping[str, str] = field(default_factory=dict)
    """Attributes by what CloudFormation calls them; another is the snake case of its name."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Arguments that are not the snake case of the property's name."""
    import_id: str = ""
    """Made of attributes and properties in braces (the provider's pages, "Import")."""
    write: Write = lambda draft: None


def tags(given: Any) -> dict[str, Value]:
    """Tags as a map."""
    return {tag["Key"]: tag["Value"] for tag in given or []}


def generic(value: Value) -> Value:
    """Nested properties as blocks, with names in snake case."""
    if isinstance(value, Mapping):
        return Block({snake_case(key): generic(inner) for key, inner in value.items()})
    if isinstance(value, list | tuple):
        return [generic(item) for item in value]
    return value
