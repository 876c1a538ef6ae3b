import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opswright_core.errors import BadInputError
from opswright_metrics.server import create_server
from opswright_metrics.tools.anomalies import judge_series, modified_z_scores
from opswright_metrics.tools.series import Point, choose_period, trend_of

START = datetime(2026, 5, 4, tzinfo=UTC)
METRIC: dict[str, Any] = {
    "namespace": "Shop", "metric": "Orders", "dimensions": {"Service": "web"},
}  # fmt: skip


@pytest.fixture
def orders(client_of: Any) -> None:
    """A value a minute for the last 50 minutes, rising from 1 to 50, the 50 a minute ago."""
    now = datetime.now(UTC)
    client_of("cloudwatch").put_metric_data(
        Namespace="Shop",
        MetricData=[
            {
                "MetricName": "Orders",
                "Dimensions": [{"Name": "Service", "Value": "web"}],
                "Timestamp": now - timedelta(minutes=51 - value),
                "Value": float(value),
            }
            for value in range(1, 51)
        ],
    )


async def call(connect: Any, tool: str, **arguments: Any) -> Any:
    async with connect(create_server) as client:
        return await client.call_tool(tool, {**METRIC, **arguments}, raise_on_error=False)


async def test_a_metric_is_summed_up_with_its_points_oldest_first(
    connect: Any, orders: None
) -> None:
    found = (await call(connect, "get_metrics")).structured_content
    assert (found["min"], found["max"], found["mean"]) == (1, 50, 25.5)
    assert (found["latest"], found["trend"], found["period_seconds"]) == (50, "rising", 60)
    values = [point["value"] for point in found["datapoints"]]
    assert values == sorted(values)
    assert len(values) <= 60


async def test_sums_over_longer_periods_hold_the_same_total(connect: Any, orders: None) -> None:
    answer = await call(connect, "get_metrics", statistic="Sum", period_seconds=300)
    points = answer.structured_content["datapoints"]
    assert sum(point["value"] for point in points) == sum(range(1, 51))


async def test_no_data_is_said_and_not_called_zero(connect: Any, cloud: Any) -> None:
    found = (await call(connect, "get_metrics")).structured_content
    assert (found["mean"], found["latest"], found["trend"]) == (None, None, "unknown")
    assert "No data" in found["summary"]


async def test_a_percentile_the_emulator_lacks_is_a_gap_and_no_zero(
    connect: Any, orders: None
) -> None:
    answer = await call(connect, "get_metrics", statistic="p95")
    assert answer.is_error
    assert "does not implement" in answer.content[0].text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"statistic": "median"}, "percentile"),
        ({"statistic": "p101"}, "percentile"),
        ({"period_seconds": 45}, "multiple of 60"),
        ({"period_seconds": 10, "minutes": 300}, "keeps 60 s and more"),
        ({"period_seconds": 60, "minutes": 120}, "120 points"),
        ({"minutes": 0}, "minutes"),
        ({"dimensions": "web"}, "dimensions"),
    ],
)
async def test_bad_questions_say_what_to_ask_instead(
    connect: Any, cloud: Any, arguments: dict[str, Any], said: str
) -> None:
    answer = await call(connect, "get_metrics", **arguments)
    assert answer.is_error
    assert said in answer.content[0].text


@pytest.mark.parametrize("minutes", [1, 60, 61, 1440, 21_601, 100_000, 655_200])
def test_a_chosen_period_fits_and_is_still_kept(minutes: int) -> None:
    period = choose_period(minutes)
    assert minutes * 60 / period <= 60
    assert period >= (300 if minutes > 15 * 1440 else 60)
    assert choose_period(minutes, period) == period


def test_a_period_finer_than_is_kept_is_refused() -> None:
    with pytest.raises(BadInputError, match="keeps 3600 s"):
        choose_period(64 * 1440, 300)


@pytest.mark.parametrize(
    ("values", "trend"),
    [
        (list(range(20)), "rising"),
        (list(range(20, 0, -1)), "falling"),
        ([5.0] * 20, "flat"),
        ([1, 9, 2, 8, 3, 7, 4, 6, 5, 5], "flat"),
        ([1, 2, 3], "unknown"),
    ],
)
def test_a_trend_is_called_only_when_it_is_one(values: list[float], trend: str) -> None:
    assert trend_of(values) == trend


def series(values: list[float], *, minutes: int = 60) -> list[Point]:
    return [Point(at=START + timedelta(minutes=minutes * i), value=v) for i, v in enumerate(values)]


def wave(count: int) -> list[float]:
    return [10 + math.sin(i) for i in range(count)]


def test_a_spike_is_found_with_its_time_and_direction() -> None:
    values = wave(40)
    values[17], values[30] = 30.0, -9.0
    found = judge_series(series(values))
    assert (found.verdict, found.found) == ("FAIL", 2)
    assert [(a.value, a.direction) for a in found.anomalies] == [(30, "high"), (-9, "low")]
    assert found.anomalies[0].at == START + timedelta(hours=17)
    assert "oddest 30" in found.summary


def test_an_even_series_passes_and_a_constant_one_too() -> None:
    assert judge_series(series(wave(40))).verdict == "PASS"
    assert judge_series(series([3.0] * 40)).verdict == "PASS"


def test_one_spike_in_a_constant_series_is_found_though_mad_is_zero() -> None:
    found = judge_series(series([3.0] * 39 + [9.0]))
    assert (found.verdict, found.found) == ("FAIL", 1)


def test_too_little_data_is_unknown() -> None:
    found = judge_series(series(wave(19)))
    assert (found.verdict, found.daily_pattern) == ("UNKNOWN", None)
    assert "too few" in found.summary


def daily(days: int) -> list[float]:
    return [
        (100.0 if 8 <= hour < 18 else 10.0) + hour % 3 for _ in range(days) for hour in range(24)
    ]


def test_a_daily_peak_is_a_pattern_and_a_peak_at_night_is_not() -> None:
    quiet = judge_series(series(daily(5)))
    assert (quiet.verdict, quiet.daily_pattern) == ("PASS", True)
    values = daily(5)
    values[3 * 24 + 2] = 100.0
    found = judge_series(series(values))
    assert (found.verdict, found.found) == ("FAIL", 1)
    assert found.anomalies[0].expected == 12
    assert "usual for the hour" in found.summary


def test_without_three_days_no_pattern_is_claimed() -> None:
    assert judge_series(series(daily(2))).daily_pattern is None
    assert judge_series(series(daily(3)[:70])).daily_pattern is None
    assert judge_series(series(wave(24 * 5))).daily_pattern is False


def test_scores_agree_with_the_published_formula() -> None:
    # median 3, MAD 1: 0.6745 * (x - 3) / 1
    assert modified_z_scores([1, 2, 3, 4, 100])[4] == pytest.approx(0.6745 * 97)


def test_many_anomalies_are_counted_and_the_oddest_shown() -> None:
    values = [10.0 + i % 5 for i in range(200)] + [1000.0 + i for i in range(60)]
    found = judge_series(series(values, minutes=1))
    assert (found.found, len(found.anomalies)) == (60, 40)
    assert min(a.value for a in found.anomalies) == 1020


async def test_anomalies_are_found_in_what_cloudwatch_has(connect: Any, orders: None) -> None:
    answer = await call(connect, "find_anomalies", hours=1)
    assert answer.structured_content["verdict"] == "PASS"
    nothing = await call(connect, "find_anomalies", metric="Nope")
    assert nothing.structured_content["verdict"] == "UNKNOWN"
    refused = await call(connect, "find_anomalies", statistic="mode")
    assert refused.is_error
