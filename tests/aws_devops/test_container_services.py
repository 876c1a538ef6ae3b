"""Container services: private, behind a listener, rolled back by themselves, undone to nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.containers.images import ecr_image, is_pinned
from opswright_aws_devops.containers.state import (
    ContainerService,
    ServiceState,
    Wanted,
    is_steady,
    judge_container_service,
)
from opswright_aws_devops.containers.task_definitions import check_size
from opswright_aws_devops.networking.listeners import free_priority
from opswright_core.errors import BadInputError, ConflictError, OpswrightError

Clients = Callable[[str], Any]
Inventory = Callable[[], dict[str, list[str]]]

IMAGE = "public.ecr.aws/docker/library/nginx:1.29"


@pytest.fixture
def left(client_of: Clients, inventory: Inventory) -> Callable[[], dict[str, Any]]:
    """What is in the account, with what a container service is made of."""

    def read() -> dict[str, Any]:
        ecs, logs = client_of("ecs"), client_of("logs")
        clusters = ecs.list_clusters()["clusterArns"]
        alive = ecs.describe_clusters(clusters=clusters)["clusters"] if clusters else []
        services = [
            service
            for cluster in clusters
            for arn in ecs.list_services(cluster=cluster)["serviceArns"]
            for service in ecs.describe_services(cluster=cluster, services=[arn])["services"]
        ]
        balancers = client_of("elbv2").describe_load_balancers()["LoadBalancers"]
        arns = [balancer["LoadBalancerArn"] for balancer in balancers]
        listeners = [
            listener["ListenerArn"]
            for arn in arns
            for listener in client_of("elbv2").describe_listeners(LoadBalancerArn=arn)["Listeners"]
        ]
        return {
            **inventory(),
            "clusters": [c["clusterName"] for c in alive if c["status"] != "INACTIVE"],
            "services": [s["serviceName"] for s in services if s["status"] != "INACTIVE"],
            "definitions": ecs.list_task_definitions()["taskDefinitionArns"]
            + ecs.list_task_definitions(status="INACTIVE")["taskDefinitionArns"],
            "log groups": [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]],
            "rules": [
                rule["RuleArn"]
                for arn in listeners
                for rule in client_of("elbv2").describe_rules(ListenerArn=arn)["Rules"]
            ],
            "scaling": client_of("application-autoscaling").describe_scalable_targets(
                ServiceNamespace="ecs"
            )["ScalableTargets"],
        }

    return read


@pytest.fixture
def asked(
    network: dict[str, Any], groups: dict[str, str], balancer: dict[str, str]
) -> dict[str, Any]:
    return {
        "name": "shop-api",
        "image": IMAGE,
        "subnet_ids": network["private_subnet_ids"],
        "security_group_ids": [groups["app_sg_id"]],
        "listener_arn": balancer["listener_arn"],
    }


@pytest.fixture
def secret(client_of: Clients, cloud: Any) -> str:
    made = client_of("secretsmanager").create_secret(Name="shop/db", SecretString='{"url": "x"}')
    arn: str = made["ARN"]
    return arn


async def test_a_service_runs_in_private_subnets_behind_the_listener(
    agent: Any, asked: dict[str, Any], client_of: Clients
) -> None:
    change = await agent.call("create_container_service", **asked)
    made, ecs = change["outputs"], client_of("ecs")
    (service,) = ecs.describe_services(cluster="shop-api", services=["shop-api"])["services"]
    network = service["networkConfiguration"]["awsvpcConfiguration"]
    assert network["assignPublicIp"] == "DISABLED"
    assert sorted(network["subnets"]) == sorted(asked["subnet_ids"])
    assert (service["launchType"], service["desiredCount"]) == ("FARGATE", 2)
    definition = ecs.describe_task_definition(taskDefinition=made["task_definition_arn"])
    container = definition["taskDefinition"]["containerDefinitions"][0]
    assert container["image"] == IMAGE
    assert container["logConfiguration"]["options"]["awslogs-group"] == "/ecs/shop-api"
    elb = client_of("elbv2")
    (group,) = elb.describe_target_groups(TargetGroupArns=[made["target_group_arn"]])[
        "TargetGroups"
    ]
    assert (group["TargetType"], group["HealthCheckPath"]) == ("ip", "/healthz")
    (rule,) = elb.describe_rules(RuleArns=[made["rule_arn"]])["Rules"]
    assert rule["Actions"][0]["TargetGroupArn"] == made["target_group_arn"]
    (log,) = client_of("logs").describe_log_groups(logGroupNamePrefix="/ecs/")["logGroups"]
    assert log["retentionInDays"] == 30
    assert made["url"].startswith("http://shop")


async def test_what_the_emulator_cannot_show_is_unknown_and_the_rest_is_verified(
    agent: Any, asked: dict[str, Any]
) -> None:
    change = await agent.call("create_container_service", **asked)
    verdicts = {c["name"]: c["verdict"] for c in change["checks"]}
    unknown = {name for name, verdict in verdicts.items() if verdict == "UNKNOWN"}
    assert unknown == {
        "Its tasks run",
        "They are healthy behind the load balancer",
        "A failed deployment is rolled back",
    }
    assert "FAIL" not in verdicts.values()
    assert any("runs no containers" in gap for gap in change["gaps"])
    again = await agent.call("create_container_service", **asked)
    assert (again["reused"], again["change_id"]) == (True, change["change_id"])


async def test_ecs_may_pull_this_image_write_this_log_read_these_secrets_and_no_more(
    agent: Any, asked: dict[str, Any], client_of: Clients, secret: str
) -> None:
    repository = (await agent.call("create_container_repository", name="shop"))["outputs"]
    kind = "application/vnd.oci.image.manifest.v1+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": kind, "layers": []})
    client_of("ecr").put_image(repositoryName="shop", imageManifest=manifest, imageTag="1.0")
    await agent.call(
        "create_container_service",
        **{**asked, "image": f"{repository['repository_uri']}:1.0"},
        environment={"STAGE": "live"},
        secrets={"DB_URL": f"{secret}:url::"},
    )
    policy = client_of("iam").get_role_policy(
        RoleName="shop-api-execution", PolicyName="permissions"
    )
    allowed = {
        action: statement["Resource"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in statement["Action"]
    }
    assert set(allowed) == {
        "logs:CreateLogStream", "logs:PutLogEvents", "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:GetAuthorizationToken",
        "secretsmanager:GetSecretValue",
    }  # fmt: skip
    assert allowed["secretsmanager:GetSecretValue"] == [secret]
    role = client_of("iam").get_role(RoleName="shop-api-execution")["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert allowed["ecr:BatchGetImage"] == [repository["repository_arn"]]
    assert [action for action, on in allowed.items() if on == ["*"]] == [
        "ecr:GetAuthorizationToken"
    ]
    definition = client_of("ecs").describe_task_definition(taskDefinition="shop-api")
    container = definition["taskDefinition"]["containerDefinitions"][0]
    assert container["environment"] == [{"name": "STAGE", "value": "live"}]
    assert container["secrets"] == [{"name": "DB_URL", "valueFrom": f"{secret}:url::"}]


async def test_the_undo_of_a_service_leaves_the_account_as_it_was(
    agent: Any, asked: dict[str, Any], left: Callable[[], dict[str, Any]], client_of: Clients
) -> None:
    before = left()
    change = await agent.call("create_container_service", **asked, max_count=6)
    assert (left()["scaling"][0]["MinCapacity"], left()["scaling"][0]["MaxCapacity"]) == (2, 6)
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert left() == before
    (service,) = client_of("ecs").describe_services(cluster="shop-api", services=["shop-api"])[
        "services"
    ]
    assert (service["desiredCount"], service["status"]) == (0, "INACTIVE")
    again = await agent.call("create_container_service", **asked, max_count=6)
    assert again["status"] == "done"


async def test_a_plan_says_what_is_made_what_it_lacks_and_makes_nothing(
    agent: Any, asked: dict[str, Any], left: Callable[[], dict[str, Any]]
) -> None:
    before = left()
    planned = await agent.call(
        "create_container_service",
        **{**asked, "image": "nginx", "port": 9000, "desired_count": 1},
        dry_run=True,
    )
    kinds = [action["type"] for action in planned["plan"]["actions"]]
    assert kinds[0] == "logs:log-group"
    assert kinds[-1] == "ecs:service"
    warnings = " ".join(planned["plan"]["warnings"])
    for said in (
        "nginx names no fixed version",
        "not in ECR",
        "on port 9000: its health checks would fail",
        "deletes the log group /ecs/shop-api",
        "One task",
        "no access to AWS",
    ):
        assert said in warnings
    assert left() == before


async def test_what_somebody_else_made_is_refused(
    agent: Any, asked: dict[str, Any], client_of: Clients
) -> None:
    client_of("ecs").create_cluster(clusterName="shop-api")
    assert "outside opswright" in await agent.refused("create_container_service", **asked)
    client_of("logs").create_log_group(logGroupName="/ecs/blog")
    said = await agent.refused("create_container_service", **{**asked, "name": "blog"})
    assert "log group /ecs/blog exists already" in said


async def test_a_path_leads_to_one_service_alone(agent: Any, asked: dict[str, Any]) -> None:
    await agent.call("create_container_service", **asked, path="/api/*")
    other = {**asked, "name": "other"}
    said = await agent.refused("create_container_service", **other, path="/api/*")
    assert "choose another path" in said
    await agent.call("create_container_service", **other)
    third = await agent.call("create_container_service", **{**asked, "name": "third"}, path="/x/*")
    assert third["status"] == "done"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cpu": 300}, "Fargate has 256"),
        ({"cpu": 256, "memory_mib": 4096}, "512 to 2048"),
        ({"desired_count": 3, "max_count": 2}, "below desired_count"),
        ({"environment": {"DB_PASSWORD": "hunter2-hunter2"}}, "looks like a secret"),
        ({"environment": {"A-B": "x"}}, "letters, digits"),
        ({"secrets": {"DB_URL": "plain"}}, "give the ARN"),
        ({"image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/none:1"}, "does not exist"),
        ({"task_role_arn": "arn:aws:iam::123456789012:role/none"}, "does not exist"),
        ({"path": "api"}, "pattern"),
        ({"name": "Shop"}, "pattern"),
        ({"log_retention_days": 8}, "7, 14, 30"),
    ],
)
async def test_what_cannot_work_is_refused_before_anything_is_made(
    agent: Any,
    asked: dict[str, Any],
    left: Callable[[], dict[str, Any]],
    change: dict[str, Any],
    said: str,
) -> None:
    before = left()
    assert said in await agent.refused("create_container_service", **{**asked, **change})
    assert left() == before


async def test_public_subnets_and_missing_listeners_are_refused(
    agent: Any, asked: dict[str, Any], network: dict[str, Any]
) -> None:
    public = {**asked, "subnet_ids": network["public_subnet_ids"]}
    assert "is a public subnet" in await agent.refused("create_container_service", **public)
    missing = {**asked, "listener_arn": asked["listener_arn"][:-4] + "0000"}
    assert "does not exist" in await agent.refused("create_container_service", **missing)
    secrets = {"A": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:none-abcdef"}
    said = await agent.refused("create_container_service", **asked, secrets=secrets)
    assert "does not exist" in said


# Judged without a backend.

WANTED = Wanted(
    subnet_ids=["s-1", "s-2"], security_group_ids=["sg-1"], listener_arn="l", path="/*",
    health_check_path="/", desired_count=2, max_count=4, grace_seconds=60, log_days=30,
)  # fmt: skip
MADE = ContainerService(
    service_name="api", cluster_name="api", task_definition_arn="td", target_group_arn="tg",
    rule_arn="r", execution_role_arn="role", log_group="/ecs/api", url="http://x/",
)  # fmt: skip
SERVICE: dict[str, Any] = {
    "status": "ACTIVE",
    "runningCount": 3,
    "desiredCount": 3,
    "deploymentConfiguration": {"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
    "networkConfiguration": {
        "awsvpcConfiguration": {"assignPublicIp": "DISABLED", "subnets": ["s-2", "s-1"]}
    },
}
GOOD = {
    "service": SERVICE, "healthy": 3, "forwards_to": ["tg"], "log_days": 30, "max_count": 4,
}  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        {"service": {**SERVICE, "status": "DRAINING"}},
        {"service": {**SERVICE, "runningCount": 1}},
        {"healthy": 0},
        {
            "service": {
                **SERVICE,
                "deploymentConfiguration": {
                    "deploymentCircuitBreaker": {"enable": True, "rollback": False}
                },
            }
        },
        {"forwards_to": ["another"]},
        {"log_days": None},
        {"max_count": 2},
    ],
)
def test_each_deviation_of_a_service_fails(changed: dict[str, Any]) -> None:
    def verdicts(state: dict[str, Any]) -> list[str]:
        checks = judge_container_service(MADE, WANTED, ServiceState(**state), runs_tasks=True)
        return [c.verdict for c in checks]

    assert set(verdicts(GOOD)) == {"PASS"}
    assert verdicts({**GOOD, **changed}).count("FAIL") == 1
    assert verdicts({**GOOD, "service": None}) == ["FAIL"]


def deployed(state: str, running: int = 2) -> dict[str, Any]:
    deployment = {"status": "PRIMARY", "rolloutState": state, "rolloutStateReason": "tasks failed."}
    events = [{"message": "unable to pull the image"}]
    return {"deployments": [deployment], "runningCount": running, "events": events}


def test_a_service_is_steady_when_its_deployment_is_complete() -> None:
    assert is_steady(deployed("COMPLETED"), 2)
    assert not is_steady(deployed("COMPLETED", 1), 2)
    assert not is_steady(deployed("IN_PROGRESS"), 2)
    assert not is_steady(None, 2)
    with pytest.raises(OpswrightError, match=r"tasks failed.*unable to pull the image"):
        is_steady(deployed("FAILED"), 2)


def rule(priority: int, *paths: str, default: bool = False) -> dict[str, Any]:
    condition = {"Field": "path-pattern", "PathPatternConfig": {"Values": list(paths)}}
    return {
        "RuleArn": f"r{priority}", "Priority": "default" if default else str(priority),
        "IsDefault": default, "Conditions": [] if default else [condition],
    }  # fmt: skip


def test_a_rule_for_one_path_comes_before_the_one_for_every_path() -> None:
    rules = [rule(0, default=True), rule(1000, "/a/*"), rule(40_000, "/*")]
    assert free_priority(rules, "/b/*", None) == 1001
    assert free_priority(rules[:2], "/*", None) == 40_000
    assert free_priority(rules, "/a/*", "r1000") == 1000
    with pytest.raises(ConflictError, match="rule 40000"):
        free_priority(rules, "/*", None)
    with pytest.raises(ConflictError, match="rule 5 "):
        free_priority([rule(5, "/*")], "/b/*", None)


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        ("nginx", False), ("nginx:latest", False), ("nginx:1.29", True),
        ("localhost:5000/nginx", False), ("nginx@sha256:" + "0" * 64, True),
    ],
)  # fmt: skip
def test_an_image_is_pinned_by_a_tag_or_a_digest(image: str, pinned: bool) -> None:
    assert is_pinned(image) is pinned


def test_an_image_in_ecr_is_taken_apart() -> None:
    found = ecr_image("123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/shop:1.0")
    assert found is not None
    assert (found.repository, found.id) == ("team/shop", {"imageTag": "1.0"})
    digest = "sha256:" + "a" * 64
    pinned = ecr_image(f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop:1.0@{digest}")
    assert pinned is not None
    assert pinned.id == {"imageDigest": digest}
    assert ecr_image("nginx:1.29") is None


@pytest.mark.parametrize(("cpu", "memory"), [(256, 512), (1024, 8192), (16384, 122880)])
def test_fargate_has_these_sizes(cpu: int, memory: int) -> None:
    check_size(cpu, memory)
    with pytest.raises(BadInputError):
        check_size(cpu, memory + 1)
