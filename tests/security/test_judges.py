"""The pure judges, by table."""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opswright_core.errors import BadInputError
from opswright_core.policies import matches, statements
from opswright_core.verdicts import Unread
from opswright_security.checks import compute, detection, identity, network, reachability, storage
from opswright_security.checks.registry import RULES
from opswright_security.escalation import PATHS, escalations
from opswright_security.exposure import Opening, acl_allows, is_inside, is_world, openings
from opswright_security.facts.reachability import public_subnets
from opswright_security.plaintext import credential_variables, credentials_in, decode_user_data
from opswright_security.policies import (
    denies_plain_http,
    grants,
    is_admin,
    public_actions,
    trusted_strangers,
    trusts_everyone,
    unbound_providers,
)
from opswright_security.reading import Fact
from opswright_security.rules import Rule, judge

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DENIED = Unread(operation="x:Read", reason="x:Read: AccessDenied", permission="x:Read")


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource, **more}]}


def trust(principal: Any, condition: Any = None) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Statement": {**statement, **({"Condition": condition} if condition else {})}}


def group(*rules: dict[str, Any], name: str = "web") -> Fact:
    return Fact("sg-1", {"GroupName": name, "IpPermissions": list(rules)})


def inbound(
    port: int | None, cidr: str, protocol: str = "tcp", last: int | None = None
) -> dict[str, Any]:
    kind, key = ("Ipv6Ranges", "CidrIpv6") if ":" in cidr else ("IpRanges", "CidrIp")
    ports = {} if port is None else {"FromPort": port, "ToPort": last or port}
    return {"IpProtocol": protocol, **ports, kind: [{key: cidr}]}


def days_ago(days: int) -> datetime:
    return NOW - timedelta(days=days)


