from dataclasses import replace
from typing import Any

import pytest
from tests.metrics.conftest import WebTier, build_tier

from opswright_core.verdicts import Unread
from opswright_metrics.server import create_server
from opswright_metrics.tools.causes import judge
from opswright_metrics.tools.diagnosis import diagnose
from opswright_metrics.tools.reachability import admits
from opswright_metrics.tools.target_reasons import REASONS
from opswright_metrics.tools.tier_facts import (
    Group,
    Instance,
    LoadBalancer,
    Rule,
    SecurityGroup,
    TargetGroup,
    TargetHealth,
    Tier,
)

DENIED = Unread(
    operation="DescribeTargetHealth",
    reason="AccessDenied. Grant elasticloadbalancing:DescribeTargetHealth",
    permission="elasticloadbalancing:DescribeTargetHealth",
)


async def diagnosis(connect: Any, **arguments: Any) -> dict[str, Any]:
    async with connect(create_server) as client:
        result = await client.call_tool("diagnose_web_tier", arguments, raise_on_error=False)
    assert not result.is_error, result.content[0].text
    answer: dict[str, Any] = result.structured_content
    return answer


async def test_an_empty_region_has_nothing_to_diagnose(connect: Any, cloud: Any) -> None:
    found = await diagnosis(connect)
    assert (found["state"], found["verdict"]) == ("nothing_to_diagnose", "UNKNOWN")
    assert "Nothing to diagnose" in found["summary"]
    assert found["causes"] == []


async def test_a_healthy_tier_has_no_cause(connect: Any, tier: WebTier) -> None:
    found = await diagnosis(connect, target_group_arn=tier.target_group_arn)
    assert (found["state"], found["verdict"]) == ("healthy", "PASS"), found
    assert (found["healthy_targets"], found["total_targets"]) == (2, 2)
    assert found["causes"] == []


async def test_a_stopped_instance_is_named_as_the_cause(
    connect: Any, client_of: Any, tier: WebTier
) -> None:
    stopped = tier.instance_ids[0]
    client_of("ec2").stop_instances(InstanceIds=[stopped])
    found = await diagnosis(connect)
    assert (found["state"], found["verdict"]) == ("degraded", "FAIL")
    assert found["causes"][0]["cause"] == f"Instance {stopped} is stopped"
    assert found["targets"][0]["id"] == stopped
    assert found["targets"][0]["reason"] == "Target.InvalidState"
    assert found["targets"][0]["instance_state"] == "stopped"
    assert "1 of 2 targets healthy" in found["summary"]


async def test_all_stopped_is_down(connect: Any, client_of: Any, tier: WebTier) -> None:
    client_of("ec2").stop_instances(InstanceIds=tier.instance_ids)
    found = await diagnosis(connect, target_group_arn=tier.target_group_arn)
    assert (found["state"], found["verdict"]) == ("down", "FAIL")


async def test_a_security_group_that_shuts_the_load_balancer_out_is_the_cause(
    connect: Any, client_of: Any, tier: WebTier
) -> None:
    ec2 = client_of("ec2")
    (app,) = ec2.describe_security_groups(GroupIds=[tier.app_sg])["SecurityGroups"]
    ec2.revoke_security_group_ingress(GroupId=tier.app_sg, IpPermissions=app["IpPermissions"])
    found = await diagnosis(connect, target_group_arn=tier.target_group_arn)
    assert found["verdict"] == "FAIL"
    assert "does not let load balancer web in on port 8080" in found["causes"][0]["cause"]
    assert found["causes"][0]["next"] == (
        f"Add an ingress rule to {tier.app_sg}: TCP 8080 from {tier.lb_sg}."
    )


async def test_a_load_balancer_that_may_not_send_is_the_cause(
    connect: Any, client_of: Any, tier: WebTier
) -> None:
    ec2 = client_of("ec2")
    (lb,) = ec2.describe_security_groups(GroupIds=[tier.lb_sg])["SecurityGroups"]
    ec2.revoke_security_group_egress(GroupId=tier.lb_sg, IpPermissions=lb["IpPermissionsEgress"])
    found = await diagnosis(connect)
    assert "lets nothing out to port 8080" in found["causes"][0]["cause"]


async def test_a_target_group_without_targets_is_down(connect: Any, client_of: Any) -> None:
    built = build_tier(client_of, instances=0)
    found = await diagnosis(connect, target_group_arn=built.target_group_arn)
    assert found["state"] == "down"
    assert found["causes"][0]["cause"] == "Target group web has no targets"


async def test_a_group_scaled_to_zero_is_named(
    connect: Any, client_of: Any, tier: WebTier, asg: str
) -> None:
    found = await diagnosis(connect, asg_name=asg)
    assert found["verdict"] == "PASS"
    client_of("autoscaling").update_auto_scaling_group(AutoScalingGroupName=asg, DesiredCapacity=0)
    found = await diagnosis(connect, asg_name=asg)
    assert any("scaled to zero" in cause["cause"] for cause in found["causes"])


