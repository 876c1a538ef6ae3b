"""Each permission that the tools of stacks need is taken away in turn, where stacks really work."""

import functools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops.account import account
from tests.aws_devops.conftest import Watched
from tests.aws_devops.refusing import RefusingSessions
from tests.aws_devops.stripping import Stripped, distinct, filled, names, said

from opswright_aws_devops.server import create_server
from opswright_core.settings import Settings

HELD = ("cloudformation", "sqs")
TEMPLATE = """
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties: {QueueName: %s}
"""
LARGER = (
    TEMPLATE + "  Late: {Type: AWS::SQS::Queue, DeletionPolicy: Delete, "
    "Properties: {QueueName: late}}\n"
)

CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("deploy_stack", {"name": "shop", "template": LARGER % "shop"}),
    (
        "import_resources",
        {
            "name": "taken",
            "template": TEMPLATE % "jobs",
            "resources": {"Jobs": {"QueueUrl": "URL"}},
        },
    ),
]
"""A stack that is updated, and what exists taken into a new one."""

UNDONE_BY_NOTHING: dict[str, dict[str, Any]] = {"delete_stack": {"name": "shop"}}

READS: dict[str, dict[str, Any]] = {"find_stack_drift": {"name": "shop"}}

PLANNING = frozenset(
    f"cloudformation:{name}" for name in ("CreateChangeSet", "DeleteChangeSet", "DeleteStack")
)
"""A plan is a change set, which is taken away again."""

COURTESY = frozenset({"cloudformation:DescribeStackEvents"})


@pytest.fixture
async def stacks(stack_cloud: Any, settings: Settings) -> AsyncIterator[Watched]:
    server, sessions = create_server(settings), RefusingSessions()
    server.opswright_runtime.aws_sessions = sessions  # type: ignore[attr-defined]
    async with Client(server) as client:
        watched = Watched(client, sessions=sessions)
        await watched.call("deploy_stack", name="shop", template=TEMPLATE % "shop")
        yield watched


async def test_a_change_of_a_stack_without_one_of_its_permissions_leaves_no_trace(
    stacks: Watched, stack_cloud: Any
) -> None:
    url = stack_cloud("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    read = functools.partial(account, stack_cloud)
    stripped = Stripped(stacks, read, read(HELD), planning=PLANNING, courtesy=COURTESY)
    for tool, arguments in CHANGES:
        await stripped.strip(tool, filled(arguments, {"URL": url}))
    assert stripped.wrong == [], "\n".join(stripped.wrong)


async def test_what_of_a_stack_may_not_be_read_or_deleted_is_named(
    stacks: Watched, stack_cloud: Any
) -> None:
    sent, sessions = stacks.sessions.sent, stacks.sessions
    silent: list[str] = []
    for tool, arguments in {**READS, **UNDONE_BY_NOTHING}.items():
        start = len(sent)
        await stacks.call(tool, **arguments)
        operations = distinct(sent[start:])
        assert operations
        if tool in UNDONE_BY_NOTHING:
            await stacks.call("deploy_stack", name="shop", template=LARGER % "again")
        for operation in operations:
            sessions.refused[operation] = 0
            answer = await stacks.client.call_tool(tool, arguments, raise_on_error=False)
            sessions.refused.clear()
            if not names(said(answer), operation):
                silent.append(f"{tool}: {operation}: {said(answer)[:300]}")
    assert silent == [], "\n".join(silent)
