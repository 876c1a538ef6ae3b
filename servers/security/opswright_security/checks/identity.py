"""Judges IAM: root, passwords, keys, policies, trust."""

from datetime import datetime

from opswright_security.facts import identity as read
from opswright_security.policies import (
    is_admin,
    trusted_strangers,
    trusts_everyone,
    unbound_providers,
    wildcard_services,
)
from opswright_security.reading import Fact
from opswright_security.rules import Problem, rule

KEY_AGE_DAYS = 90
"""CIS 1.14 and FSBP IAM.3."""
UNUSED_DAYS = 45
"""CIS 1.12."""


def _days(since: datetime, fact: Fact) -> int:
    read_at: datetime = fact["read_at"]
    return (read_at - since).days


@rule(
    "iam-root-mfa",
    "The root user has MFA",
    "critical",
    read.load_summary,
    "cis-3.0:1.5",
    fix="Sign in as root and add an MFA device under Security credentials; no API can do it.",
)
def root_mfa(account: Fact) -> Problem:
    """Root can do everything, so a stolen password alone must not be enough."""
    return None if account.get("AccountMFAEnabled") else "root signs in with a password alone"


@rule(
    "iam-root-access-key",
    "The root user has no access keys",
    "critical",
    read.load_summary,
    "cis-3.0:1.4",
    "fsbp:IAM.4",
    fix="Delete root's access keys under Security credentials; use roles in their place.",
)
def root_access_key(account: Fact) -> Problem:
    """A root key in a file or a pipeline hands whoever finds it the whole account."""
    return "root has access keys" if account.get("AccountAccessKeysPresent") else None


@rule(
    "iam-password-length",
    "Passwords have 14 characters or more",
    "medium",
    read.load_password_policy,
    "cis-3.0:1.8",
    fix="Set a minimum length of 14 in the account's password policy.",
    command="aws iam update-account-password-policy --minimum-password-length 14 "
    "--password-reuse-prevention 24",
)
def password_length(policy: Fact) -> Problem:
    """Short passwords are guessed offline in hours."""
    length = policy.get("MinimumPasswordLength")
    if length is None:
        return "no password policy: AWS's default asks for 8"
    return None if length >= 14 else f"{length} characters are enough"


@rule(
    "iam-password-reuse",
    "The last 24 passwords cannot be used again",
    "low",
    read.load_password_policy,
    "cis-3.0:1.9",
    fix="Set password reuse prevention to 24 in the account's password policy.",
    command="aws iam update-account-password-policy --minimum-password-length 14 "
    "--password-reuse-prevention 24",
)
def password_reuse(policy: Fact) -> Problem:
    """A leaked password stays dangerous for as long as it may come back."""
    kept = policy.get("PasswordReusePrevention") or 0
    return None if kept >= 24 else f"{kept} passwords are remembered"


@rule(
    "iam-user-mfa",
    "Users with a console password have MFA",
    "high",
    read.load_users,
    "cis-3.0:1.10",
    "fsbp:IAM.5",
    fix="Have the user register an MFA device, or remove the console password.",
    command="aws iam delete-login-profile --user-name USER",
)
def user_mfa(user: Fact) -> Problem:
    """A phished or reused password is then not enough to sign in."""
    return "console password without MFA" if user["console"] and not user["mfa"] else None


@rule(
    "iam-access-key-age",
    f"Access keys are younger than {KEY_AGE_DAYS} days",
    "medium",
    read.load_access_keys,
    "cis-3.0:1.14",
    "fsbp:IAM.3",
    fix="Make a new key, move what uses the old one, then delete the old one; better, use a role.",
    command="aws iam update-access-key --user-name USER --access-key-id KEY --status Inactive",
)
def access_key_age(key: Fact) -> Problem:
    """Keys leak into repositories, laptops and logs over time; age bounds the damage."""
    days = _days(key["CreateDate"], key)
    return f"{days} days old" if days > KEY_AGE_DAYS else None


@rule(
    "iam-access-key-unused",
    f"Access keys have been used within {UNUSED_DAYS} days",
    "low",
    read.load_access_keys,
    "cis-3.0:1.12",
    fix="Deactivate the key; delete it once nothing is missed.",
    command="aws iam update-access-key --user-name USER --access-key-id KEY --status Inactive",
)
def access_key_unused(key: Fact) -> Problem:
    """Nobody notices when a forgotten key is taken."""
    used = key["LastUsed"]
    days = _days(used or key["CreateDate"], key)
    since = "since it was made" if used is None else "since its last use"
    return f"{days} days {since}" if days > UNUSED_DAYS else None


@rule(
    "iam-password-unused",
    f"Console passwords have been used within {UNUSED_DAYS} days",
    "low",
    read.load_users,
    "cis-3.0:1.12",
    fix="Remove the console password of a user who does not sign in.",
    command="aws iam delete-login-profile --user-name USER",
)
def password_unused(user: Fact) -> Problem:
    """Accounts of people who left are the ones nobody watches."""
    if not user["console"]:
        return None
    days = _days(user.get("PasswordLastUsed") or user["CreateDate"], user)
    return f"no sign-in for {days} days" if days > UNUSED_DAYS else None


@rule(
    "iam-user-one-key",
    "Users have one active access key at most",
    "low",
    read.load_users,
    "cis-3.0:1.13",
    fix="Finish the rotation: deactivate the older key.",
    command="aws iam update-access-key --user-name USER --access-key-id KEY --status Inactive",
)
def user_one_key(user: Fact) -> Problem:
    """Two lasting keys are twice the chance of a leak, and a sign of a rotation left half done."""
    active = sum(key["Status"] == "Active" for key in user["keys"])
    return f"{active} active keys" if active > 1 else None


