"""Finds datapoints that do not fit the rest of their series."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import fmean, median
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Target
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_core.verdicts import Verdict
from opswright_metrics.tools.series import (
    Dimensions,
    MetricName,
    Namespace,
    Point,
    Statistic,
    check_statistic,
    read_points,
)

CUTOFF = 3.5
"""Modified z-score above which a value is an outlier.

Source: Iglewicz and Hoaglin, "How to Detect and Handle Outliers" (ASQC, 1993).
"""

LEAST_POINTS = 20
"""With fewer, median and MAD say too little, and one value in ten may look odd by chance."""

SEASONAL_DAYS = 3
"""Three values for each hour of the day are the fewest of which a median means something."""

SEASONAL_GAIN = 0.5
"""A daily pattern is taken to exist when removing it at least halves the spread."""

MOST_SHOWN = 40


class Anomaly(BaseModel):
    """A value that does not fit."""

    model_config = ConfigDict(frozen=True)
    at: datetime
    value: float
    expected: float
    score: float = Field(description="Modified z-score; above 3.5 is odd")
    direction: Literal["high", "low"]


class AnomalyReport(BaseModel):
    """What does not fit: FAIL with anomalies, PASS with none, UNKNOWN with too little data."""

    verdict: Verdict
    summary: str
    points: int
    median: float | None = None
    mad: float | None = Field(
        None, description="Median absolute deviation, of the residuals judged"
    )
    daily_pattern: bool | None = Field(None, description="None: less than 3 days of data")
    found: int = 0
    anomalies: list[Anomaly] = Field(default_factory=list, description="Oddest 40, oldest first")


@read_tool(toolset="analysis")
def find_anomalies(
    namespace: Namespace,
    metric: MetricName,
    dimensions: Dimensions,
    statistic: Statistic = "Average",
    hours: Annotated[int, Field(description="Looking back", ge=1, le=336)] = 24,
    target: Target = HERE,
) -> AnomalyReport:
    """Find values of a metric that do not fit the rest; three days also tell a daily pattern."""
    check_statistic(statistic)
    period = 60 if hours <= 6 else 300 if hours <= 72 else 3600
    points = read_points(aws(target), namespace, metric, dimensions, statistic, hours * 60, period)
    return judge_series(points)


def judge_series(points: Sequence[Point]) -> AnomalyReport:
    """Judge points by the modified z-score, 0.6745 (x - median) / MAD. Pure.

    With three days and a daily pattern, the median of each hour of the day is taken off first.
    """
    if len(points) < LEAST_POINTS:
        return AnomalyReport(
            verdict="UNKNOWN",
            summary=f"{len(points)} datapoints are too few to judge; {LEAST_POINTS} are needed.",
            points=len(points),
        )
    values = [point.value for point in points]
    middle = median(values)
    hourly = _hourly_medians(points)
    expected, daily = [middle] * len(points), None
    if hourly is not None:
        by_hour = [hourly[point.at.hour] for point in points]
        daily = _spread(values, by_hour) <= SEASONAL_GAIN * _spread(values, expected)
        expected = by_hour if daily else expected
    scores = modified_z_scores([v - e for v, e in zip(values, expected, strict=True)])
    odd = [
        Anomaly(
            at=point.at,
            value=point.value,
            expected=normal,
            score=round(abs(score), 2),
            direction="high" if score > 0 else "low",
        )
        for point, normal, score in zip(points, expected, scores, strict=True)
        if abs(score) > CUTOFF
    ]
    shown = sorted(sorted(odd, key=lambda x: -x.score)[:MOST_SHOWN], key=lambda x: x.at)
    against = "the usual for the hour" if daily else f"a median of {middle:.4g}"
    worst = max(odd, key=lambda x: x.score, default=None)
    oddest = f"; oddest {worst.value:.4g} at {worst.at:%Y-%m-%d %H:%M} UTC" if worst else ""
    return AnomalyReport(
        verdict="FAIL" if odd else "PASS",
        summary=f"{len(odd)} of {len(points)} values do not fit {against}{oddest}.",
        points=len(points),
        median=middle,
        mad=_spread(values, expected),
        daily_pattern=daily,
        found=len(odd),
        anomalies=shown,
    )


def modified_z_scores(values: Sequence[float]) -> list[float]:
    """Iglewicz and Hoaglin's score of each value; the mean absolute deviation where MAD is 0.

    The constants 0.6745 and 1.2533 make both agree with a normal distribution's standard score.
    Values that are all the same score 0.
    """
    middle = median(values)
    deviations = [abs(value - middle) for value in values]
    scale = median(deviations) / 0.6745 or 1.2533 * fmean(deviations)
    return [(value - middle) / scale if scale else 0.0 for value in values]


def _hourly_medians(points: Sequence[Point]) -> dict[int, float] | None:
    span = points[-1].at - points[0].at
    if span < timedelta(days=SEASONAL_DAYS, hours=-1):  # the last hour's value begins it
        return None
    by_hour: dict[int, list[float]] = {}
    for point in points:
        by_hour.setdefault(point.at.hour, []).append(point.value)
    return {hour: median(values) for hour, values in by_hour.items()}


def _spread(values: Sequence[float], expected: Sequence[float]) -> float:
    residuals = [value - normal for value, normal in zip(values, expected, strict=True)]
    middle = median(residuals)
    return median(abs(residual - middle) for residual in residuals)
