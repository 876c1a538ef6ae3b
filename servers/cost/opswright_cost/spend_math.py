"""Judges daily spend: totals, shares, unusual days, and a straight-line forecast. Pure."""

import math
import statistics
from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import BaseModel, ConfigDict

UNUSUAL_Z = 3.5
"""Modified z-score above which a value is an outlier (Iglewicz and Hoaglin, 1993)."""
UNUSUAL_SHARE = 0.2
UNUSUAL_USD = 1.0
"""A day must also be 20 % and $1 over the median, so that cents on a flat bill are no alarm."""
Z_80 = 1.2816
"""Normal quantile of an 80 % interval."""

Daily = Mapping[date, Mapping[str, float]]
"""Cost in USD by day and group."""


class Anomaly(BaseModel):
    """A day that cost more than the days around it."""

    model_config = ConfigDict(frozen=True)
    day: date
    amount_usd: float
    expected_usd: float
    driver: str


def totals_by_group(daily: Daily) -> dict[str, float]:
    """What each group cost over all days."""
    totals: dict[str, float] = {}
    for groups in daily.values():
        for group, usd in groups.items():
            totals[group] = totals.get(group, 0.0) + usd
    return totals


def change_percent(now: float, before: float) -> float | None:
    """Growth in percent; None where there was nothing before."""
    return None if before < 0.005 else round((now - before) / before * 100, 1)


def anomalies(daily: Daily) -> list[Anomaly]:
    """Days above the median by over 3.5 modified z-scores, 20 % and $1; needs 7 days."""
    totals = {day: sum(groups.values()) for day, groups in daily.items()}
    if len(totals) < 7:
        return []
    median = statistics.median(totals.values())
    spread = statistics.median(abs(usd - median) for usd in totals.values())
    least = median + max(UNUSUAL_USD, UNUSUAL_SHARE * abs(median), UNUSUAL_Z * spread / 0.6745)
    return [
        Anomaly(
            day=day,
            amount_usd=round(usd, 2),
            expected_usd=round(median, 2),
            driver=_driver(daily, day),
        )
        for day, usd in sorted(totals.items())
        if usd > least
    ]


def _driver(daily: Daily, day: date) -> str:
    """The group that is furthest above its own median on that day."""
    groups = daily[day]
    usual = {g: statistics.median(d.get(g, 0.0) for d in daily.values()) for g in groups}
    return max(groups, key=lambda group: groups[group] - usual[group], default="")


def straight_line(history: Sequence[float], days_ahead: int) -> tuple[float, float, float]:
    """Ordinary least squares on daily totals: the sum of the next days, and its 80 % interval.

    The interval is that of a sum of predictions: s^2 (N + N^2/n + (sum of (x - mean))^2 / Sxx).
    """
    n = len(history)
    mean_x, mean_y = (n - 1) / 2, statistics.fmean(history)
    sxx = sum((x - mean_x) ** 2 for x in range(n))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(history)) / sxx
    residuals = [y - mean_y - slope * (x - mean_x) for x, y in enumerate(history)]
    variance = sum(r * r for r in residuals) / (n - 2)
    ahead = range(n, n + days_ahead)
    total = sum(max(0.0, mean_y + slope * (x - mean_x)) for x in ahead)
    lever = days_ahead + days_ahead**2 / n + sum(x - mean_x for x in ahead) ** 2 / sxx
    half = Z_80 * math.sqrt(variance * lever)
    return total, max(0.0, total - half), total + half
