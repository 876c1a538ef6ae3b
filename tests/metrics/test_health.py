from typing import Any

from tests.metrics.conftest import WebTier

from opswright_core.verdicts import Unread
from opswright_metrics.server import create_server
from opswright_metrics.tools.health import RegionState, judge_health
from opswright_metrics.tools.tier_facts import TargetGroup

DENIED = Unread(
    operation="DescribeAlarms", reason="Grant cloudwatch:DescribeAlarms", permission="x"
)


async def health(connect: Any) -> dict[str, Any]:
    async with connect(create_server) as client:
        answer: dict[str, Any] = (await client.call_tool("get_health", {})).structured_content
    return answer


async def test_a_healthy_region_is_counted_and_passes(
    connect: Any, tier: WebTier, database: str
) -> None:
    found = await health(connect)
    assert found["verdict"] == "PASS"
    assert found["target_groups"] == [
        {"name": "web", "region": "eu-west-1", "healthy": 2, "total": 2}
    ]
    assert found["instances"] == {"running": 2}
    assert found["databases"] == [
        {"id": "orders-db", "region": "eu-west-1", "status": "available", "engine": "postgres"}
    ]
    assert "0 alarms, 1 target groups, 2 instances, 1 databases" in found["summary"]


async def test_what_is_wrong_is_named(connect: Any, client_of: Any, tier: WebTier) -> None:
    client_of("ec2").stop_instances(InstanceIds=tier.instance_ids[:1])
    cloudwatch = client_of("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="web-cpu", Namespace="AWS/EC2", MetricName="CPUUtilization", Statistic="Average",
        Period=60, EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="web-cpu", StateValue="ALARM", StateReason="high")
    found = await health(connect)
    assert found["verdict"] == "FAIL"
    assert found["firing"] == [{"id": "web-cpu", "region": "eu-west-1"}]
    assert found["alarms"] == {"ALARM": 1}
    assert "web 1/2" in found["summary"]
    assert found["instances"] == {"running": 1, "stopped": 1}


def state(**read: Any) -> RegionState:
    return RegionState(**{"alarms": [], "groups": [], "statuses": [], "databases": [], **read})


def database(name: str, state: str) -> dict[str, Any]:
    return {"DBInstanceIdentifier": name, "DBInstanceStatus": state, "Engine": "mysql"}


def status(instance_id: str, checks: str) -> dict[str, Any]:
    return {
        "InstanceId": instance_id,
        "InstanceState": {"Name": "running"},
        "InstanceStatus": {"Status": checks},
        "SystemStatus": {"Status": "ok"},
    }


def test_failing_status_checks_and_databases_that_do_not_serve_fail() -> None:
    databases = [database("a", "modifying"), database("b", "storage-full")]
    statuses = [status("i-1", "impaired"), status("i-2", "ok")]
    found = judge_health({"eu-west-1": state(statuses=statuses, databases=databases)})
    assert found.verdict == "FAIL"
    assert [i.id for i in found.failed_instances] == ["i-1"]
    assert [db.id for db in found.databases] == ["b", "a"]
    assert "b is storage-full" in found.summary


def test_what_was_not_read_is_unknown_and_has_no_counts() -> None:
    found = judge_health(
        {"eu-west-1": state(alarms=DENIED, groups=DENIED, statuses=DENIED, databases=DENIED)}
    )
    assert found.verdict == "UNKNOWN"
    assert (found.alarms, found.instances) == (None, None)
    assert "Grant cloudwatch:DescribeAlarms" in found.summary


def test_one_unread_target_group_keeps_the_rest_from_passing() -> None:
    unread = TargetGroup(
        arn="tg", name="web", port=80, target_type="instance", health_check="",
        health_check_port="80", load_balancers=("lb",), targets=DENIED,
    )  # fmt: skip
    found = judge_health({"eu-west-1": state(groups=[unread])})
    assert found.verdict == "UNKNOWN"
    assert found.target_groups[0].healthy is None
