"""Instances that could be smaller."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws, tags_of
from opswright_core.pages import page
from opswright_core.regions import Regional, WideTarget, over_regions
from opswright_core.runtime import runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, attempt
from opswright_cost.clock import now
from opswright_cost.components import Component, monthly_usd
from opswright_cost.inventory import instance_component, load_instances
from opswright_cost.prices import price_book
from opswright_cost.rightsizing import Spec, Usage, Verdict, judge
from opswright_cost.series import Series, percentile, read_series
from opswright_cost.waste.findings import saved

MEMORY_NAMESPACE, MEMORY_METRIC = "CWAgent", "mem_used_percent"
ORDER = {"downsize": 0, "busy": 1, "unknown": 2, "fits": 3}


class Rightsized(BaseModel):
    """One instance judged against the next smaller type of its family."""

    model_config = ConfigDict(frozen=True)
    instance_id: str
    name: str
    region: str
    type: str
    verdict: Verdict
    suggested_type: str | None
    monthly_saving_usd: float | None = Field(description="None when a price is not known")
    cpu_p95_percent: float | None
    cpu_max_percent: float | None
    memory_max_percent: float | None
    why: str


class Rightsizing(BaseModel):
    """Which running instances could be smaller."""

    summary: str
    monthly_saving_usd: float
    is_lower_bound: bool
    total: int
    items: list[Rightsized] = Field(description="To downsize first, by saving")
    cursor: str | None = None
    unread: list[str]
    window_days: int
    region: str


@read_tool
def find_rightsizing(
    window_days: Annotated[int, Field(description="Looking back", ge=3, le=60)] = 14,
    cursor: Annotated[str | None, Field(description="From the page before", max_length=40)] = None,
    target: WideTarget = HERE,
) -> Rightsizing:
    """Find running instances that a smaller type would carry, from CPU (and memory if reported)."""
    found = runtime().snapshots.get(
        cursor,
        ("find_rightsizing", window_days, target),
        lambda: over_regions(target, lambda a: _judge(a, window_days)),
    )
    return _present(found, window_days, cursor)


Judged = tuple[list[Rightsized], list[str]]
"""The instances of a region, and what could not be read there."""


def _judge(a: Aws, window_days: int) -> Judged:
    book = price_book(a.region)
    instances = load_instances(a, ["running"])
    unread: list[str] = []
    specs = attempt(lambda: _specs(a, {i["InstanceType"].partition(".")[0] for i in instances}))
    if isinstance(specs, Unread):
        unread.append(f"instance types: {specs.reason}")
        specs = {}
    usage = _usage(a, [i["InstanceId"] for i in instances], window_days, unread)
    least = window_days * 12
    items = []
    for instance in instances:
        used, kind = usage[instance["InstanceId"]], instance["InstanceType"]
        verdict, smaller, why = judge(kind, used, specs, least)
        if isinstance(specs, dict) and kind not in specs and verdict == "fits":
            verdict, why = "unknown", "what this type has could not be read"
        saving = None
        if smaller:
            less = monthly_usd(book, Component(kind="ec2", type=smaller))
            saving = saved(monthly_usd(book, instance_component(instance)), less)
        items.append(
            Rightsized(
                instance_id=instance["InstanceId"],
                region=a.region,
                name=clean(tags_of(instance.get("Tags")).get("Name", ""), 80),
                type=kind,
                verdict=verdict,
                suggested_type=smaller,
                monthly_saving_usd=saving,
                cpu_p95_percent=round(percentile(used.cpu, 95), 1) if used.cpu else None,
                cpu_max_percent=round(max(used.cpu), 1) if used.cpu else None,
                memory_max_percent=round(max(used.memory), 1) if used.memory else None,
                why=why,
            )
        )
    return items, unread


def _present(found: Regional[Judged], days: int, cursor: str | None) -> Rightsizing:
    items = [item for part, _ in found.read.values() for item in part]
    items.sort(key=lambda i: (ORDER[i.verdict], -(i.monthly_saving_usd or 0), i.instance_id))
    unread = found.unread(lambda judged: judged[1])
    downsize = [i for i in items if i.verdict == "downsize"]
    unknown = sum(i.verdict == "unknown" for i in items)
    saving = round(sum(i.monthly_saving_usd or 0 for i in downsize), 2)
    shown = page(items, cursor=cursor)
    return Rightsizing(
        summary=f"{len(downsize)} of {len(items)} running instances could be smaller, saving "
        f"${saving:,.2f} a month; {unknown} could not be judged"
        + (f"; in {found.where}" if found.is_wide else ""),
        monthly_saving_usd=saving,
        is_lower_bound=bool(unread)
        or unknown > 0
        or any(i.monthly_saving_usd is None for i in downsize),
        total=len(items),
        items=shown.items,
        cursor=shown.cursor,
        unread=unread,
        window_days=days,
        region=found.region,
    )


def _specs(a: Aws, families: set[str]) -> dict[str, Spec]:
    if not families:
        return {}
    types = a.pages(
        "ec2",
        "describe_instance_types",
        "InstanceTypes",
        Filters=[{"Name": "instance-type", "Values": sorted(f"{family}.*" for family in families)}],
    )
    return {
        t["InstanceType"]: Spec(t["VCpuInfo"]["DefaultVCpus"], t["MemoryInfo"]["SizeInMiB"])
        for t in types
    }


def _usage(a: Aws, ids: list[str], days: int, unread: list[str]) -> dict[str, Usage]:
    cpu = {i: Series("AWS/EC2", "CPUUtilization", (("InstanceId", i),), "Maximum") for i in ids}
    memory = attempt(lambda: _memory_series(a, set(ids)))
    if isinstance(memory, Unread):
        unread.append(f"memory metrics: {memory.reason}")
        memory = {}
    wanted = {
        **{f"cpu {i}": s for i, s in cpu.items()},
        **{f"mem {i}": s for i, s in memory.items()},
    }
    values = attempt(lambda: read_series(a, wanted, now=now(), days=days, period_seconds=3600))
    if isinstance(values, Unread):
        unread.append(f"instance use: {values.reason}")
        values = {}
    return {i: Usage(values.get(f"cpu {i}", []), values.get(f"mem {i}", [])) for i in ids}


def _memory_series(a: Aws, ids: set[str]) -> dict[str, Series]:
    """The agent's memory metric by instance; its dimensions depend on its configuration."""
    found: dict[str, Series] = {}
    listed: list[dict[str, Any]] = a.pages(
        "cloudwatch",
        "list_metrics",
        "Metrics",
        Namespace=MEMORY_NAMESPACE,
        MetricName=MEMORY_METRIC,
    )
    for metric in listed:
        dimensions = tuple((d["Name"], d["Value"]) for d in metric["Dimensions"])
        instance_id = dict(dimensions).get("InstanceId", "")
        if instance_id in ids:
            found[instance_id] = Series(MEMORY_NAMESPACE, MEMORY_METRIC, dimensions, "Maximum")
    return found
