"""On-demand list prices, shipped in `prices.json`; None where a price is not known."""

import functools
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import resources
from typing import Any

from opswright_core.errors import BadInputError

DEFAULT_REGION = "us-east-1"
HOURS_PER_MONTH = 730.0
"""The convention of the AWS Pricing Calculator: 365 days x 24 h / 12 months."""

Key = tuple[str, ...]


@dataclass(frozen=True)
class PriceBook:
    """The prices of one region in USD; `live` overrides single prices by key."""

    region: str
    as_of: str
    source: str
    prices: Mapping[str, Any]
    live: Mapping[Key, float]
    known_regions: tuple[str, ...]

    @property
    def is_shipped(self) -> bool:
        """Whether the shipped list has this region at all."""
        return self.region in self.known_regions

    def find(self, *key: str) -> float | None:
        """The price under a key, like ("ec2_linux_hour", "t3.small"); None when it is not known."""
        if key in self.live:
            return self.live[key]
        found: Any = self.prices
        for part in key:
            if not isinstance(found, Mapping) or part not in found:
                return None
            found = found[part]
        return float(found) if isinstance(found, int | float) else None

    def tiers(self, name: str) -> list[tuple[float, float]]:
        """A tiered price as [(up to how many units in all, USD each)]; empty when not known."""
        found = self.prices.get(name) or []
        return [(float("inf") if upto is None else float(upto), usd) for upto, usd in found]

    def with_live(self, live: Mapping[Key, float]) -> "PriceBook":
        """The same book with prices just read from the AWS Price List API."""
        return replace(self, live={**self.live, **live})


def price_book(region: str) -> PriceBook:
    """The shipped prices of a region; every price of an unlisted region is unknown."""
    shipped = _shipped()
    regions = shipped["regions"]
    return PriceBook(
        region, shipped["as_of"], shipped["source"], regions.get(region, {}), {}, tuple(regions)
    )


def choose_region(region: str | None) -> tuple[str, list[str]]:
    """The region to price in, and the assumption to state when nobody named one."""
    environment = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    chosen = region or environment
    if chosen is None:
        return DEFAULT_REGION, [f"No region was named: priced in {DEFAULT_REGION}."]
    if not re.fullmatch(r"[a-z]{2,4}(-[a-z]+)+-\d", chosen):
        raise BadInputError(f"{chosen!r} is not an AWS region name; they look like eu-west-1.")
    return chosen, []


@functools.cache
def _shipped() -> dict[str, Any]:
    text = resources.files("opswright_cost").joinpath("prices.json").read_text(encoding="utf-8")
    shipped: dict[str, Any] = json.loads(text)
    return shipped
