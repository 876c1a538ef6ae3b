"""Scaling of a group: on targets and by the clock, given back as it was."""

from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.tools.scaling import Scaling, ScheduledSize, State, judge_scaling

Clients = Callable[[str], Any]
NIGHT = {"name": "night", "recurrence": "0 20 * * *", "min_size": 1, "desired": 1}
DAY = {
    "name": "day", "recurrence": "0 7 * * MON-FRI", "time_zone": "Europe/Berlin", "min_size": 3,
    "max_size": 9,
}  # fmt: skip


@pytest.fixture
async def shop(agent: Any, web_arguments: dict[str, Any]) -> str:
    await agent.call("create_web_tier", **web_arguments)
    return "shop"


@pytest.fixture
def scaled(client_of: Clients) -> Callable[[], dict[str, Any]]:
    """The targets of policies and the sizes by the clock, of all groups."""
    asg = client_of("autoscaling")

    def read() -> dict[str, Any]:
        actions = asg.describe_scheduled_actions()["ScheduledUpdateGroupActions"]
        return {
            "policies": {
                p["PolicyName"]: p["TargetTrackingConfiguration"]["TargetValue"]
                for p in asg.describe_policies()["ScalingPolicies"]
            },
            "sizes": {a["ScheduledActionName"]: (a["Recurrence"], a["MinSize"]) for a in actions},
        }

    return read


async def test_a_group_scales_on_targets_and_by_the_clock_and_back(
    agent: Any, shop: str, scaled: Any, client_of: Clients, balancer: dict[str, str]
) -> None:
    before = scaled()
    assert before["policies"] == {"cpu": 60.0}
    asked = {
        "asg_name": shop, "cpu_percent": 50, "requests_per_target": 800, "scheduled": [NIGHT, DAY],
    }  # fmt: skip
    change = await agent.call("set_scaling", **asked)
    assert scaled() == {
        "policies": {"cpu": 50.0, "requests": 800.0},
        "sizes": {"night": ("0 20 * * *", 1), "day": ("0 7 * * MON-FRI", 3)},
    }
    policies = client_of("autoscaling").describe_policies(PolicyNames=["requests"])
    tracked = policies["ScalingPolicies"][0]["TargetTrackingConfiguration"]
    label = tracked["PredefinedMetricSpecification"]["ResourceLabel"]
    assert label.startswith("app/shop")
    assert balancer["target_group_arn"].endswith(label[label.index("targetgroup/") :])
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    again = await agent.call("set_scaling", **asked)
    assert again["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert scaled() == before


async def test_a_size_that_is_set_anew_is_given_back(agent: Any, shop: str, scaled: Any) -> None:
    await agent.call("set_scaling", asg_name=shop, scheduled=[NIGHT])
    before = scaled()
    other = {**NIGHT, "recurrence": "0 22 * * *"}
    change = await agent.call("set_scaling", asg_name=shop, scheduled=[other])
    assert scaled()["sizes"] == {"night": ("0 22 * * *", 1)}
    await agent.call("undo_change", change_id=change["change_id"])
    assert scaled() == before


@pytest.mark.parametrize("refused", ["PutScalingPolicy", "PutScheduledUpdateGroupAction"])
async def test_scaling_that_was_cut_off_is_undone_or_resumed(
    watched: Any, client_of: Clients, scaled: Any, refused: str
) -> None:
    ec2, asg = client_of("ec2"), client_of("autoscaling")
    subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
    ec2.create_launch_template(
        LaunchTemplateName="shop", LaunchTemplateData={"ImageId": "ami-12c6146b"}
    )
    asg.create_auto_scaling_group(
        AutoScalingGroupName="shop", MinSize=0, MaxSize=4, VPCZoneIdentifier=subnet,
        LaunchTemplate={"LaunchTemplateName": "shop"},
    )  # fmt: skip
    before = scaled()
    asked = {"asg_name": "shop", "cpu_percent": 50, "scheduled": [NIGHT, DAY]}
    cut_off = await watched.cut_off("set_scaling", refused, **asked)
    await watched.call("undo_change", change_id=cut_off["change_id"])
    assert scaled() == before
    await watched.cut_off("set_scaling", refused, **asked)
    resumed = await watched.call("set_scaling", **asked)
    assert resumed["status"] == "done"
    undone = await watched.call("undo_change", change_id=resumed["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert scaled() == before
    said = await watched.refused("set_scaling", asg_name="shop", requests_per_target=100)
    assert "is in 0 target groups" in said


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"cpu_percent": 50}, "no auto-scaling group 'nothing'"),
        ({}, "Give cpu_percent"),
        ({"scheduled": [{**NIGHT, "recurrence": "at night"}]}, "cron of five fields"),
        ({"scheduled": [{**NIGHT, "time_zone": "Mars/Olympus"}]}, "no time zone"),
        ({"scheduled": [{"name": "x", "recurrence": "0 1 * * *"}]}, "give min_size"),
        ({"scheduled": [{**NIGHT, "min_size": 5}]}, "must hold"),
    ],
)
async def test_scaling_that_makes_no_sense_is_refused(
    agent: Any, asked: dict[str, Any], said: str
) -> None:
    assert said in await agent.refused("set_scaling", asg_name="nothing", **asked)


async def test_a_plan_of_scaling_says_what_it_replaces(agent: Any, shop: str, scaled: Any) -> None:
    before = scaled()
    none = {**NIGHT, "min_size": 0, "desired": 0}
    asked = {"asg_name": shop, "cpu_percent": 40, "scheduled": [none]}
    plan = (await agent.call("set_scaling", dry_run=True, **asked))["plan"]
    assert [(a["verb"], a["name"]) for a in plan["actions"]] == [
        ("modify", "shop/cpu"), ("create", "shop/night"),
    ]  # fmt: skip
    assert "in place of 60" in plan["actions"][0]["detail"]
    assert "no server running" in plan["warnings"][0]
    assert scaled() == before


def test_a_policy_that_was_changed_by_hand_fails() -> None:
    made = Scaling(asg_name="shop", policies={"cpu": 50.0}, scheduled=["night"])
    policy = {"PolicyName": "cpu", "TargetTrackingConfiguration": {"TargetValue": 90.0}}
    state = State(group={"AutoScalingGroupName": "shop"}, policies=[policy], actions={})
    checks = judge_scaling(made, state, [ScheduledSize.model_validate(NIGHT)])
    assert [c.verdict for c in checks] == ["FAIL", "FAIL"]
