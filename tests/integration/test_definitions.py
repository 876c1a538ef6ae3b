"""What a host shows its model of the servers: small, complete and told in a fixed form."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from tests.integration.servers import SERVERS, client_of_server

from opswright_core.errors import BadInputError
from opswright_core.settings import Settings
from opswright_core.tools import Risk

MOST_TOKENS = 3_000
BYTES_PER_TOKEN = 4
DEFAULT = frozenset({"default"})
INJECTED = {"ctx", "context_", "self", "runtime", "progress"}
OF_AWS = {("create_function", "runtime"), ("update_function", "runtime")}
"""Arguments that AWS calls so: a Lambda function's runtime is a caller's choice."""

every_server = pytest.mark.parametrize("name", SERVERS)
VERBS = {
    "acknowledge",
    "audit",
    "block",
    "build",
    "cancel",
    "can",
    "change",
    "changes",
    "check",
    "close",
    "compare",
    "configure",
    "create",
    "delete",
    "deploy",
    "describe",
    "diagnose",
    "draw",
    "enable",
    "estimate",
    "explain",
    "export",
    "find",
    "forecast",
    "forget",
    "get",
    "handle",
    "import",
    "inspect",
    "list",
    "mark",
    "plan",
    "preview",
    "prune",
    "read",
    "recall",
    "record",
    "release",
    "remember",
    "require",
    "resize",
    "restore",
    "review",
    "roll",
    "scan",
    "search",
    "send",
    "set",
    "summarize",
    "triage",
    "undo",
    "update",
    "verify",
    "walk",
}
"""`can_handle`, `changes_since`, `recall` and `remember` have no object; all the others do."""


async def tools_of(name: str, settings: Settings, **changes: Any) -> list[Any]:
    async with client_of_server(name, settings, **changes) as client:
        listed: list[Any] = await client.list_tools()
    return listed


def tokens(tools: list[Any]) -> float:
    shown = [
        {"name": t.name, "description": t.description, "inputSchema": t.input_schema} for t in tools
    ]
    return len(json.dumps(shown, separators=(",", ":"), ensure_ascii=False).encode()) / (
        BYTES_PER_TOKEN
    )


def undescribed(
    schema: dict[str, Any], path: tuple[str, ...] = (), said: str = ""
) -> Iterator[str]:
    """Properties without a description, but those that the description around them names."""
    said = f"{said} {schema.get('description', '')}"
    for name, inner in schema.get("properties", {}).items():
        named = path and re.search(rf"\b{name.partition('_')[0]}", said, re.IGNORECASE)
        if not inner.get("description") and not named:
            yield ".".join((*path, name))
        yield from undescribed(inner, (*path, name), said)
    for inner in [schema.get("items"), *schema.get("anyOf", [])]:
        if isinstance(inner, dict):
            yield from undescribed(inner, (*path, "*"), said)


@every_server
@pytest.mark.parametrize("allow_writes", [False, True], ids=["read-only", "writes"])
async def test_the_default_tools_cost_at_most_3000_tokens(
    name: str, allow_writes: bool, settings: Settings
) -> None:
    tools = await tools_of(name, settings, allow_writes=allow_writes, toolsets=DEFAULT)
    assert tokens(tools) <= MOST_TOKENS, {t.name: tokens([t]) for t in tools}


async def test_each_further_toolset_of_aws_devops_costs_at_most_2000_tokens(
    settings: Settings,
) -> None:
    every = await tools_of("aws_devops", settings)
    for toolset in {t.meta["opswright"]["toolset"] for t in every} - DEFAULT:
        own = [t for t in every if t.meta["opswright"]["toolset"] == toolset]
        assert tokens(own) <= 2_000, {t.name: tokens([t]) for t in own}


@every_server
async def test_every_argument_is_described(name: str, settings: Settings) -> None:
    tools = await tools_of(name, settings)
    missing = {t.name: list(undescribed(t.input_schema)) for t in tools}
    assert {tool: names for tool, names in missing.items() if names} == {}


@every_server
async def test_no_injected_argument_shows(name: str, settings: Settings) -> None:
    for tool in await tools_of(name, settings):
        names = {n for n in tool.input_schema["properties"] if (tool.name, n) not in OF_AWS}
        assert not INJECTED & names, tool.name
        assert tool.input_schema["additionalProperties"] is False, tool.name


@every_server
async def test_every_tool_says_its_risk_and_what_it_answers(name: str, settings: Settings) -> None:
    for tool in await tools_of(name, settings):
        declared = tool.meta["opswright"]
        assert declared["risk"] in get_args(Risk), tool.name
        assert tool.annotations.read_only_hint is (declared["risk"] == "read"), tool.name
        assert tool.annotations.destructive_hint is (declared["risk"] == "destructive"), tool.name
        assert tool.output_schema["type"] == "object", tool.name
        assert tool.output_schema["properties"], tool.name
        changes = declared["risk"] in {"write", "destructive"}
        assert changes is ({"dry_run", "approval"} <= set(tool.input_schema["properties"]))


@every_server
async def test_an_answer_may_say_that_it_was_shortened(name: str, settings: Settings) -> None:
    for tool in await tools_of(name, settings):
        assert tool.output_schema.get("additionalProperties", True) is not False, tool.name


@every_server
async def test_a_server_that_changes_things_offers_the_undo_and_the_journal(
    name: str, settings: Settings
) -> None:
    async with client_of_server(name, settings) as client:
        tools = {tool.name: tool for tool in await client.list_tools()}
    of_core = {"undo_change", "list_changes", "get_change"}
    changing = {
        tool.name
        for tool in tools.values()
        if (tool.meta or {})["opswright"]["risk"] in {"write", "destructive"}
    } - of_core
    assert of_core & set(tools) == (of_core if changing else set())
    assert bool(changing) == (name != "knowledge")


@every_server
async def test_names_are_a_verb_and_an_object_and_descriptions_are_sentences(
    name: str, settings: Settings
) -> None:
    for tool in await tools_of(name, settings):
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", tool.name)
        assert tool.name.split("_")[0] in VERBS, tool.name
        first, *more = tool.description.split("\n\n")
        assert "\n" not in first, f"{tool.name}: {first}"
        assert 15 <= len(first) <= 100, f"{tool.name}: {first}"
        assert first[0].isupper(), f"{tool.name}: {first}"
        assert first[-1] in ".?;", f"{tool.name}: {first}"
        assert len(more) <= 1, f"{tool.name}: {tool.description}"


@every_server
async def test_toolsets_narrow_what_is_offered(name: str, settings: Settings) -> None:
    every = {t.name: t.meta["opswright"]["toolset"] for t in await tools_of(name, settings)}
    for toolset in set(every.values()):
        narrowed = await tools_of(name, settings, toolsets=frozenset({toolset}))
        offered = {t.name: t.meta["opswright"]["toolset"] for t in narrowed}
        assert {t for t, its in offered.items() if its == toolset} == {
            t for t, its in every.items() if its == toolset
        }
        assert set(offered.values()) <= {toolset, "default"}
        assert {"handle_task", "get_task"} <= set(offered)


@every_server
async def test_a_toolset_that_does_not_exist_is_refused_with_those_that_do(
    name: str, settings: Settings
) -> None:
    with pytest.raises(BadInputError, match=r"no toolset typo; there are: all, .*default"):
        await tools_of(name, settings, toolsets=frozenset({"typo"}))
