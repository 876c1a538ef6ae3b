"""Lists alarms, and groups the firing ones by what they are about."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws
from opswright_core.pages import Page, page
from opswright_core.regions import WideTarget, over_regions
from opswright_core.runtime import runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_metrics.tools.parameters import Cursor
from opswright_metrics.tools.triage import Alarm, Triage, triage

AlarmState = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]


class AlarmLine(BaseModel):
    """One alarm in a list."""

    model_config = ConfigDict(frozen=True)
    name: str
    region: str
    state: AlarmState
    metric: str = Field(description="namespace/metric, or what it is composed of")
    condition: str
    reason: str = ""
    since: datetime | None = Field(None, description="In this state since")
    notifies: int = Field(description="How many alarm actions it has")


@read_tool
def list_alarms(
    state: Annotated[AlarmState | None, Field(description="Only in this state")] = None,
    name_prefix: Annotated[str | None, Field(description="Only named so", max_length=255)] = None,
    cursor: Cursor = None,
    target: WideTarget = HERE,
) -> Page[AlarmLine]:
    """List CloudWatch alarms with their state and why."""
    found = runtime().snapshots.get(
        cursor,
        ("list_alarms", state, name_prefix, target),
        lambda: over_regions(target, lambda a: _lines(a, state, name_prefix)),
    )
    lines = sorted(
        (line for part in found.read.values() for line in part),
        key=lambda line: (line.state != "ALARM", line.region, line.name),
    )
    firing = sum(line.state == "ALARM" for line in lines)
    silent = sum(line.notifies == 0 for line in lines)
    summary = f"{len(lines)} alarms, {firing} firing, {silent} notify nobody"
    where = f"{found.where}: " if found.is_wide else ""
    return page(lines, cursor=cursor, summary=where + summary, unread=found.unread())


def _lines(a: Aws, state: str | None, name_prefix: str | None) -> list[AlarmLine]:
    metric_alarms, composites = read_alarms(a, state, name_prefix)
    return [
        *(_metric_line(alarm, a.region) for alarm in metric_alarms),
        *(_composite_line(alarm, a.region) for alarm in composites),
    ]


@read_tool
def triage_alarms(target: WideTarget = HERE) -> Triage:
    """Which alarms are firing, about what, likely why, and what to do first."""
    found = over_regions(target, lambda a: read_alarms(a, "ALARM", None))
    alarms = [_alarm(alarm, region) for region, part in found.read.items() for alarm in part[0]]
    composites = sum(len(part[1]) for part in found.read.values())
    return triage(alarms, composites=composites, unread=found.unread())


def read_alarms(
    a: Aws, state: str | None, name_prefix: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The metric alarms and the composite alarms, as DescribeAlarms gives them.

    The state is filtered here too: the emulator ignores it beside a prefix.
    """
    wanted: dict[str, Any] = {"AlarmTypes": ["MetricAlarm", "CompositeAlarm"]}
    if state:
        wanted["StateValue"] = state
    if name_prefix:
        wanted["AlarmNamePrefix"] = name_prefix
    pages = a.client("cloudwatch").get_paginator("describe_alarms").paginate(**wanted)
    answers = list(pages)

    def found(kind: str) -> list[dict[str, Any]]:
        alarms = [alarm for answer in answers for alarm in answer.get(kind, [])]
        return [alarm for alarm in alarms if state in (None, alarm["StateValue"])]

    return found("MetricAlarms"), found("CompositeAlarms")


def _metric_line(found: dict[str, Any], region: str) -> AlarmLine:
    statistic = found.get("Statistic") or found.get("ExtendedStatistic") or "expression"
    condition = (
        f"{statistic} {found.get('ComparisonOperator', '')} {found.get('Threshold', 0):g}, "
        f"{found.get('DatapointsToAlarm') or found['EvaluationPeriods']} of "
        f"{found['EvaluationPeriods']} x {found.get('Period', 0)} s"
    )
    metric = f"{found.get('Namespace', '')}/{found.get('MetricName', 'expression')}"
    return _line(found, region, clean(metric, 300), condition)


def _composite_line(found: dict[str, Any], region: str) -> AlarmLine:
    return _line(found, region, "composite", clean(found.get("AlarmRule", ""), 300))


def _line(found: dict[str, Any], region: str, metric: str, condition: str) -> AlarmLine:
    return AlarmLine(
        name=clean(found["AlarmName"], 255),
        region=region,
        state=found["StateValue"],
        metric=metric,
        condition=condition,
        reason=clean(found.get("StateReason", ""), 200),
        since=found.get("StateTransitionedTimestamp") or found.get("StateUpdatedTimestamp"),
        notifies=len(found.get("AlarmActions") or []) if found.get("ActionsEnabled", True) else 0,
    )


def _alarm(found: dict[str, Any], region: str) -> Alarm:
    dimensions = {d["Name"]: clean(d["Value"], 255) for d in found.get("Dimensions") or []}
    return Alarm(
        name=clean(found["AlarmName"], 255),
        region=region,
        namespace=found.get("Namespace", ""),
        metric=found.get("MetricName", "expression"),
        dimensions=dimensions,
        reason=clean(found.get("StateReason", ""), 200),
        since=found.get("StateTransitionedTimestamp") or found.get("StateUpdatedTimestamp"),
    )
