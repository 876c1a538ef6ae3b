"""Reads IAM: the account's summary, its users with their credentials, its policies and roles."""

from collections.abc import Iterable
from typing import Any

from opswright_core.verdicts import Unread, attempt
from opswright_security.facts.credentials import load_credential_report
from opswright_security.reading import Fact, Reader, account_wide, picked

MANY_USERS = 50
"""Above it users are read from the credential report, which may be four hours old."""


@account_wide
def load_summary(reader: Reader) -> list[Fact]:
    """IAM's counts for the account, one fact."""
    return [Fact("root", reader.call("iam", "get_account_summary")["SummaryMap"])]


@account_wide
def load_password_policy(reader: Reader) -> list[Fact]:
    """The password policy, one fact; without fields when there is none."""
    answer = reader.call("iam", "get_account_password_policy", absent={})
    return [Fact("password-policy", answer.get("PasswordPolicy", {}))]


@account_wide
def load_users(reader: Reader) -> list[Fact]:
    """Users with `console`, `mfa` and `keys` (each may be Unread), and `read_at`.

    Each takes five calls, so those of many users come from IAM's credential report, if it may be
    read; users that are newer than the report are read one by one.
    """
    users = reader.pages("iam", "list_users", "Users")
    report: dict[str, dict[str, Any]] = {}
    if len(users) > MANY_USERS:
        reported = attempt(lambda: load_credential_report(reader))
        report = {} if isinstance(reported, Unread) else reported

    def one(user: dict[str, Any]) -> Fact:
        name = user["UserName"]
        if name in report:
            return Fact(name, {**user, **report[name], "read_at": reader.read_at})
        profile = reader.maybe("iam", "get_login_profile", absent={}, UserName=name)
        devices = attempt(
            lambda: reader.pages("iam", "list_mfa_devices", "MFADevices", UserName=name)
        )
        return Fact(
            name,
            {
                **user,
                "console": profile if isinstance(profile, Unread) else bool(profile),
                "mfa": devices if isinstance(devices, Unread) else bool(devices),
                "keys": attempt(lambda: _keys(reader, name)),
                "read_at": reader.read_at,
            },
        )

    return reader.each(users, one)


def _keys(reader: Reader, user: str) -> list[dict[str, Any]]:
    keys = reader.pages("iam", "list_access_keys", "AccessKeyMetadata", UserName=user)
    for key in keys:
        used = reader.maybe("iam", "get_access_key_last_used", AccessKeyId=key["AccessKeyId"])
        key["LastUsed"] = picked(used, "AccessKeyLastUsed", "LastUsedDate")
    return keys


@account_wide
def load_access_keys(reader: Reader) -> list[Fact]:
    """Active access keys, with `LastUsed` (may be Unread or None) and `read_at`.

    A user whose keys could not be read stands in for them, with every field Unread.
    """
    facts = []
    for user in reader.load(load_users):
        keys = user.fields["keys"]
        if isinstance(keys, Unread):
            facts.append(Fact(user.id, dict.fromkeys(("CreateDate", "LastUsed", "read_at"), keys)))
            continue
        facts += [
            Fact(f"{user.id}/{key['AccessKeyId']}", {**key, "read_at": reader.read_at})
            for key in keys
            if key["Status"] == "Active"
        ]
    return facts


@account_wide
def load_authorization(reader: Reader) -> dict[str, list[Any]]:
    """All that IAM says on users, groups, roles and the account's own policies."""
    keys = ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
    details: dict[str, list[Any]] = {key: [] for key in keys}
    marker: dict[str, str] = {}
    while True:
        answer = reader.call(
            "iam",
            "get_account_authorization_details",
            Filter=["User", "Group", "Role", "LocalManagedPolicy"],
            **marker,
        )
        for key in keys:
            details[key] += answer.get(key, [])
        if not answer.get("IsTruncated"):
            return details
        marker = {"Marker": answer["Marker"]}


@account_wide
def load_user_policies(reader: Reader) -> list[Fact]:
    """Users with the names of the policies put on them directly."""
    return [
        Fact(
            user["UserName"],
            {
                "direct": [p["PolicyName"] for p in user.get("UserPolicyList", [])]
                + [p["PolicyName"] for p in user.get("AttachedManagedPolicies", [])]
            },
        )
        for user in reader.load(load_authorization)["UserDetailList"]
    ]


@account_wide
def load_roles(reader: Reader) -> list[Fact]:
    """Roles, but for AWS's service-linked ones, with `account_id`."""
    return [
        Fact(role["RoleName"], {**role, "account_id": reader.aws.account_id})
        for role in reader.load(load_authorization)["RoleDetailList"]
        if not role["Path"].startswith("/aws-service-role/")
    ]


@account_wide
def load_policies(reader: Reader) -> list[Fact]:
    """The account's own policies in force: attached managed ones and inline ones."""
    details = reader.load(load_authorization)
    managed = [
        Fact(policy["PolicyName"], {"document": version["Document"]})
        for policy in details["Policies"]
        if policy.get("AttachmentCount", 0) > 0
        for version in policy["PolicyVersionList"]
        if version["IsDefaultVersion"]
    ]
    return [*managed, *_inline(details)]


def _inline(details: dict[str, list[Any]]) -> Iterable[Fact]:
    kinds = (("User", "UserDetailList"), ("Group", "GroupDetailList"), ("Role", "RoleDetailList"))
    for kind, key in kinds:
        for owner in details[key]:
            for policy in owner.get(f"{kind}PolicyList", []):
                name = f"{kind.lower()} {owner[f'{kind}Name']}/{policy['PolicyName']}"
                yield Fact(name, {"document": policy["PolicyDocument"]})


@account_wide
def load_attachments(reader: Reader) -> list[Fact]:
    """One fact: the managed policies attached to `users`, `groups` and `roles`."""
    details = reader.load(load_authorization)
    attached = {
        kind: {p["PolicyName"] for o in details[key] for p in o.get("AttachedManagedPolicies", [])}
        for kind, key in (
            ("users", "UserDetailList"),
            ("groups", "GroupDetailList"),
            ("roles", "RoleDetailList"),
        )
    }
    return [Fact("account", attached)]


@account_wide
def load_certificates(reader: Reader) -> list[Fact]:
    """TLS certificates kept in IAM, with `read_at`."""
    found = reader.pages("iam", "list_server_certificates", "ServerCertificateMetadataList")
    return [Fact(c["ServerCertificateName"], {**c, "read_at": reader.read_at}) for c in found]


def load_analyzers(reader: Reader) -> list[Fact]:
    """One fact: the Access Analyzer analyzers of the region."""
    found = reader.pages("accessanalyzer", "list_analyzers", "analyzers")
    return [Fact(reader.aws.region, {"analyzers": found})]
