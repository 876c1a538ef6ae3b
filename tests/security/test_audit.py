"""The account's audit: what is bad is found, what is mended passes, what is refused is unknown."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import SimpleNamespace
from typing import Any

import pytest

from opswright_core.aws import Aws
from opswright_security.checks.registry import RULES
from opswright_security.everywhere import Survey
from opswright_security.reading import Reader
from opswright_security.rules import Outcome, by_weight, run, unread_lines
from opswright_security.server import create_server
from opswright_security.tools.audit import audit_of

Connect = Callable[..., AbstractAsyncContextManager[Any]]
Clients = Callable[[str], Any]
SECRET = "hunter2hunter2"


def without_account(request: Any, **_: Any) -> None:
    """S3 Control's host begins with the account id; the emulator's cannot."""
    request.url = request.url.replace("//123456789012.", "//")


def surveyed(outcomes: list[Outcome]) -> Survey:
    return Survey("1" * 12, "eu-west-1", "eu-west-1", outcomes, unread_lines(outcomes))


async def audited(connect: Connect, **arguments: Any) -> dict[str, Any]:
    """An audit, all its pages."""
    async with connect(create_server) as client:
        pages = []
        cursor = None
        while True:
            r = await client.call_tool("audit_account", {**arguments, "cursor": cursor})
            pages.append(r.structured_content)
            assert len(json.dumps(r.structured_content)) <= 16_000
            cursor = r.structured_content["cursor"]
            if not cursor:
                break
    return {**pages[0], "findings": [f for p in pages for f in p["findings"]]}


async def test_what_is_wrong_in_an_account_is_found(
    connect: Connect, bad_account: dict[str, str]
) -> None:
    audit = await audited(connect)
    failed = {(f["check_id"], f["resource"]) for f in audit["findings"] if f["verdict"] == "FAIL"}
    assert set(bad_account.items()) - failed == set()
    assert {c for c, _ in failed} >= {
        "guardduty-enabled",
        "securityhub-enabled",
        "cloudtrail-encrypted",
        "s3-account-public-access-block",
    }
    assert audit["verdict"] == "FAIL"
    assert audit["account_id"] == "123456789012"
    assert audit["counts"]["FAIL"] == len(failed) == sum(audit["by_severity"].values())
    assert SECRET not in json.dumps(audit)


async def test_findings_come_gravest_first_and_passes_are_only_counted(
    connect: Connect, bad_account: dict[str, str]
) -> None:
    findings = (await audited(connect))["findings"]
    order = ["critical", "high", "medium", "low", "info"]
    ranks = [(f["verdict"] == "UNKNOWN", order.index(f["severity"])) for f in findings]
    assert ranks == sorted(ranks)
    assert {f["verdict"] for f in findings} == {"FAIL", "UNKNOWN"}


async def test_what_the_emulator_cannot_answer_is_unknown(connect: Connect, cloud: Any) -> None:
    audit = await audited(connect, services=["accessanalyzer"])
    assert audit["verdict"] == "UNKNOWN"
    assert "does not implement" in audit["findings"][0]["evidence"]
    assert audit["unread"]


async def test_severity_and_services_narrow_the_audit(
    connect: Connect, bad_account: dict[str, str]
) -> None:
    audit = await audited(connect, severity="critical", services=["s3", "rds"])
    assert {f["check_id"] for f in audit["findings"]} == {
        "s3-bucket-public",
        "rds-public",
        "rds-snapshot-public",
    }
    assert audit["by_severity"]["high"] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"services": ["s4"]}, "No checks for s4; there are: accessanalyzer"),
        ({"severity": "urgent"}, "severity"),
        ({"cursor": "made-up"}, "cursor"),
        ({"region": "eu-west-1"}, "not an argument"),
        ({"target": {"region": "nowhere"}}, "not an AWS region"),
    ],
)
async def test_bad_arguments_are_explained(
    connect: Connect, cloud: Any, arguments: dict[str, Any], says: str
) -> None:
    async with connect(create_server) as client:
        r = await client.call_tool("audit_account", arguments, raise_on_error=False)
    assert r.is_error
    assert says in r.content[0].text


async def test_what_is_mended_passes(connect: Connect, client_of: Clients) -> None:
    client_of("iam").update_account_password_policy(
        MinimumPasswordLength=14, PasswordReusePrevention=24
    )
    ec2, s3 = client_of("ec2"), client_of("s3")
    ec2.enable_ebs_encryption_by_default()
    location = {"LocationConstraint": s3.meta.region_name}
    s3.create_bucket(Bucket="logs-of-ours", CreateBucketConfiguration=location)
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    control = client_of("s3control")
    control.meta.events.register("before-sign", without_account)
    control.put_public_access_block(
        AccountId="123456789012", PublicAccessBlockConfiguration=dict.fromkeys(blocks, True)
    )
    trails = client_of("cloudtrail")
    trails.create_trail(
        Name="main",
        S3BucketName="logs-of-ours",
        IsMultiRegionTrail=True,
        EnableLogFileValidation=True,
    )
    trails.start_logging(Name="main")
    client_of("guardduty").create_detector(Enable=True)
    client_of("securityhub").enable_security_hub()
    key = client_of("kms").create_key()["KeyMetadata"]["KeyId"]
    client_of("kms").enable_key_rotation(KeyId=key)
    audit = await audited(connect)
    failed = {f["check_id"] for f in audit["findings"] if f["verdict"] == "FAIL"}
    assert not failed & {
        "iam-password-length",
        "iam-password-reuse",
        "ec2-ebs-default-encryption",
        "s3-account-public-access-block",
        "s3-bucket-public",
        "s3-bucket-public-access-block",
        "cloudtrail-multi-region",
        "cloudtrail-validation",
        "guardduty-enabled",
        "securityhub-enabled",
        "kms-rotation",
    }


async def test_six_hundred_bad_groups_fit_the_budget_and_are_all_counted(
    connect: Connect, client_of: Clients
) -> None:
    from opswright_security.checks.network import sg_admin_ipv4
    from opswright_security.reading import Fact
    from opswright_security.rules import judge

    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    groups = [
        Fact(f"sg-{n:017x}", {"GroupName": f"g{n}", "IpPermissions": [rule]}) for n in range(600)
    ]
    outcomes = [judge(sg_admin_ipv4, groups)]
    seen: list[str] = []
    cursor = None
    while True:
        audit = audit_of(surveyed(outcomes), cursor)
        assert len(audit.model_dump_json()) <= 16_000
        assert (audit.counts["FAIL"], audit.total_findings, audit.by_severity["high"]) == (
            600,
            600,
            600,
        )
        seen += [f.resource for f in audit.findings]
        cursor = audit.cursor
        if cursor is None:
            break
    assert seen == [g.id for g in groups]


async def test_list_checks_and_explain_finding_go_together(connect: Connect) -> None:
    async with connect(create_server) as client:
        listed: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = (await client.call_tool("list_checks", {"cursor": cursor})).structured_content
            listed += page["items"]
            cursor = page["cursor"]
            if not cursor:
                break
        assert len(listed) == page["total"] == len(RULES)
        for line in listed:
            told = await client.call_tool("explain_finding", {"check_id": line["id"]})
            assert told.structured_content["rationale"]
        one = (await client.call_tool("list_checks", {"service": "kms"})).structured_content
        assert [line["id"] for line in one["items"]] == ["kms-rotation"]
        told = (
            await client.call_tool("explain_finding", {"check_id": "kms-rotation"})
        ).structured_content
    assert told["references"] == ["CIS AWS Foundations Benchmark v3.0.0, 3.6"]
    assert told["commands"] == ["aws kms enable-key-rotation --key-id KEY"]


async def test_an_unknown_check_or_service_gets_the_nearest(connect: Connect) -> None:
    async with connect(create_server) as client:
        r = await client.call_tool(
            "explain_finding", {"check_id": "kms-rotate"}, raise_on_error=False
        )
        assert r.is_error
        assert "kms-rotation" in r.content[0].text
        r = await client.call_tool("list_checks", {"service": "sqs"}, raise_on_error=False)
        assert "No checks for sqs" in r.content[0].text


CALLS = {
    "GetAccountSummary",
    "GetAccountPasswordPolicy",
    "ListUsers",
    "GetLoginProfile",
    "ListMFADevices",
    "ListAccessKeys",
    "GetAccessKeyLastUsed",
    "GetAccountAuthorizationDetails",
    "ListServerCertificates",
    "DescribeSecurityGroups",
    "DescribeNetworkAcls",
    "DescribeVpcs",
    "DescribeFlowLogs",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "DescribeRouteTables",
    "DescribeLoadBalancers",
    "DescribeInstances",
    "DescribeInstanceAttribute",
    "DescribeLaunchTemplateVersions",
    "DescribeVolumes",
    "GetEbsEncryptionByDefault",
    "DescribeSnapshots",
    "DescribeSnapshotAttribute",
    "DescribeImages",
    "ListFunctions",
    "GetPublicAccessBlock",
    "ListBuckets",
    "GetBucketAcl",
    "GetBucketPolicy",
    "GetBucketEncryption",
    "GetBucketVersioning",
    "DescribeDBInstances",
    "DescribeDBSnapshots",
    "DescribeDBSnapshotAttributes",
    "DescribeFileSystems",
    "ListKeys",
    "DescribeKey",
    "GetKeyRotationStatus",
    "ListSecrets",
    "DescribeTrails",
    "GetTrailStatus",
    "GetEventSelectors",
    "ListDetectors",
    "DescribeConfigurationRecorders",
    "DescribeConfigurationRecorderStatus",
    "DescribeHub",
}


class Denying:
    """An account's session of which one API operation is denied; every call is written down."""

    def __init__(self, session: Aws) -> None:
        self.session = session
        self.denied: set[str] = set()
        self.called: set[str] = set()

    def watch(self, model: Any, params: Any, **_: Any) -> Any:
        """Before a call is sent: the answer to a denied one, None to go on."""
        self.called.add(model.name)
        if model.name not in self.denied:
            return None
        return SimpleNamespace(status_code=403), {
            "Error": {"Code": "AccessDenied", "Message": "no"}
        }


