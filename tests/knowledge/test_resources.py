"""The store read as MCP resources, in both protocol eras."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from mcp.shared.exceptions import MCPError

from opswright_knowledge.server import create_server

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123:loadbalancer/app/front/50dc"
ADDRESSES = {
    "knowledge://resources",
    "knowledge://deployments",
    "knowledge://runs",
    "knowledge://changes",
}
TEMPLATES = {
    "knowledge://resources/{type}/{id*}",
    "knowledge://deployments/{application}/{environment}",
    "knowledge://agents/{agent}/memory",
    "knowledge://agents/{agent}/inbox",
    "knowledge://context/{scope}/{key*}",
    "knowledge://runs/{run_id}",
}


@pytest.fixture
async def era_client(connect: Any, era: Any) -> Any:
    async with connect(create_server, mode=era) as opened:
        yield opened


async def told(client: Any, address: str) -> Any:
    (content,) = await client.read_resource(address)
    assert content.mime_type == "application/json"
    assert len(content.text.encode()) <= 16_000
    return json.loads(content.text)


async def test_the_addresses_are_listed(era_client: Any) -> None:
    assert {str(r.uri) for r in await era_client.list_resources()} >= ADDRESSES
    assert {t.uri_template for t in await era_client.list_resource_templates()} >= TEMPLATES


async def test_a_resource_is_read_by_its_type_and_id_or_arn(era_client: Any) -> None:
    records = [
        {"type": "elb:load_balancer", "id": ARN, "name": "front"},
        {"type": "dns:record", "id": "www", "relations": [{"kind": "routes_to", "to": ARN}]},
    ]
    await era_client.call_tool("record_resources", {"resources": records})
    plain = await told(era_client, f"knowledge://resources/elb:load_balancer/{ARN}")
    encoded = await told(
        era_client, f"knowledge://resources/{quote('elb:load_balancer', '')}/{quote(ARN, '')}"
    )
    assert plain == encoded
    assert (plain["name"], plain["relied_on_by"]) == ("front", ["www routes_to"])
    index = await told(era_client, "knowledge://resources")
    assert index["by_type"] == {"dns:record": 1, "elb:load_balancer": 1}
    assert {a: await told(era_client, a) for a in index["items"]}.keys() == set(index["items"])


async def test_what_is_not_there_is_an_error_that_says_where_to_look(era_client: Any) -> None:
    for address, says in [
        ("knowledge://resources/ec2:vpc/vpc-1", "find_resources"),
        ("knowledge://context/env/db", "get_context"),
        ("knowledge://runs/run-1", "list_runs"),
    ]:
        with pytest.raises(MCPError, match=says):
            await era_client.read_resource(address)


async def test_deployments_memory_inbox_context_runs_and_changes_are_read(era_client: Any) -> None:
    call = era_client.call_tool
    for version in ("1", "2"):
        await call(
            "record_deployment", {"application": "shop", "environment": "prod", "version": version}
        )
    await call("record_deployment", {"application": "shop", "environment": "test", "version": "3"})
    await call("remember", {"agent": "cost", "memories": [{"text": "nat is dear"}]})
    await call("send_message", {"sender": "cost", "recipient": "*", "content": "save"})
    await call("set_context", {"scope": "env:prod", "key": "db/url", "value": {"a": 1}})
    await call("record_run", {"run_id": "run-1", "goal": "deploy"})
    latest = await told(era_client, "knowledge://deployments")
    assert [d["version"] for d in latest["items"]] == ["2", "3"]
    history = await told(era_client, "knowledge://deployments/shop/prod")
    assert [d["version"] for d in history["items"]] == ["2", "1"]
    assert (await told(era_client, "knowledge://agents/cost/memory"))["items"][0][
        "text"
    ] == "nat is dear"
    assert (await told(era_client, "knowledge://agents/cost/inbox"))["total"] == 0
    assert (await told(era_client, "knowledge://agents/cicd/inbox"))["items"][0][
        "content"
    ] == "save"
    assert (await told(era_client, "knowledge://context/env:prod/db/url"))["value"] == {"a": 1}
    assert (await told(era_client, "knowledge://runs"))["items"][0]["run_id"] == "run-1"
    assert (await told(era_client, "knowledge://runs/run-1"))["goal"] == "deploy"
    changes = await told(era_client, "knowledge://changes")
    assert (changes["revision"], changes["items"][-1]["key"]) == (7, "run-1")


async def test_an_empty_store_reads_as_empty_lists(era_client: Any) -> None:
    for address in sorted(ADDRESSES):
        assert (await told(era_client, address))["items"] == []


async def test_long_ones_are_shortened_and_name_the_tool_for_the_rest(era_client: Any) -> None:
    await era_client.call_tool(
        "record_run",
        {
            "run_id": "r",
            "goal": "g",
            "steps": [{"id": "x" * 200}] * 500,
            "plan": {"p": "y" * 50_000},
        },
    )
    run = await told(era_client, "knowledge://runs/r")
    assert run["more"] == "get_run"
    assert run["shortened"]
    for number in range(120):
        await era_client.call_tool("set_context", {"scope": "s", "key": f"k{number}", "value": 1})
    changes = await told(era_client, "knowledge://changes")
    assert changes["items"][-1]["key"] == "s/k119"
    assert "changes_since" in changes["more"]
