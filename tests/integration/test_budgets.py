"""No tool of any server answers with more than its budget, however much there is."""

import dataclasses
import importlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from tests.integration.crowded import MANY, CrowdedSessions
from tests.integration.servers import SERVERS, client_of_server

from opswright_core.canonical import size_bytes
from opswright_core.pages import BUDGET_BYTES
from opswright_core.settings import Settings

EACH = 300
"""Resources of a kind where a tool makes a dozen calls for each of them."""

VPC, INSTANCE = "vpc-00000000000000001", "i-00000000000000001"
METRIC = {
    "namespace": "AWS/EC2", "metric": "CPUUtilization", "dimensions": {"InstanceId": INSTANCE},
}  # fmt: skip
PATH = {"source": "internet", "destination": INSTANCE, "port": 80}
RUN_INSTANCES = {"service": "ec2", "operation": "RunInstances"}
PARTS = [{"kind": "ec2", "type": "m7g.large"}] * 100
POLICY = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}] * 300}
READS: list[tuple[str, str, dict[str, Any], int]] = [
    ("aws_devops", "list_resources", {}, MANY),
    ("aws_devops", "get_resource", {"resource_id": VPC}, EACH),
    ("aws_devops", "verify_high_availability", {"vpc_id": VPC}, EACH),
    ("aws_devops", "check_reachability", PATH, EACH),
    ("aws_devops", "draw_topology", {"vpc": VPC}, EACH),
    ("aws_devops", "get_stack", {"name": "shop", "events": 100}, EACH),
    ("aws_devops", "find_operation", {"query": "describe all instances", "limit": 30}, MANY),
    ("aws_devops", "describe_operation", RUN_INSTANCES, MANY),
    ("aws_devops", "check_quota", {"build": {"vpcs": 1, "nat_gateways_per_zone": 1}}, EACH),
    ("aws_devops", "read_aws", {"service": "ec2", "operation": "DescribeInstances"}, MANY),
    ("cost", "estimate_monthly_cost", {"components": PARTS}, MANY),
    ("cost", "estimate_existing", {}, MANY),
    ("cost", "get_spend", {}, MANY),
    ("cost", "forecast_spend", {}, MANY),
    ("cost", "find_waste", {"limit": 200}, EACH),
    ("cost", "find_rightsizing", {}, MANY),
    ("cost", "compare_pricing_models", {"instance_type": "m7g.large"}, MANY),
    ("cost", "list_budgets", {}, MANY),
    ("metrics", "diagnose_web_tier", {"asg_name": "shop"}, EACH),
    ("metrics", "get_health", {}, EACH),
    ("metrics", "list_alarms", {}, MANY),
    ("metrics", "triage_alarms", {}, MANY),
    ("metrics", "get_metrics", METRIC, MANY),
    ("metrics", "find_anomalies", METRIC, MANY),
    ("metrics", "list_log_groups", {}, MANY),
    ("metrics", "search_logs", {"log_group": "shop"}, MANY),
    ("metrics", "summarize_logs", {"log_group": "shop"}, MANY),
    ("security", "audit_account", {}, EACH),
    ("security", "review_application", {"vpc_id": VPC}, EACH),
    ("security", "audit_security_groups", {}, MANY),
    ("security", "check_compliance", {"framework": "fsbp"}, EACH),
    ("security", "audit_iam", {}, MANY),
    ("security", "explain_policy", {"policy": json.dumps(POLICY)}, MANY),
    ("security", "list_checks", {}, MANY),
]  # fmt: skip
LISTS = {"list_resources", "find_rightsizing", "list_budgets", "list_alarms", "list_log_groups"}
"""Those whose `total` counts what is in the account, at least `MANY`."""

ELSEWHERE = {
    "find_stack_drift": "a comparison that this account never finishes; pages of core",
    "find_drift": "ten changes of a journal at a time: pages of core",
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


@pytest.mark.usefixtures("aws_account")
@pytest.mark.parametrize(
    ("server", "tool", "arguments", "many"), READS, ids=[read[1] for read in READS]
)
async def test_no_answer_is_longer_than_the_budget(
    server: str, tool: str, arguments: dict[str, Any], many: int, settings: Settings
) -> None:
    made = importlib.import_module(f"opswright_{server}.server").create_server(settings)
    made.opswright_runtime.aws_sessions = CrowdedSessions(many)
    async with Client(made) as client:
        answer = await client.call_tool(tool, arguments, raise_on_error=False)
        assert not answer.is_error, answer.content[0].text
        assert max(sizes(answer)) <= BUDGET_BYTES
        content = answer.structured_content
        if tool in LISTS:
            assert content["total"] >= MANY
            assert content["cursor"]
            assert "shortened" not in content  # or the cursor would skip what was cut
        if whole := content.get("shortened"):
            kept = json.loads((await client.read_resource(whole["whole"]))[0].text)
            assert size_bytes(kept) > BUDGET_BYTES
            assert set(kept) == set(content) - {"shortened"}


@pytest.mark.parametrize("name", [s for s in SERVERS if s not in {"knowledge", "cicd"}])
async def test_every_reading_tool_is_tried(name: str, settings: Settings) -> None:
    async with client_of_server(name, settings) as client:
        reading = {t.name for t in await client.list_tools() if t.annotations.read_only_hint}
    assert reading == {tool for server, tool, *_ in READS if server == name} | (
        reading & set(ELSEWHERE)
    )


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A repository with `MANY` tags of one commit."""
    place = tmp_path / "repository"
    git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run(
        [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
    ).stdout.strip()
    lines = [f"{head} refs/tags/v1.{n // 100}.{n % 100}" for n in range(MANY)]
    (place / ".git" / "packed-refs").write_text("\n".join(sorted(lines)) + "\n")
    return place


async def test_thousands_of_versions_come_in_pages(tagged: Path, settings: Settings) -> None:
    async with client_of_server("cicd", settings) as client:
        for tool in ("list_versions", "inspect_repository"):
            answer = await client.call_tool(tool, {"repository": str(tagged)})
            assert max(sizes(answer)) <= BUDGET_BYTES, tool
            if tool == "list_versions":
                assert answer.structured_content["total"] == MANY
                assert answer.structured_content["cursor"]


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
