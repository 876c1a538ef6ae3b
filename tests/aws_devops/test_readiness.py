"""Whether somebody hears of a failure, what is a single point of failure, and what is left."""

from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops import readiness
from opswright_aws_devops.readiness import ALARMED, DEEP, HEEDED, ROOM, Readiness
from opswright_aws_devops.tools.availability import VpcState, judge
from opswright_core.verdicts import Check, Unread

Clients = Callable[[str], Any]
DENIED = Unread(operation="x:Y", reason="not authorized", permission="x:Y")
TOPIC = "arn:aws:sns:eu-west-1:123456789012:shop-alerts"
BALANCER = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/shop/1"


def alarm(name: str = "app/shop/1", dimension: str = "LoadBalancer", **changes: Any) -> Any:
    return {
        "AlarmName": "a", "ActionsEnabled": True, "AlarmActions": [TOPIC],
        "Dimensions": [{"Name": dimension, "Value": name}], **changes,
    }  # fmt: skip


def math(name: str) -> Any:
    metric = {"Dimensions": [{"Name": "LoadBalancer", "Value": name}]}
    return alarm(Dimensions=[], Metrics=[{"Id": "m", "MetricStat": {"Metric": metric}}])


CONFIRMED = {TOPIC: [{"SubscriptionArn": f"{TOPIC}:1"}]}
PENDING = {TOPIC: [{"SubscriptionArn": "PendingConfirmation"}]}


@pytest.mark.parametrize(
    ("alarms", "subscriptions", "verdict"),
    [
        ([alarm()], CONFIRMED, "PASS"),
        ([math("app/shop/1")], CONFIRMED, "PASS"),
        ([alarm()], PENDING, "FAIL"),
        ([alarm()], {TOPIC: []}, "FAIL"),
        ([alarm()], {TOPIC: DENIED}, "UNKNOWN"),
        ([alarm(ActionsEnabled=False)], CONFIRMED, "FAIL"),
        ([alarm(AlarmActions=[])], CONFIRMED, "FAIL"),
        ([alarm(AlarmActions=["arn:aws:ssm:eu-west-1:1:opsitem:1"])], {}, "UNKNOWN"),
        ([alarm(name="app/other/1")], CONFIRMED, "FAIL"),
        ([], {}, "FAIL"),
        (DENIED, {}, "UNKNOWN"),
    ],
)
def test_an_alarm_counts_when_someone_who_confirmed_hears_it(
    alarms: Any, subscriptions: dict[str, Any], verdict: str
) -> None:
    state = Readiness(alarms=alarms, subscriptions=subscriptions)
    (check,) = readiness.judge(state, [{"LoadBalancerArn": BALANCER}], [], [], [])
    assert (check.name, check.verdict, check.resource) == (ALARMED, verdict, BALANCER)


def target_group(path: str, health: str = "HTTP", protocol: str = "HTTP") -> dict[str, Any]:
    return {
        "TargetGroupArn": "tg", "Protocol": protocol, "HealthCheckProtocol": health,
        "HealthCheckPath": path,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("group", "verdicts"),
    [
        (target_group("/health"), ["PASS"]),
        (target_group("/"), ["FAIL"]),
        (target_group("", "TCP"), ["FAIL"]),
        (target_group("", "TCP", "TCP"), []),
    ],
)
def test_a_health_check_asks_a_path_made_for_it(group: Any, verdicts: list[str]) -> None:
    checks = readiness.judge(Readiness(), [], [], [group], [])
    assert [c.verdict for c in checks] == verdicts
    assert {c.name for c in checks} <= {DEEP}


@pytest.mark.parametrize(("kind", "verdict"), [("ELB", "PASS"), ("EC2", "FAIL")])
def test_a_group_behind_a_balancer_heeds_its_health_checks(kind: str, verdict: str) -> None:
    group = {"AutoScalingGroupName": "g", "TargetGroupARNs": ["tg"], "HealthCheckType": kind}
    checks = readiness.judge(Readiness(), [], [group], [], [])
    assert [c.verdict for c in checks if c.name == HEEDED] == [verdict]


