"""Recognises what one request made, so that a repeat takes it up and never makes it twice.

Everything made carries the tag `opswright:request`: a digest of the tool and its arguments. A part
that carries it is the same request's (cut off, or journalled elsewhere) and is taken up; the same
name without it is somebody else's, and is refused.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from opswright_core.aws import tag_list
from opswright_core.canonical import digest
from opswright_core.changes import Action, ResourceRef
from opswright_core.errors import ConflictError
from opswright_core.recorder import Recorder
from opswright_core.undo import UndoStep

ResourceName = Annotated[
    str,
    Field(
        description="For what is made",
        pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
        max_length=40,
    ),
]

REQUEST_TAG = "opswright:request"
NAME_TAG = "opswright:name"


@dataclass(frozen=True)
class Request:
    """One request: the name it was given and the digest of what was asked."""

    name: str
    id: str

    @classmethod
    def of(cls, tool: str, name: str, **arguments: Any) -> "Request":
        """The request of a tool call; `arguments` are all that shape what is made."""
        return cls(name=name, id=digest([tool, name, arguments])[:16])

    def tags(self, part: str) -> dict[str, str]:
        """The tags of one part it makes."""
        return {
            "Name": part,
            "managed-by": "opswright",
            NAME_TAG: self.name,
            REQUEST_TAG: self.id,
        }

    def tag_list(self, part: str) -> list[dict[str, str]]:
        """The same as `[{"Key": k, "Value": v}]`."""
        return tag_list(self.tags(part))

    def specification(self, ec2_type: str, part: str) -> list[dict[str, Any]]:
        """The same as EC2's `TagSpecifications`."""
        return [{"ResourceType": ec2_type, "Tags": self.tag_list(part)}]

    @property
    def filters(self) -> list[dict[str, Any]]:
        """EC2's `Filters` for what this request made."""
        return [{"Name": f"tag:{REQUEST_TAG}", "Values": [self.id]}]

    def made(self, tags: Mapping[str, str]) -> bool:
        """Whether the tags say that this same request made what carries them."""
        return tags.get(REQUEST_TAG) == self.id

    def claim(self, what: str, tags: Mapping[str, str]) -> None:
        """Raise ConflictError unless the tags say that this same request made `what`."""
        if self.made(tags):
            return
        maker = (
            "by opswright with other settings"
            if tags.get("managed-by") == "opswright"
            else "outside opswright"
        )
        raise ConflictError(
            f"The name {self.name!r} is taken: {what} exists already and was made {maker}. "
            "Choose another name, repeat the call with the settings it was made with, or undo "
            "that change."
        )


def key(kind: str, part: str) -> str:
    """How a part is called in the journal and among the known parts: `ec2:vpc shop`."""
    return f"{kind} {part}"


def outstanding(wanted: Sequence[Action], known: Collection[str]) -> list[Action]:
    """The actions still to do; if none is, one that says the whole is taken into this journal."""
    missing = [action for action in wanted if key(action.type, action.name) not in known]
    if missing:
        return missing
    first = wanted[0]
    detail = "there already from the same request: journalled here and verified; undo deletes it"
    return [Action(verb="modify", type=first.type, name=first.name, detail=detail)]


@dataclass(frozen=True)
class Maker:
    """Makes a request's parts through the recorder; `known` has the ids of those that exist."""

    rec: Recorder
    known: Mapping[str, str]

    def make(
        self,
        kind: str,
        part: str,
        create: Callable[[], str],
        undo: Callable[[str], list[UndoStep]],
    ) -> str:
        """Make one part, or take up the one that the same request made before; returns its id."""
        name = key(kind, part)
        made: dict[str, str] = self.rec.step(
            name,
            lambda: {"id": self.known.get(name) or create()},
            undo=lambda result: undo(result["id"]),
            resource=lambda result: ResourceRef(type=kind, id=result["id"], name=part),
            find=lambda: {"id": self.known[name]} if name in self.known else None,
        )
        return made["id"]


def short_name(name: str, limit: int = 32) -> str:
    """Cut a name to a service's limit (load balancers and target groups: 32), keeping it unique."""
    if len(name) <= limit:
        return name
    return f"{name[: limit - 7].rstrip('-')}-{digest(name)[:6]}"
