"""Answers stay within the budget, and the start stays light, whatever the store holds."""

import dataclasses
import json
import subprocess
import sys
from typing import Any

import pytest
from fastmcp import Client
from tests.postgres import Postgres

from opswright_core.pages import BUDGET_BYTES
from opswright_knowledge.records import HOST, DeploymentRecord, MemoryRecord, ResourceRecord
from opswright_knowledge.server import create_server
from opswright_knowledge.store import Store

MANY = 5_000


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def full_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """5,000 resources in one VPC, 300 deployments, 300 memories: for tests that only read."""
    url = f"sqlite:///{tmp_path_factory.mktemp('full')}/knowledge.db"
    if request.param == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new_database()
    store = Store(url)
    relation = {"kind": "in", "to": "vpc-1"}
    with store.writing(HOST) as unit:
        unit.resources.put([ResourceRecord(type="ec2:vpc", id="vpc-1")])
        for at in range(0, MANY - 1, 1000):
            unit.resources.put(
                [
                    ResourceRecord(
                        type=f"ec2:kind{n % 30}",
                        id=f"i-{n:05}",
                        name=f"node {n}",
                        region="eu-west-1",
                        attributes={"size": "m" * 100},
                        tags={"team": f"t{n % 7}"},
                        relations=[relation],
                    )
                    for n in range(at, min(at + 1000, MANY - 1))
                ]
            )
        for number in range(300):
            unit.deployments.record(
                DeploymentRecord(
                    application=f"app{number % 200}", environment="prod", version=str(number)
                )
            )
        unit.memories.put(
            "cost", [MemoryRecord(text=f"cost note {n} " + "x" * 500) for n in range(300)]
        )
    store.close()
    return url


@pytest.fixture
def url(full_url: str) -> str:
    """The store of `client`."""
    return full_url


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("find_resources", {}),
        ("find_resources", {"query": "node"}),
        ("find_resources", {"related_to": "vpc-1"}),
        ("walk_relations", {"id": "vpc-1"}),
        ("walk_relations", {"id": "i-00001", "direction": "both", "depth": 10}),
        ("list_deployments", {"limit": 100}),
        ("recall", {"query": "cost note", "limit": 50}),
        ("changes_since", {"limit": 500}),
    ],
)
async def test_no_tool_answers_with_more_than_the_budget(
    ask: Any, tool: Any, arguments: Any
) -> None:
    answer = await ask(tool, **arguments)
    assert len(json.dumps(answer, separators=(",", ":"), ensure_ascii=False)) <= BUDGET_BYTES


async def test_counts_are_exact_and_a_cut_walk_says_so(ask: Any) -> None:
    page = await ask("find_resources")
    assert page["total"] == MANY
    assert page["summary"].startswith("5,000 resources: 167 ")
    assert page["cursor"]
    walk = await ask("walk_relations", id="vpc-1")
    assert not walk["complete"]
    assert walk["summary"].startswith("more than 2,000 resources")


@pytest.mark.parametrize(
    "address",
    [
        "knowledge://resources",
        "knowledge://resources/ec2:vpc/vpc-1",
        "knowledge://deployments",
        "knowledge://agents/cost/memory",
        "knowledge://changes",
    ],
)
async def test_no_resource_is_longer_than_the_budget(read: Any, address: str) -> None:
    text = await read(address)
    assert len(text.encode()) <= BUDGET_BYTES
    assert {"next", "more"} & json.loads(text).keys()


async def test_the_default_tools_cost_at_most_3000_tokens(settings: Any) -> None:
    default = dataclasses.replace(settings, toolsets=frozenset({"default"}))
    async with Client(create_server(default)) as client:
        listed = [
            {"name": t.name, "description": t.description, "inputSchema": t.input_schema}
            for t in await client.list_tools()
        ]
    assert len(json.dumps(listed, separators=(",", ":"))) / 4 <= 3_000


def test_the_server_starts_without_the_database_library() -> None:
    code = (
        "import sys; from opswright_core.settings import Settings;"
        "from opswright_knowledge.server import create_server; create_server(Settings());"
        "print('sqlalchemy' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
