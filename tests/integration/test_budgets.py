"""No tool of any server answers with more than its budget, however much there is."""

import dataclasses
import functools
import importlib
import json
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from tests.integration.crowded import MANY, Answers, CrowdedSessions
from tests.integration.servers import SERVERS, client_of_server

from opswright_core.canonical import size_bytes
from opswright_core.pages import BUDGET_BYTES
from opswright_core.settings import Settings

VPC, INSTANCE = "vpc-00000000000000001", "i-00000000000000001"
METRIC = {
    "namespace": "AWS/EC2", "metric": "CPUUtilization", "dimensions": {"InstanceId": INSTANCE},
}  # fmt: skip
PATH = {"source": "internet", "destination": INSTANCE, "port": 80}
RUN_INSTANCES = {"service": "ec2", "operation": "RunInstances"}
PARTS = [{"kind": "ec2", "type": "m7g.large"}] * 100
POLICY = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}] * 300}
TEMPLATE = {
    f"Bucket{n}": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": f"{n}-{'x' * 40}"}}
    for n in range(400)
}
TERRAFORM = [
    {
        "address": f"aws_s3_bucket.b{n}", "type": "aws_s3_bucket", "mode": "managed",
        "name": f"b{n}",
        "change": {"actions": ["delete", "create"], "before": {"bucket": f"b{n}"},
                   "after": {"bucket": f"c{n}"}, "after_unknown": {}},
    }
    for n in range(400)
]  # fmt: skip
READS: list[tuple[str, str, dict[str, Any]]] = [
    ("aws_devops", "list_resources", {}),
    ("aws_devops", "get_resource", {"resource_id": VPC}),
    ("aws_devops", "explain_resource", {"resource_id": VPC}),
    ("aws_devops", "verify_high_availability", {"vpc_id": VPC}),
    ("aws_devops", "check_reachability", PATH),
    ("aws_devops", "draw_topology", {"vpc": VPC}),
    ("aws_devops", "check_session_access", {"vpc_id": VPC}),
    ("aws_devops", "get_stack", {"name": "shop", "events": 100}),
    ("aws_devops", "find_operation", {"query": "describe all instances", "limit": 30}),
    ("aws_devops", "describe_operation", RUN_INSTANCES),
    ("aws_devops", "check_quota", {"build": {"vpcs": 1, "nat_gateways_per_zone": 1}}),
    ("aws_devops", "read_aws", {"service": "ec2", "operation": "DescribeVolumes"}),
    ("aws_devops", "plan_evacuation", {"to_region": "eu-central-1"}),
    ("aws_devops", "check_backend", {}),
    ("aws_devops", "review_template", {"template": json.dumps({"Resources": TEMPLATE})}),
    ("aws_devops", "review_terraform_plan",
     {"plan": json.dumps({"format_version": "1.2", "resource_changes": TERRAFORM})}),
    ("cost", "estimate_monthly_cost", {"components": PARTS}),
    ("cost", "estimate_existing", {}),
    ("cost", "get_spend", {}),
    ("cost", "forecast_spend", {}),
    ("cost", "find_waste", {"limit": 200}),
    ("cost", "find_rightsizing", {}),
    ("cost", "compare_pricing_models", {"instance_type": "m7g.large"}),
    ("cost", "list_budgets", {}),
    ("metrics", "diagnose_web_tier", {"asg_name": "shop"}),
    ("metrics", "diagnose_web_tier", {}),
    ("metrics", "get_health", {}),
    ("metrics", "list_alarms", {}),
    ("metrics", "triage_alarms", {}),
    ("metrics", "get_metrics", METRIC),
    ("metrics", "get_metrics", {**METRIC, "minutes": 655_200}),
    ("metrics", "find_anomalies", METRIC),
    ("metrics", "find_anomalies", {**METRIC, "hours": 72}),
    ("metrics", "list_log_groups", {}),
    ("metrics", "search_logs", {"log_group": "shop"}),
    ("metrics", "summarize_logs", {"log_group": "shop"}),
    ("cicd", "list_deployments", {}),
    ("security", "audit_account", {}),
    ("security", "review_application", {"vpc_id": VPC}),
    ("security", "audit_security_groups", {}),
    ("security", "check_compliance", {"framework": "fsbp"}),
    ("security", "audit_iam", {}),
    ("security", "explain_policy", {"policy": json.dumps(POLICY)}),
    ("security", "list_checks", {}),
]  # fmt: skip
FEWER = {"draw_topology": 300, "get_resource": 500, "explain_resource": 500}
"""A picture is of one VPC, and a VPC has at most 200 subnets (its quota); what hangs together is
read whole, all kinds of it."""

