"""What IAM policy documents grant: pure functions over parsed JSON.

Permission boundaries, service control and session policies are not weighed; reports say so.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from opswright_core.errors import BadInputError
from opswright_security.exposure import is_world

# Condition keys that keep strangers out. Source: AWS, "The meaning of public" (S3).
_RESTRICTING = {
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
            key.lower() in _RESTRICTING
            or (key.lower() == "aws:sourceip" and not _from_anywhere(values))
            for operator, keys in self.condition.items()
            if not any(word in operator.lower() for word in _LOOSE)
            for key, values in keys.items()
            if "*" not in _list(values)
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


def is_admin(document: Mapping[str, Any] | str) -> bool:
    """Whether a policy allows every action on every resource, under whatever condition."""
    return any(
        s.allows and s.every_resource and not s.not_actions and {"*", "*:*"} & set(s.actions)
        for s in statements(document)
    )


def wildcard_services(document: Mapping[str, Any] | str) -> list[str]:
    """Services of which a policy allows every action (`s3:*`)."""
    return sorted(
        {
            action
            for s in statements(document)
            if s.allows
            for action in s.actions
            if re.fullmatch(r"[\w-]+:\*", action)
        }
    )


def grants(policies: Iterable[Mapping[str, Any] | str], action: str) -> bool:
    """Whether policies together allow an action on a wildcard resource and none denies it.

    Grants on single named resources do not count, since what they reach is not known here.
    """
    found = [s for document in policies for s in statements(document) if s.covers(action)]
    denied = any(
        not s.allows and s.every_resource and not s.condition and not s.not_resources for s in found
    )
    return not denied and any(s.allows and _broad(s) for s in found)


def _broad(statement: Statement) -> bool:
    return statement.every_resource or any(r.endswith("*") for r in statement.resources)


def trusts_everyone(document: Mapping[str, Any] | str) -> bool:
    """Whether a role's trust policy lets any AWS account in, on no condition."""
    return any(s.allows and s.everyone and not s.restricted for s in statements(document))


def trusted_strangers(document: Mapping[str, Any] | str, account_id: str) -> list[str]:
    """Other accounts that a trust policy lets in on no condition, such as an ExternalId."""
    return sorted(
        {
            account
            for s in statements(document)
            if s.allows and not s.restricted
            for principal in s.principals.get("AWS", ())
            if (account := account_of(principal)) and account != account_id
        }
    )


def account_of(principal: str) -> str | None:
    """The account id in a principal: `123456789012` or an ARN."""
    found = re.fullmatch(r"(\d{12})|arn:[\w-]+:(?:iam|sts)::(\d{12}):.*", principal)
    return (found.group(1) or found.group(2)) if found else None


def unbound_providers(document: Mapping[str, Any] | str) -> list[str]:
    """OIDC providers trusted without a condition on the subject: any tenant may come in."""
    return sorted(
        {
            provider
            for s in statements(document)
            if s.allows
            for provider in s.principals.get("Federated", ())
            if ":oidc-provider/" in provider and not _binds_subject(s.condition)
        }
    )


def _binds_subject(condition: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a condition names who may come: a subject, or an audience of one's own."""
    for keys in condition.values():
        for key, values in keys.items():
            shared = {"*", "sts.amazonaws.com"} if key.lower().endswith(":aud") else {"*"}
            if key.lower().endswith((":sub", ":aud")) and not shared & set(_list(values)):
                return True
    return False


def public_actions(document: Mapping[str, Any] | str) -> list[str]:
    """Actions that a resource's policy allows to anybody at all."""
    return sorted(
        {
            action
            for s in statements(document)
            if s.allows and s.everyone and not s.restricted
            for action in s.actions or tuple(f"all but {a}" for a in s.not_actions)
        }
    )


def denies_plain_http(document: Mapping[str, Any] | str) -> bool:
    """Whether a bucket policy denies everything to everybody who comes without TLS."""
    return any(
        not s.allows
        and s.everyone
        and bool({"*", "s3:*"} & set(s.actions))
        and [v.lower() for v in _list(s.condition.get("Bool", {}).get("aws:SecureTransport"))]
        == ["false"]
        for s in statements(document)
    )


def _statement(entry: Mapping[str, Any]) -> Statement:
    principal = entry.get("Principal", entry.get("NotPrincipal", {}))
    by_kind = {"*": ["*"]} if principal == "*" else principal
    return Statement(
        effect=str(entry.get("Effect", "")),
        actions=_list(entry.get("Action")),
        not_actions=_list(entry.get("NotAction")),
        resources=_list(entry.get("Resource")),
        not_resources=_list(entry.get("NotResource")),
        principals={kind: _list(values) for kind, values in dict(by_kind).items()},
        not_principal="NotPrincipal" in entry,
        condition=entry.get("Condition") or {},
    )


def _list(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return tuple(str(v) for v in value) if isinstance(value, list) else (str(value),)


def _from_anywhere(values: Any) -> bool:
    try:
        return any(is_world(cidr if "/" in cidr else f"{cidr}/32") for cidr in _list(values))
    except ValueError:
        return True
