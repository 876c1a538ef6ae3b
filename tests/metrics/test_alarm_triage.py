from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opswright_metrics.server import create_server
from opswright_metrics.tools.triage import Alarm, resource_of, triage

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def put(
    cloudwatch: Any, name: str, metric: str, namespace: str, dimensions: dict[str, str], state: str
) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace=namespace, MetricName=metric, Statistic="Average", Period=60,
        Dimensions=[{"Name": k, "Value": v} for k, v in dimensions.items()], EvaluationPeriods=3,
        Threshold=80, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason=f"{name} crossed")


@pytest.fixture
def alarms(client_of: Any) -> None:
    cloudwatch = client_of("cloudwatch")
    lb = {"LoadBalancer": "app/web/1"}
    put(cloudwatch, "shop-latency", "TargetResponseTime", "AWS/ApplicationELB", lb, "ALARM")
    put(cloudwatch, "shop-5xx", "HTTPCode_Target_5XX_Count", "AWS/ApplicationELB", lb, "ALARM")
    db = {"DBInstanceIdentifier": "orders-db"}
    put(cloudwatch, "shop-db-cpu", "CPUUtilization", "AWS/RDS", db, "ALARM")
    put(cloudwatch, "shop-db-storage", "FreeStorageSpace", "AWS/RDS", db, "OK")


async def test_alarms_are_listed_firing_ones_first_with_why(connect: Any, alarms: None) -> None:
    async with connect(create_server) as client:
        everything = (await client.call_tool("list_alarms", {})).structured_content
        firing = await client.call_tool("list_alarms", {"state": "ALARM", "name_prefix": "shop-db"})
    assert everything["summary"] == "4 alarms, 3 firing, 4 notify nobody"
    assert [line["state"] for line in everything["items"]] == ["ALARM"] * 3 + ["OK"]
    (line,) = firing.structured_content["items"]
    assert (line["name"], line["reason"]) == ("shop-db-cpu", "shop-db-cpu crossed")
    assert line["condition"] == "Average GreaterThanThreshold 80, 3 of 3 x 60 s"


async def test_pages_of_alarms_follow_each_other(connect: Any, client_of: Any) -> None:
    cloudwatch = client_of("cloudwatch")
    for number in range(60):
        put(cloudwatch, f"a-{number:02}", "CPUUtilization", "AWS/EC2", {"InstanceId": "i-1"}, "OK")
    async with connect(create_server) as client:
        first = (await client.call_tool("list_alarms", {})).structured_content
        second = await client.call_tool("list_alarms", {"cursor": first["cursor"]})
        wrong = await client.call_tool("list_alarms", {"cursor": "x-1"}, raise_on_error=False)
    names = [a["name"] for a in first["items"] + second.structured_content["items"]]
    assert names == [f"a-{number:02}" for number in range(60)]
    assert wrong.is_error


async def test_an_unknown_state_is_refused(connect: Any, cloud: Any) -> None:
    async with connect(create_server) as client:
        result = await client.call_tool("list_alarms", {"state": "RED"}, raise_on_error=False)
    assert result.is_error
    assert "state" in result.content[0].text


async def test_firing_alarms_are_grouped_by_resource_with_a_common_cause(
    connect: Any, alarms: None
) -> None:
    async with connect(create_server) as client:
        found = (await client.call_tool("triage_alarms", {})).structured_content
    assert found["firing"] == 3
    assert [g["resource"] for g in found["groups"]] == ["load balancer web", "database orders-db"]
    assert found["groups"][0]["severity"] == "critical"
    assert found["groups"][0]["alarms"] == ["shop-5xx", "shop-latency"]
    assert "database is saturated" in found["common_cause"]


async def test_no_firing_alarm_is_said_plainly(connect: Any, cloud: Any) -> None:
    async with connect(create_server) as client:
        found = (await client.call_tool("triage_alarms", {})).structured_content
    assert found["summary"] == "No metric alarm is firing."
    assert found["groups"] == []


def alarm(metric: str, namespace: str = "AWS/ApplicationELB", **dimensions: str) -> Alarm:
    return Alarm(name=metric, metric=metric, namespace=namespace, dimensions=dimensions, since=NOON)


@pytest.mark.parametrize(
    ("alarms", "cause"),
    [
        (
            [alarm("UnHealthyHostCount"), alarm("HTTPCode_ELB_5XX_Count")],
            "fail their health checks",
        ),
        ([alarm("DatabaseConnections", "AWS/RDS"), alarm("TargetResponseTime")], "database"),
        ([alarm("CPUUtilization", "AWS/EC2"), alarm("TargetResponseTime")], "short of CPU"),
        ([alarm("CPUUtilization", "AWS/EC2"), alarm("CPUUtilization", "AWS/RDS")], "more load"),
        ([alarm("CPUUtilization", "AWS/EC2")], ""),
        ([], ""),
    ],
)
def test_metrics_that_fire_together_tell_a_common_cause(alarms: list[Alarm], cause: str) -> None:
    found = triage(alarms).common_cause
    assert cause in found
    assert bool(found) == bool(cause)


def test_the_one_that_went_off_first_leads_its_severity() -> None:
    early = alarm("CPUUtilization", "AWS/EC2", InstanceId="i-2")
    late = alarm("CPUUtilization", "AWS/EC2", InstanceId="i-1").model_copy(
        update={"since": NOON + timedelta(minutes=5)}
    )
    assert [g.resource for g in triage([late, early]).groups] == ["instance i-2", "instance i-1"]


def test_an_unknown_metric_is_medium_and_points_to_its_figures() -> None:
    (group,) = triage([alarm("QueueDepth", "Shop")], composites=1).groups
    assert (group.severity, group.resource) == ("medium", "Shop")
    assert group.next == "Call get_metrics for Shop QueueDepth."


def test_the_target_group_is_the_resource_before_its_load_balancer() -> None:
    both = alarm("UnHealthyHostCount", LoadBalancer="app/web/1", TargetGroup="targetgroup/api/2")
    assert resource_of(both) == "target group api"