CLUSTER = {"CacheClusterId": "c"}
REPLICATED = {"ReplicationGroupId": "r", "AutomaticFailover": "enabled", "MultiAZ": "enabled"}


def endpoint(*subnets: str) -> dict[str, Any]:
    return {"VpcEndpointId": "vpce-1", "SubnetIds": list(subnets)}


def placed(instance: str, zone: str) -> dict[str, Any]:
    tags = [{"Key": "Name", "Value": instance}]
    return {"InstanceId": instance, "Placement": {"AvailabilityZone": zone}, "Tags": tags}


def behind(*instances: str) -> dict[str, Any]:
    targets = [{"Target": {"Id": i}, "TargetHealth": {"State": "healthy"}} for i in instances]
    group = {"TargetGroupArn": "tg", "TargetType": "instance", "HealthCheckEnabled": True}
    return {"target_groups": [group], "health": {"tg": targets}}


@pytest.mark.parametrize(
    ("name", "state", "verdict"),
    [
        ("Cache", {"caches": [CLUSTER]}, "FAIL"),
        ("Cache", {"caches": [REPLICATED]}, "PASS"),
        ("Cache", {"caches": [{**REPLICATED, "MultiAZ": "disabled"}]}, "FAIL"),
        ("Cache", {"caches": DENIED}, "UNKNOWN"),
        ("Interface", {"endpoints": [endpoint("a")]}, "FAIL"),
        ("Interface", {"endpoints": [endpoint("a", "b")]}, "PASS"),
        ("Interface", {"endpoints": DENIED}, "UNKNOWN"),
        ("Targets", {"instances": [placed("x", "a"), placed("y", "b")], **behind("x", "y")},
         "PASS"),
        ("Targets", {"instances": [placed("x", "a"), placed("y", "a")], **behind("x", "y")},
         "FAIL"),
        ("Targets", {"instances": [placed("x", "a")], "emulated": True, **behind("x")}, "FAIL"),
        ("Targets", {"instances": [placed("x", "a"), placed("y", "a")], "emulated": True,
                     **behind("x", "y")}, "UNKNOWN"),
    ],
)  # fmt: skip
def test_a_single_point_of_failure_fails(name: str, state: dict[str, Any], verdict: str) -> None:
    found = [c.verdict for c in judge(VpcState(**state)) if c.name.startswith(name)]
    assert found == [verdict]


async def test_what_was_built_lacks_alarms_until_someone_hears_them(
    agent: Any, client_of: Clients, network: dict[str, Any], balancer: dict[str, str]
) -> None:
    async def alarmed() -> list[str]:
        judged = await agent.call("verify_high_availability", vpc_id=network["vpc_id"])
        checks = [Check(**c) for c in judged["readiness"]]
        if any(c.verdict != "PASS" for c in checks):
            assert "Besides: " in judged["summary"]
        assert judged["verdict"] == "PASS"
        return [c.verdict for c in checks if c.name == ALARMED]

    assert await alarmed() == ["FAIL"]
    topic = client_of("sns").create_topic(Name="shop-alerts")["TopicArn"]
    client_of("cloudwatch").put_metric_alarm(
        AlarmName="shop", Namespace="AWS/ApplicationELB", MetricName="HTTPCode_ELB_5XX_Count",
        Dimensions=[{"Name": "LoadBalancer",
                     "Value": balancer["load_balancer_arn"].partition(":loadbalancer/")[2]}],
        Period=60, EvaluationPeriods=1, Threshold=1, Statistic="Sum", AlarmActions=[topic],
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    assert await alarmed() == ["FAIL"]
    queue = "arn:aws:sqs:eu-west-1:123456789012:shop"
    client_of("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)
    assert await alarmed() == ["PASS"]


async def test_the_quota_for_a_lost_zones_instances_is_looked_at(
    agent: Any, network: dict[str, Any], web_arguments: dict[str, Any]
) -> None:
    await agent.call("create_web_tier", **web_arguments)
    judged = await agent.call("verify_high_availability", vpc_id=network["vpc_id"])
    (room,) = [c for c in judged["readiness"] if c["name"] == ROOM]
    assert room["verdict"] in {"PASS", "UNKNOWN"}
    assert room["evidence"]