@rule(
    "iam-user-policies",
    "Users get their permissions through groups",
    "low",
    read.load_user_policies,
    "cis-3.0:1.15",
    "fsbp:IAM.2",
    fix="Move the policies to a group (or a role) and detach them from the user.",
    command="aws iam detach-user-policy --user-name USER --policy-arn ARN",
)
def user_policies(user: Fact) -> Problem:
    """Permissions given person by person are never reviewed as a whole."""
    direct = user["direct"]
    return f"policies on the user itself: {', '.join(sorted(direct))}" if direct else None


@rule(
    "iam-admin-policy",
    "No policy of the account's own grants everything",
    "high",
    read.load_policies,
    "cis-3.0:1.16",
    "fsbp:IAM.1",
    fix="Replace Action * on Resource * by what is really used; Access Analyzer can generate it.",
)
def admin_policy(policy: Fact) -> Problem:
    """Whoever gets hold of the principal gets the account."""
    return "allows every action on every resource" if is_admin(policy["document"]) else None


@rule(
    "iam-service-wildcard",
    "Policies do not grant whole services",
    "low",
    read.load_policies,
    fix="Name the actions in place of service:*.",
)
def service_wildcard(policy: Fact) -> Problem:
    """service:* takes in deleting, sharing and policy changes, and whatever AWS adds next year."""
    services = wildcard_services(policy["document"])
    return f"allows {', '.join(services)}" if services else None


@rule(
    "iam-role-trust-everyone",
    "No role can be assumed by everyone",
    "critical",
    read.load_roles,
    fix="Name the accounts or services in the trust policy's Principal.",
    command="aws iam update-assume-role-policy --role-name ROLE --policy-document file://trust.json",
)
def role_trust_everyone(role: Fact) -> Problem:
    """Any AWS account in the world can take the role's permissions."""
    return (
        "the trust policy lets any AWS account in"
        if trusts_everyone(role["AssumeRolePolicyDocument"])
        else None
    )


@rule(
    "iam-role-external-account",
    "Roles for other accounts ask for an external id",
    "medium",
    read.load_roles,
    fix="Add a Condition on sts:ExternalId (or aws:PrincipalOrgID for accounts of your own).",
    command="aws iam update-assume-role-policy --role-name ROLE --policy-document file://trust.json",
)
def role_external_account(role: Fact) -> Problem:
    """Without one, another customer of the trusted company can have it act in this account."""
    strangers = trusted_strangers(role["AssumeRolePolicyDocument"], role["account_id"])
    return f"trusts {', '.join(strangers)} with no condition" if strangers else None


@rule(
    "iam-role-oidc-subject",
    "Roles for OIDC providers name the subject",
    "high",
    read.load_roles,
    fix="Add a Condition on the provider's :sub, such as repo:ORG/REPO:ref:refs/heads/main.",
)
def role_oidc_subject(role: Fact) -> Problem:
    """Every tenant of a shared provider (any GitHub repository) could assume the role."""
    providers = unbound_providers(role["AssumeRolePolicyDocument"])
    return f"any subject of {', '.join(providers)}" if providers else None


@rule(
    "iam-support-role",
    "Somebody may open cases with AWS Support",
    "info",
    read.load_attachments,
    "cis-3.0:1.17",
    fix="Attach AWSSupportAccess to a role that incident responders can assume.",
    command="aws iam attach-role-policy --role-name ROLE "
    "--policy-arn arn:PARTITION:iam::aws:policy/AWSSupportAccess",
)
def support_role(account: Fact) -> Problem:
    """In an incident, nobody should have to look for the permission to ask for help."""
    return None if "AWSSupportAccess" in account["roles"] else "no role has AWSSupportAccess"


@rule(
    "iam-cloudshell-full-access",
    "CloudShell's full access is given to nobody",
    "low",
    read.load_attachments,
    "cis-3.0:1.22",
    fix="Detach AWSCloudShellFullAccess; write a policy without file transfer.",
)
def cloudshell_full_access(account: Fact) -> Problem:
    """It allows files to be carried out through the browser."""
    holders = [k for k in ("users", "groups", "roles") if "AWSCloudShellFullAccess" in account[k]]
    return f"attached to {', '.join(holders)}" if holders else None


@rule(
    "iam-certificate-expired",
    "No expired TLS certificate is kept in IAM",
    "low",
    read.load_certificates,
    "cis-3.0:1.19",
    fix="Delete the certificate; keep new ones in ACM, which renews them.",
    command="aws iam delete-server-certificate --server-certificate-name NAME",
)
def certificate_expired(certificate: Fact) -> Problem:
    """An expired one deployed by mistake takes the site down."""
    days = _days(certificate["Expiration"], certificate)
    return f"expired {days} days ago" if days > 0 else None


@rule(
    "accessanalyzer-enabled",
    "IAM Access Analyzer watches the region",
    "low",
    read.load_analyzers,
    "cis-3.0:1.20",
    fix="Create an analyzer for the account (or the organisation) in every region in use.",
    command="aws accessanalyzer create-analyzer --analyzer-name default --type ACCOUNT",
)
def access_analyzer(region: Fact) -> Problem:
    """It tells when a resource is first shared outside the account."""
    active = [a for a in region["analyzers"] if a.get("status") == "ACTIVE"]
    return None if active else "no active analyzer"
