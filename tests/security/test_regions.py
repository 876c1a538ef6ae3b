"""Audits over several regions: each item says where it is, and what was refused is unknown."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from fastmcp import Client
from tests.denied import REFUSED, DeniedSessions

from opswright_core.agent.place import InRegions
from opswright_core.agent.skills import SkillBook, fill
from opswright_core.settings import Settings
from opswright_security.server import create_server
from opswright_security.skills import auditing

HERE, THERE, DENIED = "eu-west-1", "us-east-1", "us-west-2"
EVERY = f"{HERE},{THERE},{DENIED}"


@pytest.fixture
def open_groups(cloud: Any) -> dict[str, str]:
    """A group per region with SSH open to the world; its id by region."""
    made = {}
    for region in (HERE, THERE, DENIED):
        ec2 = boto3.client("ec2", endpoint_url=cloud.endpoint, region_name=region)
        group = ec2.create_security_group(GroupName=f"ssh-{region}", Description="x")["GroupId"]
        ec2.authorize_security_group_ingress(
            GroupId=group,
            IpPermissions=[{
                "IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
                "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
            }],
        )  # fmt: skip
        made[region] = group
    return made


async def ask(settings: Settings, tool: str, sessions: Any = None, **arguments: Any) -> Any:
    made: Any = create_server(settings)
    if sessions:
        made.opswright_runtime.aws_sessions = sessions
    async with Client(made) as client:
        return (await client.call_tool(tool, arguments)).structured_content


async def test_an_audit_of_three_regions_says_where_each_finding_is(
    settings: Settings, open_groups: dict[str, str]
) -> None:
    sessions = DeniedSessions(DENIED)
    audit = await ask(
        settings, "audit_account", sessions, services=["ec2"], severity="high",
        target={"region": EVERY},
    )  # fmt: skip
    found = {(f["region"], f["resource"]) for f in audit["findings"]}
    assert {(r, g) for r, g in open_groups.items() if r != DENIED} <= found
    assert DENIED not in {region for region, _ in found}
    assert audit["region"] == f"{HERE}, {THERE}, {DENIED}"
    assert [line for line in audit["unread"] if line.startswith(f"{DENIED}: ")]
    assert REFUSED in str(audit["unread"])
    assert audit["summary"].endswith("nothing could be read in 1 regions.")
    single = [
        await ask(settings, "audit_account", services=["ec2"], severity="high",
                  target={"region": region})
        for region in (HERE, THERE)
    ]  # fmt: skip
    assert audit["counts"]["FAIL"] == sum(one["counts"]["FAIL"] for one in single)


async def test_a_region_that_is_refused_is_unknown_where_all_else_passes(
    settings: Settings, cloud: Any
) -> None:
    asked = {"services": ["efs"], "target": {"region": f"{HERE},{DENIED}"}}
    assert (await ask(settings, "audit_account", **asked))["verdict"] == "PASS"
    refused = await ask(settings, "audit_account", DeniedSessions(DENIED), **asked)
    assert refused["verdict"] == "UNKNOWN"


async def test_what_the_account_has_once_is_read_and_counted_once(
    settings: Settings, cloud: Any, client_of: Callable[[str], Any]
) -> None:
    client_of("s3").create_bucket(
        Bucket="logs", CreateBucketConfiguration={"LocationConstraint": HERE}
    )
    client_of("iam").create_user(UserName="ann")
    sessions = DeniedSessions()
    asked = {"services": ["iam", "s3", "cloudtrail"]}
    audit = await ask(
        settings, "audit_account", sessions, **asked, target={"region": f"{HERE},{THERE}"}
    )
    calls = Counter(operation for _, operation in sessions.calls)
    assert calls["ListBuckets"] == calls["ListUsers"] == calls["GetAccountSummary"] == 1
    places = Counter((f["check_id"], f["resource"]) for f in audit["findings"]
                     if f["region"] == "global" or f["resource"] == "logs")  # fmt: skip
    assert set(places.values()) == {1}
    assert {("s3-bucket-versioning", "logs"), ("cloudtrail-multi-region", "account")} <= set(places)


async def test_exposure_of_three_regions_is_added_up(
    settings: Settings, open_groups: dict[str, str]
) -> None:
    found = await ask(
        settings, "audit_security_groups", DeniedSessions(DENIED), target={"region": EVERY}
    )
    assert {(e["region"], e["group_id"]) for e in found["exposures"]} == {
        (region, group) for region, group in open_groups.items() if region != DENIED
    }
    assert found["total_exposures"] == 2
    assert found["unused"] == {r: [g] for r, g in open_groups.items() if r != DENIED}
    assert found["total_unused"] is None
    assert "at least 2 unused" in found["summary"]
    (line,) = found["unread"]
    assert line.startswith(f"{DENIED}: ")


async def test_a_control_does_not_pass_while_a_region_is_unread(
    settings: Settings, cloud: Any
) -> None:
    where = {"region": f"{HERE},{DENIED}"}
    for sessions, verdict in ((DeniedSessions(), "PASS"), (DeniedSessions(DENIED), "UNKNOWN")):
        found = await ask(settings, "check_compliance", sessions, framework="cis-3.0", target=where)
        controls = {c["id"]: c["verdict"] for c in found["controls"]}
        assert controls["5.2"] == verdict  # SSH from anywhere, by region
        assert controls["1.4"] == "PASS"  # no root access key: of the account


async def test_all_regions_are_audited_when_the_task_says_so(
    settings: Settings, open_groups: dict[str, str]
) -> None:
    report = await ask(
        settings, "handle_task", task="which security groups are exposed to the world everywhere"
    )
    assert {e["region"] for e in report["outputs"]["exposures"]} == set(open_groups)


@pytest.mark.parametrize(
    ("task", "skill", "region"),
    [
        ("run a security audit", "audit_security", None),
        ("run a security audit in all regions", "audit_security", "all"),
        ("audit the security of the account everywhere", "audit_security", "all"),
        ("run a security audit across the account", "audit_security", "all"),
        ("run a security audit in eu-west-1 and us-east-1", "audit_security",
         "eu-west-1,us-east-1"),
        ("audit the security of this account, everywhere in us-gov-west-1", "audit_security",
         "us-gov-west-1"),
        ("is anything open to the internet in any region", "find_exposure", "all"),
        ("check compliance with cis in every region", "judge_compliance", "all"),
    ],
)  # fmt: skip
def test_the_regions_of_a_task_are_understood(task: str, skill: str, region: str | None) -> None:
    book = SkillBook(
        [auditing.audit_security, auditing.find_exposure, auditing.review_deployment,
         auditing.find_administrators, auditing.judge_compliance, auditing.close_port]
    )  # fmt: skip
    chosen = book.choose(task)
    assert chosen is not None
    assert chosen.name == skill
    inputs = fill(chosen.inputs, task, {})
    assert isinstance(inputs, InRegions)
    assert inputs.region == region
