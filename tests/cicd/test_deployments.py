"""Deploying releases, and going back: real instances of the emulator, replaced batch by batch."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.cicd.conftest import BUCKET, GitRepository, Stage, done, refused

from opswright.sandbox import REGION
from opswright_cicd.rollout import Direct
from opswright_cicd.server import create_server
from opswright_core.aws import AwsTarget
from opswright_core.errors import OpswrightError
from opswright_core.settings import Settings


async def release(client: Any, repo: GitRepository, version: str) -> dict[str, Any]:
    change = await done(
        client,
        "build_release",
        application="shop",
        repository=str(repo.path),
        version=version,
        bucket=BUCKET,
    )
    made: dict[str, Any] = change["outputs"]
    return made


async def deploy(client: Any, repo: GitRepository, stage: Stage, version: str) -> dict[str, Any]:
    built = await release(client, repo, version)
    return await done(client, "deploy_release", **stage.arguments(built))


def record(stage: Stage) -> dict[str, Any]:
    ssm = stage.client_of("ssm")
    value = ssm.get_parameter(Name="/opswright/shop/production/deployment")["Parameter"]["Value"]
    parsed: dict[str, Any] = json.loads(value)
    return parsed


async def test_deploy_deploy_again_and_roll_back(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        first = await deploy(client, repo, stage, "v1.0.0")
        assert first["outputs"]["launch_template_version"] == 2
        assert sorted(first["outputs"]["instances_replaced"]) == stage.first_instances
        assert stage.group()["LaunchTemplate"]["Version"] == "2"
        ones = stage.instances()
        assert not set(ones) & set(stage.first_instances)
        for instance in ones:
            script = stage.user_data(instance)
            assert script.startswith("#!/bin/bash\necho base\n# >>> opswright release")
            assert first["outputs"]["artifact_sha256"] in script
            assert "/opt/shop/v1.0.0" in script
        assert stage.health_path() == "/healthz"
        assert {c["verdict"] for c in first["checks"]} == {"PASS"}
        assert any("No server really boots" in gap for gap in first["gaps"])
        assert any("No instance refresh" in gap for gap in first["gaps"])

        second = await deploy(client, repo, stage, "v1.1.0")
        assert second["outputs"]["launch_template_version"] == 3
        assert sorted(second["outputs"]["instances_replaced"]) == ones
        assert second["outputs"]["previous_version"] == "v1.0.0"
        for instance in stage.instances():
            script = stage.user_data(instance)
            assert script.count("# >>> opswright release") == 1
            assert "v1.0.0" not in script
        assert record(stage)["version"] == "v1.1.0"

        now = await done(client, "get_deployment", application="shop")
        assert (now["version"], now["status"], now["rollback_target"]) == (
            "v1.1.0",
            "live",
            "v1.0.0",
        )
        assert now["repository"] == str(repo.path)

        twos = stage.instances()
        back = await done(client, "roll_back_deployment", application="shop")
        made = back["outputs"]
        assert (made["version"], made["strategy"]) == ("v1.0.0", "rollback")
        assert made["previous_version"] == "v1.1.0"
        assert made["launch_template_version"] == 2
        assert made["artifact_sha256"] == first["outputs"]["artifact_sha256"]
        assert sorted(made["instances_replaced"]) == twos
        assert "/opt/shop/v1.0.0" in stage.user_data(stage.instances()[0])

        again = await done(client, "roll_back_deployment", application="shop")
        assert again["reused"] is True
        listed = await done(client, "list_deployments", application="shop")
        told = [(d["version"], d["strategy"], d["current"]) for d in listed["items"]]
        assert told == [
            ("v1.0.0", "rollback", True),
            ("v1.1.0", "rolling", False),
            ("v1.0.0", "rolling", False),
        ]


async def test_a_repeated_deployment_replaces_nothing(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        first = await deploy(client, repo, stage, "v1.0.0")
        running = stage.instances()
        again = await deploy(client, repo, stage, "v1.0.0")
        assert (again["reused"], again["change_id"]) == (True, first["change_id"])
        assert again["outputs"] == first["outputs"]
        forgetful = {**stage.arguments(first["outputs"]), "batch_percent": 100}
        for name in ("previous_version", "rollback_target", "deployed_at", "instances_replaced",
                     "launch_template_id", "launch_template_version"):  # fmt: skip
            forgetful.pop(name)
        other = await done(client, "deploy_release", **forgetful)
    assert other["reused"] is False
    assert other["outputs"]["instances_replaced"] == []
    assert stage.instances() == running


async def test_undo_returns_everything_a_first_deployment_touched(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        change = await deploy(client, repo, stage, "v1.0.0")
        undone = await done(client, "undo_change", change_id=change["change_id"])
        assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
        assert len(undone["checks"]) == 4
        missing = await refused(client, "get_deployment", application="shop")
    assert "Recorded: none yet" in missing
    assert stage.group()["LaunchTemplate"]["Version"] == "1"
    assert stage.health_path() == "/"
    assert all("opswright" not in stage.user_data(i) for i in stage.instances())


async def test_undo_of_a_second_deployment_restores_the_first_and_its_record(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        await deploy(client, repo, stage, "v1.0.0")
        before = record(stage)
        change = await deploy(client, repo, stage, "v1.1.0")
        await done(client, "undo_change", change_id=change["change_id"])
        assert record(stage) == before
        now = await done(client, "get_deployment", application="shop")
        assert (now["version"], now["status"]) == ("v1.0.0", "live")
        listed = await done(client, "list_deployments")
        assert [d["version"] for d in listed["items"]] == ["v1.1.0", "v1.0.0"]
        assert [d["current"] for d in listed["items"]] == [False, True]


def sicken(client: Any, is_ill: Callable[[str], bool]) -> None:
    """Let the emulator's target group report some instances as unhealthy, as AWS would."""

    def report(parsed: dict[str, Any], **_: Any) -> None:
        for item in parsed["TargetHealthDescriptions"]:
            if is_ill(item["Target"]["Id"]):
                item["TargetHealth"] = {
                    "State": "unhealthy",
                    "Reason": "Target.ResponseCodeMismatch",
                    "Description": "Health checks failed with these codes: [503]",
                }

    client.meta.events.register("after-call.elastic-load-balancing-v2.DescribeTargetHealth", report)


