"""change_aws over Cloud Control: followed to the end, read back, undone; on an emulator of it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops.answering import AnsweringSessions
from tests.aws_devops.conftest import Agent, Watched

from opswright_aws_devops.server import create_server
from opswright_core.settings import Settings

BUCKET = "AWS::S3::Bucket"
WANTED = {"TypeName": BUCKET, "DesiredState": json.dumps({"BucketName": "shop-files"})}


async def change(agent: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    answer = await agent.client.call_tool(
        "change_aws",
        {"service": "cloudcontrol", "operation": operation, "parameters": parameters},
        raise_on_error=False,
    )
    content: dict[str, Any] = answer.structured_content
    return content


async def identifiers(agent: Any) -> list[str]:
    listed = await agent.call(
        "read_aws", service="cloudcontrol", operation="ListResources",
        parameters={"TypeName": BUCKET},
    )  # fmt: skip
    return [one["Identifier"] for one in listed["data"]["ResourceDescriptions"]]


async def test_what_is_made_is_read_back_once_and_undone(stacks: Agent) -> None:
    made = await change(stacks, "CreateResource", **WANTED)
    assert made["status"] == "done", made
    assert made["resources"] == [
        {"type": BUCKET, "id": "shop-files", "name": "", "action": "created"}
    ]
    assert [check["verdict"] for check in made["checks"]] == ["PASS"]
    again = await change(stacks, "CreateResource", **WANTED)
    assert (again["reused"], again["change_id"]) == (True, made["change_id"])
    assert await identifiers(stacks) == ["shop-files"]
    await stacks.call("undo_change", change_id=made["change_id"])
    assert await identifiers(stacks) == []


async def test_a_deletion_is_read_back(stacks: Agent) -> None:
    await change(stacks, "CreateResource", **WANTED)
    gone = await change(stacks, "DeleteResource", TypeName=BUCKET, Identifier="shop-files")
    assert (gone["status"], gone["undo"]) == ("done", [])
    assert gone["checks"][0]["evidence"] == "GetResource finds nothing"
    assert gone["checks"][0]["verdict"] == "PASS"


def event(status: str, **more: Any) -> dict[str, Any]:
    known = {"TypeName": BUCKET, "RequestToken": "a-request", "Operation": "CREATE"}
    return {"ProgressEvent": {**known, "OperationStatus": status, **more}}


@pytest.fixture
async def slow(stack_cloud: Any, settings: Settings) -> AsyncIterator[Watched]:
    """An account in which Cloud Control takes its time, and says so."""
    server, sessions = create_server(settings), AnsweringSessions()
    server.opswright_runtime.aws_sessions = sessions  # type: ignore[attr-defined]
    sessions.answers["CreateResource"] = lambda: event("PENDING")
    async with Client(server) as client:
        yield Watched(client, sessions=sessions)


async def test_a_request_is_followed_until_its_resource_is_there(slow: Watched) -> None:
    looks = iter(
        [event("IN_PROGRESS"), event("IN_PROGRESS"), event("SUCCESS", Identifier="shop-files")]
    )
    sessions: Any = slow.sessions
    sessions.answers["GetResourceRequestStatus"] = lambda: next(looks)
    described = {"Identifier": "shop-files", "Properties": "{}"}
    sessions.answers["GetResource"] = lambda: {"ResourceDescription": described}
    made = await change(slow, "CreateResource", **WANTED)
    assert made["status"] == "done", made
    assert made["outputs"]["answer"]["ProgressEvent"]["OperationStatus"] == "SUCCESS"
    assert made["undo"] == [f"cloudcontrol DeleteResource {BUCKET} shop-files"]
    assert next(looks, None) is None


async def test_a_request_that_fails_is_no_success(slow: Watched) -> None:
    said = {"ErrorCode": "AlreadyExists", "StatusMessage": "shop-files exists already"}
    sessions: Any = slow.sessions
    sessions.answers["GetResourceRequestStatus"] = lambda: event("FAILED", **said)
    failed = await change(slow, "CreateResource", **WANTED)
    assert failed["status"] == "failed"
    assert "AlreadyExists: shop-files exists already" in failed["error"]
    assert failed["undo"] == []
