"""Teams share a store and see nothing of each other."""

from typing import Any

import pytest
from fastmcp import Client

from opswright_core.settings import Settings
from opswright_knowledge.records import HOST
from opswright_knowledge.server import create_server
from opswright_knowledge.store import Store

RECORDS: list[tuple[str, dict[str, Any]]] = [
    (
        "record_resources",
        {
            "resources": [
                {"type": "ec2:vpc", "id": "vpc-1", "name": "secret", "tags": {"team": "secret"}},
                {"type": "ec2:subnet", "id": "s", "relations": [{"kind": "in", "to": "vpc-1"}]},
            ]
        },
    ),
    ("record_deployment", {"application": "shop", "environment": "prod", "version": "secret"}),
    ("remember", {"agent": "cost", "memories": [{"text": "a secret habit"}]}),
    ("set_context", {"scope": "env:prod", "key": "k", "value": "secret"}),
    ("send_message", {"sender": "cicd", "recipient": "cost", "content": "secret"}),
    ("send_message", {"sender": "cicd", "recipient": "*", "content": "secret"}),
    ("record_run", {"run_id": "run-1", "goal": "secret"}),
]
LOOKS: list[tuple[str, dict[str, Any]]] = [
    ("find_resources", {}),
    ("find_resources", {"type": "ec2:vpc"}),
    ("find_resources", {"query": "secret"}),
    ("find_resources", {"tag": "team"}),
    ("find_resources", {"related_to": "vpc-1"}),
    ("find_cycles", {}),
    ("list_deployments", {}),
    ("list_running_versions", {}),
    ("recall", {"query": "secret habit"}),
    ("get_context", {"scope": "env:prod"}),
    ("get_context", {"scope": "env:prod", "key": "k"}),
    ("read_messages", {"recipient": "cost"}),
    ("list_runs", {}),
    ("changes_since", {}),
    ("export_records", {}),
    ("prune_records", {}),
]


async def answers(server: Any) -> list[str]:
    """All that a server tells of its records."""
    told = []
    async with Client(server) as client:
        for tool, arguments in LOOKS:
            told.append(str((await client.call_tool(tool, arguments)).structured_content))
        for resource in await client.list_resources():
            if str(resource.uri).startswith("knowledge://"):
                told.append((await client.read_resource(resource.uri))[0].text)
    return told


async def test_one_namespace_shows_nothing_of_another(
    url: str, settings: Settings, clock: Any
) -> None:
    team_a = create_server(settings, url, clock, namespace="team-a")
    team_b = create_server(settings, url, clock, namespace="team-b")
    untouched = await answers(team_a)
    async with Client(team_b) as client:
        for tool, arguments in RECORDS:
            await client.call_tool(tool, arguments)
    assert await answers(team_a) == untouched
    assert sum("secret" in text for text in await answers(team_b)) >= 12
    async with Client(team_a) as client:
        for tool, arguments in RECORDS:
            await client.call_tool(tool, arguments)
        log = (await client.call_tool("changes_since", {})).structured_content
    assert [c["revision"] for c in log["changes"]] == list(range(1, 9))


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("walk_relations", {"id": "vpc-1"}),
        ("get_run", {"run_id": "run-1"}),
        ("mark_deleted", {"resources": [{"type": "ec2:vpc", "id": "vpc-1"}]}),
        ("set_context", {"scope": "env:prod", "key": "k", "value": 1, "expected_revision": 5}),
    ],
)
async def test_what_another_namespace_holds_cannot_be_named(
    url: str, settings: Settings, tool: str, arguments: Any
) -> None:
    async with Client(create_server(settings, url, namespace="team-b")) as client:
        for recording, sent in RECORDS:
            await client.call_tool(recording, sent)
    async with Client(create_server(settings, url, namespace="team-a")) as client:
        answer = await client.call_tool(tool, arguments, raise_on_error=False)
    assert answer.is_error
    assert "secret" not in answer.content[0].text


async def test_forgetting_and_pruning_reach_only_the_own_namespace(
    url: str, settings: Settings, clock: Any
) -> None:
    memory = {"agent": "cost", "memories": [{"text": "tonight", "ttl_seconds": 60}]}
    async with Client(create_server(settings, url, clock, namespace="team-b")) as other:
        (memory_id,) = (await other.call_tool("remember", memory)).structured_content["memory_ids"]
        async with Client(create_server(settings, url, clock, namespace="team-a")) as client:
            gone = await client.call_tool(
                "forget_memory", {"memory_id": memory_id}, raise_on_error=False
            )
            assert gone.is_error
            clock.forward(minutes=2)
            await client.call_tool("prune_records", {"dry_run": False})
        log = (await other.call_tool("changes_since", {})).structured_content
        assert [c["operation"] for c in log["changes"]] == ["created"]


def test_a_word_of_one_namespace_neither_matches_nor_weighs_in_another(url: str) -> None:
    from opswright_knowledge.records import MemoryRecord

    store = Store(url)
    with store.within("1q").writing(HOST) as unit:  # its words could look like another's
        unit.memories.put("a", [MemoryRecord(text=f"payments {n}") for n in range(5)])
    with store.within("other").writing(HOST) as unit:
        unit.memories.put("a", [MemoryRecord(text="q payments"), MemoryRecord(text="1qpayments")])
    with store.within("other").reading() as unit:
        assert unit.memories.search(["payments"])[1] == 1
    store.close()


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "../x", "a\nb"])
def test_a_namespace_that_is_no_name_is_refused(settings: Settings, name: str) -> None:
    from opswright_core.errors import BadInputError

    with pytest.raises(BadInputError, match="namespace"):
        create_server(settings, namespace=name or " ")


async def test_the_namespace_comes_from_the_environment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Client(create_server(settings)) as client:
        await client.call_tool("set_context", {"scope": "s", "key": "k", "value": 1})
    monkeypatch.setenv("OPSWRIGHT_KNOWLEDGE_NAMESPACE", "team-a")
    async with Client(create_server(settings)) as client:
        answer = await client.call_tool("get_context", {"scope": "s"})
    assert answer.structured_content["total"] == 0
