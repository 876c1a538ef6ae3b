"""Policy documents of IAM and of resources, statement by statement. Pure functions over JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from opswright_core.addresses import is_world
from opswright_core.errors import BadInputError

RESTRICTING = {
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalaccount",
    "aws:principalarn",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourceowner",
    "aws:userid",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "kms:calleraccount",
    "sts:externalid",
}
"""Condition keys that keep strangers out. Source: AWS, "The meaning of public" (S3)."""
_LOOSE = ("not", "null", "ifexists")


@dataclass(frozen=True)
class Statement:
    """One statement of a policy, with every field as a list."""

    effect: str
    actions: tuple[str, ...]
    not_actions: tuple[str, ...]
    resources: tuple[str, ...]
    not_resources: tuple[str, ...]
    principals: Mapping[str, tuple[str, ...]]
    not_principal: bool
    condition: Mapping[str, Mapping[str, Any]]

    @property
    def allows(self) -> bool:
        """Whether it is an Allow."""
        return self.effect == "Allow"

    @property
    def everyone(self) -> bool:
        """Whether it speaks of everybody, signed in or not."""
        return self.not_principal or any("*" in self.principals.get(k, ()) for k in ("*", "AWS"))

    @property
    def restricted(self) -> bool:
        """Whether a condition keeps strangers out of it."""
        return any(
            key.lower() in RESTRICTING
            or (key.lower() == "aws:sourceip" and not _from_anywhere(values))
            for operator, keys in self.condition.items()
            if not any(word in operator.lower() for word in _LOOSE)
            for key, values in keys.items()
            if "*" not in values_of(values)
        )

    def covers(self, action: str) -> bool:
        """Whether the statement is about an action."""
        if self.not_actions:
            return not any(matches(pattern, action) for pattern in self.not_actions)
        return any(matches(pattern, action) for pattern in self.actions)

    @property
    def every_resource(self) -> bool:
        """Whether it holds on all resources (or all but some)."""
        return "*" in self.resources or bool(self.not_resources)


def statements(document: Mapping[str, Any] | str) -> list[Statement]:
    """The statements of a policy. Raises BadInputError for what is no policy document."""
    parsed = parse(document) if isinstance(document, str) else document
    entries = parsed.get("Statement", [])
    entries = [entries] if isinstance(entries, Mapping) else entries
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
        raise BadInputError(
            "This is no IAM policy document: `Statement` must be a list of objects with "
            "Effect, Action and Resource."
        )
    return [_statement(entry) for entry in entries]


def parse(text: str) -> dict[str, Any]:
    """A policy from JSON text, URL-encoded as IAM has it or plain. Raises BadInputError."""
    try:
        value = json.loads(unquote(text) if text.lstrip().startswith("%7B") else text)
    except ValueError as exc:
        raise BadInputError(
            f"The policy is not valid JSON ({exc}); pass the whole document, starting with {{."
        ) from exc
    if not isinstance(value, dict) or "Statement" not in value:
        raise BadInputError("This is no IAM policy document: it has no `Statement`.")
    return value


def matches(pattern: str, action: str) -> bool:
    """Whether an IAM pattern (`*` and `?`, any case) covers an action."""
    return bool(_compiled(pattern.lower()).fullmatch(action.lower()))


@lru_cache(4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."))


def account_of(principal: str) -> str | None:
    """The account id in a principal: `123456789012` or an ARN."""
    found = re.fullmatch(r"(\d{12})|arn:[\w-]+:(?:iam|sts)::(\d{12}):.*", principal)
    return (found.group(1) or found.group(2)) if found else None


def _statement(entry: Mapping[str, Any]) -> Statement:
    principal = entry.get("Principal", entry.get("NotPrincipal", {}))
    by_kind = {"*": ["*"]} if principal == "*" else principal
    return Statement(
        effect=str(entry.get("Effect", "")),
        actions=values_of(entry.get("Action")),
        not_actions=values_of(entry.get("NotAction")),
        resources=values_of(entry.get("Resource")),
        not_resources=values_of(entry.get("NotResource")),
        principals={kind: values_of(values) for kind, values in dict(by_kind).items()},
        not_principal="NotPrincipal" in entry,
        condition=entry.get("Condition") or {},
    )


def values_of(value: Any) -> tuple[str, ...]:
    """The texts of a field that may be one or a list."""
    if value is None:
        return ()
    return tuple(str(v) for v in value) if isinstance(value, list) else (str(value),)


def _from_anywhere(values: Any) -> bool:
    try:
        return any(is_world(cidr if "/" in cidr else f"{cidr}/32") for cidr in values_of(values))
    except ValueError:
        return True
