"""The inverse of an operation, where it is certain.

Certain is a create of this table (it makes something new or fails, and never takes up what was
there) whose delete needs no more than the names that the create was given or answered. The pair
and its parameters are looked up in botocore's models, not written here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.api.models import Operation, find
from opswright_aws_devops.api.paging import pagination_of
from opswright_core.errors import BadInputError
from opswright_core.redact import MASK

CERTAIN = {
    "dynamodb": ("Table",),
    "ec2": (
        "EgressOnlyInternetGateway", "InternetGateway", "LaunchTemplate", "NetworkAcl",
        "NetworkInterface", "PlacementGroup", "RouteTable", "SecurityGroup", "Snapshot", "Subnet",
        "Volume", "Vpc",
    ),
    "ecr": ("Repository",),
    "efs": ("FileSystem",),
    "events": ("EventBus",),
    "iam": ("Group", "InstanceProfile", "Role", "User"),
    "kms": ("Alias",),
    "lambda": ("Alias", "Function"),
    "logs": ("LogGroup", "LogStream"),
    "rds": ("DBParameterGroup", "DBSubnetGroup", "OptionGroup"),
    "scheduler": ("ScheduleGroup",),
}  # fmt: skip
"""Nouns X of CreateX and DeleteX by service. Not here: creates that answer with what exists
already (a queue, a topic, a state machine), deletes that need a choice (a final snapshot), and
things that are still listed long after they are deleted."""


@dataclass(frozen=True)
class Look:
    """A read that fails, or finds nothing by the JMESPath `found`, when there is no such thing."""

    operation: str
    parameters: dict[str, Any]
    found: str = "@"


@dataclass(frozen=True)
class Inverse:
    """A delete, and the read that tells whether it took effect."""

    service: str
    operation: str
    parameters: dict[str, Any]
    look: Look | None


def noun_of(operation: Operation) -> str | None:
    """What a create of the table makes, like `Volume`; None for any other operation."""
    noun = operation.name.removeprefix("Create")
    known = CERTAIN.get(operation.service, ())
    return noun if noun != operation.name and noun in known else None


def inverse_of(
    operation: Operation, parameters: Mapping[str, Any], answer: Mapping[str, Any]
) -> Inverse | None:
    """The inverse of a create that was sent; None where there is none that is certain."""
    noun = noun_of(operation)
    delete = _existing(operation.service, f"Delete{noun}") if noun else None
    if noun is None or delete is None:
        return None
    names = _identifiers(delete, noun)
    inner = answer.get(noun)
    given = {**(inner if isinstance(inner, dict) else {}), **answer, **parameters}
    if not names or any(given.get(n) == MASK or not isinstance(given.get(n), str) for n in names):
        return None
    # Another registry or group, say, that the delete would have to be told too. EC2's ids stand
    # for themselves.
    others = set(delete.model.input_shape.members) & set(parameters) - set(names)
    if others and operation.service != "ec2":
        return None
    chosen = {name: given[name] for name in names}
    return Inverse(operation.service, delete.name, chosen, _look(operation.service, noun, chosen))


def look_of(operation: Operation, parameters: Mapping[str, Any]) -> Look | None:
    """The read that tells whether a delete of the table's things took effect; else None."""
    noun = operation.name.removeprefix("Delete")
    if noun == operation.name or noun not in CERTAIN.get(operation.service, ()):
        return None
    names = _identifiers(operation, noun)
    chosen = {name: parameters[name] for name in names if isinstance(parameters.get(name), str)}
    return _look(operation.service, noun, chosen) if chosen and len(chosen) == len(names) else None


def _look(service: str, noun: str, chosen: dict[str, str]) -> Look | None:
    """GetX or DescribeX by the same names, or DescribeXs by the one name or a list of it."""
    for verb in ("Get", "Describe"):
        one = _existing(service, f"{verb}{noun}")
        members = one.model.input_shape.members if one else {}
        if one is not None and set(one.required) <= set(chosen) <= set(members):
            return Look(one.name, chosen)
    several = plural_read(service, noun)
    if several is None or len(chosen) != 1:
        return None
    ((name, value),) = chosen.items()
    members = several.model.input_shape.members
    wanted: dict[str, Any] = {f"{name}s": [value]} if f"{name}s" in members else {name: value}
    listed = pagination_of(several)
    key = listed["result_key"] if listed else "@"
    found = key if isinstance(key, str) else key[0]
    return Look(several.name, wanted, found) if wanted.keys() <= set(members) else None


def plural_read(service: str, noun: str) -> Operation | None:
    """DescribeXs, where there is one."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ory") else f"{noun}s"
    return _existing(service, f"Describe{plural}")


def _identifiers(delete: Operation, noun: str) -> list[str]:
    """What the delete needs. EC2 marks nothing as required where an id or a name may be given."""
    if delete.required:
        return delete.required
    members = delete.model.input_shape.members if delete.model.input_shape else {}
    likely = (f"{noun}Id", f"{noun}Name", "GroupId" if noun == "SecurityGroup" else "")
    return [name for name in likely if name in members][:1]


def _existing(service: str, name: str) -> Operation | None:
    try:
        return find(service, name)
    except BadInputError:
        return None