@pytest.fixture
def denying(cloud: Any, bad_account: dict[str, str]) -> Denying:
    from opswright_core.aws import AwsSessions

    session = AwsSessions().open()
    found = Denying(session)
    session.session.events.register("before-call", found.watch)
    return found


def test_each_denied_call_makes_its_checks_unknown_never_passed(denying: Denying) -> None:
    needs, passed = {}, {}
    for rule in RULES:
        denying.called.clear()
        (outcome,) = run(Reader(denying.session), [rule])
        needs[rule] = set(denying.called)
        passed[rule] = [f.verdict for f in outcome.findings].count("PASS")
    assert set().union(*needs.values()) >= CALLS
    for call in sorted(CALLS):
        denying.denied = {call}
        affected = [rule for rule in RULES if call in needs[rule]]
        outcomes = run(Reader(denying.session), affected)
        told = [line for outcome in outcomes for line in outcome.unread]
        assert any(call in line and "grant" in line for line in told), call
        for outcome in outcomes:
            verdicts = [f.verdict for f in outcome.findings]
            assert verdicts.count("PASS") <= passed[outcome.rule], (call, outcome.rule.id)


def test_everything_denied_is_all_unknown_and_fits(denying: Denying) -> None:
    denying.session.account_id  # noqa: B018 (read before the denial)
    denying.denied = CALLS | {"ListAnalyzers", "GetDetector"}
    outcomes = run(Reader(denying.session), RULES)
    audit = audit_of(surveyed(outcomes), None)
    assert audit.verdict == "UNKNOWN"
    assert audit.counts == {"PASS": 0, "FAIL": 0, "UNKNOWN": len(RULES)}
    assert len(audit.model_dump_json()) <= 16_000
    assert "ec2:DescribeSecurityGroups: grant ec2:DescribeSecurityGroups" in audit.unread
    assert "s3:ListBuckets: grant s3:ListAllMyBuckets" in audit.unread
    assert by_weight(audit.findings) == audit.findings