async def test_a_release_that_never_gets_healthy_is_returned_by_itself(
    settings: Settings, repo: GitRepository, stage: Stage
) -> None:
    from fastmcp import Client

    server = create_server(settings)
    async with Client(server) as client:
        await deploy(client, repo, stage, "v1.0.0")
        before = record(stage)
        built = await release(client, repo, "v1.1.0")
        elbv2 = server.opswright_runtime.aws_sessions.open().client("elbv2")  # type: ignore[attr-defined]
        broken = True
        sicken(elbv2, lambda instance: broken and "v1.1.0" in stage.user_data(instance))
        call = {
            **stage.arguments(built),
            "health_timeout_seconds": 1,
            "health_check_path": "/ready",
        }
        result = await client.call_tool("deploy_release", call, raise_on_error=False)
        said = str(result.content[0].text)
        assert result.is_error
        answer = result.structured_content
        assert answer is not None
        assert answer["status"] == "failed"
        assert "v1.1.0 was not deployed: the batch is healthy: not within 1 s" in said
        assert "codes: [503]" in said
        assert "returned to version v1.0.0 by itself" in said
        assert answer["undo"] == []
        assert record(stage) == before
        assert stage.group()["LaunchTemplate"]["Version"] == "2"
        assert stage.health_path() == "/healthz"
        assert all("v1.0.0" in stage.user_data(i) for i in stage.instances())
        now = await done(client, "get_deployment", application="shop")
        assert (now["version"], now["status"]) == ("v1.0.0", "live")

        broken = False
        mended = await done(client, "deploy_release", **call)
        assert mended["outputs"]["version"] == "v1.1.0"
        assert len(mended["outputs"]["instances_replaced"]) == 2
        assert stage.health_path() == "/ready"


async def test_an_instance_refresh_is_used_where_the_backend_has_one(
    settings: Settings, repo: GitRepository, stage: Stage
) -> None:
    from fastmcp import Client

    server = create_server(settings)
    autoscaling = server.opswright_runtime.aws_sessions.open().client("autoscaling")  # type: ignore[attr-defined]
    started: list[dict[str, Any]] = []

    def start(params: dict[str, Any], **_: Any) -> Any:
        started.append(params["body"])
        behind = stage.client_of("autoscaling")
        behind.update_auto_scaling_group(
            AutoScalingGroupName=stage.asg_name,
            LaunchTemplate={"LaunchTemplateId": stage.template_id, "Version": "2"},
        )
        for instance in stage.instances():
            behind.terminate_instance_in_auto_scaling_group(
                InstanceId=instance, ShouldDecrementDesiredCapacity=False
            )
        return answered({"InstanceRefreshId": "refresh-1"})

    def describe(**_: Any) -> Any:
        ended = {"InstanceRefreshId": "refresh-1", "Status": "Successful"}
        return answered({"InstanceRefreshes": [ended] if started else []})

    def answered(body: dict[str, Any]) -> Any:
        class Http:
            status_code = 200

        return Http(), {**body, "ResponseMetadata": {"HTTPStatusCode": 200}}

    events = autoscaling.meta.events
    events.register("before-call.auto-scaling.StartInstanceRefresh", start)
    events.register("before-call.auto-scaling.DescribeInstanceRefreshes", describe)
    async with Client(server) as client:
        change = await deploy(client, repo, stage, "v1.0.0")
    assert len(started) == 1
    assert started[0]["Preferences.MinHealthyPercentage"] == 50
    assert started[0]["DesiredConfiguration.LaunchTemplate.Version"] == "2"
    assert not any("No instance refresh" in gap for gap in change["gaps"])
    assert sorted(change["outputs"]["instances_replaced"]) == stage.first_instances


