"""Over HTTP a token sees its namespaces and nothing of any other, whatever it asks."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client
from mcp.client.subscriptions import SubscriptionLost, listen
from mcp_types import ResourceTemplateReference
from tests.core.issuers import AUDIENCE, ISSUER, Issuer
from tests.core.test_subscriptions import subscribed
from tests.knowledge.teams import FILE, TOKENS, member, serving_teams, transport
from tests.knowledge.test_namespaces import LOOKS, RECORDS

pytestmark = pytest.mark.filterwarnings("ignore:resources/(un)?subscribe is removed")

CHANGES = "knowledge://changes"
NAMED: list[tuple[str, dict[str, Any]]] = [
    *LOOKS,
    ("walk_relations", {"id": "vpc-1"}),
    ("get_run", {"run_id": "run-1"}),
    ("get_history", {"kind": "resource", "key": "ec2:vpc/vpc-1"}),
    ("mark_deleted", {"resources": [{"type": "ec2:vpc", "id": "vpc-1"}]}),
    ("handle_task", {"task": "what changed since yesterday?", "wait_seconds": 25}),
    ("handle_task", {"task": "what do we know about secret?", "wait_seconds": 25}),
]
"""What tells of records, of what was named by those who know the other team's names."""
WRITING = {tool for tool, _ in RECORDS} | {
    "acknowledge_messages", "record_report", "import_records", "forget_memory",
}  # fmt: skip
ADDRESSES = [
    "resources/ec2:vpc", "resources/ec2:vpc/vpc-1", "deployments/shop", "deployments/shop/prod",
    "environments/prod", "agents/cost/memory", "agents/cost/inbox", "context/env:prod",
    "context/env:prod/k", "runs/run-1", "runs/run-1/plan", "history/resource/ec2:vpc/vpc-1",
]  # fmt: skip
COMPLETED = {
    "knowledge://resources/{type}{?cursor}": "type",
    "knowledge://resources/{type}/{id*}": "id",
    "knowledge://deployments/{application}{?cursor}": "application",
    "knowledge://deployments/{application}/{environment}{?cursor}": "environment",
    "knowledge://agents/{agent}/memory{?cursor}": "agent",
    "knowledge://threads/{thread}{?cursor}": "thread",
    "knowledge://context/{scope}{?cursor}": "scope",
    "knowledge://context/{scope}/{key*}": "key",
    "knowledge://runs/{run_id}": "run_id",
    "knowledge://history/{kind}/{record*}{?cursor}": "record",
}


