import dataclasses
import json
from typing import Any

import pytest
from fastmcp import Client

from opswright_core.settings import Settings
from opswright_cost.server import create_server

DEFAULT = {
    "estimate_monthly_cost",
    "estimate_existing",
    "get_spend",
    "find_waste",
    "find_rightsizing",
}
EXTRA = {
    "spend": {"forecast_spend", "list_budgets", "create_budget"},
    "models": {"compare_pricing_models"},
    "cleanup": {"delete_unattached_volume", "release_address"},
}
CHANGING = {"create_budget", "delete_unattached_volume", "release_address"}


async def listed(settings: Settings, **changes: Any) -> list[Any]:
    async with Client(create_server(dataclasses.replace(settings, **changes))) as client:
        return list(await client.list_tools())


async def test_the_default_tools_take_at_most_3000_tokens(settings: Settings) -> None:
    tools = await listed(settings, toolsets=frozenset({"default"}))
    shown = [
        {"name": t.name, "description": t.description, "inputSchema": t.input_schema} for t in tools
    ]
    assert len(json.dumps(shown, separators=(",", ":"))) / 4 <= 3000
    assert {t.name for t in tools} >= DEFAULT
    assert not {t.name for t in tools} & set().union(*EXTRA.values())


@pytest.mark.parametrize("toolset", sorted(EXTRA))
async def test_a_toolset_brings_its_tools(settings: Settings, toolset: str) -> None:
    names = {t.name for t in await listed(settings, toolsets=frozenset({toolset}))}
    assert names >= EXTRA[toolset]
    assert not names & DEFAULT


async def test_a_read_only_server_offers_nothing_that_changes(settings: Settings) -> None:
    names = {t.name for t in await listed(settings, allow_writes=False)}
    assert not names & CHANGING
    assert names >= DEFAULT


async def test_both_eras_are_served(settings: Settings, era: str) -> None:
    async with Client(create_server(settings), mode=era) as client:
        call = {"components": [{"kind": "alarm", "count": 10}]}
        r = await client.call_tool("estimate_monthly_cost", call)
    assert r.structured_content["monthly_usd"] == 1.0


async def test_every_parameter_says_what_it_takes(settings: Settings) -> None:
    for t in await listed(settings):
        assert t.description
        for name, schema in t.input_schema["properties"].items():
            plain = schema.get("type") or schema.get("anyOf") or schema.get("enum") or schema
            assert plain, f"{t.name}.{name}"


async def test_the_card_names_skills_and_needs(settings: Settings) -> None:
    async with Client(create_server(settings)) as client:
        card = json.loads((await client.read_resource("agent://card"))[0].text)
    assert card["description"].startswith("The cost agent says what AWS systems cost")
    assert len(card["skills"]) == 5
    assert "Cost Explorer enabled" in card["requirements"][1]
