"""The store read as MCP resources, in both protocol eras."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from mcp.shared.exceptions import MCPError

from opswright_knowledge import addresses
from opswright_knowledge.records import (
    HOST,
    DeploymentRecord,
    MemoryRecord,
    MessageRecord,
    ResourceRecord,
)
from opswright_knowledge.server import create_server
from opswright_knowledge.store import Store

ARN = "arn:aws:elasticloadbalancing:eu-west-1:123:loadbalancer/app/front/50dc"
INDEXES = {
    f"knowledge://{name}"
    for name in ("resources", "deployments", "environments", "agents", "context", "runs", "changes")
}
TEMPLATES = {
    "knowledge://resources/{type}/{id*}",
    "knowledge://deployments/{application}/{environment}{?cursor}",
    "knowledge://environments/{environment}{?cursor}",
    "knowledge://agents/{agent}/memory{?cursor}",
    "knowledge://agents/{agent}/inbox{?cursor}",
    "knowledge://threads/{thread}{?cursor}",
    "knowledge://context/{scope}/{key*}",
    "knowledge://runs/{run_id}",
    "knowledge://runs/{run_id}/{part}{?cursor}",
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
    assert {str(r.uri) for r in await era_client.list_resources()} >= INDEXES
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
    assert [entry["name"] for entry in index["items"]] == ["", "front"]
    for entry in index["items"]:
        assert (await told(era_client, entry["address"]))["name"] == entry["name"]
    vpcs = await told(era_client, "knowledge://resources/dns:record")
    assert (vpcs["total"], vpcs["items"]) == (1, index["items"][:1])


async def test_what_is_not_there_is_an_error_that_says_where_to_look(era_client: Any) -> None:
    for address, says in [
        ("knowledge://resources/ec2:vpc/vpc-1", "find_resources"),
        ("knowledge://context/env/db", "get_context"),
        ("knowledge://runs/run-1", "list_runs"),
        ("knowledge://runs/run-1/plans", "plan, steps, report"),
        ("knowledge://threads/ms-1", "read_messages"),
        ("knowledge://environments/prod", "knowledge://environments"),
        ("knowledge://resources?cursor=nonsense", "not a cursor"),
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
    assert (changes["revision"], changes["items"][0]["key"]) == (7, "run-1")


async def test_an_empty_store_reads_as_empty_lists(era_client: Any) -> None:
    for address in sorted(INDEXES):
        assert (await told(era_client, address))["items"] == []


async def test_an_environment_shows_what_runs_in_it_and_its_configuration(era_client: Any) -> None:
    call = era_client.call_tool
    for version in ("1", "2"):
        await call(
            "record_deployment", {"application": "shop", "environment": "prod", "version": version}
        )
    await call("set_context", {"scope": "env:prod", "key": "replicas", "value": 3})
    await call("set_context", {"scope": "env:test", "key": "replicas", "value": 1})
    index = await told(era_client, "knowledge://environments")
    assert [entry["name"] for entry in index["items"]] == ["prod", "test"]
    prod, test = [await told(era_client, entry["address"]) for entry in index["items"]]
    assert [(r["application"], r["version"], r["previous"]) for r in prod["running"]] == [
        ("shop", "2", "1")
    ]
    assert [(v["key"], v["value"]) for v in prod["items"]] == [("replicas", 3)]
    assert (test["running"], test["items"][0]["value"]) == ([], 1)


async def test_agents_threads_and_scopes_are_listed(era_client: Any) -> None:
    call = era_client.call_tool
    await call("remember", {"agent": "cost", "memories": [{"text": "nat is dear"}]})
    first = await call("send_message", {"sender": "cost", "recipient": "cicd", "content": "save"})
    thread = first.structured_content["thread"]
    await call(
        "send_message",
        {"sender": "cicd", "recipient": "cost", "content": "how", "in_reply_to": thread},
    )
    await call("set_context", {"scope": "env:prod", "key": "a", "value": 1})
    agents = (await told(era_client, "knowledge://agents"))["items"]
    assert [(a["agent"], a["memories"], a["unacknowledged"]) for a in agents] == [
        ("cicd", 0, 1),
        ("cost", 1, 1),
    ]
    talk = await told(era_client, f"knowledge://threads/{thread}")
    assert [m["content"] for m in talk["items"]] == ["save", "how"]
    scopes = await told(era_client, "knowledge://context")
    assert [(s["scope"], s["count"]) for s in scopes["items"]] == [("env:prod", 1)]


async def walked(client: Any, address: str) -> list[Any]:
    """The items of an index, page by page as its links say."""
    items: list[Any] = []
    for _ in range(100):
        page = await told(client, address)
        items += page["items"]
        if "next" not in page:
            return items
        address = page["next"]
    raise AssertionError(f"{address} does not end")


async def test_the_links_of_an_index_lead_through_all_of_it(client: Any, url: str) -> None:
    store = Store(url)
    with store.writing(HOST) as unit:
        unit.resources.put(
            [ResourceRecord(type=f"t{n % 3}", id=f"n/{n:03} ü", name="x" * 90) for n in range(250)]
        )
        for number in range(130):
            unit.context.put("env:prod", f"k{number:03}", "v" * 200)
            unit.deployments.record(
                DeploymentRecord(application=f"a{number % 120:03}", environment="prod", version="1")
            )
            unit.runs.record(f"run {number:03}", {"goal": "g" * 100})
            unit.messages.send("cost", MessageRecord(recipient="cicd", content="c" * 200))
        unit.memories.put("cost", [MemoryRecord(text=f"m{n} " + "x" * 300) for n in range(130)])
    store.close()
    expected = {
        "resources": 250,
        "resources/t1": 83,
        "deployments": 120,
        "deployments/a001/prod": 2,
        "environments": 1,
        "environments/prod": 130,
        "agents/cost/memory": 130,
        "agents/cicd/inbox": 130,
        "context/env:prod": 130,
        "runs": 130,
        "changes": 250 + 4 * 130 + 130,
    }
    for path, count in expected.items():
        items = await walked(client, f"knowledge://{path}")
        assert len(items) == len({json.dumps(item) for item in items}) == count, path


async def test_a_walk_through_an_index_loses_and_doubles_nothing_while_others_write(
    client: Any, ask: Any
) -> None:
    def nodes(*names: str) -> list[dict[str, str]]:
        return [{"type": "t", "id": name, "name": "x" * 100} for name in names]

    await ask("record_resources", resources=nodes(*(f"b{n:03}" for n in range(200))))
    page = await told(client, "knowledge://resources")
    seen = [entry["address"] for entry in page["items"]]
    await ask("record_resources", resources=nodes("a1", "c1", "b000"))
    await ask("mark_deleted", resources=[{"type": "t", "id": "b000"}])
    seen += [entry["address"] for entry in await walked(client, page["next"])]
    assert len(seen) == len(set(seen))
    there_all_along = {f"knowledge://resources/t/b{n:03}" for n in range(200)}
    assert there_all_along | {"knowledge://resources/t/c1"} == set(seen)


@pytest.mark.parametrize(
    "name",
    [
        "plain-1",
        ARN,
        "/aws/lambda/log group",
        "a//b/",
        "100%",
        "a%2Fb",
        "why?#fragment",
        "ümläut ✓",
        "a/../b",
        'it\'s "quoted" & <odd>;=+,',
        "back\\slash|pipe^{x}",
    ],
)
async def test_any_id_is_read_at_the_address_that_its_index_gives(client: Any, name: str) -> None:
    record = {"type": f"t {name}", "id": name, "name": "it"}
    await client.call_tool("record_resources", {"resources": [record]})
    await client.call_tool("set_context", {"scope": name, "key": name, "value": name})
    await client.call_tool("record_run", {"run_id": name, "goal": name, "plan": {"a": 1}})
    (entry,) = (await told(client, "knowledge://resources"))["items"]
    found = await told(client, entry["address"])
    assert (found["type"], found["id"]) == (f"t {name}", name)
    assert (await told(client, addresses.address("context", name, name)))["value"] == name
    run = await told(client, addresses.address("runs", name))
    assert json.loads((await told(client, run["parts"]["plan"]))["text"]) == {"a": 1}
    for safe in ("",) if ".." in name else ("", "/"):  # URLs take `..` out of their paths
        by_template = f"knowledge://context/{quote(name, '')}/{quote(name, safe)}"
        assert (await told(client, by_template))["value"] == name


async def test_the_parts_of_a_long_run_are_read_whole_in_pages(era_client: Any) -> None:
    steps = [{"id": f'{n} "ü✓" ' + "x" * 200} for n in range(300)]
    plan = {"p": '"' * 30_000}
    await era_client.call_tool(
        "record_run", {"run_id": "r", "goal": "g", "steps": steps, "plan": plan}
    )
    run = await told(era_client, "knowledge://runs/r")
    assert run["shortened"]
    assert run["parts"].keys() == {"plan", "steps"}
    for part, whole in {"steps": steps, "plan": plan}.items():
        text, following = "", run["parts"][part]
        while following:
            page = await told(era_client, following)
            text, following = text + page["text"], page.get("next")
        assert json.loads(text) == whole


async def test_a_page_of_a_run_that_changed_meanwhile_is_refused(era_client: Any) -> None:
    call = {"run_id": "r", "goal": "g", "plan": {"p": "x" * 30_000}}
    await era_client.call_tool("record_run", call)
    page = await told(era_client, "knowledge://runs/r/plan")
    await era_client.call_tool("record_run", {"run_id": "r", "plan": {"p": "y" * 30_000}})
    with pytest.raises(MCPError, match="has changed since"):
        await told(era_client, page["next"])


async def test_lists_say_when_an_index_was_written_last(era_client: Any) -> None:
    def dates(listed: Any) -> dict[str, str]:
        return {
            str(r.uri): r.annotations.last_modified for r in listed if r.annotations is not None
        }

    assert dates(await era_client.list_resources()) == {}
    await era_client.call_tool("set_context", {"scope": "s", "key": "k", "value": 1})
    answer = await told(era_client, "knowledge://context/s/k")
    assert dates(await era_client.list_resources()) == {
        "knowledge://context": answer["at"],
        "knowledge://changes": answer["at"],
    }
