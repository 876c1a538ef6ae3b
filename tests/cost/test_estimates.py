import json
from typing import Any
from unittest.mock import patch

import pytest

from opswright_core.aws import Aws
from opswright_cost import live
from opswright_cost.components import Component
from opswright_cost.prices import price_book

THREE_TIERS: list[dict[str, Any]] = [
    {"kind": "ec2", "type": "t3.small", "count": 2},
    {
        "kind": "rds",
        "type": "db.t4g.medium",
        "engine": "postgres",
        "multi_az": True,
        "storage_gb": 20,
    },
    {"kind": "nat_gateway", "count": 2},
    {"kind": "load_balancer", "type": "application"},
]


async def test_a_three_tier_system_costs_what_the_price_list_says(cost: Any) -> None:
    """By hand: 1460 x 0.0228 + 730 x 0.069 x 2 + 20 x 0.127 x 2 + 1460 x 0.048 + 730 x 0.0252."""
    async with cost() as client:
        call = {"components": THREE_TIERS, "region": "eu-west-1"}
        r = await client.call_tool("estimate_monthly_cost", call)
    answer = r.structured_content
    assert answer["monthly_usd"] == pytest.approx(
        33.288 + 100.74 + 5.08 + 70.08 + 18.396, abs=0.006
    )
    assert answer["is_lower_bound"] is False
    assert answer["unpriced"] == []
    assert answer["prices_as_of"] == "2026-09"
    first = answer["lines"][0]
    assert first["component"] == "rds postgres db.t4g.medium Multi-AZ"
    assert first["quantity"] == 730
    assert first["unit_usd"] == pytest.approx(0.138)
    assert "730 hours a month" in answer["assumptions"][0]


async def test_it_needs_no_credentials_and_states_the_region_it_assumed(cost: Any) -> None:
    async with cost() as client:
        r = await client.call_tool("estimate_monthly_cost", {"components": [{"kind": "secret"}]})
    assert r.structured_content["region"] == "us-east-1"
    assert r.structured_content["monthly_usd"] == 0.4
    assert "No region was named" in r.structured_content["assumptions"][0]


async def test_the_region_comes_from_the_environment(
    cost: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    async with cost() as client:
        r = await client.call_tool("estimate_monthly_cost", {"components": [{"kind": "alarm"}]})
    assert r.structured_content["region"] == "eu-central-1"


async def test_an_unknown_price_makes_the_total_a_lower_bound(cost: Any) -> None:
    parts = [{"kind": "ec2", "type": "z9.large"}, {"kind": "nat_gateway"}]
    async with cost() as client:
        call = {"components": parts, "region": "us-east-1"}
        r = await client.call_tool("estimate_monthly_cost", call)
    answer = r.structured_content
    assert answer["is_lower_bound"] is True
    assert answer["monthly_usd"] == 32.85
    assert len(answer["lines"]) == 1
    assert "z9.large" in answer["unpriced"][0]
    assert "at least" in answer["summary"]


async def test_a_region_without_prices_is_said(cost: Any) -> None:
    async with cost() as client:
        call = {"components": [{"kind": "alarm"}], "region": "ap-south-1"}
        r = await client.call_tool("estimate_monthly_cost", call)
    assert r.structured_content["lines"] == []
    assert "No prices of ap-south-1 are shipped" in r.structured_content["assumptions"][0]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"components": []}, "at least 1 item"),
        ({"components": [{"kind": "ec2"}]}, "needs its `type`, like t3.small"),
        ({"components": [{"kind": "rds"}]}, "like db.t4g.medium"),
        ({"components": [{"kind": "mainframe"}]}, "kind"),
        ({"components": [{"kind": "ebs", "storage_gb": -1}]}, "greater than or equal to 0"),
        ({"components": [{"kind": "alarm", "colour": "red"}]}, "colour"),
        ({"components": [{"kind": "alarm"}], "region": "Ireland"}, "not an AWS region name"),
    ],
)
async def test_bad_input_is_explained(cost: Any, call: dict[str, Any], said: str) -> None:
    async with cost() as client:
        r = await client.call_tool("estimate_monthly_cost", call, raise_on_error=False)
    assert r.is_error
    assert said in r.content[0].text


def _product(usd: str) -> str:
    dimension = {"d": {"pricePerUnit": {"USD": usd}}}
    return json.dumps({"terms": {"OnDemand": {"t": {"priceDimensions": dimension}}}})


class _PriceList:
    """Stands for the pricing client: no emulator answers GetProducts."""

    def __init__(self, *products: str) -> None:
        self.products, self.asked = list(products), [dict[str, Any]()]

    def get_products(self, **query: Any) -> dict[str, Any]:
        self.asked.append(query)
        return {"PriceList": self.products}


def test_live_prices_replace_the_shipped_ones() -> None:
    prices = _PriceList(_product("0.0300"), _product("0.0000"))
    a = Aws(session=None, region="eu-west-1", config=None)
    with patch.object(Aws, "client", lambda *_: prices):
        parts = [Component(kind="ec2", type="t3.small"), Component(kind="alarm")]
        book, unread, count = live.with_live_prices(a, price_book("eu-west-1"), parts)
    assert book.find("ec2_linux_hour", "t3.small") == 0.03
    assert book.find("alarm_month") == 0.1
    assert (unread, count) == ([], 1)
    fields = {f["Field"]: f["Value"] for f in prices.asked[1]["Filters"]}
    assert fields["regionCode"] == "eu-west-1"
    assert fields["instanceType"] == "t3.small"


def test_several_live_prices_are_no_price() -> None:
    prices = _PriceList(_product("0.03"), _product("0.04"))
    a = Aws(session=None, region="eu-west-1", config=None)
    database = Component(kind="rds", type="db.m5.large", engine="mysql")
    with patch.object(Aws, "client", lambda *_: prices):
        book, unread, _ = live.with_live_prices(a, price_book("eu-west-1"), [database])
    assert book.find("rds_single_az_hour", "mysql", "db.m5.large") is None
    assert "2 products fit, not one" in unread[0]


async def test_without_live_prices_the_shipped_ones_are_used_and_it_is_said(
    cost: Any, cloud: Any
) -> None:
    async with cost() as client:
        call = {"components": [{"kind": "ec2", "type": "t3.small"}], "live": True}
        r = await client.call_tool("estimate_monthly_cost", call)
    answer = r.structured_content
    assert "live price of ec2_linux_hour t3.small" in answer["assumptions"][0]
    assert "shipped price is used" in answer["assumptions"][0]
    assert answer["monthly_usd"] == pytest.approx(730 * 0.0228, abs=0.006)
    assert "Price List API" not in answer["source"]