KEY = {"CreateDate": days_ago(10), "LastUsed": days_ago(1), "read_at": NOW}
USER = {
    "CreateDate": days_ago(200),
    "PasswordLastUsed": days_ago(3),
    "console": True,
    "mfa": True,
    "keys": [],
    "read_at": NOW,
}
DATABASE: dict[str, Any] = {
    "PubliclyAccessible": True,
    "openings": [Opening("tcp", 5432, 5432, "0.0.0.0/0")],
    "public_subnets": ["subnet-1"],
    "vpc_cidrs": ["10.0.0.0/16"],
    "default_groups": {"sg-default"},
    "secrets": [],
}
BUCKET: dict[str, Any] = {
    "block": None,
    "account_block": None,
    "policy": None,
    "grants": [],
    "encryption": None,
    "versioning": None,
}
ON = dict.fromkeys(storage.BLOCKS, True)
PUBLIC_READ = {
    "Permission": "READ",
    "Grantee": {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"},
}
TRAIL: dict[str, Any] = {"IsMultiRegionTrail": True, "logging": True, "selectors": {}}
ALB = {"Type": "application", "Scheme": "internet-facing"}
REDIRECT = {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS"}}


def trails(*found: dict[str, Any]) -> Fact:
    return Fact("account", {"trails": [Fact("t", t) for t in found]})


BAD: list[tuple[Rule, Fact]] = [
    (identity.root_mfa, Fact("root", {"AccountMFAEnabled": 0})),
    (identity.root_access_key, Fact("root", {"AccountAccessKeysPresent": 1})),
    (identity.password_length, Fact("p")),
    (identity.password_length, Fact("p", {"MinimumPasswordLength": 13})),
    (identity.password_reuse, Fact("p", {"PasswordReusePrevention": 23})),
    (identity.user_mfa, Fact("u", {**USER, "mfa": False})),
    (identity.access_key_age, Fact("k", {**KEY, "CreateDate": days_ago(91)})),
    (identity.access_key_unused, Fact("k", {**KEY, "LastUsed": days_ago(46)})),
    (identity.access_key_unused, Fact("k", {**KEY, "CreateDate": days_ago(46), "LastUsed": None})),
    (identity.password_unused, Fact("u", {**USER, "PasswordLastUsed": days_ago(46)})),
    (identity.user_one_key, Fact("u", {**USER, "keys": [{"Status": "Active"}] * 2})),
    (identity.user_policies, Fact("u", {"direct": ["p"]})),
    (identity.admin_policy, Fact("p", {"document": allow("*")})),
    (identity.service_wildcard, Fact("p", {"document": allow("s3:*")})),
    (identity.role_trust_everyone, Fact("r", {"AssumeRolePolicyDocument": trust("*")})),
    (
        identity.role_external_account,
        Fact("r", {"AssumeRolePolicyDocument": trust({"AWS": "2" * 12}), "account_id": "1" * 12}),
    ),
    (
        identity.role_oidc_subject,
        Fact(
            "r",
            {"AssumeRolePolicyDocument": trust({"Federated": "arn:aws:iam::1:oidc-provider/x"})},
        ),
    ),
    (identity.support_role, Fact("a", {"roles": set()})),
    (
        identity.cloudshell_full_access,
        Fact("a", {"users": {"AWSCloudShellFullAccess"}, "groups": set(), "roles": set()}),
    ),
    (identity.certificate_expired, Fact("c", {"Expiration": days_ago(2), "read_at": NOW})),
    (identity.access_analyzer, Fact("r", {"analyzers": [{"status": "DISABLED"}]})),
    (network.sg_open_all, group(inbound(None, "0.0.0.0/0", "-1"))),
    (network.sg_open_all, group(inbound(0, "::/0", last=65535))),
    (network.sg_admin_ipv4, group(inbound(22, "0.0.0.0/0"))),
    (network.sg_admin_ipv4, group(inbound(20, "0.0.0.0/1", last=25))),
    (network.sg_admin_ipv4, group(inbound(None, "0.0.0.0/0", "-1"))),
    (network.sg_admin_ipv6, group(inbound(3389, "::/0"))),
    (network.sg_database, group(inbound(5432, "0.0.0.0/0"))),
    (network.sg_database, group(inbound(27017, "::/0"))),
    (network.sg_risky, group(inbound(23, "0.0.0.0/0"))),
    (network.sg_default, group(inbound(443, "10.0.0.0/8"))),
    (
        network.nacl_admin,
        Fact(
            "a",
            {
                "Entries": [
                    {
                        "Egress": False,
                        "CidrBlock": "0.0.0.0/0",
                        "Protocol": "-1",
                        "RuleAction": "allow",
                        "RuleNumber": 100,
                    }
                ]
            },
        ),
    ),
    (network.vpc_flow_logs, Fact("v", {"flow_logs": []})),
    (network.default_vpc_used, Fact("v", {"IsDefault": True, "interfaces": 2})),
    (network.elb_tls, Fact("b", {**ALB, "listeners": [{"Port": 80, "Protocol": "HTTP"}]})),
    (compute.imdsv2, Fact("i", {"MetadataOptions": {"HttpTokens": "optional"}})),
    (compute.launch_template_imdsv2, Fact("t")),
    (compute.ebs_encrypted, Fact("v", {"Attachments": [{}], "Encrypted": False})),
    (compute.ebs_default, Fact("r", {"EbsEncryptionByDefault": False})),
    (compute.snapshot_public, Fact("s", {"permissions": [{"Group": "all"}]})),
    (compute.image_public, Fact("i", {"Public": True})),
    (compute.user_data_credentials, Fact("i", {"text": "export DB_PASSWORD=hunter2hunter2"})),
    (compute.launch_template_credentials, Fact("t", {"text": "API_KEY: 'abcdef123456'"})),
    (
        compute.lambda_credentials,
        Fact("f", {"Environment": {"Variables": {"STRIPE_SECRET": "sk_live_abcdef"}}}),
    ),
    (storage.account_public_access_block, Fact("account")),
    (storage.bucket_public_access_block, Fact("b", BUCKET)),
    (storage.bucket_public, Fact("b", {**BUCKET, "grants": [PUBLIC_READ]})),
    (
        storage.bucket_public,
        Fact(
            "b",
            {
                **BUCKET,
                "policy": json.dumps(allow("s3:GetObject", Principal="*")),
            },
        ),
    ),
    (storage.bucket_encryption, Fact("b", BUCKET)),
    (storage.bucket_versioning, Fact("b", {**BUCKET, "versioning": "Suspended"})),
    (storage.bucket_tls_only, Fact("b", BUCKET)),
    (storage.rds_public, Fact("d", DATABASE)),
    (storage.rds_encrypted, Fact("d", DATABASE)),
    (storage.rds_backups, Fact("d", {"BackupRetentionPeriod": 1})),
    (storage.rds_deletion_protection, Fact("d", DATABASE)),
    (storage.rds_minor_upgrades, Fact("d", DATABASE)),
    (storage.rds_snapshot_public, Fact("s", {"restore": ["all"]})),
    (storage.efs_encrypted, Fact("f", {"Encrypted": False})),
    (storage.kms_rotation, Fact("k", {"rotation": False})),
    (storage.secret_rotation, Fact("s")),
    (reachability.rds_reachable, Fact("d", DATABASE)),
    (reachability.rds_public_subnet, Fact("d", DATABASE)),
    (reachability.rds_ingress_outside, Fact("d", DATABASE)),
    (
        reachability.rds_ingress_groups,
        Fact("d", {**DATABASE, "openings": [Opening("tcp", 5432, 5432, "sg-default")]}),
    ),
    (reachability.rds_password_secret, Fact("d", DATABASE)),
    (
        reachability.instance_public,
        Fact(
            "i", {"PublicIpAddress": "1.2.3.4", "openings": [Opening("tcp", 80, 80, "0.0.0.0/0")]}
        ),
    ),
    (detection.trail_multi_region, trails()),
    (detection.trail_multi_region, trails({**TRAIL, "IsMultiRegionTrail": False})),
    (detection.trail_multi_region, trails({**TRAIL, "logging": False})),
    (
        detection.trail_multi_region,
        trails({**TRAIL, "selectors": {"EventSelectors": [{"ReadWriteType": "WriteOnly"}]}}),
    ),
    (detection.trail_validation, Fact("t", TRAIL)),
    (detection.trail_encrypted, Fact("t", TRAIL)),
    (detection.guardduty, Fact("r", {"status": None})),
    (detection.guardduty, Fact("r", {"status": "DISABLED"})),
    (detection.config_recorder, Fact("r", {"recorders": 0})),
    (detection.config_recorder, Fact("r", {"recorders": 1, "recording": False})),
    (detection.config_recorder, Fact("r", {"recorders": 1, "recording": True, "group": {}})),
    (detection.security_hub, Fact("r", {"enabled": False})),
]

GOOD: list[tuple[Rule, Fact]] = [
    (identity.root_mfa, Fact("root", {"AccountMFAEnabled": 1})),
    (identity.root_access_key, Fact("root", {"AccountAccessKeysPresent": 0})),
    (identity.password_length, Fact("p", {"MinimumPasswordLength": 14})),
    (identity.password_reuse, Fact("p", {"PasswordReusePrevention": 24})),
    (identity.user_mfa, Fact("u", USER)),
    (identity.user_mfa, Fact("u", {**USER, "console": False, "mfa": False})),
    (identity.access_key_age, Fact("k", {**KEY, "CreateDate": days_ago(90)})),
    (identity.access_key_unused, Fact("k", KEY)),
    (identity.password_unused, Fact("u", USER)),
    (
        identity.user_one_key,
        Fact("u", {**USER, "keys": [{"Status": "Active"}, {"Status": "Inactive"}]}),
    ),
    (identity.user_policies, Fact("u", {"direct": []})),
    (identity.admin_policy, Fact("p", {"document": allow("*", "arn:aws:s3:::b/*")})),
    (identity.service_wildcard, Fact("p", {"document": allow("s3:Get*")})),
    (
        identity.role_trust_everyone,
        Fact(
            "r",
            {
                "AssumeRolePolicyDocument": trust(
                    "*", {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
                )
            },
        ),
    ),
    (
        identity.role_external_account,
        Fact(
            "r",
            {
                "AssumeRolePolicyDocument": trust(
                    {"AWS": "2" * 12}, {"StringEquals": {"sts:ExternalId": "x"}}
                ),
                "account_id": "1" * 12,
            },
        ),
    ),
    (identity.support_role, Fact("a", {"roles": {"AWSSupportAccess"}})),
    (identity.cloudshell_full_access, Fact("a", {"users": set(), "groups": set(), "roles": set()})),
    (identity.certificate_expired, Fact("c", {"Expiration": days_ago(-2), "read_at": NOW})),
    (identity.access_analyzer, Fact("r", {"analyzers": [{"status": "ACTIVE"}]})),
    (network.sg_open_all, group(inbound(None, "10.0.0.0/8", "-1"))),
    (network.sg_admin_ipv4, group(inbound(22, "::/0"), inbound(443, "0.0.0.0/0"))),
    (network.sg_admin_ipv6, group(inbound(22, "0.0.0.0/0"))),
    (network.sg_database, group(inbound(5432, "203.0.113.7/32"), inbound(443, "0.0.0.0/0"))),
    (network.sg_risky, group(inbound(443, "0.0.0.0/0"))),
    (network.sg_default, group(name="default")),
    (network.vpc_flow_logs, Fact("v", {"flow_logs": [{"FlowLogStatus": "ACTIVE"}]})),
    (network.default_vpc_used, Fact("v", {"IsDefault": True, "interfaces": 0})),
    (
        network.elb_tls,
        Fact(
            "b",
            {
                **ALB,
                "listeners": [
                    {"Port": 80, "Protocol": "HTTP", "DefaultActions": [REDIRECT]},
                    {"Port": 443, "Protocol": "HTTPS"},
                ],
            },
        ),
    ),
    (
        network.elb_tls,
        Fact("b", {**ALB, "Scheme": "internal", "listeners": [{"Port": 80, "Protocol": "HTTP"}]}),
    ),
    (compute.imdsv2, Fact("i", {"MetadataOptions": {"HttpTokens": "required"}})),
    (compute.imdsv2, Fact("i", {"MetadataOptions": {"HttpEndpoint": "disabled"}})),
    (compute.launch_template_imdsv2, Fact("t", {"MetadataOptions": {"HttpTokens": "required"}})),
    (compute.ebs_encrypted, Fact("v", {"Attachments": [], "Encrypted": False})),
    (compute.ebs_default, Fact("r", {"EbsEncryptionByDefault": True})),
    (compute.snapshot_public, Fact("s", {"permissions": [{"UserId": "1" * 12}]})),
    (compute.image_public, Fact("i", {"Public": False})),
    (
        compute.user_data_credentials,
        Fact(
            "i", {"text": 'TOKEN=$(curl -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 21600")'}
        ),
    ),
    (compute.lambda_credentials, Fact("f", {})),
    (storage.account_public_access_block, Fact("account", ON)),
    (storage.bucket_public_access_block, Fact("b", {**BUCKET, "account_block": ON})),
    (storage.bucket_public, Fact("b", {**BUCKET, "block": ON, "grants": [PUBLIC_READ]})),
    (storage.bucket_public, Fact("b", {**BUCKET, "account_block": ON, "grants": [PUBLIC_READ]})),
    (storage.bucket_encryption, Fact("b", {**BUCKET, "encryption": {"Rules": []}})),
    (storage.bucket_versioning, Fact("b", {**BUCKET, "versioning": "Enabled"})),
    (storage.rds_public, Fact("d", {"PubliclyAccessible": False})),
    (storage.rds_encrypted, Fact("d", {"StorageEncrypted": True})),
    (storage.rds_backups, Fact("d", {"BackupRetentionPeriod": 7})),
    (storage.rds_deletion_protection, Fact("d", {"DeletionProtection": True})),
    (storage.rds_minor_upgrades, Fact("d", {"AutoMinorVersionUpgrade": True})),
    (storage.rds_snapshot_public, Fact("s", {"restore": ["1" * 12]})),
    (storage.efs_encrypted, Fact("f", {"Encrypted": True})),
    (storage.kms_rotation, Fact("k", {"rotation": True})),
    (storage.secret_rotation, Fact("s", {"OwningService": "rds"})),
    (reachability.rds_reachable, Fact("d", {**DATABASE, "PubliclyAccessible": False})),
    (reachability.rds_reachable, Fact("d", {**DATABASE, "public_subnets": []})),
    (reachability.rds_reachable, Fact("d", {**DATABASE, "openings": []})),
    (reachability.rds_public_subnet, Fact("d", {**DATABASE, "public_subnets": []})),
    (
        reachability.rds_ingress_outside,
        Fact(
            "d",
            {
                **DATABASE,
                "openings": [Opening("tcp", 1, 9, "10.0.3.0/24"), Opening("tcp", 1, 9, "sg-app")],
            },
        ),
    ),
    (
        reachability.rds_ingress_groups,
        Fact("d", {**DATABASE, "openings": [Opening("tcp", 5432, 5432, "sg-app")]}),
    ),
    (
        reachability.rds_password_secret,
        Fact("d", {**DATABASE, "MasterUserSecret": {"SecretArn": "a"}}),
    ),
    (
        reachability.rds_password_secret,
        Fact(
            "db",
            {
                **DATABASE,
                "TagList": [{"Key": "opswright:name", "Value": "shop"}],
                "secrets": [Fact("x", {"Tags": [{"Key": "opswright:name", "Value": "shop"}]})],
            },
        ),
    ),
    (
        reachability.instance_public,
        Fact(
            "i", {"PublicIpAddress": "1.2.3.4", "openings": [Opening("tcp", 80, 80, "10.0.0.0/8")]}
        ),
    ),
    (detection.trail_multi_region, trails(TRAIL)),
    (
        detection.trail_multi_region,
        trails(
            {
                **TRAIL,
                "selectors": {
                    "AdvancedEventSelectors": [
                        {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
                    ]
                },
            }
        ),
    ),
    (detection.trail_validation, Fact("t", {"LogFileValidationEnabled": True})),
    (detection.trail_encrypted, Fact("t", {"KmsKeyId": "k"})),
    (detection.guardduty, Fact("r", {"status": "ENABLED"})),
    (
        detection.config_recorder,
        Fact("r", {"recorders": 1, "recording": True, "group": {"allSupported": True}}),
    ),
    (detection.security_hub, Fact("r", {"enabled": True})),
]


@pytest.mark.parametrize(("rule", "fact"), BAD, ids=lambda v: getattr(v, "id", ""))
def test_what_is_bad_fails_and_says_why(rule: Rule, fact: Fact) -> None:
    (finding,) = judge(rule, [fact]).findings
    assert (finding.verdict, finding.check_id, finding.resource) == ("FAIL", rule.id, fact.id)
    assert finding.evidence
    assert "hunter2" not in finding.evidence
    assert "abcdef" not in finding.evidence


@pytest.mark.parametrize(("rule", "fact"), GOOD, ids=lambda v: getattr(v, "id", ""))
def test_what_is_good_passes(rule: Rule, fact: Fact) -> None:
    (finding,) = judge(rule, [fact]).findings
    assert finding.verdict == "PASS", finding.evidence


def test_every_check_has_a_failing_case() -> None:
    assert {rule.id for rule, _ in BAD} == {rule.id for rule in RULES}


def test_every_check_says_why_and_how_and_has_its_own_id() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.rationale and rule.fix and rule.title for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_a_refused_listing_is_unknown_and_an_empty_one_passes(rule: Rule) -> None:
    refused = judge(rule, DENIED)
    assert [f.verdict for f in refused.findings] == ["UNKNOWN"]
    assert refused.unread == ("x:Read: grant x:Read",)
    (none,) = judge(rule, []).findings
    assert (none.verdict, none.evidence) == ("PASS", "none exist")


UNREAD_PARTS: list[tuple[Rule, Fact]] = [
    (identity.user_mfa, Fact("u", {**USER, "mfa": DENIED})),
    (identity.user_one_key, Fact("u", {**USER, "keys": DENIED})),
    (identity.access_key_unused, Fact("k", {**KEY, "LastUsed": DENIED})),
    (network.vpc_flow_logs, Fact("v", {"flow_logs": DENIED})),
    (network.elb_tls, Fact("b", {**ALB, "listeners": DENIED})),
    (compute.user_data_credentials, Fact("i", {"text": DENIED})),
    (storage.bucket_public, Fact("b", {**BUCKET, "block": DENIED})),
    (storage.bucket_public, Fact("b", {**BUCKET, "policy": DENIED})),
    (storage.kms_rotation, Fact("k", {"rotation": DENIED})),
    (reachability.rds_reachable, Fact("d", {**DATABASE, "openings": DENIED})),
    (
        reachability.rds_ingress_outside,
        Fact("d", {**DATABASE, "openings": [Opening("tcp", 5432, 5432, "pl-1")]}),
    ),
    (detection.trail_multi_region, trails({**TRAIL, "logging": DENIED})),
    (detection.guardduty, Fact("r", {"status": DENIED})),
]


@pytest.mark.parametrize(("rule", "fact"), UNREAD_PARTS, ids=lambda v: getattr(v, "id", ""))
def test_a_refused_part_is_unknown_never_a_pass(rule: Rule, fact: Fact) -> None:
    outcome = judge(rule, [fact])
    assert [f.verdict for f in outcome.findings] == ["UNKNOWN"]
    assert outcome.unread


@pytest.mark.parametrize(
    ("cidr", "world"),
    [
        ("0.0.0.0/0", True),
        ("::/0", True),
        ("128.0.0.0/1", True),
        ("2000::/3", True),
        ("10.0.0.0/8", False),
        ("203.0.113.0/24", False),
        ("sg-1", False),
        ("pl-1", False),
    ],
)
def test_nearly_the_whole_internet_is_the_internet(cidr: str, world: bool) -> None:
    assert is_world(cidr) is world


def test_sources_of_every_kind_are_openings() -> None:
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 1,
        "ToPort": 2,
        "IpRanges": [{"CidrIp": "10.0.0.0/8"}],
        "Ipv6Ranges": [{"CidrIpv6": "::/0"}],
        "UserIdGroupPairs": [{"GroupId": "sg-2"}],
        "PrefixListIds": [{"PrefixListId": "pl-1"}],
    }
    found = openings({"IpPermissions": [rule]})
    assert [o.source for o in found] == ["10.0.0.0/8", "::/0", "sg-2", "pl-1"]
    assert str(found[0]) == "tcp 1-2 from 10.0.0.0/8"


def test_a_range_is_inside_only_its_own_kind_of_network() -> None:
    assert is_inside("10.0.1.0/24", ["10.0.0.0/16"])
    assert not is_inside("10.0.0.0/8", ["10.0.0.0/16"])
    assert not is_inside("::/0", ["0.0.0.0/0"])


def test_an_earlier_deny_of_an_acl_wins() -> None:
    entry = {"Egress": False, "CidrBlock": "0.0.0.0/0", "Protocol": "6"}
    deny = {**entry, "RuleAction": "deny", "RuleNumber": 90, "PortRange": {"From": 22, "To": 22}}
    everything = {**entry, "Protocol": "-1", "RuleAction": "allow", "RuleNumber": 100}
    assert acl_allows([everything, deny], 22) is None
    assert acl_allows([everything, deny], 3389) == "0.0.0.0/0"


def test_a_subnet_without_its_own_table_takes_the_main_one() -> None:
    subnets = [Fact(name, {"VpcId": "v"}) for name in ("a", "b")]
    out = {"DestinationCidrBlock": "0.0.0.0/0", "GatewayId": "igw-1"}
    main = Fact("m", {"VpcId": "v", "Associations": [{"Main": True}], "Routes": [out]})
    own = Fact("o", {"VpcId": "v", "Associations": [{"SubnetId": "b"}], "Routes": []})
    assert public_subnets(subnets, [main, own]) == {"a"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("export DB_PASSWORD=hunter2hunter2", 1),
        ("docker run -e API_TOKEN=abcdef123456 app", 1),
        ('{"client_secret": "abcdef123456"}', 1),
        ("postgres://app:s3cr3tpw@db:5432/app", 1),
        ("-----BEGIN RSA PRIVATE KEY-----", 1),
        ("aws_access_key_id=AKIAABCDEFGHIJKLMNOP", 1),
        ("DB_SECRET_ARN=arn:aws:secretsmanager:eu-west-1:1:secret:x", 0),
        ("PASSWORD=${DB_PASSWORD}", 0),
        ("password: <to be filled in>", 0),
        ("SECRET_NAME=web-database", 0),
        ("HttpTokens: required", 0),
        ("echo hello", 0),
    ],
)
def test_credentials_are_found_and_never_shown(text: str, found: int) -> None:
    lines = credentials_in(text)
    assert len(lines) == found
    assert not any(secret in str(lines) for secret in ("hunter2", "abcdef", "s3cr3t", "AKIA"))


def test_user_data_is_read_plain_and_zipped() -> None:
    script = b"#!/bin/sh\nTOKEN=abcdef123456\n"
    for raw in (script, gzip.compress(script)):
        assert decode_user_data(base64.b64encode(raw).decode()).splitlines()[0] == "#!/bin/sh"
    assert decode_user_data(None) == ""
    assert decode_user_data(base64.b64encode(b"\x1f\x8bbroken").decode()) == ""
    assert credential_variables({"A": "b", "X_PASSWORD": "abcdef123"}) == ["X_PASSWORD"]


def test_patterns_match_as_iam_does() -> None:
    assert matches("s3:Get*", "S3:getobject")
    assert matches("ec2:?un*", "ec2:RunInstances")
    assert not matches("s3:Get", "s3:GetObject")


def test_admin_is_everything_everywhere() -> None:
    assert is_admin(allow(["s3:Get*", "*"]))
    assert is_admin(allow("*:*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))
    assert not is_admin(allow("iam:*"))


def test_a_deny_takes_a_grant_back() -> None:
    deny = {"Statement": {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}}
    assert grants([allow("iam:PassRole")], "iam:PassRole")
    assert not grants([allow("iam:PassRole"), deny], "iam:PassRole")
    assert not grants([allow("iam:PassRole", "arn:aws:iam::1:role/app")], "iam:PassRole")


@pytest.mark.parametrize("path", PATHS, ids=lambda p: "+".join(p.actions))
def test_each_known_escalation_is_found_only_whole(path: Any) -> None:
    assert path in escalations([allow(list(path.actions))])
    assert path not in escalations([allow(list(path.actions[1:]) or ["s3:GetObject"])])


def test_trust_is_judged_by_principal_and_condition() -> None:
    org = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
    assert trusts_everyone(trust({"AWS": "*"}))
    assert trusts_everyone(trust("*", {"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}))
    assert trusts_everyone(trust("*", {"StringLike": {"aws:PrincipalArn": "*"}}))
    assert not trusts_everyone(trust("*", org))
    assert not trusts_everyone(trust({"Service": "ec2.amazonaws.com"}))
    stranger = {"AWS": ["arn:aws:iam::222222222222:root", "arn:aws:iam::111111111111:root"]}
    assert trusted_strangers(trust(stranger), "1" * 12) == ["2" * 12]
    assert trusted_strangers(trust(stranger, org), "1" * 12) == []


def test_an_oidc_provider_must_name_its_subject() -> None:
    provider = {"Federated": "arn:aws:iam::1:oidc-provider/token.actions.githubusercontent.com"}
    key = "token.actions.githubusercontent.com"
    audience = {"StringEquals": {f"{key}:aud": "sts.amazonaws.com"}}
    subject = {"StringLike": {f"{key}:sub": "repo:acme/shop:*"}}
    assert unbound_providers(trust(provider, audience)) == [provider["Federated"]]
    assert unbound_providers(trust(provider, {**audience, **subject})) == []


def test_public_and_tls_only_bucket_policies_are_told_apart() -> None:
    public = allow("s3:GetObject", Principal="*")
    assert public_actions(public) == ["s3:GetObject"]
    office = {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    world = {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}
    assert public_actions(allow("s3:GetObject", Principal="*", Condition=office)) == []
    assert public_actions(allow("s3:GetObject", Principal="*", Condition=world))
    tls = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    assert denies_plain_http({"Statement": [tls]})
    assert not denies_plain_http(public)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"Statement": "x"}'])
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match=r"policy|JSON"):
        statements(text)
