"""Reads one metric over time and sums it up."""

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws, Target
from opswright_core.errors import BadInputError
from opswright_core.runtime import aws
from opswright_core.tools import read_tool

Namespace = Annotated[str, Field(description="Like AWS/EC2", min_length=1, max_length=255)]
MetricName = Annotated[str, Field(description="Like CPUUtilization", min_length=1, max_length=255)]
Dimensions = Annotated[
    dict[str, str], Field(description="All the metric's dimensions, name to value", max_length=30)
]
Statistic = Annotated[str, Field(description="Average, Sum, Minimum, Maximum, SampleCount, p95…")]
Trend = Literal["rising", "falling", "flat", "unknown"]

MOST_POINTS = 60
_NICE_PERIODS = (60, 300, 900, 3600, 21_600, 86_400)
_STATISTIC = re.compile(r"Average|Sum|Minimum|Maximum|SampleCount|p(\d{1,2}(\.\d{1,10})?|100)")
_KEPT = ((3 * 3600, 1), (15 * 86_400, 60), (63 * 86_400, 300), (455 * 86_400, 3600))
"""(Age, finest period kept) in seconds. Source: CloudWatch User Guide, "Metrics retention"."""


class Point(BaseModel):
    """One datapoint."""

    model_config = ConfigDict(frozen=True)
    at: datetime
    value: float


class MetricSummary(BaseModel):
    """A metric over a time, summed up; the figures are None when there is no data."""

    namespace: str
    metric: str
    dimensions: dict[str, str]
    statistic: str
    period_seconds: int
    min: float | None
    max: float | None
    mean: float | None
    latest: float | None
    trend: Trend = Field(description="By the Mann-Kendall test at 95 %; unknown below 8 points")
    datapoints: list[Point] = Field(description="Oldest first")
    summary: str


@read_tool
def get_metrics(
    namespace: Namespace,
    metric: MetricName,
    dimensions: Dimensions,
    statistic: Statistic = "Average",
    minutes: Annotated[int, Field(description="Looking back", ge=1, le=655_200)] = 60,
    period_seconds: Annotated[int | None, Field(description="Default: fits", ge=1)] = None,
    target: Target = HERE,
) -> MetricSummary:
    """Read a CloudWatch metric: at most 60 points, with min, max, mean, latest and trend."""
    check_statistic(statistic)
    period = choose_period(minutes, period_seconds)
    points = read_points(aws(target), namespace, metric, dimensions, statistic, minutes, period)
    values = [point.value for point in points]
    trend = trend_of(values)
    if values:
        summary = (
            f"{statistic} of {metric}: now {values[-1]:.4g}, between {min(values):.4g} and "
            f"{max(values):.4g} over {minutes} minutes, {trend}"
        )
    else:
        summary = (
            f"No data for {namespace} {metric} with exactly these dimensions in {minutes} minutes: "
            "either nothing was reported or a name differs (they are case-sensitive)."
        )
    return MetricSummary(
        namespace=namespace,
        metric=metric,
        dimensions=dimensions,
        statistic=statistic,
        period_seconds=period,
        min=min(values, default=None),
        max=max(values, default=None),
        mean=fmean(values) if values else None,
        latest=values[-1] if values else None,
        trend=trend,
        datapoints=points,
        summary=summary,
    )


def check_statistic(statistic: str) -> None:
    """Raise BadInputError for what CloudWatch does not know."""
    if not _STATISTIC.fullmatch(statistic):
        raise BadInputError(
            f"statistic {statistic!r}: give Average, Sum, Minimum, Maximum, SampleCount or a "
            "percentile such as p95 or p99.9."
        )


def choose_period(minutes: int, wanted_seconds: int | None = None) -> int:
    """A period in seconds that gives at most 60 points and is still kept that far back.

    Raises BadInputError for one that CloudWatch refuses or no longer keeps, or with more points.
    """
    span = minutes * 60
    finest = next((period for age, period in _KEPT if span <= age), 3600)
    if wanted_seconds is None:
        fitting = (p for p in _NICE_PERIODS if p >= finest and span / p <= MOST_POINTS)
        return next(fitting, math.ceil(span / MOST_POINTS / 86_400) * 86_400)
    if wanted_seconds not in {1, 5, 10, 20, 30} and wanted_seconds % 60:
        raise BadInputError(
            f"period_seconds {wanted_seconds}: it is 1, 5, 10, 20, 30 or a multiple of 60."
        )
    if wanted_seconds < finest:
        raise BadInputError(
            f"period_seconds {wanted_seconds}: that far back CloudWatch keeps {finest} s and more."
        )
    if span / wanted_seconds > MOST_POINTS:
        raise BadInputError(
            f"period_seconds {wanted_seconds} over {minutes} minutes is "
            f"{math.ceil(span / wanted_seconds)} points, more than {MOST_POINTS}: "
            f"take {choose_period(minutes)}, or fewer minutes."
        )
    return wanted_seconds


def read_points(
    a: Aws, namespace: str, metric: str, dimensions: dict[str, str],
    statistic: str, minutes: int, period_seconds: int,
) -> list[Point]:  # fmt: skip
    """The datapoints of the last minutes, oldest first."""
    query: dict[str, Any] = {
        "Id": "wanted",
        "MetricStat": {
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": k, "Value": v} for k, v in dimensions.items()],
            },
            "Period": period_seconds,
            "Stat": statistic,
        },
    }
    end = datetime.now(UTC)
    results = a.pages(
        "cloudwatch", "get_metric_data", "MetricDataResults", MetricDataQueries=[query],
        StartTime=end - timedelta(minutes=minutes), EndTime=end,
    )  # fmt: skip
    points = [
        Point(at=at.astimezone(UTC), value=value)
        for result in results
        for at, value in zip(result["Timestamps"], result["Values"], strict=True)
    ]
    return sorted(points, key=lambda point: point.at)


def trend_of(values: Sequence[float]) -> Trend:
    """Whether values in order of time rise or fall: Mann-Kendall, two-sided, 95 %, ties corrected.

    Source: Mann (1945), Kendall (1975); the normal approximation needs 8 to 10 points.
    """
    n = len(values)
    if n < 8:
        return "unknown"
    score = sum(
        (later > earlier) - (later < earlier)
        for i, earlier in enumerate(values)
        for later in values[i + 1 :]
    )
    ties = [values.count(value) for value in set(values)]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    if variance <= 0 or score == 0:
        return "flat"
    z = (abs(score) - 1) / math.sqrt(variance)
    if z < 1.96:
        return "flat"
    return "rising" if score > 0 else "falling"
