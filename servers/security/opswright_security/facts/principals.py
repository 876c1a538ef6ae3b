"""Reads who holds which policies: every user, group and role with the documents in force on it."""

from collections.abc import Mapping
from typing import Any

from opswright_core.verdicts import Unread, attempt
from opswright_security.facts.identity import load_authorization
from opswright_security.reading import Fact, Reader

Documents = Mapping[str, Any]


def load_principals(reader: Reader) -> list[Fact]:
    """Users and roles with `kind`, `policies`, `boundary`, `created` and `last_used`.

    `policies` maps a name to its document, or to Unread.
    A user's groups are counted in. AWS's own policies are read one by one, each once.
    """
    details = reader.load(load_authorization)
    managed = _managed(reader, details)
    groups = {
        group["GroupName"]: _held(group, "Group", managed) for group in details["GroupDetailList"]
    }
    facts = []
    for user in details["UserDetailList"]:
        policies = _held(user, "User", managed)
        for group in user.get("GroupList", []):
            policies.update(groups.get(group, {}))
        facts.append(_fact("user", user["UserName"], user, policies))
    for role in details["RoleDetailList"]:
        if not role["Path"].startswith("/aws-service-role/"):
            facts.append(_fact("role", role["RoleName"], role, _held(role, "Role", managed)))
    return facts


def _fact(kind: str, name: str, detail: dict[str, Any], policies: dict[str, Any]) -> Fact:
    return Fact(
        f"{kind} {name}",
        {
            "kind": kind,
            "policies": policies,
            "boundary": bool(detail.get("PermissionsBoundary")),
            "created": detail.get("CreateDate"),
            "last_used": (detail.get("RoleLastUsed") or {}).get("LastUsedDate"),
        },
    )


def _held(owner: dict[str, Any], kind: str, managed: Documents) -> dict[str, Any]:
    inline = {p["PolicyName"]: p["PolicyDocument"] for p in owner.get(f"{kind}PolicyList", [])}
    attached = {
        p["PolicyName"]: managed[p["PolicyArn"]] for p in owner.get("AttachedManagedPolicies", [])
    }
    return {**inline, **attached}


def _managed(reader: Reader, details: dict[str, list[Any]]) -> Documents:
    """The document in force of every attached managed policy, by ARN; or Unread."""
    own = {
        policy["Arn"]: version["Document"]
        for policy in details["Policies"]
        for version in policy["PolicyVersionList"]
        if version["IsDefaultVersion"]
    }
    attached = {
        p["PolicyArn"]
        for key in ("UserDetailList", "GroupDetailList", "RoleDetailList")
        for owner in details[key]
        for p in owner.get("AttachedManagedPolicies", [])
    }
    theirs = sorted(attached - own.keys())
    documents: list[Any | Unread] = reader.each(
        theirs, lambda arn: attempt(lambda: read_policy(reader, arn))
    )
    return {**own, **dict(zip(theirs, documents, strict=True))}


def read_policy(reader: Reader, arn: str) -> dict[str, Any]:
    """The default version of a managed policy. Raises CloudError."""
    version = reader.call("iam", "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
    answer = reader.call("iam", "get_policy_version", PolicyArn=arn, VersionId=version)
    document: dict[str, Any] = answer["PolicyVersion"]["Document"]
    return document
