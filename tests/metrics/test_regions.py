"""Health, alarms and logs over several regions."""

from typing import Any

import boto3
import pytest
from fastmcp import Client
from tests.denied import REFUSED, DeniedSessions

from opswright_core.settings import Settings
from opswright_metrics.server import create_server

HERE, THERE, DENIED = "eu-west-1", "us-east-1", "us-west-2"
EVERY = {"region": f"{HERE},{THERE},{DENIED}"}


@pytest.fixture
def alarms(cloud: Any) -> None:
    """In each region an alarm of the same name on the same metric, firing, and a log group."""
    for region in (HERE, THERE, DENIED):
        cloudwatch = boto3.client("cloudwatch", endpoint_url=cloud.endpoint, region_name=region)
        cloudwatch.put_metric_alarm(
            AlarmName="cpu", Namespace="AWS/EC2", MetricName="CPUUtilization", Statistic="Average",
            Period=60, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
            Dimensions=[{"Name": "AutoScalingGroupName", "Value": "web"}],
        )  # fmt: skip
        cloudwatch.set_alarm_state(AlarmName="cpu", StateValue="ALARM", StateReason="high")
        logs = boto3.client("logs", endpoint_url=cloud.endpoint, region_name=region)
        logs.create_log_group(logGroupName="/app/web")


async def ask(settings: Settings, tool: str, sessions: Any, **arguments: Any) -> Any:
    made: Any = create_server(settings)
    made.opswright_runtime.aws_sessions = sessions
    async with Client(made) as client:
        return (await client.call_tool(tool, arguments)).structured_content


@pytest.mark.usefixtures("alarms")
async def test_health_of_three_regions_is_counted_and_the_refused_one_is_unknown(
    settings: Settings,
) -> None:
    found = await ask(settings, "get_health", DeniedSessions(DENIED), target=EVERY)
    assert found["verdict"] == "FAIL"
    assert found["firing"] == [{"id": "cpu", "region": HERE}, {"id": "cpu", "region": THERE}]
    assert found["alarms"] == {"ALARM": 2}
    unknown = [c for c in found["checks"] if c["verdict"] == "UNKNOWN"]
    assert len(unknown) == 4  # alarms, targets, instances, databases
    assert {c["resource"] for c in unknown} == {DENIED}
    assert all(REFUSED in c["evidence"] for c in unknown)
    assert "at least 2 alarms" in found["summary"]


async def test_a_refused_region_keeps_the_others_from_passing(
    settings: Settings, cloud: Any
) -> None:
    for sessions, verdict in ((DeniedSessions(), "PASS"), (DeniedSessions(DENIED), "UNKNOWN")):
        found = await ask(settings, "get_health", sessions, target=EVERY)
        assert found["verdict"] == verdict


@pytest.mark.usefixtures("alarms")
async def test_alarms_of_the_same_name_are_kept_apart_by_region(settings: Settings) -> None:
    listed = await ask(settings, "list_alarms", DeniedSessions(DENIED), target=EVERY)
    assert [(a["region"], a["name"]) for a in listed["items"]] == [(HERE, "cpu"), (THERE, "cpu")]
    assert listed["total"] == 2
    assert listed["unread"][0].startswith(f"{DENIED}: ")
    found = await ask(settings, "triage_alarms", DeniedSessions(DENIED), target=EVERY)
    assert [(g["region"], g["resource"]) for g in found["groups"]] == [
        (HERE, "Auto Scaling group web"), (THERE, "Auto Scaling group web"),
    ]  # fmt: skip
    assert found["firing"] == 2
    assert found["unread"][0].startswith(f"{DENIED}: ")


@pytest.mark.usefixtures("alarms")
async def test_log_groups_of_several_regions_are_listed(settings: Settings) -> None:
    found = await ask(settings, "list_log_groups", DeniedSessions(DENIED), target=EVERY)
    assert [(g["region"], g["name"]) for g in found["items"]] == [
        (HERE, "/app/web"), (THERE, "/app/web"),
    ]  # fmt: skip
    assert found["unread"][0].startswith(f"{DENIED}: ")


@pytest.mark.usefixtures("alarms")
async def test_alarms_are_triaged_everywhere_when_the_task_says_so(settings: Settings) -> None:
    task = "which alarms are firing in all regions"
    report = await ask(settings, "handle_task", DeniedSessions(), task=task)
    assert {g["region"] for g in report["outputs"]["groups"]} == {HERE, THERE, DENIED}
