"""Kinds that hold names, rights and keys: stacks, roles, secrets, parameters, encryption keys."""

from datetime import datetime
from typing import Any

from opswright_aws_devops.resource_kinds.kind import Items, ResourceKind, listed
from opswright_core.aws import Aws


def _roles(a: Aws) -> Items:
    """Roles, with whether they are in use: what IAM noted of the past 400 days.

    One call of IAM tells a thousand of them with tags, last use and instance profiles, which
    ListRoles does not.
    """
    return [
        {**role, "State": _use(role)} for role in listed(a, ROLE, Filter=["Role"])
    ]  # fmt: skip


def _use(role: dict[str, Any]) -> str:
    used = role.get("RoleLastUsed", {}).get("LastUsedDate")
    if isinstance(used, datetime):
        return f"in use: last {used:%Y-%m-%d}"
    if role.get("InstanceProfileList"):
        return "in an instance profile, no use noted"
    return "no use noted"


def _parameters(a: Aws) -> Items:
    """Names and types; values are not asked for."""
    return [
        {**parameter, "Arn": parameter.get("ARN") or _parameter_arn(a, parameter["Name"])}
        for parameter in listed(a, PARAMETER)
    ]


def _parameter_arn(a: Aws, name: str) -> str:
    return f"arn:{a.partition}:ssm:{a.region}:{a.account_id}:parameter/{name.lstrip('/')}"


def _keys(a: Aws) -> Items:
    """The account's own keys that have an alias; those that AWS manages are left out."""
    keys: dict[str, dict[str, Any]] = {}
    for alias in listed(a, KEY):
        key_id = alias.get("TargetKeyId")
        if key_id and not alias["AliasName"].startswith("alias/aws/"):
            arn = f"{alias['AliasArn'].rpartition(':')[0]}:key/{key_id}"
            keys.setdefault(key_id, {**alias, "Arn": arn})
    return list(keys.values())


ROLE = ResourceKind(
    "iam:role", "iam", "get_account_authorization_details", "RoleDetailList", "RoleName",
    arn="Arn", vpc="", page_size=1000, is_account_wide=True, read=_roles,
)  # fmt: skip
PARAMETER = ResourceKind(
    "ssm:parameter", "ssm", "describe_parameters", "Parameters", "Name", arn="Arn", vpc="",
    state="", page_size=50, tagged_as="ssm:parameter", read=_parameters,
)  # fmt: skip
KEY = ResourceKind(
    "kms:key", "kms", "list_aliases", "Aliases", "TargetKeyId", name="AliasName", arn="Arn",
    vpc="", state="", page_size=100, tagged_as="kms:key", read=_keys,
)  # fmt: skip

KINDS = (
    ResourceKind(
        "cloudformation:stack", "cloudformation", "describe_stacks", "Stacks", "StackName",
        arn="StackId", vpc="", state="StackStatus",
    ),
    ROLE,
    ResourceKind(
        "secretsmanager:secret", "secretsmanager", "list_secrets", "SecretList", "ARN",
        name="Name", arn="ARN", vpc="", state="", page_size=100,
    ),
    PARAMETER,
    KEY,
)  # fmt: skip
