"""CloudWatch series of many resources in few calls (GetMetricData, 500 series a call)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from opswright_core.aws import Aws

BATCH = 500
"""Most series that one GetMetricData call takes."""


@dataclass(frozen=True)
class Series:
    """One metric of one resource; `dimensions` are (name, value) pairs."""

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str


def read_series(
    a: Aws, wanted: Mapping[str, Series], *, now: datetime, days: int, period_seconds: int = 86_400
) -> dict[str, list[float]]:
    """The values of each series over the last `days`, one per period that has data; [] without any.

    Needs cloudwatch:GetMetricData, which costs $0.01 per 1,000 series.
    """
    values: dict[str, list[float]] = {key: [] for key in wanted}
    keys = list(wanted)
    window = {"StartTime": now - timedelta(days=days), "EndTime": now}
    for start in range(0, len(keys), BATCH):
        batch = keys[start : start + BATCH]
        queries = [_query(f"m{i}", wanted[key], period_seconds) for i, key in enumerate(batch)]
        for result in a.pages(
            "cloudwatch",
            "get_metric_data",
            "MetricDataResults",
            MetricDataQueries=queries,
            **window,
        ):
            values[batch[int(result["Id"][1:])]].extend(result["Values"])
    return values


def _query(query_id: str, series: Series, period_seconds: int) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in series.dimensions]
    metric = {
        "Namespace": series.namespace,
        "MetricName": series.metric,
        "Dimensions": dimensions,
    }
    return {
        "Id": query_id,
        "MetricStat": {"Metric": metric, "Period": period_seconds, "Stat": series.statistic},
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of at least one value."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
