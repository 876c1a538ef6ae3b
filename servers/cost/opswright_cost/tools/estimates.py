"""What a system costs a month: planned (from components) or existing (from what runs)."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, Field

from opswright_core.aws import HERE, Target
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_cost.components import Component, Line, price
from opswright_cost.inventory import Scope, grouped, load_inventory
from opswright_cost.live import with_live_prices
from opswright_cost.prices import PriceBook, choose_region, price_book

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
    return _estimate(book, components, said, [], live=read)


@read_tool
def estimate_existing(
    vpc_id: Annotated[str | None, Field(description="Only in this VPC", max_length=40)] = None,
    tag: Annotated[str | None, Field(description="Only tagged key=value", max_length=260)] = None,
    live: Annotated[bool, Field(description="Ask AWS for current prices")] = False,
    target: Target = HERE,
) -> Estimate:
    """Read what runs (in a VPC, with a tag, or the whole region); estimate its monthly price."""
    a = aws(target)
    found = load_inventory(a, Scope.parse(vpc_id, tag))
    components = grouped(found.components)
    book, read = price_book(a.region), 0
    said = [
        "Read: instances, volumes, RDS, NAT gateways, load balancers, public IPv4; for a whole "
        "region also alarms and secrets. Not read: S3, serverless, containers, data transfer."
    ]
    if live:
        book, missed, read = with_live_prices(a, book, components)
        said += _not_live(missed)
    return _estimate(book, components, said, found.unread, live=read, counts=found.counts)


def _not_live(missed: list[str]) -> list[str]:
    return [f"{note}; the shipped price is used where there is one." for note in missed]


def _estimate(
    book: PriceBook,
    components: Sequence[Component],
    said: list[str],
    unread: list[str],
    *,
    live: int,
    counts: dict[str, int] | None = None,
) -> Estimate:
    lines, unpriced = price(book, components)
    if any(c.kind == "rds" and c.engine is None for c in components):
        said = [*said, "Databases without an engine are priced as PostgreSQL."]
    if unpriced and book.region not in book.known_regions:
        said = [
            *said,
            f"No prices of {book.region} are shipped, only of {', '.join(book.known_regions)}.",
        ]
    total = round(sum(line.monthly_usd for line in lines), 2)
    at_least = bool(unpriced or unread)
    lines.sort(key=lambda line: -line.monthly_usd)
    source = (
        f"{live} live from the AWS Price List API; the rest: {book.source}" if live else book.source
    )
    return Estimate(
        summary=f"${total:,.2f} a month in {book.region}"
        + (f" at least: {len(unpriced)} without a price, {len(unread)} unread" if at_least else ""),
        monthly_usd=total,
        is_lower_bound=at_least,
        region=book.region,
        lines=lines,
        unpriced=unpriced,
        unread=unread,
        counts=counts or {},
        assumptions=[*said, *ALWAYS_ASSUMED],
        prices_as_of=book.as_of,
        source=source,
    )
