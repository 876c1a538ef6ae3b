from collections.abc import Callable
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch

import pytest

from opswright_core.aws import Aws
from opswright_cost.spend_math import anomalies, change_percent, straight_line, totals_by_group

END = date(2026, 10, 31)


def days(count: int, per_day: dict[str, float], end: date = END) -> dict[str, dict[str, float]]:
    return {(end - timedelta(days=n)).isoformat(): dict(per_day) for n in range(count, 0, -1)}


async def test_spend_is_totalled_grouped_and_compared(
    cost: Any, seed_costs: Callable[..., None]
) -> None:
    before = days(7, {"Amazon EC2": 5.0, "Amazon RDS": 5.0}, END - timedelta(days=7))
    seed_costs({**before, **days(7, {"Amazon EC2": 10.0, "Amazon RDS": 5.0})})
    async with cost() as client:
        r = await client.call_tool("get_spend", {"days": 7})
    answer = r.structured_content
    assert (answer["start"], answer["end"]) == ("2026-10-24", "2026-10-31")
    assert answer["total_usd"] == 105
    assert answer["previous_usd"] == 70
    assert answer["change_percent"] == 50
    assert [(g["key"], g["amount_usd"], g["share_percent"]) for g in answer["groups"]] == [
        ("Amazon EC2", 70, 66.7),
        ("Amazon RDS", 35, 33.3),
    ]
    assert answer["groups"][0]["change_percent"] == 100
    assert len(answer["trend"]) == 7
    assert answer["anomalies"] == []
    assert answer["request_cost_usd"] == 0.01


async def test_the_same_question_within_an_hour_is_not_paid_twice(
    cost: Any, seed_costs: Callable[..., None]
) -> None:
    seed_costs(days(14, {"Amazon EC2": 1.0}))
    async with cost() as client:
        first = await client.call_tool("get_spend", {"days": 7})
        again = await client.call_tool("get_spend", {"days": 7, "granularity": "monthly"})
    assert again.structured_content["request_cost_usd"] == 0
    assert again.structured_content["total_usd"] == first.structured_content["total_usd"]
    assert again.structured_content["trend"] == [{"start": "2026-10", "amount_usd": 7.0}]


async def test_an_unusual_day_is_named_with_what_drove_it(
    cost: Any, seed_costs: Callable[..., None]
) -> None:
    daily = days(30, {"Amazon EC2": 10.0, "AWS Lambda": 1.0})
    daily["2026-10-20"]["AWS Lambda"] = 90.0
    seed_costs(daily)
    async with cost() as client:
        r = await client.call_tool("get_spend", {"days": 30})
    assert r.structured_content["anomalies"] == [
        {"day": "2026-10-20", "amount_usd": 100.0, "expected_usd": 11.0, "driver": "AWS Lambda"}
    ]
    assert "1 unusual days" in r.structured_content["summary"]


async def test_many_groups_end_in_all_others(cost: Any, seed_costs: Callable[..., None]) -> None:
    seed_costs(days(2, {f"Service {n:02}": float(n) for n in range(1, 41)}))
    async with cost() as client:
        r = await client.call_tool("get_spend", {"days": 2})
    groups = r.structured_content["groups"]
    assert len(groups) == 21
    assert groups[0]["key"] == "Service 40"
    assert groups[-1]["key"] == "20 others"
    assert sum(g["amount_usd"] for g in groups) == r.structured_content["total_usd"]


async def test_costs_without_a_tag_value_are_untagged(
    cost: Any, seed_costs: Callable[..., None]
) -> None:
    seed_costs(days(4, {"Team$": 3.0, "Team$shop": 1.0}))
    async with cost() as client:
        r = await client.call_tool("get_spend", {"days": 4, "group_by": "tag:Team"})
    assert [g["key"] for g in r.structured_content["groups"]] == ["Team$(untagged)", "Team$shop"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ({"days": 0}, "greater than or equal to 1"),
        ({"days": 400}, "less than or equal to 180"),
        ({"group_by": "colour"}, "tag:<key>"),
        ({"group_by": "tag:"}, "tag:<key>"),
        ({"granularity": "hourly"}, "daily"),
    ],
)
async def test_bad_questions_are_explained(
    cost: Any, cloud: Any, call: dict[str, Any], said: str
) -> None:
    async with cost() as client:
        r = await client.call_tool("get_spend", call, raise_on_error=False)
    assert r.is_error
    assert said in r.content[0].text


