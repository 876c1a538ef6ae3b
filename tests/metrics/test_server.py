import json
from dataclasses import replace
from typing import Any

import pytest
from fastmcp import Client
from tests.metrics.conftest import WebTier

from opswright_core.errors import BadInputError
from opswright_core.settings import Settings
from opswright_metrics.server import create_server

DEFAULT = {
    "diagnose_web_tier", "get_health", "list_alarms", "triage_alarms", "get_metrics",
    "create_alarms", "create_dashboard",
}  # fmt: skip
MORE = {"find_anomalies", "list_log_groups", "search_logs", "summarize_logs"}


async def tools(settings: Settings) -> list[Any]:
    async with Client(create_server(settings)) as client:
        found: list[Any] = await client.list_tools()
    return found


async def test_the_default_toolset_costs_at_most_3000_tokens(settings: Settings) -> None:
    offered = await tools(replace(settings, toolsets=frozenset({"default"})))
    assert {tool.name for tool in offered} & (DEFAULT | MORE) == DEFAULT
    sizes = [
        len(json.dumps([t.name, t.description, t.input_schema], separators=(",", ":")))
        for t in offered
    ]
    assert sum(sizes) / 4 <= 3000


async def test_toolsets_bring_anomalies_and_logs(settings: Settings) -> None:
    assert {tool.name for tool in await tools(settings)} >= DEFAULT | MORE
    logs = await tools(replace(settings, toolsets=frozenset({"logs"})))
    assert {tool.name for tool in logs} & (DEFAULT | MORE) == MORE - {"find_anomalies"}
    with pytest.raises(BadInputError, match="analysis, default, logs"):
        create_server(replace(settings, toolsets=frozenset({"nope"})))


async def test_a_read_only_server_offers_no_changing_tool(settings: Settings) -> None:
    offered = {tool.name for tool in await tools(replace(settings, allow_writes=False))}
    assert "create_alarms" not in offered
    assert "create_dashboard" not in offered
    assert "diagnose_web_tier" in offered


async def test_every_parameter_is_described(settings: Settings) -> None:
    for tool in await tools(settings):
        for name, schema in tool.input_schema["properties"].items():
            assert schema.get("description"), f"{tool.name}.{name}"


async def test_both_protocol_eras_diagnose(connect: Any, era: str, tier: WebTier) -> None:
    async with connect(create_server, mode=era) as client:
        found = await client.call_tool("diagnose_web_tier", {})
    assert found.structured_content["state"] == "healthy"


async def test_the_card_names_what_it_needs(connect: Any) -> None:
    async with connect(create_server) as client:
        (card,) = await client.read_resource("agent://card")
    skills = {skill["name"] for skill in json.loads(card.text)["skills"]}
    assert skills == {
        "explain_web_tier", "triage_firing_alarms", "check_overall_health", "find_log_errors",
        "set_up_monitoring",
    }  # fmt: skip
