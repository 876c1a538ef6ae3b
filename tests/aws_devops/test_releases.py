"""Releases to what runs: a container service's image, a function's code, taken back as well."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from fastmcp import Client
from tests.aws_devops.conftest import Agent

from opswright_aws_devops.containers.releases import Deployed, choose_container, rollout
from opswright_aws_devops.functions.code import find_code
from opswright_aws_devops.functions.releases import fetch_package
from opswright_aws_devops.server import create_server
from opswright_aws_devops.tools.container_updates import judge_release
from opswright_core.aws import HERE, Aws, AwsSessions, AwsTarget
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.settings import Settings

Clients = Callable[[str], Any]

OLD, NEW = "public.ecr.aws/team/shop:1.0", "public.ecr.aws/team/shop:1.1"


# Container services.


@pytest.fixture
def ecs(client_of: Clients, cloud: Any) -> Any:
    """A service that somebody made, of two containers, one behind a load balancer."""
    ecs = client_of("ecs")
    ecs.create_cluster(clusterName="shop")
    ecs.register_task_definition(
        family="shop", requiresCompatibilities=["FARGATE"], networkMode="awsvpc",
        cpu="256", memory="512", executionRoleArn="arn:aws:iam::123456789012:role/shop-execution",
        containerDefinitions=[
            {"name": "web", "image": OLD, "essential": True,
             "environment": [{"name": "STAGE", "value": "live"}],
             "secrets": [{"name": "DB_URL", "valueFrom": "arn:aws:ssm:::parameter/x"}]},
            {"name": "side", "image": "public.ecr.aws/team/side:1", "essential": False},
        ],
        tags=[{"key": "team", "value": "shop"}],
    )  # fmt: skip
    balanced = {"targetGroupArn": "arn:x", "containerName": "web", "containerPort": 80}
    ecs.create_service(
        cluster="shop", serviceName="shop", taskDefinition="shop", desiredCount=2,
        loadBalancers=[balanced],
    )  # fmt: skip
    return ecs


def running(ecs: Any) -> tuple[str, int, dict[str, Any]]:
    """Revision, count and first container of the service."""
    (service,) = ecs.describe_services(cluster="shop", services=["shop"])["services"]
    found = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])
    definition = found["taskDefinition"]
    revision = service["taskDefinition"].split("/")[-1]
    return revision, service["desiredCount"], definition["containerDefinitions"][0]


async def test_a_release_changes_what_was_asked_and_its_undo_brings_the_revision_back(
    agent: Agent, ecs: Any
) -> None:
    asked = {
        "service": "shop", "image": NEW, "environment": {"LEVEL": "info"}, "memory_mib": 1024,
        "desired_count": 3,
    }  # fmt: skip
    change = await agent.call("update_container_service", **asked)
    revision, count, container = running(ecs)
    assert (revision, count, container["image"]) == ("shop:2", 3, NEW)
    assert {v["name"]: v["value"] for v in container["environment"]} == {
        "STAGE": "live", "LEVEL": "info",
    }  # fmt: skip
    described = ecs.describe_task_definition(taskDefinition="shop:2", include=["TAGS"])
    assert described["taskDefinition"]["memory"] == "1024"
    assert described["taskDefinition"]["containerDefinitions"][1]["name"] == "side"
    assert container["secrets"][0]["name"] == "DB_URL"
    assert described["tags"] == [{"key": "team", "value": "shop"}]
    assert change["outputs"]["was"].endswith("shop:1")
    verdicts = {c["name"]: c["verdict"] for c in change["checks"]}
    assert verdicts["Its image is as asked"] == "PASS"
    assert verdicts["The roll-out is over"] == "UNKNOWN"  # nothing runs there
    assert any("runs no containers" in gap for gap in change["gaps"])
    assert (await agent.call("update_container_service", **asked))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert "FAIL" not in {c["verdict"] for c in undone["checks"]}
    assert running(ecs)[:2] == ("shop:1", 2)
    assert ecs.list_task_definitions(familyPrefix="shop")["taskDefinitionArns"] == [
        change["outputs"]["was"]
    ]


async def test_the_plan_of_a_release_says_from_what_to_what_and_what_it_risks(
    agent: Agent, ecs: Any
) -> None:
    planned = await agent.call(
        "update_container_service", service="shop", image="shop", desired_count=1, dry_run=True
    )
    said = " ".join(action["detail"] for action in planned["plan"]["actions"])
    assert f"image {OLD} → shop" in said
    assert "desired_count 2 → 1" in said
    warnings = " ".join(planned["plan"]["warnings"])
    for risk in ("names no fixed version", "no circuit breaker", "One task"):
        assert risk in warnings
    assert running(ecs)[0] == "shop:1"
    nothing = await agent.call("update_container_service", service="shop", image=OLD)
    assert nothing["reused"]
    assert nothing["plan"]["actions"] == []


async def test_a_release_that_was_cut_off_goes_on_without_a_second_revision(
    watched: Any, ecs: Any
) -> None:
    asked = {"service": "shop", "image": NEW}
    cut_off = await watched.cut_off("update_container_service", "UpdateService", **asked)
    resumed = await watched.call("update_container_service", **asked)
    assert resumed["change_id"] == cut_off["change_id"]
    assert running(ecs)[0] == "shop:2"
    await watched.call("undo_change", change_id=cut_off["change_id"])
    assert running(ecs)[0] == "shop:1"


async def test_a_service_that_somebody_changed_since_the_plan_is_left_alone(
    watched: Any, ecs: Any, client_of: Clients
) -> None:
    other = {"name": "web", "image": "x", "memory": 128}
    ecs.register_task_definition(family="shop", containerDefinitions=[other])

    watched.sessions.once["DescribeTaskDefinition"] = lambda: client_of("ecs").update_service(
        cluster="shop", service="shop", taskDefinition="shop:2"
    )
    answer = await watched.client.call_tool(
        "update_container_service", {"service": "shop", "image": NEW}, raise_on_error=False
    )
    assert "changed by somebody else since this was planned" in answer.structured_content["error"]
    assert running(ecs)[0] == "shop:2"


def lose() -> None:
    raise ConnectionClosedError(endpoint_url="http://127.0.0.1")


async def test_a_revision_and_a_version_whose_answers_were_lost_are_found_again(
    watched: Any, ecs: Any, function: dict[str, Any], client_of: Clients
) -> None:
    await watched.call("create_function", **function)

    def left() -> int:
        return len(ecs.list_task_definitions()["taskDefinitionArns"])

    for operation, tool, asked in (
        ("RegisterTaskDefinition", "update_container_service", {"service": "shop", "image": NEW}),
        ("PublishVersion", "update_function", {"function": "hello", "memory_mib": 512}),
    ):
        for again in (False, True):
            watched.sessions.once[operation] = lose
            answer = await watched.client.call_tool(tool, asked, raise_on_error=False)
            assert answer.structured_content["status"] == "outcome_unknown"
            if again:
                assert (await watched.call(tool, **asked))["status"] == "done"
            else:
                change_id = answer.structured_content["change_id"]
                await watched.call("undo_change", change_id=change_id)
                assert tool != "update_container_service" or left() == 1
                assert versions(client_of("lambda")) == []
    assert left() == 2
    assert len(versions(client_of("lambda"))) == 2


REFUSED_OF_SERVICES: list[tuple[dict[str, Any], str]] = [
    ({}, "Nothing to change"),
    ({"service": "none", "cluster": "shop", "image": NEW}, "no active service"),
    ({"cluster": "none", "image": NEW}, "does not exist"),
    ({"container": "none", "image": NEW}, "is not in it"),
    ({"cpu": 300}, "Fargate has 256"),
    ({"memory_mib": 4096}, "512 to 2048"),
    ({"environment": {"DB_URL": "plain"}}, "is a secret of shop:1"),
    ({"environment": {"API_KEY": "hunter2-hunter2"}}, "looks like a secret"),
    ({"desired_count": 9}, "scales between 2 and 4"),
]


async def test_a_release_that_cannot_be_is_refused(
    agent: Agent, ecs: Any, client_of: Clients
) -> None:
    client_of("application-autoscaling").register_scalable_target(
        ServiceNamespace="ecs", ResourceId="service/shop/shop",
        ScalableDimension="ecs:service:DesiredCount", MinCapacity=2, MaxCapacity=4,
    )  # fmt: skip
    for changed, said in REFUSED_OF_SERVICES:
        asked = {"service": "shop", **changed}
        assert said in await agent.refused("update_container_service", **asked), changed
    assert running(ecs)[0] == "shop:1"


NOW = Deployed(
    cluster="shop", service="shop", task_definition_arn="a/shop:2", desired_count=2,
    definition={"family": "shop", "containerDefinitions": [{"name": "web"}, {"name": "side"}]},
    tags=[], balanced="", rolls_back=True, least_healthy=100, running_count=2,
    deployments={"a/shop:2": "COMPLETED"}, primary="a/shop:2", reason="",
)  # fmt: skip
RETURNED = {"a/shop:1": "COMPLETED"}


@pytest.mark.parametrize(
    ("changed", "seen", "state"),
    [
        ({}, True, "complete"),
        ({"running_count": 1}, True, "under way"),
        ({"deployments": {"a/shop:2": "IN_PROGRESS"}}, True, "under way"),
        ({"deployments": {"a/shop:2": "FAILED"}}, True, "given up"),
        ({"deployments": RETURNED | {"a/shop:2": "FAILED"}, "primary": "a/shop:1"}, False,
         "given up"),
        ({"deployments": RETURNED, "primary": "a/shop:1"}, True, "given up"),
        ({"deployments": RETURNED, "primary": "a/shop:1"}, False, "under way"),
        ({"deployments": {"a/shop:3": "COMPLETED"}, "primary": "a/shop:3"}, True, "replaced"),
    ],
)  # fmt: skip
def test_a_roll_out_is_over_when_ecs_says_so_of_this_very_release(
    changed: dict[str, Any], seen: bool, state: str
) -> None:
    assert rollout(replace(NOW, **changed), "a/shop:2", "a/shop:1", seen=seen) == state


def test_which_of_several_containers_is_meant_has_to_be_said() -> None:
    with pytest.raises(BadInputError, match="web, side: name one"):
        choose_container(NOW, None)
    assert choose_container(NOW, "side") == "side"
    assert choose_container(replace(NOW, balanced="web"), None) == "web"


def test_a_service_whose_tasks_do_not_run_fails_where_tasks_run() -> None:
    idle = replace(NOW, running_count=0)
    verdicts = {
        runs: [c.verdict for c in judge_release(idle, {}, {"image": NEW}, runs_tasks=runs)]
        for runs in (True, False)
    }
    assert verdicts == {True: ["PASS", "FAIL", "PASS"], False: ["PASS", "UNKNOWN", "PASS"]}


# Functions.

SOURCE = "def handler(event, context):\n    return 1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "code"
    root.mkdir()
    (root / "app.py").write_text(SOURCE)
    return root


@pytest.fixture
def function(folder: Path) -> dict[str, Any]:
    return {
        "name": "hello", "code": str(folder), "runtime": "python3.13", "handler": "app.handler",
        "environment": {"STAGE": "live"},
    }  # fmt: skip


def versions(client: Any) -> list[str]:
    found = client.list_versions_by_function(FunctionName="hello")["Versions"]
    return [version["Version"] for version in found if version["Version"] != "$LATEST"]


async def test_a_function_gets_new_settings_a_version_and_an_alias_and_all_of_it_is_undone(
    agent: Agent, function: dict[str, Any], client_of: Clients
) -> None:
    client = client_of("lambda")
    await agent.call("create_function", **function)
    asked = {
        "function": "hello", "memory_mib": 512, "environment": {"LEVEL": "info"}, "alias": "live",
    }  # fmt: skip
    change = await agent.call("update_function", **asked)
    made = change["outputs"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    now = client.get_function_configuration(FunctionName="hello")
    assert (now["MemorySize"], now["Timeout"]) == (512, 30)
    assert now["Environment"]["Variables"] == {"STAGE": "live", "LEVEL": "info"}
    alias = client.get_alias(FunctionName="hello", Name="live")
    assert alias["FunctionVersion"] == made["version"] != made["was_version"]
    assert (await agent.call("update_function", **asked))["reused"]
    again = {**asked, "memory_mib": 1024}
    second = await agent.call("update_function", **again)
    assert second["outputs"]["was_version"] == made["version"]
    for one in (second, change):
        undone = await agent.call("undo_change", change_id=one["change_id"])
        assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    now = client.get_function_configuration(FunctionName="hello")
    assert (now["MemorySize"], now["Environment"]["Variables"]) == (256, {"STAGE": "live"})
    assert versions(client) == []
    assert client.list_aliases(FunctionName="hello")["Aliases"] == []


class PackagesKept(AwsSessions):
    """Sessions whose functions name an address on this machine for their packages."""

    location = ""

    def open(self, target: AwsTarget = HERE) -> Aws:
        """The session of a target."""
        first = target not in self._opened
        session = super().open(target)
        if first:
            session.session.events.register("after-call.lambda.GetFunction", self._name)
        return session

    def _name(self, parsed: Any, **_: Any) -> None:
        if "Code" in parsed:
            parsed["Code"]["Location"] = self.location


@contextmanager
def serving(content: bytes) -> Iterator[str]:
    """An address on this machine that answers with some bytes."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/package" else 403)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Silence."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/package"
        finally:
            server.shutdown()
            thread.join()