COUNTED: dict[str, Callable[[dict[str, Any]], int]] = {
    "list_budgets": lambda a: a["total"],
    "list_alarms": lambda a: a["total"] // 2,  # metric alarms and composite ones
    "list_log_groups": lambda a: a["total"],
    "list_deployments": lambda a: a["total"],
    "audit_security_groups": lambda a: a["groups"],
    "estimate_existing": lambda a: a["counts"]["volumes"],
    "find_waste": lambda a: a["looked_at"]["volumes"],
    "get_health": lambda a: sum(a["alarms"].values()) // 2,
    "list_resources": lambda a: int(re.search(r"(\d+) ec2:vpc", a["summary"])[1]),  # type: ignore[index]
}
"""Where an answer says how many there are of what the account has `MANY` of."""

WALKED: list[tuple[str, str, dict[str, Any], int]] = [
    ("aws_devops", "list_resources", {"types": ["ec2:vpc"]}, MANY),
    ("cost", "list_budgets", {}, MANY),
    ("cost", "find_rightsizing", {}, 0),
    ("metrics", "list_alarms", {}, 2 * MANY),
    ("metrics", "list_log_groups", {}, MANY),
    ("metrics", "search_logs", {"log_group": "shop"}, MANY),
    ("cicd", "list_deployments", {}, MANY),
    ("security", "audit_account", {"services": ["efs"]}, 0),
]
"""Tools that page, and how many items all pages have; 0: as many as the first says."""

ELSEWHERE = {
    "draw_stack": "a template, which this account has none of; shortened by core: tests/core",
    "find_stack_drift": "a comparison that this account never finishes; pages of core",
    "find_drift": "ten changes of a journal at a time: pages of core",
    "preview_teardown": "changes of a journal and fifty ARNs, shortened by core: tests/core",
    "preview_undo": "twenty changes of a journal, shortened by core: tests/core",
    "explain_finding": "one entry of a fixed catalogue",
    "scan_dependencies": "a folder, no account; pages of core",
    "get_task": "a report, shortened by core: tests/core",
    "can_handle": "at most eight names",
    "get_change": "a change, shortened by core: tests/core",
    "list_changes": "pages of core: tests/core",
}


def sizes(answer: Any) -> list[int]:
    """The bytes of each form of an answer: the structured one, and its texts together."""
    text = sum(len(c.text.encode()) for c in answer.content if c.type == "text")
    return [size_bytes(answer.structured_content), text]


@pytest.fixture
def aws_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def crowd() -> Answers:
    """The account's answers, made once; each server opens its own sessions on them."""
    return {}


@pytest.fixture
def patient(settings: Settings) -> Settings:
    """A wait within which a busy machine reads all there is, so that counts can be exact."""
    return dataclasses.replace(settings, wait_seconds=600.0)


@asynccontextmanager
async def crowded_client(
    server: str, settings: Settings, crowd: Answers, many: int = MANY
) -> AsyncIterator[Any]:
    made = importlib.import_module(f"opswright_{server}.server").create_server(settings)
    made.opswright_runtime.aws_sessions = CrowdedSessions(crowd, many)
    async with Client(made) as client:
        yield client


@pytest.mark.usefixtures("aws_account")
@pytest.mark.parametrize(("server", "tool", "arguments"), READS, ids=[read[1] for read in READS])
async def test_no_answer_is_longer_than_the_budget(
    server: str, tool: str, arguments: dict[str, Any], patient: Settings, crowd: Answers
) -> None:
    many = FEWER.get(tool, MANY)
    async with crowded_client(server, patient, crowd if many == MANY else {}, many) as client:
        answer = await client.call_tool(tool, arguments, raise_on_error=False)
        assert not answer.is_error, answer.content[0].text
        assert max(sizes(answer)) <= BUDGET_BYTES
        content = answer.structured_content
        if count := COUNTED.get(tool):
            assert count(content) == MANY
        if content.get("cursor") and "items" in content:
            assert "shortened" not in content  # or the cursor would skip what was cut
        if whole := content.get("shortened"):
            kept = json.loads((await client.read_resource(whole["whole"]))[0].text)
            assert size_bytes(kept) > BUDGET_BYTES
            assert set(kept) == set(content) - {"shortened"}


