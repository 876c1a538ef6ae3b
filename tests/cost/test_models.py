from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest

from opswright_core.aws import Aws
from opswright_cost.tools.models import break_even_percent


def by_model(answer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {m["model"]: m for m in answer["models"]}


async def test_a_commitment_is_paid_for_every_hour_at_its_discount(cost: Any) -> None:
    call = {
        "instance_type": "m5.large",
        "count": 2,
        "region": "us-east-1",
        "discount_percent": 40,
        "years": 3,
    }
    async with cost() as client:
        r = await client.call_tool("compare_pricing_models", call)
    models = by_model(r.structured_content)
    assert models["on_demand"]["monthly_usd"] == pytest.approx(2 * 730 * 0.096)
    assert models["commitment"]["monthly_usd"] == pytest.approx(2 * 730 * 0.0576, abs=0.006)
    assert models["commitment"]["total_usd"] == pytest.approx(36 * 2 * 730 * 0.0576, abs=0.01)
    assert models["commitment"]["break_even_utilisation_percent"] == 60
    assert r.structured_content["models"][0]["model"] == "commitment"


async def test_at_half_use_a_small_discount_does_not_pay(cost: Any) -> None:
    call = {
        "instance_type": "m5.large",
        "hours_per_month": 365,
        "region": "us-east-1",
        "discount_percent": 40,
    }
    async with cost() as client:
        r = await client.call_tool("compare_pricing_models", call)
    assert r.structured_content["models"][0]["model"] == "on_demand"


async def test_discounts_that_nobody_gave_are_unknown_with_how_to_get_them(cost: Any) -> None:
    async with cost() as client:
        call = {"instance_type": "m5.large", "region": "us-east-1"}
        r = await client.call_tool("compare_pricing_models", call)
    models = by_model(r.structured_content)
    for name in ("compute_savings_plan", "spot"):
        assert models[name]["monthly_usd"] is None
        assert "live=true" in models[name]["note"]


async def test_an_unknown_type_has_no_price_at_all(cost: Any) -> None:
    async with cost() as client:
        call = {"instance_type": "z9.large", "discount_percent": 10}
        r = await client.call_tool("compare_pricing_models", call)
    assert all(m["monthly_usd"] is None for m in r.structured_content["models"])
    assert "no price is known" in r.structured_content["summary"]


async def test_a_backend_without_savings_plans_is_unknown(cost: Any, cloud: Any) -> None:
    async with cost() as client:
        call = {"instance_type": "m5.large", "live": True}
        r = await client.call_tool("compare_pricing_models", call)
    plan = by_model(r.structured_content)["compute_savings_plan"]
    assert plan["monthly_usd"] is None
    assert plan["note"].startswith("UNKNOWN")


class _Live:
    """Stands for the pricing, savingsplans and ec2 clients: no emulator has their prices."""

    def get_products(self, **_: Any) -> dict[str, Any]:
        return {"PriceList": []}

    def describe_savings_plans_offering_rates(self, **_: Any) -> dict[str, Any]:
        year = 365 * 24 * 3600
        return {
            "searchResults": [
                {"rate": "0.0700", "savingsPlanOffering": {"durationSeconds": year}},
                {"rate": "0.0500", "savingsPlanOffering": {"durationSeconds": 3 * year}},
            ]
        }

    def describe_spot_price_history(self, **_: Any) -> dict[str, Any]:
        def entry(day: int, zone: str, price: str) -> dict[str, Any]:
            at = datetime(2026, 10, day, tzinfo=UTC)
            return {"Timestamp": at, "AvailabilityZone": zone, "SpotPrice": price}

        return {
            "SpotPriceHistory": [
                entry(2, "a", "0.04"),
                entry(1, "a", "0.01"),
                entry(1, "b", "0.05"),
            ]
        }


async def test_live_rates_of_the_term_and_the_newest_spot_price_are_compared(
    cost: Any, cloud: Any
) -> None:
    with patch.object(Aws, "client", lambda *_: _Live()):
        async with cost() as client:
            call = {"instance_type": "m5.large", "region": "us-east-1", "live": True, "years": 1}
            r = await client.call_tool("compare_pricing_models", call)
    models = by_model(r.structured_content)
    assert models["compute_savings_plan"]["monthly_usd"] == pytest.approx(730 * 0.07)
    assert models["compute_savings_plan"]["discount_percent"] == pytest.approx(27.1)
    assert models["spot"]["monthly_usd"] == pytest.approx(730 * 0.04)
    assert "in a now" in models["spot"]["note"]


@pytest.mark.parametrize(("discount", "share"), [(28, 72), (50, 50), (0.5, 99.5)])
def test_break_even_is_what_the_discount_leaves(discount: float, share: float) -> None:
    assert break_even_percent(discount) == share


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({}, "instance_type is required"),
        ({"instance_type": "m5.large", "years": 2}, "years"),
        ({"instance_type": "m5.large", "discount_percent": 100}, "less than 100"),
        ({"instance_type": "m5.large", "region": "x"}, "not an AWS region name"),
    ],
)
async def test_bad_input_is_explained(cost: Any, call: dict[str, Any], said: str) -> None:
    async with cost() as client:
        r = await client.call_tool("compare_pricing_models", call, raise_on_error=False)
    assert r.is_error
    assert said in r.content[0].text
