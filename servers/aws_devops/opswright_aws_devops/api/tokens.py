"""Tokens that make a call which is sent again after a lost answer the same call."""

import hashlib
import re
import uuid
from typing import Any

from opswright_aws_devops.api.models import Operation

_TOKEN = re.compile(
    r"(?:client|clientrequest|creation|idempotency)token|creatorrequestid", re.IGNORECASE
)
"""Members that are such tokens where the model does not mark them (EC2's `ClientToken`, ECS's)."""

_READS = ("Describe", "Get", "List")
"""Of these it filters what is read."""


def token_members(operation: Operation) -> list[str]:
    """The members of an operation's request that hold such a token."""
    shape = operation.model.input_shape
    named = (
        name for name, member in (shape.members if shape else {}).items()
        if _TOKEN.fullmatch(name) and member.type_name == "string"
        and not operation.name.startswith(_READS)
    )  # fmt: skip
    return list(dict.fromkeys([*operation.model.idempotent_members, *named]))


def tokens_for(operation: Operation, given: dict[str, Any], change_id: str) -> dict[str, str]:
    """A token for each member that the caller left out: the same for each try of one change."""
    shape = operation.model.input_shape
    members = shape.members if shape else {}
    made = {
        name: _fitting(members[name].metadata, f"{change_id} {name}")
        for name in token_members(operation)
        if name not in given
    }
    return {name: token for name, token in made.items() if token}


def _fitting(metadata: dict[str, Any], seed: str) -> str:
    """A token of the length and pattern that a member takes; '' where none here does."""
    plain = uuid.uuid5(uuid.NAMESPACE_OID, seed)
    long = hashlib.sha256(seed.encode()).hexdigest()
    return next((one for one in (str(plain), plain.hex, long) if _fits(one, metadata)), "")


def _fits(token: str, metadata: dict[str, Any]) -> bool:
    if not metadata.get("min", 0) <= len(token) <= metadata.get("max", len(token)):
        return False
    try:
        pattern = re.compile(str(metadata.get("pattern") or ".*"))
    except re.error:  # some are of another dialect, of letters in general
        return True
    return bool(pattern.fullmatch(token))