async def test_a_refresh_that_fails_is_cancelled_and_its_reason_told(
    settings: Settings, repo: GitRepository, stage: Stage
) -> None:
    from fastmcp import Client

    server = create_server(settings)
    sessions = server.opswright_runtime.aws_sessions  # type: ignore[attr-defined]
    targets = AwsTarget(), AwsTarget(region=REGION)  # an undo names its region
    clients = [sessions.open(target).client("autoscaling") for target in targets]
    calls: list[str] = []

    def answer(name: str, body: dict[str, Any]) -> None:
        class Http:
            status_code = 200

        def send(**_: Any) -> Any:
            calls.append(name)
            return Http(), {**body, "ResponseMetadata": {"HTTPStatusCode": 200}}

        for client in clients:
            client.meta.events.register(f"before-call.auto-scaling.{name}", send)

    ended = {
        "InstanceRefreshId": "refresh-1",
        "Status": "RollbackSuccessful",
        "StatusReason": "Failed health checks",
    }
    answer("StartInstanceRefresh", {"InstanceRefreshId": "refresh-1"})
    answer("DescribeInstanceRefreshes", {"InstanceRefreshes": [ended]})
    answer("CancelInstanceRefresh", {"InstanceRefreshId": "refresh-1"})
    async with Client(server) as client:
        built = await release(client, repo, "v1.0.0")
        said = await refused(client, "deploy_release", **stage.arguments(built))
    assert "refresh-1 ended as RollbackSuccessful: Failed health checks" in said
    assert "returned to what ran before by itself" in said
    assert "CancelInstanceRefresh" in calls
    assert stage.instances() == stage.first_instances
    assert stage.health_path() == "/"


async def test_a_group_under_a_refresh_is_not_deployed_to(
    settings: Settings, repo: GitRepository, stage: Stage
) -> None:
    from fastmcp import Client

    server = create_server(settings)
    autoscaling = server.opswright_runtime.aws_sessions.open().client("autoscaling")  # type: ignore[attr-defined]

    def describe(**_: Any) -> Any:
        class Http:
            status_code = 200

        going = {"InstanceRefreshId": "refresh-7", "Status": "InProgress"}
        return Http(), {"InstanceRefreshes": [going], "ResponseMetadata": {"HTTPStatusCode": 200}}

    name = "before-call.auto-scaling.DescribeInstanceRefreshes"
    autoscaling.meta.events.register(name, describe)
    async with Client(server) as client:
        built = await release(client, repo, "v1.0.0")
        said = await refused(client, "deploy_release", **stage.arguments(built))
    assert "being refreshed already (refresh-7)" in said


def test_an_undo_does_not_wait_for_ever() -> None:
    with pytest.raises(OpswrightError, match="healthy: not within 0 s"):
        Direct().wait("healthy", lambda: False, timeout_seconds=0)