async def test_no_day_at_all_is_an_error_and_never_zero(
    cost: Any, seed_costs: Callable[..., None]
) -> None:
    seed_costs({})
    async with cost() as client:
        r = await client.call_tool("get_spend", {}, raise_on_error=False)
    assert r.is_error
    assert "enable it" in r.content[0].text


async def test_without_cost_explorers_forecast_a_straight_line_is_drawn_and_named(
    cost: Any, seed_costs: Callable[..., None]
) -> None:
    seed_costs(days(60, {"Amazon EC2": 10.0}))
    async with cost() as client:
        r = await client.call_tool("forecast_spend", {"days_ahead": 10})
    answer = r.structured_content
    assert answer["total_usd"] == pytest.approx(100)
    assert answer["low_usd"] == answer["high_usd"] == pytest.approx(100)
    assert answer["method"].startswith("straight line through 60 days")
    assert "Not Cost Explorer's" in answer["note"]


async def test_too_little_history_is_no_forecast(
    cost: Any, seed_costs: Callable[..., None]
) -> None:
    seed_costs(days(5, {"Amazon EC2": 10.0}))
    async with cost() as client:
        r = await client.call_tool("forecast_spend", {}, raise_on_error=False)
    assert r.is_error
    assert "5 days of cost, 14 are needed" in r.content[0].text


def test_a_line_through_a_trend_goes_on() -> None:
    total, low, high = straight_line([float(n) for n in range(20)], 3)
    assert total == pytest.approx(20 + 21 + 22)
    assert low == pytest.approx(high)


def test_scatter_widens_the_interval_and_a_forecast_is_never_negative() -> None:
    total, low, high = straight_line([10, 0] * 10, 5)
    assert low < total < high
    falling, lowest, _ = straight_line([float(30 - n) for n in range(30)], 30)
    assert falling == pytest.approx(0, abs=0.5)
    assert lowest >= 0


@pytest.mark.parametrize(
    ("now", "before", "expected"),
    [(15, 10, 50.0), (5, 10, -50.0), (5, 0, None), (0, 0.001, None)],
)
def test_change_is_unknown_where_there_was_nothing(
    now: float, before: float, expected: float | None
) -> None:
    assert change_percent(now, before) == expected


@pytest.mark.parametrize(
    ("usual", "peak", "unusual"),
    [(10.0, 11.5, False), (10.0, 12.5, True), (0.1, 0.9, False), (0.1, 1.5, True)],
)
def test_a_day_is_unusual_from_20_percent_and_a_dollar_on(
    usual: float, peak: float, unusual: bool
) -> None:
    daily = {date(2026, 10, n): {"EC2": usual} for n in range(1, 15)}
    daily[date(2026, 10, 9)] = {"EC2": peak}
    assert bool(anomalies(daily)) is unusual


def test_a_week_is_needed_to_know_what_is_usual() -> None:
    daily = {date(2026, 10, n): {"EC2": 1.0} for n in range(1, 6)}
    assert anomalies({**daily, date(2026, 10, 6): {"EC2": 100.0}}) == []
    assert totals_by_group(daily) == {"EC2": 5.0}


class _CostExplorer:
    """Stands for the ce client: no emulator forecasts."""

    def get_cost_forecast(self, **query: Any) -> dict[str, Any]:
        assert query["TimePeriod"] == {"Start": "2026-10-31", "End": "2026-11-02"}
        day = {"PredictionIntervalLowerBound": "8", "PredictionIntervalUpperBound": "13"}
        return {"Total": {"Amount": "20.5"}, "ForecastResultsByTime": [day, day]}


async def test_cost_explorers_own_forecast_is_preferred(cost: Any, cloud: Any) -> None:
    with patch.object(Aws, "client", lambda *_: _CostExplorer()):
        async with cost() as client:
            r = await client.call_tool("forecast_spend", {"days_ahead": 2})
    answer = r.structured_content
    assert (answer["total_usd"], answer["low_usd"], answer["high_usd"]) == (20.5, 16, 26)
    assert answer["method"] == "Cost Explorer GetCostForecast"
