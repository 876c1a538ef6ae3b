"""Who listens to a resource, or to an index above it, is told when it changes, in both eras."""

from typing import Any

import pytest
from tests.core.test_subscriptions import subscribed

from opswright_knowledge.addresses import concerned
from opswright_knowledge.server import create_server

pytestmark = pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed")

ARN = "arn:aws:x:eu-west-1:1:thing/a b"
RECORDED = {"resources": [{"type": "ec2:vpc", "id": "vpc-1"}, {"type": "x", "id": ARN}]}
DEPLOYED = {"application": "shop", "environment": "prod", "version": "1"}
TELLING = [
    ("knowledge://resources", "record_resources", RECORDED),
    ("knowledge://resources/ec2:vpc", "record_resources", RECORDED),
    ("knowledge://resources/ec2%3Avpc/vpc-1", "record_resources", RECORDED),
    (f"knowledge://resources/x/{ARN}", "record_resources", RECORDED),
    ("knowledge://deployments", "record_deployment", DEPLOYED),
    ("knowledge://deployments/shop/prod", "record_deployment", DEPLOYED),
    ("knowledge://environments/prod", "record_deployment", DEPLOYED),
    ("knowledge://environments/prod", "set_context", {"scope": "env:prod", "key": "a", "value": 1}),
    ("knowledge://context/env:prod", "set_context", {"scope": "env:prod", "key": "a", "value": 1}),
    ("knowledge://context/s/a/b", "set_context", {"scope": "s", "key": "a/b", "value": 1}),
    ("knowledge://agents/cost/memory", "remember", {"agent": "*", "memories": [{"text": "x"}]}),
    (
        "knowledge://agents/new/inbox", "send_message",
        {"sender": "cost", "recipient": "*", "content": "x"},
    ),
    ("knowledge://runs/r", "record_run", {"run_id": "r", "goal": "g"}),
    ("knowledge://changes", "record_run", {"run_id": "r", "goal": "g"}),
]  # fmt: skip


@pytest.mark.parametrize(("uri", "tool", "arguments"), TELLING)
async def test_a_listener_is_told(
    settings: Any, era: str, uri: str, tool: str, arguments: Any
) -> None:
    async with subscribed(create_server(settings), era, uri) as (client, inbox):
        await client.call_tool(tool, arguments)
        assert await inbox.until(lambda _: True) == uri


async def test_a_listener_is_not_told_of_others_nor_of_what_was_not_kept(
    settings: Any, era: str
) -> None:
    server = create_server(settings)
    mine, last = "knowledge://context/mine/k", "knowledge://context/done/k"
    async with subscribed(server, era, mine, last) as (client, inbox):
        for call in (
            {"scope": "mine", "key": "k2", "value": 1},
            {"scope": "mine2", "key": "k", "value": 1},
            {"scope": "mine", "key": "k", "value": 1, "expected_revision": 7},
            {"scope": "done", "key": "k", "value": 1},
        ):
            await client.call_tool("set_context", call, raise_on_error=False)
        assert await inbox.until(lambda _: True) == last


@pytest.mark.parametrize(
    ("path", "change", "told"),
    [
        ("resources", ("resource", "t/x"), True),
        ("resources/t", ("resource", "t/x"), True),
        ("resources/t/x", ("resource", "t/x"), True),
        ("resources/t/x?cursor=abc", ("resource", "t/x"), True),
        ("resources/t/y", ("resource", "t/x"), False),
        ("resources/tt", ("resource", "t/x"), False),
        ("deployments/shop", ("deployment", "shop/prod/dp-1"), True),
        ("deployments/shop/prod", ("deployment", "shop/prod/dp-1"), True),
        ("deployments/shop/test", ("deployment", "shop/prod/dp-1"), False),
        ("environments", ("deployment", "shop/prod/dp-1"), True),
        ("environments/prod", ("deployment", "team%2Fshop/prod/dp-1"), True),
        ("deployments/team%2Fshop", ("deployment", "team%2Fshop/prod/dp-1"), True),
        ("deployments/team", ("deployment", "team%2Fshop/prod/dp-1"), False),
        ("resources/a%2Fb/c", ("resource", "a%2Fb/c"), True),
        ("resources/a/b/c", ("resource", "a%2Fb/c"), False),
        ("resources/a/b%2Fc", ("resource", "a/b/c"), True),
        ("resources/100%25/x", ("resource", "100%25/x"), True),
        ("history/resource/a%252Fb/c", ("resource", "a%2Fb/c"), True),
        ("environments/pro", ("deployment", "shop/prod/dp-1"), False),
        ("environments/prod", ("context", "env:prod/a"), True),
        ("environments/prod", ("context", "env:test/a"), False),
        ("agents", ("memory", "cost/mm-1"), True),
        ("agents/cost/memory", ("memory", "cost/mm-1"), True),
        ("agents/cost/inbox", ("memory", "cost/mm-1"), False),
        ("agents/cost/memory", ("memory", "*/mm-1"), True),
        ("agents/cost/inbox", ("message", "*/ms-1"), True),
        ("agents/cost/inbox", ("message", "cicd/ms-1"), False),
        ("threads/ms-1", ("message", "cicd/ms-2"), True),
        ("runs/r", ("run", "r"), True),
        ("runs/r/steps", ("run", "r"), True),
        ("runs/r2", ("run", "r"), False),
        ("changes", ("run", "r"), True),
        ("history/context/s/a", ("context", "s/a"), True),
        ("history/context/s/a", ("context", "s/b"), False),
        ("agents://card", ("run", "r"), False),
    ],
)
def test_a_change_concerns_its_record_and_the_indexes_above_it(
    path: str, change: Any, told: bool
) -> None:
    uri = f"knowledge://{path}"
    assert concerned([uri], [change]) == ([uri] if told else [])
