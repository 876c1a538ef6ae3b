"""Who gets in by what is written: open ports, policies, secrets in clear text. Pure functions."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from opswright_aws_devops.review.findings import Rule
from opswright_aws_devops.review.resources import UNKNOWN, Resource, document, number, texts
from opswright_core.redact import redact, redact_text
from opswright_core.verdicts import Verdict

WEB_PORTS = (80, 443)
"""What FSBP EC2.18 takes as authorized for everyone."""

_INTERNET_SIZE = 8
"""A range with a shorter prefix than /8 is (a good part of) the internet; none is private."""


def _rule(name: str, severity: Any, problem: str, mend: str, source: str) -> Rule:
    return Rule(name, "security", severity, problem, mend, source, {}, lambda _: None)


OPEN = _rule(
    "open-to-the-internet",
    "high",
    "Open to the internet",
    "Name the addresses or the security group that need it; use Session Manager for shells",
    "FSBP EC2.18, EC2.19",
)
ADMIN = _rule(
    "policy-allows-everything",
    "critical",
    "Policy allows every action on every resource",
    "Name the actions and the resources",
    "FSBP IAM.1",
)
WILD = _rule(
    "policy-wildcard-actions",
    "medium",
    "Policy allows all actions of a service",
    "Name the actions",
    "FSBP IAM.21",
)
PUBLIC = _rule(
    "policy-for-everyone",
    "high",
    "Policy lets everyone in, with no condition",
    "Name the principals, or add a condition on account, organization or source",
    "FSBP S3.2, SQS.3, SNS.4, Lambda.1",
)
SECRET = _rule(
    "secret-in-clear-text", "high", "A secret stands in clear text",
    "Keep it in Secrets Manager: {{resolve:secretsmanager:…}} in a template, "
    "manage_master_user_password or an ephemeral value in Terraform",
    "CWE-798",
)  # fmt: skip
RULES = (OPEN, ADMIN, WILD, PUBLIC, SECRET)

_IDENTITY = {
    "AWS::IAM::Policy": ("PolicyDocument",),
    "AWS::IAM::ManagedPolicy": ("PolicyDocument",),
    "AWS::IAM::RolePolicy": ("PolicyDocument",),
    "AWS::IAM::UserPolicy": ("PolicyDocument",),
    "AWS::IAM::GroupPolicy": ("PolicyDocument",),
    "AWS::IAM::Role": ("Policies[].PolicyDocument",),
    "AWS::IAM::User": ("Policies[].PolicyDocument",),
    "AWS::IAM::Group": ("Policies[].PolicyDocument",),
    "aws_iam_policy": ("policy",),
    "aws_iam_role_policy": ("policy",),
    "aws_iam_user_policy": ("policy",),
    "aws_iam_group_policy": ("policy",),
    "aws_iam_role": ("inline_policy[].policy",),
}
_RESOURCE = {
    "AWS::IAM::Role": "AssumeRolePolicyDocument",
    "AWS::S3::BucketPolicy": "PolicyDocument",
    "AWS::SQS::QueuePolicy": "PolicyDocument",
    "AWS::SNS::TopicPolicy": "PolicyDocument",
    "AWS::KMS::Key": "KeyPolicy",
    "AWS::SecretsManager::ResourcePolicy": "ResourcePolicy",
    "AWS::ECR::Repository": "RepositoryPolicyText",
    "aws_iam_role": "assume_role_policy",
    "aws_s3_bucket_policy": "policy",
    "aws_sqs_queue_policy": "policy",
    "aws_sns_topic_policy": "policy",
    "aws_kms_key": "policy",
    "aws_secretsmanager_secret_policy": "policy",
    "aws_ecr_repository_policy": "policy",
}
_ATTACHED = {
    "AWS::IAM::Role": "ManagedPolicyArns[]",
    "AWS::IAM::User": "ManagedPolicyArns[]",
    "AWS::IAM::Group": "ManagedPolicyArns[]",
    "aws_iam_role": "managed_policy_arns[]",
    "aws_iam_role_policy_attachment": "policy_arn",
    "aws_iam_user_policy_attachment": "policy_arn",
    "aws_iam_group_policy_attachment": "policy_arn",
}

Verdicts = Iterator[tuple[Rule, Verdict, str]]


def judge(resource: Resource) -> Verdicts:
    """Each rule that applies, with its verdict and what was seen (never a secret itself)."""
    yield from _openings(resource)
    yield from _granted(resource)
    yield from _for_everyone(resource)
    yield from _secrets(resource)


def _openings(resource: Resource) -> Verdicts:
    rules = list(_inbound(resource))
    for ranges, protocol, first, last in rules:
        if UNKNOWN in (*ranges, protocol, first, last):
            if any(cidr is UNKNOWN or _is_internet(cidr) for cidr in ranges):
                yield OPEN, "UNKNOWN", "a range or a port is not known yet"
            continue
        wide = [str(cidr) for cidr in ranges if _is_internet(cidr)]
        everything = str(protocol) in {"-1", "all"}
        ports = None if everything or first is None else (number(first), number(last))
        if wide and not (ports and ports[0] == ports[1] and ports[0] in WEB_PORTS):
            said = "all ports" if ports is None else f"ports {first}-{last}"
            yield OPEN, "FAIL", f"{said} from {', '.join(wide)}"
        elif ranges:
            yield OPEN, "PASS", ""


def _inbound(resource: Resource) -> Iterator[tuple[list[Any], Any, Any, Any]]:
    """(ranges, protocol, first port, last port) of each inbound rule."""
    match resource.type:
        case "AWS::EC2::SecurityGroup":
            entries = resource.at("SecurityGroupIngress[]")
        case "AWS::EC2::SecurityGroupIngress":
            entries = [resource.properties]
        case "aws_security_group":
            entries = resource.at("ingress[]")
        case "aws_vpc_security_group_ingress_rule":
            entries = [resource.properties]
        case "aws_security_group_rule" if resource.one("type") == "ingress":
            entries = [resource.properties]
        case _:
            return
    for entry in entries:
        if not isinstance(entry, Mapping):  # not known yet, or not of the form
            yield [UNKNOWN], UNKNOWN, UNKNOWN, UNKNOWN
            continue
        one = Resource("", "", entry)
        ranges = [one.one(name) for name in ("CidrIp", "CidrIpv6", "cidr_ipv4", "cidr_ipv6")]
        ranges += one.at("cidr_blocks[]") + one.at("ipv6_cidr_blocks[]")
        protocol = next(filter(None, map(entry.get, ("IpProtocol", "ip_protocol", "protocol"))), "")
        ports = [entry.get(a, entry.get(b)) for a, b in (("FromPort", "from_port"),
                                                         ("ToPort", "to_port"))]  # fmt: skip
        yield [cidr for cidr in ranges if cidr], protocol, *ports


def _is_internet(cidr: Any) -> bool:
    try:
        network = ipaddress.ip_network(str(cidr), strict=False)
    except ValueError:
        return False
    return network.prefixlen < _INTERNET_SIZE and not network.is_private


def _statements(value: Any) -> list[Any] | None:
    """The statements of a document, UNKNOWN for one that is not known; None for no document."""
    policy = document(value)
    if policy is None:
        return None
    if not isinstance(policy, Mapping):
        return [UNKNOWN]
    found = policy.get("Statement", [])
    return found if isinstance(found, list) else [found]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _granted(resource: Resource) -> Verdicts:
    for path in _IDENTITY.get(resource.type, ()):
        for value in resource.at(path):
            for statement in _statements(value) or []:
                yield from _allowed(statement)
    for arn in resource.at(_ATTACHED[resource.type]) if resource.type in _ATTACHED else []:
        name = str(arn).rpartition("/")[2]
        if name in {"AdministratorAccess", "PowerUserAccess", "IAMFullAccess"}:
            yield ADMIN, "FAIL", f"{name} is attached"


def _allowed(statement: Any) -> Verdicts:
    if not isinstance(statement, Mapping):
        yield ADMIN, "UNKNOWN", "the policy is not known yet"
        return
    if statement.get("Effect") != "Allow":
        return
    actions = _listed(statement.get("Action", []))
    resources = _listed(statement.get("Resource", []))
    if UNKNOWN in actions:
        yield ADMIN, "UNKNOWN", "its actions are not known yet"
        return
    everything = "*" in actions or "*:*" in actions or "NotAction" in statement
    if everything and UNKNOWN in resources:
        yield ADMIN, "UNKNOWN", "its resources are not known yet"
    elif everything and ("*" in resources or "NotResource" in statement):
        yield ADMIN, "FAIL", ""
    else:
        wild = (
            sorted({str(a) for a in actions if str(a).endswith(":*")}) if "*" in resources else []
        )
        yield WILD, "FAIL" if wild else "PASS", ", ".join(wild)


def _for_everyone(resource: Resource) -> Verdicts:
    if resource.type in {"AWS::Lambda::Permission", "aws_lambda_permission"}:
        principal = resource.one("Principal") or resource.one("principal")
        narrowed = any(
            resource.one(name)
            for name in ("SourceArn", "SourceAccount", "source_arn", "source_account",
                         "PrincipalOrgID", "principal_org_id")
        )  # fmt: skip
        if principal is UNKNOWN:
            yield PUBLIC, "UNKNOWN", "its principal is not known yet"
        else:
            yield PUBLIC, "FAIL" if principal == "*" and not narrowed else "PASS", ""
    path = _RESOURCE.get(resource.type)
    for value in resource.at(path) if path else []:
        for statement in _statements(value) or []:
            if not isinstance(statement, Mapping):
                yield PUBLIC, "UNKNOWN", "the policy is not known yet"
            elif statement.get("Effect") == "Allow":
                principal = statement.get("Principal")
                inner = list(principal.values()) if isinstance(principal, Mapping) else [principal]
                named = [entry for one in inner for entry in _listed(one)]
                public = ("*" in named or "NotPrincipal" in statement) and not statement.get(
                    "Condition"
                )
                unsure = UNKNOWN in named and not public
                yield PUBLIC, "FAIL" if public else "UNKNOWN" if unsure else "PASS", ""


def _secrets(resource: Resource) -> Verdicts:
    seen: set[str] = set()
    for path, text in texts(resource.properties):
        name = ".".join(path)
        if name in seen or "{{resolve:" in text or not text.strip():
            continue
        if _is_secret(path[-1] if path else "", text):
            seen.add(name)
            yield SECRET, "FAIL", name


def _is_secret(name: str, text: str) -> bool:
    return redact({name: text}) != {name: text} or redact_text(text) != text


JUDGED = frozenset(
    {
        *_IDENTITY,
        *_RESOURCE,
        *_ATTACHED,
        "AWS::EC2::SecurityGroup",
        "AWS::EC2::SecurityGroupIngress",
        "aws_security_group",
        "aws_security_group_rule",
        "aws_vpc_security_group_ingress_rule",
        "AWS::Lambda::Permission",
        "aws_lambda_permission",
    }
)
"""The types that these rules know; secrets are looked for in all."""