@pytest.fixture(scope="module")
def teams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in which only team-b has recorded anything."""
    with serving_teams(tmp_path_factory.mktemp("teams")) as url:

        async def fill() -> None:
            async with member(url, "b") as client:
                for tool, arguments in RECORDS:
                    await client.call_tool(tool, arguments)

        asyncio.run(fill())
        yield url


async def told(client: Any, tool: str, arguments: dict[str, Any]) -> str:
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    return str(result.structured_content) + "".join(getattr(c, "text", "") for c in result.content)


async def read(client: Any, uri: str) -> str:
    try:
        return "".join(content.text for content in await client.read_resource(uri))
    except Exception as exc:
        return str(exc)


async def test_every_tool_and_resource_tells_of_the_own_team_alone(teams: str, era: str) -> None:
    async with member(teams, "a", era=era) as a, member(teams, "b", era=era) as b:
        known = {tool.name for tool in await a.list_tools()}
        asked = {tool for tool, _ in NAMED} | WRITING | {"can_handle", "get_task", "cancel_task"}
        assert known == asked  # whoever adds a tool adds it here
        for tool, arguments in NAMED:
            if tool == "mark_deleted":
                continue  # b's stay as they are
            assert "secret" not in await told(a, tool, arguments) or "secret" in str(arguments)
        assert "a secret habit" in await told(b, *NAMED[-1])
        listed = [str(resource.uri) for resource in await a.list_resources()]
        own = [uri for uri in listed if uri.startswith("knowledge://")]
        templates = {template.uri_template for template in await a.list_resource_templates()}
        assert len(own) == 7
        for uri in [*own, *(f"knowledge://{path}" for path in ADDRESSES)]:
            seen = await read(a, uri)
            assert "secret" not in seen
            assert '"total":0' in seen or '"items"' not in seen, seen
        theirs = [await read(b, f"knowledge://{path}") for path in ADDRESSES]
        assert sum("secret" in text for text in theirs) >= 9
        for template, parameter in COMPLETED.items():
            assert template in templates
            ref = ResourceTemplateReference(type="ref/resource", uri=template)
            argument = {"name": parameter, "value": ""}
            assert (await a.complete(ref, argument)).values == []
            assert (await b.complete(ref, argument)).values


async def test_records_of_the_same_name_never_mix(teams: str, era: str) -> None:
    key = {"scope": f"same-{era}", "key": "k"}
    async with member(teams, "a", era=era) as a, member(teams, "b", era=era) as b:
        for client, value in ((a, "of a"), (b, "of b")):
            sent = {**key, "value": value, "expected_revision": 0}
            await client.call_tool("set_context", sent)
        for client, value in ((a, "of a"), (b, "of b")):
            page = (await client.call_tool("get_context", key)).structured_content
            assert [item["value"] for item in page["items"]] == [value]


async def test_who_may_see_several_chooses_by_header_and_gets_the_first_without(
    teams: str, era: str
) -> None:
    async def deployments(token: str, namespace: str = "") -> int:
        async with member(teams, token, namespace, era=era) as client:
            answer = await client.call_tool("list_deployments", {})
            total: int = answer.structured_content["total"]
            return total

    assert await deployments("both") == 1
    assert await deployments("both", "team-b") == 1
    assert await deployments("both", "team-a") == 0
    assert await deployments("all") == 0
    assert await deployments("all", "team-b") == 1
    assert await deployments("own") == 0
    assert await deployments("own", "default") == 0


@pytest.mark.parametrize(
    ("token", "asked", "may"),
    [
        ("a", "team-b", "team-a"),
        ("a", "default", "team-a"),
        ("a", "*", "team-a"),
        ("own", "team-b", "default"),
        ("all", "no/name", "is no namespace"),
        ("all", "*", "is no namespace"),
    ],
)
async def test_a_namespace_that_is_not_the_tokens_is_refused(
    teams: str, era: str, token: str, asked: str, may: str
) -> None:
    async with member(teams, token, asked, era=era) as client:
        for tool in ("find_resources", "changes_since"):
            said = await told(client, tool, {})
            assert may in said
            assert "secret" not in said
        assert may in await read(client, "knowledge://changes")
        task = await told(client, "handle_task", {"task": "what changed since yesterday?"})
        assert may in task
        with pytest.raises(Exception, match=may):
            await client.list_resources()
        if era == "legacy":
            with pytest.raises(Exception, match=may):
                await client.session.subscribe_resource("knowledge://changes")


async def test_a_listener_hears_of_its_own_team_alone(teams: str, era: str) -> None:
    uris = ["knowledge://context/heard", "knowledge://changes"]
    value = {"scope": "heard", "key": era, "value": 1}
    async with (
        member(teams, "b") as b,
        subscribed(transport(teams, "a"), era, *uris) as (a, inbox),
        subscribed(transport(teams, "b"), era, *uris) as (_, other),
    ):
        await b.call_tool("set_context", value)
        assert {await other.until(lambda _: True) for _ in uris} == set(uris)
        await asyncio.sleep(0.2)  # several looks of the follower
        assert inbox.told.empty()
        await a.call_tool("set_context", value)
        assert {await inbox.until(lambda _: True) for _ in uris} == set(uris)


async def test_a_subscription_ends_with_its_token_and_says_so(tmp_path: Path, era: str) -> None:
    issuer = Issuer()
    jwt = {
        "OPSWRIGHT_JWT_JWKS_URI": issuer.uri,
        "OPSWRIGHT_JWT_ISSUER": ISSUER,
        "OPSWRIGHT_JWT_AUDIENCE": AUDIENCE,
    }
    short = issuer.token(additional_claims={"opswright_namespaces": "team-a"}, expires_in_seconds=6)
    try:
        with serving_teams(tmp_path, **jwt) as url:
            async with (
                until_ended(transport(url, "a"), era) as revoked,
                until_ended(transport(url, short), era) as expired,
                subscribed(transport(url, "both", "team-a"), era, CHANGES) as (both, inbox),
            ):
                (tmp_path / "tokens").write_text(FILE.replace(TOKENS["a"], "x" * 30))
                assert "is accepted no more" in await revoked
                assert "has expired" in await expired
                await both.call_tool("set_context", {"scope": "s", "key": "k", "value": 1})
                assert await inbox.until(lambda _: True) == CHANGES
    finally:
        issuer.close()


@asynccontextmanager
async def until_ended(where: Any, era: str) -> AsyncIterator[Awaitable[str]]:
    """A subscription, to wait for what it says when it ends."""
    said: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def log(message: Any) -> None:
        said.set_result(str(message.data))

    async with Client(where, mode=era, log_handler=log) as client:
        if era == "legacy":
            await client.session.subscribe_resource(CHANGES)
            yield asyncio.wait_for(said, 20)
            return
        async with listen(client.session, resource_subscriptions=[CHANGES]) as stream:

            async def reason() -> str:
                with pytest.raises(SubscriptionLost) as ended:
                    await anext(stream)
                return str(ended.value.__cause__)

            yield asyncio.wait_for(reason(), 20)


async def test_a_cursor_of_one_team_is_none_of_anothers(teams: str) -> None:
    many = [{"type": "t", "id": f"n{number:03}"} for number in range(120)]
    async with member(teams, "a") as a, member(teams, "b") as b:
        for client in (a, b):
            await client.call_tool("record_resources", {"resources": many})
        page = (await b.call_tool("find_resources", {"type": "t"})).structured_content
        following = {"type": "t", "cursor": page["cursor"]}
        assert "is not a cursor of this list" in await told(a, "find_resources", following)
        assert (await b.call_tool("find_resources", following)).structured_content["items"]
        index = json.loads(await read(b, "knowledge://resources/t"))
        assert "is not a cursor of this list" in await read(a, index["next"])
        assert json.loads(await read(b, index["next"]))["items"]


async def test_tasks_and_kept_answers_are_the_teams_own(teams: str, era: str) -> None:
    many = [{"type": "long", "id": f"{'x' * 500}{number}"} for number in range(60)]
    async with member(teams, "a", era=era) as a, member(teams, "b", era=era) as b:
        asked = {"task": "what changed since yesterday?"}
        task = (await b.call_tool("handle_task", asked)).structured_content
        assert task["status"] == "completed"
        for tool in ("get_task", "cancel_task"):
            assert "no task" in await told(a, tool, {"task_id": task["task_id"]})
            assert task["summary"] in await told(b, tool, {"task_id": task["task_id"]})
        unknown = {"resources": [*many, {"type": "ec2:subnet", "id": "s"}]}
        answer = (await b.call_tool("mark_deleted", unknown)).structured_content
        whole = answer["shortened"]["whole"]
        assert "is not kept" in await read(a, whole)
        assert "x" * 500 in await read(b, whole)


async def test_files_of_the_servers_machine_are_for_tokens_that_see_all(
    teams: str, tmp_path: Path
) -> None:
    async with member(teams, "b") as b, member(teams, "all", "team-b") as operator:
        path = {"path": str(tmp_path / "out.jsonl")}
        assert "page by page" in await told(b, "export_records", path)
        await operator.call_tool("export_records", path)
        assert "page by page" in await told(b, "import_records", path)
        assert "secret" in await told(b, "export_records", {})


async def test_a_jwts_claim_names_its_namespaces(tmp_path: Path, era: str) -> None:
    issuer = Issuer()
    jwt = {
        "OPSWRIGHT_JWT_JWKS_URI": issuer.uri,
        "OPSWRIGHT_JWT_ISSUER": ISSUER,
        "OPSWRIGHT_JWT_AUDIENCE": AUDIENCE,
    }

    async def seen(**claims: Any) -> str:
        token = issuer.token(additional_claims=claims)
        async with member(url, token, era=era) as client:
            return await told(client, "get_context", {"scope": "s"})

    try:
        with serving_teams(tmp_path, **jwt) as url:
            async with member(url, "b") as b:
                await b.call_tool("set_context", {"scope": "s", "key": "k", "value": "theirs"})
            assert "theirs" in await seen(opswright_namespaces=["team-b"])
            assert "theirs" in await seen(opswright_namespaces="team-b team-a")
            assert "theirs" not in await seen(opswright_namespaces=["team-a", "team-b"])
            assert "Nothing is set" in await seen()
            for claim in ([], "", 7, ["team b"], [["team-b"]], {"team-b": 1}, None):
                said = await seen(opswright_namespaces=claim)
                assert "names no namespaces" in said, claim
    finally:
        issuer.close()
