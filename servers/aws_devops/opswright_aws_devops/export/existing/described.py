"""What one existing resource becomes: its parts, what names it, and what is left out of it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opswright_aws_devops.export.intent import camel
from opswright_aws_devops.export.model import Part, Ref, Value
from opswright_core.aws import Aws, tag_list, tags_of
from opswright_core.text import clean


@dataclass(frozen=True)
class Named:
    """Another resource by a name that is unique for its type alone; a reference if it is there."""

    type: str
    name: str
    otherwise: str = ""
    """What is written where it is not there; else its name."""


@dataclass
class Parts:
    """The parts of the resources chosen, while they are described."""

    a: Aws
    parts: list[Part] = field(default_factory=list)
    ids: dict[str, Ref] = field(default_factory=dict)
    """What refers to a part: ids and ARNs, unique in an account."""
    names: dict[tuple[str, str], Ref] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(
        self,
        kind: str,
        name: str,
        properties: Mapping[str, Value],
        *,
        ids: Mapping[str, str] = {},
        named: tuple[str, str] | None = None,
        after: Iterable[str] = (),
        holds_data: bool = False,
        unwritten: Iterable[str] = (),
        import_ids: Mapping[str, str] = {},
        tags: Any = (),
    ) -> str:
        """Add a part; returns its key.

        `ids` has the attribute that each id or ARN of it is; `named` an attribute and its name;
        `unwritten` what it has beyond these properties; `import_ids` what else Terraform imports
        it by; `tags` those for which the type has no property.
        Properties that are None, empty or False are what CloudFormation does by itself.
        """
        key = self._key(f"{name} {kind.rpartition('::')[2]}")
        own = {k: v for k, v in properties.items() if v is not None and v not in ("", [], {})}
        part = Part(
            key,
            f"AWS::{kind}",
            own,
            tuple(after),
            holds_data,
            {**ids, **import_ids},
            tuple(unwritten),
            tags_of(own_tags(tags)),
        )
        self.parts.append(part)
        self.ids.update({value: Ref(key, attribute) for attribute, value in ids.items()})
        if named:
            self.names[kind, named[1]] = Ref(key, named[0])
        return key

    def leave_out(self, what: str, why: str) -> None:
        """Say what is not exported."""
        self.left_out.append(f"{clean(what, 200)}: {why}")

    def _key(self, text: str) -> str:
        """A logical id that no other part has."""
        whole = "".join(c for c in camel(text) if c.isascii())[:200]
        if not whole[:1].isalpha():
            whole = f"Part{whole}"
        taken = {part.key for part in self.parts}
        if whole not in taken:
            return whole
        return next(f"{whole}{n}" for n in range(2, len(taken) + 3) if f"{whole}{n}" not in taken)


Describe = Callable[[Parts, dict[str, Any]], None]
"""Adds the parts of one resource, as its service (and the inventory) describes it."""


def own_tags(tags: Any) -> list[dict[str, str]]:
    """Tags that a copy may have: not AWS's own, and not those by which opswright knows its own."""
    kept = {
        key: value
        for key, value in tags_of(tags).items()
        if not key.startswith(("aws:", "opswright:"))
        and (key, value) != ("managed-by", "opswright")
    }
    return tag_list(kept)


def name_of(item: Mapping[str, Any], otherwise: str) -> str:
    """The Name tag, or what else it may be called by."""
    return tags_of(item.get("Tags")).get("Name") or otherwise