async def test_firing_alarms_and_5xx_are_symptoms_after_the_cause(
    connect: Any, client_of: Any, tier: WebTier
) -> None:
    cloudwatch = client_of("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="web-5xx", Namespace="AWS/ApplicationELB", MetricName="HTTPCode_ELB_5XX_Count",
        Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="web-5xx", StateValue="ALARM", StateReason="test")
    cloudwatch.put_metric_data(
        Namespace="AWS/ApplicationELB",
        MetricData=[
            {
                "MetricName": "HTTPCode_ELB_5XX_Count",
                "Dimensions": [
                    {
                        "Name": "LoadBalancer",
                        "Value": tier.load_balancer_arn.split("loadbalancer/")[1],
                    }
                ],
                "Value": 12,
            }
        ],
    )
    client_of("ec2").stop_instances(InstanceIds=tier.instance_ids[:1])
    found = await diagnosis(connect, target_group_arn=tier.target_group_arn)
    ranks = [cause["rank"] for cause in found["causes"]]
    assert ranks == sorted(ranks)
    assert found["causes"][-1]["cause"] == "1 alarms are firing"
    assert any("12 web HTTPCode_ELB_5XX_Count" in cause["cause"] for cause in found["causes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"target_group_arn": "web"}, "not a target group's ARN"),
        (
            {
                "target_group_arn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:"
                "targetgroup/nope/0123456789abcdef"
            },
            "no target group",
        ),
        ({"asg_name": "nope"}, "no Auto Scaling group 'nope'"),
        ({"target": {"region": "europe"}}, "not an AWS region"),
    ],
)
async def test_bad_input_says_what_is_wrong(
    connect: Any, cloud: Any, arguments: dict[str, Any], said: str
) -> None:
    async with connect(create_server) as client:
        result = await client.call_tool("diagnose_web_tier", arguments, raise_on_error=False)
    assert result.is_error
    assert said in result.content[0].text


LB = LoadBalancer(
    arn="lb", name="web", dimension="app/web/1", state="active", zones=("eu-west-1a",),
    security_groups=("sg-lb",), subnet_cidrs=("10.0.0.0/24",),
)  # fmt: skip
INSTANCE = Instance(
    id="i-1", state="running", zone="eu-west-1a", private_ip="10.0.0.4",
    security_groups=("sg-app",), status="ok",
)  # fmt: skip
FROM_LB = Rule(protocol="tcp", from_port=80, to_port=80, groups=("sg-lb",))
ANYWHERE = Rule(protocol="-1", from_port=0, to_port=65535, cidrs=("0.0.0.0/0",))


def group(*targets: TargetHealth) -> TargetGroup:
    return TargetGroup(
        arn="tg", name="web", port=80, target_type="instance", health_check="HTTP /health",
        health_check_port="traffic-port", load_balancers=("lb",), targets=targets,
    )  # fmt: skip


STARVED = Group(
    name="web", desired=2, in_service=1, unhealthy=0, suspended=("Launch",),
    failures=("We currently do not have sufficient t3.micro capacity",),
)  # fmt: skip


def well() -> Tier:
    return Tier(
        target_groups=(group(TargetHealth(id="i-1", port=80, state="healthy")),),
        load_balancers={"lb": LB},
        instances={"i-1": INSTANCE},
        security_groups={
            "sg-app": SecurityGroup(id="sg-app", ingress=(FROM_LB,), egress=(ANYWHERE,)),
            "sg-lb": SecurityGroup(id="sg-lb", ingress=(), egress=(ANYWHERE,)),
        },
        groups=(Group(name="web", desired=1, in_service=1, unhealthy=0, suspended=()),),
        errors={"web HTTPCode_ELB_5XX_Count": 0.0},
    )


def test_a_tier_with_all_well_passes_every_check() -> None:
    checks, causes = judge(well())
    assert {c.verdict for c in checks} == {"PASS"}
    assert causes == []


@pytest.mark.parametrize("reason", [r for r in REASONS if r != "Target.DeregistrationInProgress"])
def test_every_reason_code_becomes_a_cause_with_a_next_step(reason: str) -> None:
    sick = group(TargetHealth(id="i-1", port=80, state="unhealthy", reason=reason))
    found = diagnose(replace(well(), target_groups=(sick,)))
    assert found.state == "down"
    assert REASONS[reason][1] in found.causes[0].cause
    assert found.causes[0].next == REASONS[reason][2]


