"""Skills that run code: from words to a service, a function, a private API, and back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opswright_aws_devops.skills import running
from opswright_core.agent.skills import FromText

Clients = Callable[[str], Any]


def found(model: Any, field: str, task: str) -> str | None:
    """What an input's pattern finds in a task."""
    import re

    (mark,) = [m for m in model.model_fields[field].metadata if isinstance(m, FromText)]
    match = re.search(mark.pattern, task, re.IGNORECASE)
    return match.group(1) if match else None


async def asked(agent: Any, task: str, **more: Any) -> dict[str, Any]:
    report: dict[str, Any] = await agent.call("handle_task", task=task, wait_seconds=50, **more)
    return report


async def test_a_container_service_is_deployed_from_words_with_its_network(
    agent: Any, client_of: Clients
) -> None:
    report = await asked(
        agent, "deploy a container service named shop from image nginx:1.29 on port 9000"
    )
    assert report["status"] == "completed", report["summary"]
    ecs = client_of("ecs")
    (service,) = ecs.describe_services(cluster="shop", services=["shop"])["services"]
    assert service["loadBalancers"][0]["containerPort"] == 9000
    definition = ecs.describe_task_definition(taskDefinition="shop")["taskDefinition"]
    assert definition["containerDefinitions"][0]["image"] == "nginx:1.29"
    assert report["outputs"]["service"]["url"].startswith("http://")
    assert "Not real here" in report["summary"]
    changes = (await agent.call("list_changes"))["items"]
    for change in changes:  # the newest comes first
        await agent.call("undo_change", change_id=change["change_id"])
    vpcs = client_of("ec2").describe_vpcs()["Vpcs"]
    assert [vpc for vpc in vpcs if not vpc["IsDefault"]] == []
    assert client_of("elbv2").describe_target_groups()["TargetGroups"] == []


async def test_a_container_service_goes_behind_a_listener_that_is_given(
    agent: Any, network: dict[str, Any], groups: dict[str, str], balancer: dict[str, str]
) -> None:
    context = {
        "facts": {
            "listener_arn": balancer["listener_arn"],
            "subnet_ids": network["private_subnet_ids"],
            "security_group_ids": [groups["app_sg_id"]],
        }
    }
    task = "create an ECS service called blog from image ghost:5"
    report = await asked(agent, task, context=context)
    assert report["status"] == "completed", report["summary"]
    assert set(report["outputs"]) == {"service"}


async def test_a_function_is_made_from_words_and_keeps_what_fails(
    agent: Any, tmp_path: Path, client_of: Clients
) -> None:
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return {}\n")
    task = f"create a Lambda function named hello from the folder {tmp_path}"
    report = await asked(agent, task)
    assert report["status"] == "completed", report["summary"]
    made = client_of("lambda").get_function(FunctionName="hello")["Configuration"]
    assert (made["Runtime"], made["Handler"]) == ("python3.13", "app.handler")
    (url,) = client_of("sqs").list_queues()["QueueUrls"]
    assert url.endswith("/hello-failed")
    assert "go to its queue" in report["summary"]


async def test_a_private_api_is_built_from_words_with_its_endpoint(
    agent: Any, tmp_path: Path, client_of: Clients
) -> None:
    (tmp_path / "app.py").write_text("def handler(event, context):\n    return {}\n")
    await asked(agent, f"create a Lambda function named orders from the folder {tmp_path}")
    report = await asked(agent, "build a private API named shop before the function orders")
    assert report["status"] == "completed", report["summary"]
    (api,) = client_of("apigateway").get_rest_apis()["items"]
    (endpoint,) = client_of("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    assert api["endpointConfiguration"]["vpcEndpointIds"] == [endpoint["VpcEndpointId"]]
    assert endpoint["ServiceName"].endswith(".execute-api")
    assert f"inside {endpoint['VpcId']}" in report["summary"]


@pytest.mark.parametrize(
    ("task", "why"),
    [
        ("build a private API named shop before the function absent", "no function absent"),
        ("create a Lambda function named hello from the folder /no/such/folder", "/no/such/folder"),
    ],
)
async def test_what_cannot_work_is_said_before_anything_is_built(
    agent: Any, task: str, why: str
) -> None:
    asked = {"task": task, "wait_seconds": 50}
    report = await agent.client.call_tool("handle_task", asked, raise_on_error=False)
    assert why in report.structured_content["summary"]
    assert (await agent.call("list_changes"))["items"] == []


async def test_what_a_task_leaves_out_is_asked_for(agent: Any) -> None:
    report = await asked(agent, "deploy a container service named shop")
    assert report["status"] == "needs_input"
    assert "image" in report["summary"]


@pytest.mark.parametrize(
    ("model", "field", "task", "value"),
    [
        (running.ServiceWanted, "image", "from image nginx:1.29.", "nginx:1.29"),
        (
            running.ServiceWanted, "image",
            "run the image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/a:1 as service a",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/a:1",
        ),
        (running.ServiceWanted, "port", "it listens on port 3000", "3000"),
        (running.ServiceWanted, "health_check_path", "with health check /up", "/up"),
        (running.FunctionWanted, "code", "named a from ./a", "./a"),
        (running.FunctionWanted, "code", "from the folder /srv/a", "/srv/a"),
        (running.FunctionWanted, "code", "from s3://b/a.zip", "s3://b/a.zip"),
        (running.FunctionWanted, "runtime", "with nodejs24.x and", "nodejs24.x"),
        (running.FunctionWanted, "handler", "handler index.main", "index.main"),
        (running.FunctionWanted, "schedule", "at cron(0 3 * * ? *)", "cron(0 3 * * ? *)"),
        (running.PrivateApiWanted, "function_name", "before the function named a-b", "a-b"),
        (running.PrivateApiWanted, "vpc_id", "in vpc-0a1b", "vpc-0a1b"),
    ],
)  # fmt: skip
def test_what_a_task_says_is_found_in_it(model: Any, field: str, task: str, value: str) -> None:
    assert found(model, field, task) == value
