"""Who may use a resource by its own policy: everyone, other accounts, or its own only. Pure.

What the account's own identity policies allow is not weighed: they hold for its own people alone.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from opswright_core.policies import (
    RESTRICTING,
    Statement,
    account_of,
    matches,
    statements,
    values_of,
)
from opswright_core.text import clean

Exposure = Literal["yes", "other accounts", "no", "unknown", "does not apply"]

_GROUPS = {
    "http://acs.amazonaws.com/groups/global/AllUsers": "everyone",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers": "everyone with an AWS account",
}
_NEGATED = re.compile(r"not(equals|like|ipaddress)", re.IGNORECASE)
_NO_POLICY = "no policy of its own admits anybody else"
_MOST_NAMED = 5


@dataclass(frozen=True)
class Reach:
    """Whom a policy admits from outside: `public` and `foreign` say what for and whom."""

    public: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()


def judge(policy: str | None, account_id: str) -> tuple[Exposure, str]:
    """Whether a resource's policy lets everyone or other accounts in, and what says so."""
    return said(reach(policy, account_id), has_policy=bool(policy))


def said(found: Reach, *, has_policy: bool) -> tuple[Exposure, str]:
    """A reach as an answer, the widest first."""
    if found.public:
        return "yes", f"its policy lets everyone {few(found.public)}"
    if found.foreign:
        return "other accounts", f"its policy admits {few(found.foreign)}"
    if found.unsure:
        return "unknown", f"its policy admits {few(found.unsure)}, whose account is not told"
    return "no", "its policy admits only its own account and AWS services" if has_policy else (
        _NO_POLICY
    )


def reach(policy: str | None, account_id: str) -> Reach:
    """Whom a policy admits that are not the account's own.

    A statement for everyone counts as public unless a condition keeps strangers out, or a Deny
    does: one without conditions, or one for whoever is not of an account, organization or network.
    """
    if not policy:
        return Reach()
    all_of_it = statements(policy)
    denials = [s for s in all_of_it if s.effect == "Deny" and s.everyone and _shuts_out(s)]
    public: list[str] = []
    foreign: list[str] = []
    unsure: list[str] = []
    for statement in all_of_it:
        actions = statement.actions or tuple(f"all but {a}" for a in statement.not_actions)
        open_actions = [a for a in actions if not any(_covers(d, statement, a) for d in denials)]
        if not statement.allows or not open_actions:
            continue
        if statement.everyone and not statement.restricted:
            public += open_actions
        elif statement.everyone:
            foreign += _strangers_of(statement, account_id)
        else:
            for principal in statement.principals.get("AWS", ()):
                owner = account_of(principal)
                if owner is None:
                    unsure.append(principal)
                elif owner != account_id:
                    foreign.append(f"account {owner}")
            unsure += statement.principals.get("CanonicalUser", ())
    return Reach(_once(public), _once(foreign), _once(unsure))


def _covers(denial: Statement, allowed: Statement, action: str) -> bool:
    """Whether a Deny takes away all that an Allow gives for an action (or a pattern of them)."""
    return denial.covers(action) and all(
        any(matches(pattern, resource) for pattern in denial.resources)
        for resource in allowed.resources or ("*",)
    )


def _shuts_out(denial: Statement) -> bool:
    """Whether a Deny for everyone leaves no stranger: no exception, or one for those who belong."""
    if denial.not_principal:
        return False
    return not denial.condition or any(
        _NEGATED.search(operator) and key.lower() in RESTRICTING and "*" not in values_of(values)
        for operator, keys in denial.condition.items()
        if len(denial.condition) == 1 and len(keys) == 1
        for key, values in keys.items()
    )


def _strangers_of(statement: Statement, account_id: str) -> list[str]:
    """Accounts and organizations that the conditions of a statement for everyone name."""
    found = []
    for keys in statement.condition.values():
        for key, values in keys.items():
            for value in values_of(values) if key.lower() in RESTRICTING else ():
                if key.lower().endswith(("orgid", "orgpaths")):
                    found.append(f"organization {value}")
                elif (owner := _owner(value)) and owner != account_id:
                    found.append(f"account {owner}")
    return found


def _owner(value: str) -> str | None:
    """The account in an ARN or an account id; None where none is named, as in a bucket's ARN."""
    match = re.fullmatch(r"(\d{12})|arn:[^:]*:[^:]*:[^:]*:(\d{12}):.*", value)
    return (match.group(1) or match.group(2)) if match else None


def judge_bucket(
    policy: str | None,
    grants: Iterable[dict[str, Any]],
    blocks: Sequence[dict[str, bool]],
    account_id: str,
) -> tuple[Exposure, str]:
    """The same for a bucket: policy and ACL, less what a public access block takes away.

    `blocks` are the bucket's and the account's. Source: "Blocking public access to your Amazon S3
    storage" (a block of either holds; RestrictPublicBuckets leaves the account and AWS services).
    """

    def is_on(flag: str) -> bool:
        return any(block.get(flag) for block in blocks)

    found = reach(policy, account_id)
    by_acl = [
        f"{_GROUPS[uri]} may {grant.get('Permission', '')} (ACL)"
        for grant in grants
        if (uri := grant.get("Grantee", {}).get("URI", "")) in _GROUPS
    ]
    if found.public and not is_on("RestrictPublicBuckets"):
        return said(found, has_policy=True)
    if by_acl and not is_on("IgnorePublicAcls"):
        return "yes", few(by_acl)
    if found.public:
        return "no", "its policy admits everyone, but the public access block holds them off"
    if by_acl and not found.foreign:
        return "no", "its ACL admits everyone, but the public access block holds them off"
    return said(found, has_policy=bool(policy))


def judge_function(
    policy: str | None, url: dict[str, Any], account_id: str
) -> tuple[Exposure, str]:
    """The same for a function; `url` is its URL's configuration, {} without one.

    A permission to call a URL that does not exist, or that asks for a signature, opens nothing to
    everyone.
    """
    found = reach(policy, account_id)
    if url.get("AuthType") == "NONE" and any(_is_url(action) for action in found.public):
        return "yes", f"whoever knows its URL {url.get('FunctionUrl', '')} may call it"
    direct = tuple(action for action in found.public if not _is_url(action))
    return said(Reach(direct, found.foreign, found.unsure), has_policy=bool(policy))


def _is_url(action: str) -> bool:
    return action.lower() == "lambda:invokefunctionurl"


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def few(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    rest = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(clean(name, 200) for name in names[:_MOST_NAMED]) + rest


def callers(policy: str | None) -> list[str]:
    """ARNs of resources that a policy names as those on whose behalf a service may come in."""
    return [
        arn
        for statement in statements(policy or '{"Statement": []}')
        if statement.allows
        for keys in statement.condition.values()
        for key, values in keys.items()
        if key.lower() == "aws:sourcearn"
        for arn in values_of(values)
    ]
