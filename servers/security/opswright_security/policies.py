"""What IAM policy documents grant: pure functions over parsed JSON.

Permission boundaries, service control and session policies are not weighed; reports say so.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from opswright_core.policies import Statement, account_of, statements, values_of


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
            if key.lower().endswith((":sub", ":aud")) and not shared & set(values_of(values)):
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
        and [v.lower() for v in values_of(s.condition.get("Bool", {}).get("aws:SecureTransport"))]
        == ["false"]
        for s in statements(document)
    )