def test_a_target_group_that_nothing_forwards_to_is_a_cause() -> None:
    loose = replace(group(TargetHealth(id="i-1", port=80, state="healthy")), load_balancers=())
    assert (
        "No listener forwards" in diagnose(replace(well(), target_groups=(loose,))).causes[0].cause
    )


def test_many_stopped_instances_are_one_cause_beside_the_others() -> None:
    stopped = {f"i-{n}": replace(INSTANCE, id=f"i-{n}", state="stopped") for n in range(40)}
    found = diagnose(replace(well(), instances=stopped, groups=(STARVED,)))
    assert [cause.cause for cause in found.causes[:2]] == [
        "40 instances are stopped",
        "Auto Scaling group web cannot launch instances",
    ]


def test_an_instance_that_stops_while_it_drains_is_no_fault() -> None:
    targets = group(
        TargetHealth(id="i-1", port=80, state="healthy"),
        TargetHealth(id="i-2", port=80, state="draining", reason="Target.DeregistrationInProgress"),
    )
    leaving = replace(INSTANCE, id="i-2", state="shutting-down")
    both = {"i-1": INSTANCE, "i-2": leaving}
    found = diagnose(replace(well(), target_groups=(targets,), instances=both))
    assert (found.state, found.verdict) == ("healthy", "PASS")


def test_target_groups_left_out_are_not_called_healthy() -> None:
    found = diagnose(replace(well(), left_out=3))
    assert (found.verdict, found.unread) == (
        "UNKNOWN",
        ["3 more target groups were not looked at; name one"],
    )


def test_draining_and_starting_targets_beside_a_healthy_one_are_no_fault() -> None:
    targets = group(
        TargetHealth(id="i-1", port=80, state="healthy"),
        TargetHealth(id="i-1", port=80, state="draining", reason="Target.DeregistrationInProgress"),
        TargetHealth(id="i-1", port=80, state="initial", reason="Elb.InitialHealthChecking"),
    )
    found = diagnose(replace(well(), target_groups=(targets,)))
    assert (found.state, found.verdict) == ("healthy", "PASS")


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"instances": {"i-1": replace(INSTANCE, status="impaired")}}, "is failing status checks"),
        ({"instances": {"i-1": replace(INSTANCE, zone="eu-west-1c")}}, "in eu-west-1c, which"),
        ({"load_balancers": {"lb": replace(LB, state="failed")}}, "Load balancer web is failed"),
        ({"groups": (STARVED,)}, "cannot launch instances"),
        ({"groups": (replace(STARVED, desired=0),)}, "scaled to zero"),
        ({"target_groups": (replace(group(), load_balancers=()),)}, "has no targets"),
    ],
)  # fmt: skip
def test_each_fault_is_named(changed: dict[str, Any], cause: str) -> None:
    found = diagnose(replace(well(), **changed))
    assert found.verdict == "FAIL"
    assert cause in found.causes[0].cause


@pytest.mark.parametrize(
    "part",
    [
        "target_groups",
        "load_balancers",
        "instances",
        "security_groups",
        "groups",
        "alarms",
        "errors",
    ],
)
def test_what_was_not_read_is_unknown_and_never_healthy(part: str) -> None:
    found = diagnose(replace(well(), **{part: DENIED}))  # type: ignore[arg-type]
    assert (found.state, found.verdict) == ("unknown", "UNKNOWN")
    assert any("Grant elasticloadbalancing:DescribeTargetHealth" in text for text in found.unread)


def test_unread_target_health_gives_no_count() -> None:
    unread = replace(group(), targets=DENIED)
    found = diagnose(replace(well(), target_groups=(unread,)))
    assert (found.healthy_targets, found.total_targets, found.state) == (None, None, "unknown")


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        (FROM_LB, True),
        (ANYWHERE, True),
        (Rule(protocol="tcp", from_port=80, to_port=80, cidrs=("10.0.0.0/16",)), True),
        (Rule(protocol="tcp", from_port=80, to_port=80, cidrs=("10.9.0.0/16",)), False),
        (Rule(protocol="tcp", from_port=443, to_port=443, groups=("sg-lb",)), False),
        (Rule(protocol="udp", from_port=80, to_port=80, groups=("sg-lb",)), False),
        (Rule(protocol="tcp", from_port=80, to_port=80, prefix_lists=("pl-1",)), None),
    ],
)
def test_rules_admit_by_group_or_by_covering_network(rule: Rule, answer: bool | None) -> None:
    assert admits([rule], 80, groups=["sg-lb"], networks=["10.0.0.0/24"]) is answer


def test_targets_by_address_are_not_claimed_to_be_reachable() -> None:
    by_ip = replace(group(TargetHealth(id="10.0.0.9", port=80, state="healthy")), target_type="ip")
    found = diagnose(replace(well(), target_groups=(by_ip,)))
    assert (found.state, found.verdict) == ("unknown", "UNKNOWN")