async def test_a_functions_new_code_is_released_and_the_old_brought_back(
    cloud: Any, settings: Settings, function: dict[str, Any], folder: Path, client_of: Clients
) -> None:
    server, sessions = create_server(settings), PackagesKept()
    server.opswright_runtime.aws_sessions = sessions  # type: ignore[attr-defined]
    client = client_of("lambda")
    async with Client(server) as mcp:
        agent = Agent(mcp)
        await agent.call("create_function", **function)
        before = client.get_function_configuration(FunctionName="hello")["CodeSha256"]
        package = find_code(sessions.open(), str(folder)).parameters()["ZipFile"]
        (folder / "app.py").write_text(SOURCE.replace("1", "2"))
        asked = {"function": "hello", "code": str(folder)}
        change = await agent.call("update_function", **asked)
        after = client.get_function_configuration(FunctionName="hello")["CodeSha256"]
        assert after == change["outputs"]["code_sha256"] != before
        assert (await agent.call("update_function", **asked))["reused"]
        with serving(package) as sessions.location:
            undone = await agent.call("undo_change", change_id=change["change_id"])
        assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert client.get_function_configuration(FunctionName="hello")["CodeSha256"] == before
    assert versions(client) == []


async def test_an_emulator_that_keeps_no_package_is_not_said_to_have_given_it_back(
    agent: Agent, function: dict[str, Any], folder: Path
) -> None:
    await agent.call("create_function", **function)
    (folder / "app.py").write_text(SOURCE.replace("1", "2"))
    asked = {"function": "hello", "code": str(folder)}
    planned = await agent.call("update_function", **asked, dry_run=True)
    assert any("may keep no package" in said for said in planned["plan"]["warnings"])
    change = await agent.call("update_function", **asked)
    answer = await agent.client.call_tool(
        "undo_change", {"change_id": change["change_id"]}, raise_on_error=False
    )
    said = json.dumps(answer.structured_content) + str(answer.content)
    assert "keeps no package" in said


