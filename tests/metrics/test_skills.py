from dataclasses import replace
from typing import Any

import pytest
from fastmcp import Client
from tests.metrics.conftest import WebTier

from opswright_core.agent.skills import SkillBook, fill
from opswright_core.settings import Settings
from opswright_metrics.server import create_server
from opswright_metrics.skills import incidents, monitoring

BOOK = SkillBook(
    [
        incidents.explain_web_tier,
        incidents.triage_firing_alarms,
        incidents.check_overall_health,
        incidents.find_log_errors,
        monitoring.set_up_monitoring,
    ]
)


async def handle(connect: Any, task: str, **facts: Any) -> dict[str, Any]:
    async with connect(create_server) as client:
        result = await client.call_tool(
            "handle_task", {"task": task, "context": {"facts": facts}}, raise_on_error=False
        )
    answer: dict[str, Any] = result.structured_content
    return answer


@pytest.mark.parametrize(
    ("task", "skill"),
    [
        ("Why is the web tier unhealthy?", "explain_web_tier"),
        ("why are my targets unhealthy behind the load balancer", "explain_web_tier"),
        ("Set up monitoring for the web application called shop", "set_up_monitoring"),
        ("create alarms and a dashboard", "set_up_monitoring"),
        ("Which alarms are firing?", "triage_firing_alarms"),
        ("triage the alarms", "triage_firing_alarms"),
        ("Is everything healthy?", "check_overall_health"),
        ("find errors in log group /app/web", "find_log_errors"),
        ("deploy a new version to production", None),
        ("how much did we spend on storage", None),
    ],
)
def test_a_task_finds_its_skill_and_no_other(task: str, skill: str | None) -> None:
    chosen = BOOK.choose(task)
    assert (chosen.name if chosen else None) == skill


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("find errors in log group /app/web in eu-west-1", {"log_group": "/app/web"}),
        ("errors in the logs of /aws/lambda/orders, last 30 minutes", {"minutes": 30}),
        ("errors in log group app-1 of ap-southeast-2", {"region": "ap-southeast-2"}),
    ],
)
def test_inputs_are_taken_from_the_words(task: str, expected: dict[str, Any]) -> None:
    inputs = fill(incidents.LogErrors, task, {})
    assert isinstance(inputs, incidents.LogErrors), inputs
    assert expected.items() <= inputs.model_dump().items()


async def test_the_reason_for_a_sick_tier_is_handed_to_the_aws_agent(
    connect: Any, client_of: Any, tier: WebTier
) -> None:
    stopped = tier.instance_ids[0]
    client_of("ec2").stop_instances(InstanceIds=[stopped])
    report = await handle(connect, "Why is the web tier unhealthy?")
    assert (report["status"], report["skill"]) == ("completed", "explain_web_tier")
    assert report["outputs"]["causes"][0]["resource"] == stopped
    (message,) = report["messages"]
    assert (message["recipient"], message["intent"]) == ("aws_devops", "warn")
    assert stopped in message["content"]
    assert report["memories"]


async def test_monitoring_is_set_up_from_facts(
    connect: Any, client_of: Any, tier: WebTier, database: str
) -> None:
    report = await handle(
        connect,
        "Set up monitoring for the application named shop and notify ops@example.org",
        load_balancer_arn=tier.load_balancer_arn,
        db_instance_id=database,
    )
    assert report["status"] == "completed", report
    assert report["outputs"]["alarm_count"] == 6
    assert report["outputs"]["dashboard_name"] == "shop"
    assert "never evaluates" in report["summary"]
    assert "ops@example.org" in report["next"]
    (subscription,) = client_of("sns").list_subscriptions()["Subscriptions"]
    assert subscription["Endpoint"] == "ops@example.org"


async def test_what_monitoring_lacks_is_asked_for_by_name(connect: Any, cloud: Any) -> None:
    report = await handle(connect, "set up monitoring")
    assert (report["status"], [need["name"] for need in report["needs"]]) == (
        "needs_input",
        ["name"],
    )
    nothing = await handle(connect, "set up monitoring for the application named shop")
    assert nothing["status"] == "failed"
    assert "at least one of" in nothing["error"]


async def test_alarms_and_health_are_reported_together(connect: Any, client_of: Any) -> None:
    cloudwatch = client_of("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="web-cpu", Namespace="AWS/EC2", MetricName="CPUUtilization", Statistic="Average",
        Period=60, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
        Dimensions=[{"Name": "InstanceId", "Value": "i-1"}],
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="web-cpu", StateValue="ALARM", StateReason="high")
    report = await handle(connect, "Is everything healthy in eu-west-1?")
    assert report["status"] == "completed", report
    assert report["outputs"]["health"]["verdict"] == "FAIL"
    assert report["outputs"]["triage"]["groups"][0]["resource"] == "instance i-1"
    report = await handle(connect, "Which alarms are firing?")
    assert report["outputs"]["firing"] == 1
    assert report["next"]


async def test_errors_in_a_log_are_found_or_the_missing_toolset_is_named(
    connect: Any, client_of: Any, settings: Settings
) -> None:
    client_of("logs").create_log_group(logGroupName="/app/web")
    task = "find errors in log group /app/web"
    report = await handle(connect, task)
    assert report["status"] == "completed"
    assert report["outputs"]["errors"] == 0
    narrow = replace(settings, toolsets=frozenset({"default"}))
    async with Client(create_server(narrow)) as client:
        result = await client.call_tool("handle_task", {"task": task}, raise_on_error=False)
    assert result.structured_content["status"] == "failed"
    assert "--toolsets default,logs" in result.structured_content["next"]
