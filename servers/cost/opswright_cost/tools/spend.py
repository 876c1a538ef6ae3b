"""What was spent, from Cost Explorer, and what will be."""

from datetime import date, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Target
from opswright_core.errors import NotFoundError
from opswright_core.runtime import aws
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, attempt
from opswright_cost.clock import now
from opswright_cost.cost_explorer import CE_REGION, REQUEST_USD, read_daily
from opswright_cost.spend_math import (
    Anomaly,
    Daily,
    anomalies,
    change_percent,
    straight_line,
    totals_by_group,
)

SHOWN_GROUPS = 20
HISTORY_DAYS = 60
LEAST_HISTORY = 14


class SpendGroup(BaseModel):
    """What one group cost, and in the period before."""

    model_config = ConfigDict(frozen=True)
    key: str
    amount_usd: float
    share_percent: float
    previous_usd: float
    change_percent: float | None = Field(description="None when it cost nothing before")


class SpendPoint(BaseModel):
    """What one day, or the part of a month, cost."""

    model_config = ConfigDict(frozen=True)
    start: str
    amount_usd: float


class Spend(BaseModel):
    """What was spent in [start, end), against the same number of days before."""

    summary: str
    start: date
    end: date
    total_usd: float
    previous_usd: float
    change_percent: float | None
    groups: list[SpendGroup] = Field(description="Costliest first; the last may be all others")
    trend: list[SpendPoint]
    anomalies: list[Anomaly]
    request_cost_usd: float = Field(description="What asking cost; 0 when remembered")


class Forecast(BaseModel):
    """What the coming days will cost, with an 80 % interval."""

    summary: str
    days_ahead: int
    total_usd: float
    low_usd: float
    high_usd: float
    method: str
    note: str = ""


@read_tool
def get_spend(
    days: Annotated[int, Field(description="Looking back", ge=1, le=180)] = 30,
    group_by: Annotated[
        str, Field(description="service, usage_type, account, region or tag:<key>", max_length=140)
    ] = "service",
    granularity: Annotated[
        Literal["daily", "monthly"], Field(description="Of the trend")
    ] = "daily",
    target: Target = HERE,
) -> Spend:
    """What was really spent: total, groups, trend, unusual days. Costs $0.01; kept an hour."""
    end = now().date()
    start = end - timedelta(days=days)
    cost = read_daily(aws(target), start - timedelta(days=days), end, group_by)
    if not cost.daily:
        raise NotFoundError(
            "Cost Explorer answered without any day: enable it in the Billing console (it takes 24 "
            "hours), or ask from the payer account."
        )
    current = {day: groups for day, groups in cost.daily.items() if start <= day < end}
    before = {day: groups for day, groups in cost.daily.items() if day < start}
    total, previous = (sum(totals_by_group(d).values()) for d in (current, before))
    groups, unusual = _groups(current, before), anomalies(current)
    top = ", ".join(f"{g.key} ${g.amount_usd:,.2f}" for g in groups[:3])
    change = change_percent(total, previous)
    return Spend(
        summary=f"${total:,.2f} in {days} days"
        + (f" ({change:+.1f} % on the {days} days before)" if change is not None else "")
        + (f"; most: {top}" if top else "")
        + (f"; {len(unusual)} unusual days" if unusual else ""),
        start=start,
        end=end,
        total_usd=round(total, 2),
        previous_usd=round(previous, 2),
        change_percent=change,
        groups=groups,
        trend=_trend(current, granularity),
        anomalies=unusual,
        request_cost_usd=cost.requests * REQUEST_USD,
    )


@read_tool(toolset="spend")
def forecast_spend(
    days_ahead: Annotated[int, Field(description="Looking ahead", ge=1, le=90)] = 30,
    target: Target = HERE,
) -> Forecast:
    """Forecast the coming days' spend: Cost Explorer's, else a straight line ($0.01 each)."""
    a, today = aws(target), now().date()
    period = {"Start": today.isoformat(), "End": (today + timedelta(days=days_ahead)).isoformat()}
    answer = attempt(
        lambda: a.client("ce", CE_REGION).get_cost_forecast(
            TimePeriod=period,
            Granularity="DAILY",
            Metric="UNBLENDED_COST",
            PredictionIntervalLevel=80,
        )
    )
    if not isinstance(answer, Unread):
        by_day = answer["ForecastResultsByTime"]
        low = sum(float(d["PredictionIntervalLowerBound"]) for d in by_day)
        high = sum(float(d["PredictionIntervalUpperBound"]) for d in by_day)
        note = "The interval adds up the daily intervals, so it is wider than the total's own."
        method = "Cost Explorer GetCostForecast"
        return _forecast(days_ahead, float(answer["Total"]["Amount"]), low, high, method, note)
    daily = read_daily(a, today - timedelta(days=HISTORY_DAYS), today, "service").daily
    history = [sum(groups.values()) for _, groups in sorted(daily.items())]
    if len(history) < LEAST_HISTORY:
        raise NotFoundError(
            f"Too little to forecast from: {len(history)} days of cost, {LEAST_HISTORY} are needed "
            f"({answer.reason})"
        )
    total, low, high = straight_line(history, days_ahead)
    method = f"straight line through {len(history)} days (least squares)"
    return _forecast(days_ahead, total, low, high, method, f"Not Cost Explorer's: {answer.reason}")


def _forecast(days: int, total: float, low: float, high: float, method: str, note: str) -> Forecast:
    return Forecast(
        summary=f"${total:,.2f} in the next {days} days (${low:,.2f} to ${high:,.2f}), by {method}",
        days_ahead=days,
        total_usd=round(total, 2),
        low_usd=round(low, 2),
        high_usd=round(high, 2),
        method=method,
        note=note,
    )


def _groups(current: Daily, before: Daily) -> list[SpendGroup]:
    now_by, before_by = totals_by_group(current), totals_by_group(before)
    keys = sorted(now_by.keys() | before_by.keys(), key=lambda k: -now_by.get(k, 0.0))
    rows = [(key, now_by.get(key, 0.0), before_by.get(key, 0.0)) for key in keys]
    rest = rows[SHOWN_GROUPS:]
    rows = rows[:SHOWN_GROUPS]
    if rest:
        name = f"{len(rest)} others"
        rows.append((name, sum(r[1] for r in rest), sum(r[2] for r in rest)))
    total = sum(now_by.values())
    return [
        SpendGroup(
            key=clean(key, 120),
            amount_usd=round(usd, 2),
            share_percent=round(usd / total * 100, 1) if total else 0.0,
            previous_usd=round(was, 2),
            change_percent=change_percent(usd, was),
        )
        for key, usd, was in rows
    ]


def _trend(current: Daily, granularity: str) -> list[SpendPoint]:
    points: dict[str, float] = {}
    for day, groups in sorted(current.items()):
        start = day.isoformat() if granularity == "daily" else day.isoformat()[:7]
        points[start] = points.get(start, 0.0) + sum(groups.values())
    return [SpendPoint(start=start, amount_usd=round(usd, 2)) for start, usd in points.items()]