async def test_the_image_of_a_function_is_replaced_and_brought_back(
    agent: Agent, client_of: Clients
) -> None:
    uri = (await agent.call("create_container_repository", name="hello"))["outputs"]
    pinned = []
    for tag in ("1", "2"):
        kind = "application/vnd.oci.image.manifest.v1+json"
        layer = {"mediaType": kind, "size": 1, "digest": "sha256:" + tag * 64}
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": kind, "config": layer, "layers": [layer]}
        )
        put = client_of("ecr").put_image(
            repositoryName="hello", imageManifest=manifest, imageTag=tag
        )
        digest = put["image"]["imageId"]["imageDigest"]
        pinned.append(f"{uri['repository_uri']}@{digest}")
    await agent.call("create_function", name="hello", code=pinned[0])
    change = await agent.call("update_function", function="hello", code=pinned[1])
    code = client_of("lambda").get_function(FunctionName="hello")["Code"]
    assert code["ImageUri"] == pinned[1]
    await agent.call("undo_change", change_id=change["change_id"])
    code = client_of("lambda").get_function(FunctionName="hello")["Code"]
    assert code["ImageUri"] == pinned[0]
    said = await agent.refused("update_function", function="hello", handler="app.other")
    assert "its own runtime and handler" in said


REFUSED_OF_FUNCTIONS: list[tuple[dict[str, Any], str]] = [
    ({}, "Nothing to change"),
    ({"function": "none", "memory_mib": 512}, "does not exist"),
    ({"runtime": "python2.0"}, "is not known"),
    ({"environment": {"DB_PASSWORD": "hunter2-hunter2"}}, "looks like a secret"),
    ({"code": "/nowhere"}, "give s3://bucket/key"),
]


async def test_a_function_release_that_cannot_be_is_refused(agent: Agent) -> None:
    for changed, said in REFUSED_OF_FUNCTIONS:
        asked = {"function": "hello", **changed}
        assert said in await agent.refused("update_function", **asked), changed


def test_a_package_is_fetched_from_this_machine_alone_behind_an_emulator() -> None:
    with serving(b"PK") as location:
        assert fetch_package(location, on_this_machine=True) == b"PK"
        with pytest.raises(OpswrightError, match="answered 403"):
            fetch_package(location.replace("package", "other"), on_this_machine=True)
    with pytest.raises(OpswrightError, match="keeps no package"):
        fetch_package("https://awslambda.s3.eu-west-1.amazonaws.com/x", on_this_machine=True)
