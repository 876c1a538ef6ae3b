"""What a system costs a month: planned (from components) or existing (from what runs)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field

from opswright_core.aws import HERE, Aws, Target
from opswright_core.regions import WideTarget, is_wide, over_regions
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread
from opswright_cost.components import Component, Line, price
from opswright_cost.inventory import Inventory, Scope, grouped, load_inventory
from opswright_cost.live import with_live_prices
from opswright_cost.prices import DEFAULT_REGION, PriceBook, choose_region, price_book

ALWAYS_ASSUMED = (
    "On-demand list prices in USD, without tax, free tier, credits, discounts; 730 hours a month.",
    "Linux, shared tenancy; Multi-AZ is twice Single-AZ (the list rounds, up to $0.001/h apart).",
    "Usage that is not given costs nothing here: data through NAT, load balancer capacity units, "
    "requests, data transfer (no 100 GB free allowance is taken off).",
)


class Estimate(BaseModel):
    """A monthly cost; when something had no known price it is a lower bound."""

    summary: str
    monthly_usd: float
    is_lower_bound: bool
    region: str
    lines: list[Line] = Field(description="Costliest first")
    unpriced: list[str] = Field(description="Without a known price, so not in the total")
    unread: list[str] = Field(default_factory=list, description="What could not be read")
    counts: dict[str, int] = Field(default_factory=dict, description="What was found, by kind")
    assumptions: list[str]
    prices_as_of: str
    source: str


@read_tool
def estimate_monthly_cost(
    components: Annotated[
        list[Component], Field(description="What it consists of", min_length=1, max_length=100)
    ],
    region: Annotated[str | None, Field(description="Priced in", max_length=32)] = None,
    live: Annotated[bool, Field(description="Read instance prices from AWS (credentials)")] = False,
    target: Target = HERE,
) -> Estimate:
    """Estimate what planned components cost a month, before they exist. Needs no credentials."""
    chosen, said = choose_region(region or target.region)
    book, read = price_book(chosen), 0
    if live:
        book, missed, read = with_live_prices(aws(target), book, components)
        said = [*said, *_not_live(missed)]
    return _estimate([_priced(book, components, live=read)], book.region, said, [])


@read_tool
def estimate_existing(
    vpc_id: Annotated[str | None, Field(description="Only in this VPC", max_length=40)] = None,
    tag: Annotated[str | None, Field(description="Only tagged key=value", max_length=260)] = None,
    live: Annotated[bool, Field(description="Ask AWS for current prices")] = False,
    target: WideTarget = HERE,
) -> Estimate:
    """Read what runs (in a VPC, with a tag, or the whole region); estimate its monthly price."""
    scope, wide = Scope.parse(vpc_id, tag), is_wide(target)

    def read(a: Aws) -> Priced | Unread:
        inventory = load_inventory(a, scope)
        if wide and inventory.unread and not any(inventory.counts.values()):
            reason = f"nothing could be read, first {inventory.unread[0]}"
            return Unread(operation="", reason=reason)
        components = grouped(inventory.components)
        book, asked = price_book(a.region), 0
        missed: list[str] = []
        if live:
            book, missed, asked = with_live_prices(a, book, components)
        return _priced(book, components, live=asked, missed=missed, inventory=inventory)

    found = over_regions(target, read)
    parts = list(found.read.values())
    said = [
        "Read: instances, volumes, RDS, NAT gateways, load balancers, public IPv4; for a whole "
        "region also alarms and secrets. Not read: S3, serverless, containers, data transfer.",
        *_not_live([line for part in parts for line in part.missed]),
    ]
    unread = found.unread(lambda part: part.inventory.unread)
    return _estimate(parts, found.region, said, unread)


@dataclass(frozen=True, kw_only=True)
class Priced:
    """What is in one region, with its prices."""

    book: PriceBook
    lines: Sequence[Line]
    unpriced: Sequence[str]
    without_engine: bool
    live: int
    """Prices that were read from AWS."""
    missed: Sequence[str]
    inventory: Inventory


def _priced(
    book: PriceBook,
    components: Sequence[Component],
    *,
    live: int,
    missed: Sequence[str] = (),
    inventory: Inventory | None = None,
) -> Priced:
    lines, unpriced = price(book, components)
    return Priced(
        book=book,
        lines=lines,
        unpriced=unpriced,
        without_engine=any(c.kind == "rds" and c.engine is None for c in components),
        live=live,
        missed=missed,
        inventory=inventory or Inventory(),
    )


def _not_live(missed: list[str]) -> list[str]:
    return [f"{note}; the shipped price is used where there is one." for note in missed]


def _estimate(parts: Sequence[Priced], region: str, said: list[str], unread: list[str]) -> Estimate:
    lines = sorted((line for part in parts for line in part.lines), key=lambda x: -x.monthly_usd)
    unpriced = [line for part in parts for line in part.unpriced]
    if any(part.without_engine for part in parts):
        said = [*said, "Databases without an engine are priced as PostgreSQL."]
    shipped = price_book(DEFAULT_REGION)
    unknown = [p.book.region for p in parts if p.unpriced and not p.book.is_shipped]
    if unknown:
        known = ", ".join(shipped.known_regions)
        said = [*said, f"No prices of {', '.join(unknown)} are shipped, only of {known}."]
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(part.inventory.counts)
    total = round(sum(line.monthly_usd for line in lines), 2)
    at_least = bool(unpriced or unread)
    live = sum(part.live for part in parts)
    source = shipped.source
    return Estimate(
        summary=f"${total:,.2f} a month in {region}"
        + (f" at least: {len(unpriced)} without a price, {len(unread)} unread" if at_least else ""),
        monthly_usd=total,
        is_lower_bound=at_least,
        region=region,
        lines=lines,
        unpriced=unpriced,
        unread=unread,
        counts=dict(counts),
        assumptions=[*said, *ALWAYS_ASSUMED],
        prices_as_of=shipped.as_of,
        source=f"{live} live from the AWS Price List API; the rest: {source}" if live else source,
    )