@pytest.mark.usefixtures("aws_account")
@pytest.mark.parametrize(
    ("server", "tool", "arguments", "total"), WALKED, ids=[walk[1] for walk in WALKED]
)
async def test_the_cursor_leads_to_every_item_once(
    server: str, tool: str, arguments: dict[str, Any], total: int, patient: Settings,
    crowd: Answers,
) -> None:  # fmt: skip
    seen: list[str] = []
    told = set()
    async with crowded_client(server, patient, crowd) as client:
        cursor = None
        while True:
            answer = await client.call_tool(tool, {**arguments, "cursor": cursor})
            assert max(sizes(answer)) <= BUDGET_BYTES
            content = answer.structured_content
            assert "shortened" not in content
            named = next(n for n in PAGED if n in content)
            seen += [json.dumps(item, sort_keys=True) for item in content[named]]
            totals = {"total", "total_findings", "total_exposures", "total_risks"} & content.keys()
            told |= {content[name] for name in totals}
            if not (cursor := content["cursor"]):
                break
    assert len(seen) == len(set(seen))
    assert told <= {len(seen)}
    assert len(seen) == (total or told.pop())
    assert len(seen) >= MANY // 5


PAGED = ("items", "findings", "exposures", "risks", "lines")


@pytest.mark.parametrize("name", [s for s in SERVERS if s not in {"knowledge", "cicd"}])
async def test_every_reading_tool_is_tried(name: str, settings: Settings) -> None:
    async with client_of_server(name, settings) as client:
        reading = {t.name for t in await client.list_tools() if t.annotations.read_only_hint}
    assert reading == {tool for server, tool, *_ in READS if server == name} | (
        reading & set(ELSEWHERE)
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of `MANY` commits with long subjects, each with its tag and its branch."""
    place = tmp_path_factory.mktemp("crowded") / "repository"
    git = ["git", "-C", str(place)]
    subprocess.run(["git", "init", "-q", "-b", "main", str(place)], check=True)
    stream = []
    for n in range(MANY):
        subject = f"feat: change {n} " + "of much that is said at length " * 8
        stream.append(
            f"commit refs/heads/main\nmark :{n + 1}\n"
            f"committer a <a@b.c> {1_700_000_000 + n} +0000\n"
            f"data {len(subject)}\n{subject}\n"
            f"M 100644 inline src/{n}.py\ndata 2\nx\n\n"
            f"reset refs/tags/v1.{n // 100}.{n % 100}\nfrom :{n + 1}\n\n"
            f"reset refs/heads/topic-{n}\nfrom :{n + 1}\n\n"
        )
    subprocess.run(
        [*git, "fast-import", "--quiet"], input="".join(stream).encode(), check=True, timeout=120
    )
    subprocess.run([*git, "pack-refs", "--all"], check=True)
    return place


async def test_thousands_of_versions_and_commits_come_in_pages(
    repository: Path, settings: Settings
) -> None:
    async with client_of_server("cicd", settings) as client:

        async def walk(tool: str, *path: str, **arguments: Any) -> list[str]:
            seen, cursor = [], None
            while True:
                asked = {"repository": str(repository), **arguments}
                answer = await client.call_tool(tool, {**asked, "cursor": cursor})
                assert max(sizes(answer)) <= BUDGET_BYTES, tool
                found = functools.reduce(lambda a, key: a[key], path, answer.structured_content)
                seen += [item.get("version") or item["commit"] for item in found["items"]]
                if not (cursor := found["cursor"]):
                    assert found["total"] == len(seen)
                    return seen

        inspected = await client.call_tool("inspect_repository", {"repository": str(repository)})
        assert max(sizes(inspected)) <= BUDGET_BYTES
        versions = await walk("list_versions")
        assert len(versions) == len(set(versions)) == MANY
        between = {"from_version": "v1.0.0", "to_version": "v1.9.99"}
        commits = await walk("compare_versions", "commits", **between)
        assert len(commits) == len(set(commits)) == 999
        whole = {"from_version": "v1.0.0", "to_version": "v1.19.99"}
        answer = await client.call_tool(
            "compare_versions", {"repository": str(repository), **whole}
        )
        assert max(sizes(answer)) <= BUDGET_BYTES
        assert answer.structured_content["commits"]["total"] == MANY - 1


@pytest.mark.parametrize("name", SERVERS)
async def test_a_caller_that_reads_the_structured_form_gets_one_line_of_text(
    name: str, settings: Settings
) -> None:
    for answers, longest in (("structured", 300), ("both", BUDGET_BYTES)):
        chosen = dataclasses.replace(settings, answers=answers)  # type: ignore[arg-type]
        async with client_of_server(name, chosen) as client:
            answer = await client.call_tool("can_handle", {"task": "list what there is"})
        text = answer.content[0].text
        assert len(text) <= longest
        assert (
            (json.loads(text) == answer.structured_content)
            if answers == "both"
            else (text == "See the structured content.")
        )
