"""What is paid for and not used."""

from collections import Counter
from typing import Annotated

from pydantic import BaseModel, Field

from opswright_core.aws import HERE, Aws
from opswright_core.pages import page
from opswright_core.regions import Regional, WideTarget, is_wide, over_regions
from opswright_core.runtime import runtime
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread
from opswright_cost.clock import now
from opswright_cost.prices import price_book
from opswright_cost.waste.findings import Finding, Sweep
from opswright_cost.waste.network import find_network_waste
from opswright_cost.waste.retention import find_retention_waste
from opswright_cost.waste.servers import find_server_waste
from opswright_cost.waste.volumes import find_volume_waste

MOST_UNREAD = 20


class KindTotal(BaseModel):
    """How many findings of one kind there are, and what those with a known price come to."""

    count: int
    monthly_usd: float


class Waste(BaseModel):
    """What could be saved a month; a lower bound when prices are unknown or reads failed."""

    summary: str
    monthly_usd: float
    is_lower_bound: bool
    total: int = Field(description="Findings in all")
    by_kind: dict[str, KindTotal]
    findings: list[Finding] = Field(description="Costliest first; unknown prices last")
    cursor: str | None = None
    unread: list[str] = Field(description="What could not be read or judged: not known, not fine")
    looked_at: dict[str, int]
    region: str
    prices_as_of: str


@read_tool
def find_waste(
    min_monthly_usd: Annotated[float, Field(ge=0, description="Leave out what saves less")] = 0,
    limit: Annotated[int, Field(description="Most on a page", ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Field(description="From the page before", max_length=40)] = None,
    target: WideTarget = HERE,
) -> Waste:
    """Find what is paid for and not used, costliest first.

    Volumes, snapshots, addresses, load balancers, NAT, instances, databases, logs, buckets.
    """
    at, wide = now(), is_wide(target)

    def sweep(a: Aws) -> Sweep | Unread:
        found = Sweep(a, price_book(a.region), at)
        find_volume_waste(found)
        find_network_waste(found)
        find_server_waste(found)
        find_retention_waste(found)
        if wide and not found.looked_at:
            return Unread(operation="", reason=f"nothing could be read, first {found.unread[0]}")
        return found

    swept = runtime().snapshots.get(
        cursor, ("find_waste", target), lambda: over_regions(target, sweep)
    )
    return present(swept, min_monthly_usd, limit, cursor)


def present(
    swept: Regional[Sweep], min_monthly_usd: float, limit: int, cursor: str | None
) -> Waste:
    """Sort, total and page what was found in all regions."""
    findings = [
        f
        for sweep in swept.read.values()
        for f in sweep.kept()
        if min_monthly_usd == 0 or (f.monthly_usd is not None and f.monthly_usd >= min_monthly_usd)
    ]
    findings.sort(
        key=lambda f: (f.monthly_usd is None, -(f.monthly_usd or 0), f.region, f.resource)
    )
    by_kind: dict[str, KindTotal] = {}
    for f in findings:
        so_far = by_kind.get(f.kind, KindTotal(count=0, monthly_usd=0))
        usd = round(so_far.monthly_usd + (f.monthly_usd or 0), 2)
        by_kind[f.kind] = KindTotal(count=so_far.count + 1, monthly_usd=usd)
    shown = page(findings, cursor=cursor, limit=limit)
    monthly = round(sum(f.monthly_usd or 0 for f in findings), 2)
    unread = swept.unread(lambda sweep: sweep.unread)
    at_least = bool(unread) or any(f.monthly_usd is None for f in findings)
    looked_at: Counter[str] = Counter()
    for sweep in swept.read.values():
        looked_at.update(sweep.looked_at)
    missed = f"; {len(unread)} things could not be read or judged" if unread else ""
    if findings:
        summary = (
            f"{len(findings)} findings, {'at least ' if at_least else ''}${monthly:,.2f} a month, "
            f"in {swept.where}{missed}"
        )
    else:
        looked = ", ".join(f"{n} {what}" for what, n in looked_at.items()) or "nothing"
        summary = f"Nothing found in {swept.where} among {looked}{missed}"
    return Waste(
        summary=summary,
        monthly_usd=monthly,
        is_lower_bound=at_least,
        total=len(findings),
        by_kind=by_kind,
        findings=shown.items,
        cursor=shown.cursor,
        unread=[note[:300] for note in unread[:MOST_UNREAD]]
        + ([f"{len(unread) - MOST_UNREAD} more"] if len(unread) > MOST_UNREAD else []),
        looked_at=dict(looked_at),
        region=swept.region,
        prices_as_of=price_book(swept.home.region).as_of,
    )
