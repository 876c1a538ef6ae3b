"""The server as a host sees it, and its skills."""

import json
from dataclasses import replace
from typing import Any

import pytest
from fastmcp import Client
from tests.cicd.conftest import BUCKET, GitRepository, Stage, done

from opswright_cicd.server import create_server
from opswright_cicd.skills.delivery import DeployInputs, WhichDeployment
from opswright_core.agent.skills import fill
from opswright_core.settings import Settings

TOKENS = 3000
PERMISSION = "elasticloadbalancing:DescribeTargetHealth"


async def test_the_default_toolset_fits_its_budget(settings: Settings) -> None:
    default = replace(settings, toolsets=frozenset({"default"}))
    async with Client(create_server(default)) as client:
        tools = await client.list_tools()
    listed = [
        {"name": t.name, "description": t.description, "inputSchema": t.input_schema} for t in tools
    ]
    assert len(json.dumps(listed, separators=(",", ":"))) / 4 <= TOKENS
    names = {tool.name for tool in tools}
    assert {"build_release", "deploy_release", "roll_back_deployment"} <= names
    assert not names & {"create_tag", "build_image", "review_pipeline"}


async def test_a_read_only_server_offers_no_changes(
    connect: Any, settings: Settings, era: str
) -> None:
    async with Client(create_server(replace(settings, allow_writes=False)), mode=era) as client:
        names = {tool.name for tool in await client.list_tools()}
    assert {"list_versions", "get_deployment", "review_pipeline"} <= names
    assert not names & {
        "build_release",
        "deploy_release",
        "roll_back_deployment",
        "create_tag",
        "build_image",
    }


async def test_what_may_not_be_read_is_unknown_and_not_live(
    settings: Settings, repo: GitRepository, stage: Stage
) -> None:
    server = create_server(settings)
    async with Client(server) as client:
        await deploy_first(client, repo, stage)
        sessions = server.opswright_runtime.aws_sessions  # type: ignore[attr-defined]
        elbv2 = sessions.open().client("elbv2")

        def deny(parsed: dict[str, Any], http_response: Any, **_: Any) -> None:
            http_response.status_code = 403
            parsed["Error"] = {
                "Code": "AccessDenied",
                "Message": f"User x is not authorized to perform: {PERMISSION}",
            }

        name = "after-call.elastic-load-balancing-v2.DescribeTargetHealth"
        elbv2.meta.events.register(name, deny)
        now = await done(client, "get_deployment", application="shop")
    assert now["status"] == "unknown"
    assert f"Grant {PERMISSION}" in now["evidence"]


async def deploy_first(client: Any, repo: GitRepository, stage: Stage) -> None:
    built = await done(
        client,
        "build_release",
        application="shop",
        repository=str(repo.path),
        version="v1.0.0",
        bucket=BUCKET,
    )
    await done(client, "deploy_release", **stage.arguments(built["outputs"]))


async def task(client: Any, words: str, **facts: Any) -> dict[str, Any]:
    answer = await client.call_tool(
        "handle_task",
        {"task": words, "context": {"facts": facts}, "wait_seconds": 50},
        raise_on_error=False,
    )
    report: dict[str, Any] = answer.structured_content
    return report


async def test_the_agent_deploys_says_what_runs_compares_and_rolls_back(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        await deploy_first(client, repo, stage)
        report = await task(client, "deploy version v1.1.0 of the shop app")
        assert (report["status"], report["skill"]) == ("completed", "deploy_version")
        assert report["outputs"]["version"] == "v1.1.0"
        assert report["summary"].startswith(
            "shop v1.1.0 runs in production (2 instances replaced)."
        )
        assert "No server really boots" in report["summary"]
        assert report["messages"][0]["recipient"] == "metrics"
        assert report["memories"]

        report = await task(client, "what version is running")
        assert (report["status"], report["skill"]) == ("completed", "show_running_version")
        assert report["summary"].startswith("shop v1.1.0")
        assert "is live in production" in report["summary"]

        report = await task(
            client, "what changed between v1.0.0 and v1.1.0", repository=str(repo.path)
        )
        assert report["skill"] == "compare_two_versions"
        assert "1 commits, 3 files" in report["summary"]

        report = await task(client, "roll back the last deployment")
        assert (report["status"], report["skill"]) == ("completed", "roll_back_to_previous")
        assert report["outputs"]["version"] == "v1.0.0"


async def test_the_agent_builds_a_release(connect: Any, repo: GitRepository, stage: Stage) -> None:
    async with connect(create_server) as client:
        report = await task(
            client, "build release v1.1.0 of shop", repository=str(repo.path), bucket=BUCKET
        )
    assert (report["status"], report["skill"]) == ("completed", "build_one_release")
    assert report["outputs"]["artifact_key"].startswith("releases/shop/v1.1.0/")


async def test_the_agent_asks_for_what_it_does_not_know(
    connect: Any, repo: GitRepository, stage: Stage
) -> None:
    async with connect(create_server) as client:
        report = await task(client, "deploy version v1.1.0 of the app named blog")
        assert report["status"] == "failed"
        assert "repository, bucket, asg_name, target_group_arn" in report["summary"]
        report = await task(client, "deploy the app named shop")
        assert report["status"] == "needs_input"
        assert "version" in [need["name"] for need in report["needs"]]
        report = await task(client, "roll back the last deployment")
        assert (report["status"], report["summary"]) == (
            "failed",
            "Which application in production? Nothing is deployed there.",
        )


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("deploy version v1.1.0 of the sample app", "deploy_version"),
        ("roll back the last deployment", "roll_back_to_previous"),
        ("what version is running", "show_running_version"),
        ("what changed between v1.0.0 and v1.1.0", "compare_two_versions"),
        ("build a release", "build_one_release"),
        ("roll back the blog app in staging", "roll_back_to_previous"),
        ("what changed in payments between v2.3.0 and v2.4.1", "compare_two_versions"),
    ],
)
def test_the_words_of_a_task_find_its_skill(settings: Settings, words: str, name: str) -> None:
    agent = create_server(settings).opswright_runtime.extras["agent"]  # type: ignore[attr-defined]
    chosen = agent.skills.choose(words)
    assert chosen is not None
    assert chosen.name == name


@pytest.mark.parametrize(
    ("words", "application"),
    [
        ("deploy version v1.1.0 of the sample app", "sample"),
        ("deploy v2 of the app named blog", "blog"),
        ("deploy the shop app", "shop"),
        ("ship v1.2.0 for api-gateway to staging", "api-gateway"),
    ],
)
def test_the_application_is_found_in_the_words(words: str, application: str) -> None:
    filled = fill(DeployInputs, words, {"version": "v1"})
    assert isinstance(filled, DeployInputs)
    assert filled.application == application
    assert filled.environment == ("staging" if "staging" in words else "production")


def test_no_application_is_made_up(settings: Settings) -> None:
    filled = fill(WhichDeployment, "roll back the last deployment", {})
    assert isinstance(filled, WhichDeployment)
    assert filled.application is None