async def test_a_tampered_artifact_is_not_deployed(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        built = await release(client, repo, "v1.0.0")
        stage.client_of("s3").put_object(Bucket=BUCKET, Key=built["artifact_key"], Body=b"evil")
        said = await refused(client, "deploy_release", **stage.arguments(built))
    assert "is not the artifact that was released" in said
    assert stage.instances() == stage.first_instances


async def test_a_rollback_checks_its_artifact_and_needs_a_target(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        assert "Recorded: none yet" in await refused(
            client, "roll_back_deployment", application="shop"
        )
        first = await deploy(client, repo, stage, "v1.0.0")
        for call, says in [
            ({}, "has nothing to roll back to"),
            ({"to_version": "v1.0.0"}, "is what runs in production already"),
            ({"to_version": "v0.9.0"}, "was never deployed"),
        ]:
            assert says in await refused(client, "roll_back_deployment", application="shop", **call)
        await deploy(client, repo, stage, "v1.1.0")
        key = first["outputs"]["artifact_key"]
        stage.client_of("s3").delete_object(Bucket=BUCKET, Key=key)
        said = await refused(client, "roll_back_deployment", application="shop")
        assert "There is no artifact" in said
        other = await refused(client, "get_deployment", application="blog")
    assert "Recorded: shop in production" in other


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"asg_name": "nope"}, "no auto-scaling group 'nope' in eu-west-1; there are: shop-asg"),
        ({"target_group_arn": "arn:aws:elasticloadbalancing:x:1:targetgroup/x/1"}, "not attached"),
        ({"commit": "abcdef0"}, "made from commit"),
        ({"strategy": "canary"}, "rolling"),
        ({"artifact_key": "releases/none"}, "There is no artifact"),
        ({"version": "v1;reboot"}, "may not have"),
        ({"health_check_path": "healthz"}, "pattern"),
        ({"batch_percent": 0}, "greater than"),
    ],
)  # fmt: skip
async def test_what_cannot_be_deployed_is_refused_before_anything_is_sent(
    connect: Any, repo: GitRepository, stage: Stage, wrong: dict[str, Any], says: str
) -> None:
    async with connect(create_server) as client:
        built = await release(client, repo, "v1.0.0")
        said = await refused(client, "deploy_release", **{**stage.arguments(built), **wrong})
    assert says in said
    assert stage.instances() == stage.first_instances


async def test_the_plan_says_what_will_be_done_and_does_nothing(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        built = await release(client, repo, "v1.0.0")
        answer = await client.call_tool(
            "deploy_release", {**stage.arguments(built), "dry_run": True, "batch_percent": 100}
        )
    plan = answer.structured_content["plan"]
    assert [(a["verb"], a["type"]) for a in plan["actions"]] == [
        ("modify", "elbv2:health-check"),
        ("modify", "elbv2:deregistration-delay"),
        ("create", "ec2:launch-template-version"),
        ("replace", "ec2:instances"),
        ("modify", "ssm:parameter"),
    ]
    assert any("replaced at once" in w for w in plan["warnings"])
    assert any("no instance profile" in w for w in plan["warnings"])
    assert stage.instances() == stage.first_instances


async def test_a_group_that_was_changed_since_is_drifted(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        await deploy(client, repo, stage, "v1.0.0")
        template = {"LaunchTemplateId": stage.template_id, "Version": "1"}
        autoscaling = stage.client_of("autoscaling")
        autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=stage.asg_name, LaunchTemplate=template
        )
        now = await done(client, "get_deployment", application="shop")
        assert (now["status"], now["version"]) == ("drifted", "v1.0.0")
        autoscaling.delete_auto_scaling_group(AutoScalingGroupName=stage.asg_name, ForceDelete=True)
        gone = await done(client, "get_deployment", application="shop")
    assert gone["status"] == "drifted"
    assert "no auto-scaling group" in gone["evidence"]


async def test_a_server_that_is_stopped_midway_is_resumed_without_repeating(
    settings: Settings, repo: GitRepository, stage: Stage
) -> None:
    """A deployment whose connection breaks after the first batch goes on where it was."""
    from fastmcp import Client

    server = create_server(settings)
    autoscaling = server.opswright_runtime.aws_sessions.open().client("autoscaling")  # type: ignore[attr-defined]
    sent = 0

    def cut(**_: Any) -> None:
        nonlocal sent
        sent += 1
        if sent == 2:
            from botocore.exceptions import EndpointConnectionError

            raise EndpointConnectionError(endpoint_url="http://gone")

    name = "before-call.auto-scaling.TerminateInstanceInAutoScalingGroup"
    autoscaling.meta.events.register(name, cut)
    async with Client(server) as client:
        built = await release(client, repo, "v1.0.0")
        call = stage.arguments(built)
        result = await client.call_tool("deploy_release", call, raise_on_error=False)
        assert result.structured_content is not None
        assert result.structured_content["status"] == "outcome_unknown"
        half = set(stage.instances()) - set(stage.first_instances)
        assert len(half) == 1
        resumed = await done(client, "deploy_release", **call)
    assert resumed["change_id"] == result.structured_content["change_id"]
    assert half < set(stage.instances())
    assert not set(stage.instances()) & set(stage.first_instances)
    assert sorted(resumed["outputs"]["instances_replaced"]) == stage.first_instances
