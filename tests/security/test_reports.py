"""Security groups, benchmarks, IAM, policies in words; the server's size and its skills."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastmcp import Client
from tests.security.conftest import EVERYTHING, Deployed

from opswright_core.settings import Settings
from opswright_core.verdicts import Unread
from opswright_security.reading import Fact
from opswright_security.server import create_server
from opswright_security.tools.compliance import CONTROLS
from opswright_security.tools.exposures import Groups, groups_audit
from opswright_security.tools.principals import iam_audit_of

Connect = Callable[..., AbstractAsyncContextManager[Any]]
Clients = Callable[[str], Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}


async def call(connect: Connect, tool: str, **arguments: Any) -> dict[str, Any]:
    async with connect(create_server) as client:
        r = await client.call_tool(tool, arguments)
    answer: dict[str, Any] = r.structured_content
    assert len(json.dumps(answer)) <= 16_000
    return answer


async def refused(connect: Connect, tool: str, **arguments: Any) -> str:
    async with connect(create_server) as client:
        r = await client.call_tool(tool, arguments, raise_on_error=False)
    assert r.is_error
    text: str = r.content[0].text
    return text


async def test_exposures_are_shown_rule_by_rule_with_unused_groups(
    connect: Connect, application: Deployed, client_of: Clients
) -> None:
    ec2 = client_of("ec2")
    spare = ec2.create_security_group(GroupName="spare", Description="x", VpcId=application.vpc_id)[
        "GroupId"
    ]
    ec2.authorize_security_group_ingress(GroupId=spare, IpPermissions=[OPEN])
    answer = await call(connect, "audit_security_groups", vpc_id=application.vpc_id)
    rows = [(e["name"], e["ports"], e["severity"], e["attached"]) for e in answer["exposures"]]
    assert rows == [("spare", "22", "high", 0), ("lb", "80", "info", 1)]
    assert spare in answer["unused"]["eu-west-1"]
    assert application.db_group not in answer["unused"]["eu-west-1"]
    assert (answer["verdict"], answer["total_exposures"]) == ("FAIL", 2)


async def test_a_vpc_that_is_not_there_is_said(connect: Connect, cloud: Any) -> None:
    assert "No VPC vpc-0123" in await refused(connect, "audit_security_groups", vpc_id="vpc-0123")


def test_unread_uses_leave_unused_open_and_six_hundred_rows_fit() -> None:
    denied = Unread(operation="ec2:DescribeNetworkInterfaces", reason="no", permission="p")
    closed = Fact("sg-0", {"GroupName": "a", "IpPermissions": []})
    part = Groups([closed], denied)
    answer = groups_audit({"eu-west-1": part}, part.unread, "eu-west-1", None)
    assert (answer.verdict, answer.total_unused, answer.unused) == ("UNKNOWN", None, {})
    groups = [Fact(f"sg-{n:017x}", {"GroupName": "g", "IpPermissions": [OPEN]}) for n in range(600)]
    answer = groups_audit({"eu-west-1": Groups(groups, [])}, [], "eu-west-1", None)
    assert len(answer.model_dump_json()) <= 16_000
    assert (answer.by_severity["high"], answer.total_exposures, answer.total_unused) == (
        600,
        600,
        600,
    )
    assert answer.cursor


@pytest.mark.parametrize("framework", ["cis-3.0", "fsbp"])
async def test_compliance_says_what_it_does_not_cover(
    connect: Connect, bad_account: dict[str, str], framework: Any
) -> None:
    answer = await call(connect, "check_compliance", framework=framework)
    covered = {c["id"] for c in answer["controls"]}
    assert covered.isdisjoint(answer["not_covered"])
    assert covered | set(answer["not_covered"]) == set(CONTROLS[framework])
    assert answer["counts"]["not_covered"] == len(answer["not_covered"]) > 0
    assert sum(answer["counts"].values()) == len(CONTROLS[framework])
    assert answer["verdict"] == "FAIL"
    if framework == "cis-3.0":
        verdicts = {c["id"]: c["verdict"] for c in answer["controls"]}
        assert len(CONTROLS[framework]) == 62
        assert (verdicts["1.5"], verdicts["5.2"], verdicts["1.20"]) == ("FAIL", "FAIL", "UNKNOWN")
        assert verdicts["3.1"] == "PASS"


async def test_every_control_that_a_check_names_exists(connect: Connect) -> None:
    from opswright_security.checks.registry import RULES

    named = {control for rule in RULES for control in rule.controls}
    known = {f"{framework}:{c}" for framework, ids in CONTROLS.items() for c in ids}
    assert named <= known


async def test_an_unknown_framework_is_refused(connect: Connect) -> None:
    assert "framework" in await refused(connect, "check_compliance", framework="pci")


async def test_admins_and_ways_to_become_one_are_listed(
    connect: Connect, bad_account: dict[str, str], client_of: Clients
) -> None:
    iam = client_of("iam")
    iam.create_group(GroupName="ops")
    iam.put_group_policy(
        GroupName="ops",
        PolicyName="pass",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {"Effect": "Allow", "Action": ["iam:PassRole", "ec2:*"], "Resource": "*"}
                ],
            }
        ),
    )
    iam.create_user(UserName="bob")
    iam.add_user_to_group(GroupName="ops", UserName="bob")
    arn = iam.create_policy(PolicyName="boss", PolicyDocument=EVERYTHING)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="vendor", PolicyArn=arn)
    answer = await call(connect, "audit_iam")
    risks = {(r["kind"], r["principal"]): r["evidence"] for r in answer["risks"]}
    assert set(risks) == {
        ("admin", "user ann"),
        ("admin", "role vendor"),
        ("escalation", "user bob"),
    }
    assert risks["admin", "role vendor"] == "by boss"
    assert "iam:PassRole + ec2:RunInstances" in risks["escalation", "user bob"]
    assert answer["counts"] == {"admin": 2, "escalation": 1, "unused_role": 0}
    only = await call(connect, "audit_iam", kind="escalation")
    assert [r["principal"] for r in only["risks"]] == ["user bob"]
    assert "kind" in await refused(connect, "audit_iam", kind="all")


def test_unused_roles_and_unread_policies_are_told() -> None:
    role = {"kind": "role", "policies": {}, "boundary": False, "created": NOW - timedelta(days=100)}
    denied = Unread(operation="iam:GetPolicy", reason="no", permission="iam:GetPolicy")
    principals = [
        Fact("role a", {**role, "last_used": None}),
        Fact("role b", {**role, "last_used": NOW - timedelta(days=91)}),
        Fact("role c", {**role, "last_used": NOW, "policies": {"p": denied}}),
    ]
    answer = iam_audit_of(principals, NOW, None, 90, None)
    assert [r.evidence for r in answer.risks] == [
        "never used; made 100 days ago",
        "last used 91 days ago",
    ]
    assert (answer.verdict, answer.unread) == ("UNKNOWN", ["iam:GetPolicy: grant iam:GetPolicy"])


async def test_a_policy_is_put_in_words(connect: Connect, client_of: Clients) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:*", "iam:PutUserPolicy"], "Resource": "*"},
            {
                "Effect": "Deny",
                "Action": "s3:DeleteBucket",
                "Resource": "arn:aws:s3:::logs",
                "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "false"}},
            },
        ],
    }
    answer = await call(connect, "explain_policy", policy=json.dumps(document))
    assert answer["grants"] == [
        "Allows s3:*, iam:PutUserPolicy on every resource",
        "Denies s3:DeleteBucket on arn:aws:s3:::logs if aws:MultiFactorAuthPresent Bool false",
    ]
    assert "grants all of s3:*" in answer["risks"]
    assert answer["escalations"] == ["iam:PutUserPolicy: write oneself an inline policy"]
    arn = client_of("iam").create_policy(PolicyName="p", PolicyDocument=json.dumps(document))
    same = await call(connect, "explain_policy", policy=arn["Policy"]["Arn"])
    assert same.pop("region") == "eu-west-1"  # only this one was read from the account
    assert same == answer


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("{", "not valid JSON"),
        ('{"Statement": []}', "no statements"),
        ("arn:aws:iam::1:role/x", "no managed policy"),
        ("arn:aws:iam::123456789012:policy/none", "GetPolicy"),
    ],
)
async def test_what_is_no_policy_is_refused(
    connect: Connect, cloud: Any, policy: str, says: str
) -> None:
    assert says in await refused(connect, "explain_policy", policy=policy)


async def test_the_default_tools_cost_a_model_3000_tokens_at_most(settings: Settings) -> None:
    default = replace(settings, toolsets=frozenset({"default"}))
    async with Client(create_server(default)) as client:
        tools = await client.list_tools()
    size = sum(
        len(
            json.dumps(
                {"name": t.name, "description": t.description, "inputSchema": t.input_schema},
                separators=(",", ":"),
                ensure_ascii=False,
            ).encode()
        )
        for t in tools
    )
    assert size / 4 <= 3000
    assert "audit_iam" not in {t.name for t in tools}


async def test_a_read_only_server_offers_no_remedy(settings: Settings) -> None:
    async with Client(create_server(replace(settings, allow_writes=False))) as client:
        names = {t.name for t in await client.list_tools()}
    assert names.isdisjoint({"close_security_group_rule", "block_public_access", "require_imdsv2"})
    assert "audit_account" in names


@pytest.mark.parametrize(
    ("task", "skill"),
    [
        ("Audit the security of this account", "audit_security"),
        ("is anything open to the internet?", "find_exposure"),
        ("who has admin?", "find_administrators"),
        ("check compliance with CIS", "judge_compliance"),
    ],
)
async def test_a_task_finds_its_skill(
    connect: Connect, bad_account: dict[str, str], task: str, skill: str
) -> None:
    report = await call(connect, "handle_task", task=task)
    assert (report["status"], report["skill"]) == ("completed", skill), report
    administrators = {"admin": 1, "escalation": 0, "unused_role": 0}
    if skill == "find_administrators":
        assert report["outputs"]["counts"] == administrators
    else:
        assert report["outputs"]["verdict"] == "FAIL"


async def test_a_review_by_task_takes_the_vpc_from_the_words(
    connect: Connect, application: Deployed
) -> None:
    task = f"review the application in {application.vpc_id}"
    report = await call(connect, "handle_task", task=task)
    assert (report["status"], report["skill"]) == ("completed", "review_deployment"), report
    assert (report["outputs"]["vpc_id"], report["outputs"]["verdict"]) == (
        application.vpc_id,
        "PASS",
    )


async def test_a_port_is_closed_by_task_and_a_missing_group_is_asked_for(
    connect: Connect, client_of: Clients
) -> None:
    ec2 = client_of("ec2")
    group = ec2.create_security_group(GroupName="web", Description="x")["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[OPEN])
    asked = await call(connect, "handle_task", task="close port 22")
    assert asked["status"] == "needs_input"
    assert [n["name"] for n in asked["needs"]] == ["group_id"]
    report = await call(connect, "handle_task", task=f"close port 22 on {group}")
    assert report["status"] == "completed", report
    found = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]
    assert found["IpPermissions"] == []


async def test_critical_findings_warn_the_other_agents(
    connect: Connect, bad_account: dict[str, str]
) -> None:
    report = await call(connect, "handle_task", task="run a security audit")
    (warning,) = report["messages"]
    assert warning["intent"] == "warn"
    assert "s3-bucket-public" in warning["content"]


async def test_who_has_admin_needs_the_iam_toolset(settings: Settings, cloud: Any) -> None:
    default = replace(settings, toolsets=frozenset({"default"}))
    async with Client(create_server(default)) as client:
        r = await client.call_tool("handle_task", {"task": "who has admin"}, raise_on_error=False)
    assert "--toolsets default,iam" in r.content[0].text
