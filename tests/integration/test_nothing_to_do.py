"""A change that finds all as wanted: answered with what is there; nobody has to approve it."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from tests.cicd.conftest import GitRepository
from tests.integration.servers import client_of_server

from opswright_core.changes import ChangePlan, Scope, Work
from opswright_core.recorder import Recorder
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check

Clients = Callable[[str], Any]


@pytest.fixture
def repo(tmp_path: Path) -> GitRepository:
    made = GitRepository(tmp_path / "sample")
    made.commit("first", {"run": "#!/bin/sh\necho one\n"})
    made.tag("v1.0.0")
    return made


async def done_in(name: str, settings: Settings, tool: str, call: dict[str, Any]) -> Any:
    async with client_of_server(name, settings, approvals="token") as client:
        answer = (await client.call_tool(tool, call)).structured_content
        if answer["status"] == "needs_approval":
            approved = {**call, "approval": answer["approval"]["token"]}
            answer = (await client.call_tool(tool, approved)).structured_content
        return answer


async def twice(name: str, settings: Settings, tool: str, call: dict[str, Any]) -> Any:
    """Make a change, then ask for it from a journal that knows nothing of it."""
    first = await done_in(name, settings, tool, call)
    assert (first["status"], first["reused"]) == ("done", False)
    other = settings.state_dir / "other"
    async with client_of_server(name, settings, approvals="token", state_dir=other) as client:
        again = (await client.call_tool(tool, call)).structured_content
    assert (again["status"], again["reused"]) == ("done", True)
    assert again["outputs"] == first["outputs"]
    assert {c["verdict"] for c in again["checks"]} == {"PASS"}
    assert again["undo"] == again["resources"] == []
    return again


async def test_a_budget_that_is_there(settings: Settings, cloud: Any) -> None:
    call = {"name": "shop", "monthly_usd": 100, "notify_email": "ops@example.com"}
    await twice("cost", settings, "create_budget", call)


async def test_a_bucket_that_is_closed(settings: Settings, client_of: Clients) -> None:
    client_of("s3").create_bucket(
        Bucket="ours", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    await twice("security", settings, "block_public_access", {"bucket": "ours"})


async def test_an_instance_that_requires_tokens(settings: Settings, client_of: Clients) -> None:
    made = client_of("ec2").run_instances(ImageId="ami-12345678", MinCount=1, MaxCount=1)
    call = {"instance_id": made["Instances"][0]["InstanceId"]}
    await twice("security", settings, "require_imdsv2", call)


async def test_a_rule_that_is_closed(settings: Settings, client_of: Clients) -> None:
    ec2 = client_of("ec2")
    group = ec2.create_security_group(GroupName="web", Description="web")["GroupId"]
    ec2.authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )
    call = {"group_id": group, "protocol": "tcp", "port": "22", "cidr": "0.0.0.0/0"}
    await twice("security", settings, "close_security_group_rule", call)


@pytest.mark.parametrize("tool", ["create_dashboard", "create_alarms"])
async def test_a_dashboard_and_alarms_that_are_as_wanted(
    settings: Settings, client_of: Clients, tool: str
) -> None:
    client_of("rds").create_db_instance(
        DBInstanceIdentifier="shop", DBInstanceClass="db.t3.micro", Engine="postgres",
        AllocatedStorage=20, MasterUsername="u", MasterUserPassword="not-a-secret",
    )  # fmt: skip
    await twice("metrics", settings, tool, {"name": "shop", "db_instance_id": "shop"})


async def test_a_release_that_is_stored(
    settings: Settings, client_of: Clients, repo: GitRepository
) -> None:
    client_of("s3").create_bucket(
        Bucket="releases", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    call = {
        "application": "shop", "repository": str(repo.path), "version": "v1.0.0",
        "bucket": "releases",
    }  # fmt: skip
    await twice("cicd", settings, "build_release", call)


async def test_a_tag_that_is_there_and_is_nobody_elses_to_delete(
    settings: Settings, repo: GitRepository, tmp_path: Path
) -> None:
    call = {"repository": str(repo.path), "version": "v9.0.0", "message": "nine"}
    await twice("cicd", settings, "create_tag", call)

    origin = tmp_path / "origin.git"
    repo.git("init", "--quiet", "--bare", str(origin))
    repo.git("remote", "add", "origin", str(origin))
    elsewhere = dataclasses.replace(settings, state_dir=settings.state_dir / "third")
    pushed = await done_in("cicd", elsewhere, "create_tag", {**call, "push": True})
    assert not pushed["reused"]
    await done_in("cicd", elsewhere, "undo_change", {"change_id": pushed["change_id"]})
    assert repo.git("ls-remote", "--tags", "origin") == ""
    assert repo.git("tag", "--list", "v9.0.0") == "v9.0.0", "another change made it"


async def test_what_is_there_but_does_not_hold_is_no_success(settings: Settings) -> None:
    from pydantic import BaseModel

    class Lamp(BaseModel):
        lit: bool

    @write_tool()
    def light() -> Work[Lamp]:
        """Light the lamp."""

        def plan() -> ChangePlan:
            return ChangePlan(summary="It is lit.", actions=[])

        def apply(rec: Recorder) -> Lamp:
            raise AssertionError("there is nothing to apply")

        def verify(lamp: Lamp) -> list[Check]:
            return [check("the lamp is lit", lamp.lit, "looked")]

        return Work(
            scope=Scope(id="lamp"), plan=plan, apply=apply, verify=verify,
            existing=lambda: Lamp(lit=False), outputs=Lamp,
        )  # fmt: skip

    server = build_server(
        "lamp", title="Lamp", instructions="Lamp.", tools=[light], settings=settings
    )
    async with Client(server) as client:
        answer = await client.call_tool("light", {}, raise_on_error=False)
    assert answer.is_error
    assert answer.structured_content["status"] == "failed"
    assert "the lamp is lit (looked)" in answer.content[0].text
