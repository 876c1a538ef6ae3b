"""Reads daily cost from AWS Cost Explorer ($0.01 a request; answers are kept for an hour)."""

import time
from dataclasses import dataclass
from datetime import date
from typing import Any

from opswright_core.aws import Aws
from opswright_core.canonical import digest
from opswright_core.errors import BadInputError
from opswright_core.runtime import runtime
from opswright_cost.spend_math import Daily

CE_REGION = "us-east-1"
REQUEST_USD = 0.01
CACHE_SECONDS = 3600.0
METRIC = "UnblendedCost"
DIMENSIONS = {
    "service": "SERVICE",
    "usage_type": "USAGE_TYPE",
    "account": "LINKED_ACCOUNT",
    "region": "REGION",
}


@dataclass(frozen=True)
class DailyCost:
    """Cost by day and group, and how many paid requests it took (0 when it was remembered)."""

    daily: Daily
    requests: int


def read_daily(a: Aws, start: date, end: date, group_by: str) -> DailyCost:
    """Unblended cost of the days [start, end) by group. Needs ce:GetCostAndUsage.

    Raises BadInputError for an unknown `group_by`.
    """
    query = {
        "TimePeriod": {"Start": start.isoformat(), "End": end.isoformat()},
        "Granularity": "DAILY",
        "Metrics": [METRIC],
        "GroupBy": [_grouping(group_by)],
    }
    cache: dict[str, tuple[float, Daily]] = runtime().extras.setdefault("cost_explorer", {})
    key = digest([a.account_id, query])
    kept = cache.get(key)
    if kept and time.monotonic() - kept[0] < CACHE_SECONDS:
        return DailyCost(kept[1], 0)
    days, requests = _pages(a, query)
    daily: Daily = {
        date.fromisoformat(d["TimePeriod"]["Start"]): {
            _name(g["Keys"]): float(g["Metrics"][METRIC]["Amount"]) for g in d.get("Groups", [])
        }
        or _ungrouped(d)
        for d in days
    }
    cache[key] = (time.monotonic(), daily)
    return DailyCost(daily, requests)


def _pages(a: Aws, query: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    client, days, requests = a.client("ce", CE_REGION), [], 0
    token: dict[str, str] = {}
    while True:
        answer = client.get_cost_and_usage(**query, **token)
        requests += 1
        days += answer["ResultsByTime"]
        if not answer.get("NextPageToken"):
            return days, requests
        token = {"NextPageToken": answer["NextPageToken"]}


def _grouping(group_by: str) -> dict[str, str]:
    if group_by.startswith("tag:") and len(group_by) > 4:
        return {"Type": "TAG", "Key": group_by[4:]}
    if group_by not in DIMENSIONS:
        raise BadInputError(
            f"group_by {group_by!r}: use {', '.join(DIMENSIONS)} or tag:<key>, like tag:Team."
        )
    return {"Type": "DIMENSION", "Key": DIMENSIONS[group_by]}


def _name(keys: list[str]) -> str:
    """Cost Explorer writes a tag group as `key$value`; without a value it is untagged."""
    name = ", ".join(keys)
    return f"{name}(untagged)" if name.endswith("$") else name


def _ungrouped(day: dict[str, Any]) -> dict[str, float]:
    total = (day.get("Total") or {}).get(METRIC)
    return {"all": float(total["Amount"])} if total else {}
