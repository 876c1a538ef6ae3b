"""Current on-demand prices of instances from the AWS Price List API (`pricing:GetProducts`)."""

import json
from collections.abc import Sequence
from typing import Any

from opswright_core.aws import Aws
from opswright_core.verdicts import Unread, attempt
from opswright_cost.components import Component, charges
from opswright_cost.prices import Key, PriceBook

PRICING_REGION = "us-east-1"
"""The Price List API answers for all regions from us-east-1, eu-central-1 and ap-south-1."""

ENGINE_NAMES = {"postgres": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB"}


def with_live_prices(
    a: Aws, book: PriceBook, components: Sequence[Component]
) -> tuple[PriceBook, list[str], int]:
    """Read the prices of the EC2 and RDS instances that components use.

    Returns the book with them, what could not be read, and how many were read.
    Needs pricing:GetProducts.
    """
    wanted = {charge.key for component in components for charge in charges(component)}
    live: dict[Key, float] = {}
    unread: list[str] = []
    for key in sorted(wanted):
        query = _query(key, book.region)
        if query is None:
            continue
        service, filters = query
        found = attempt(lambda s=service, f=filters: _products(a, s, f))  # type: ignore[misc]
        if isinstance(found, Unread):
            unread.append(f"live price of {' '.join(key)}: {found.reason}")
        elif (usd := only_price(found)) is not None:
            live[key] = usd
        else:
            unread.append(f"live price of {' '.join(key)}: {len(found)} products fit, not one")
    return book.with_live(live), unread, len(live)


def _query(key: Key, region: str) -> tuple[str, dict[str, str]] | None:
    match key:
        case ("ec2_linux_hour", instance_type):
            return "AmazonEC2", {
                "instanceType": instance_type,
                "regionCode": region,
                "operatingSystem": "Linux",
                "tenancy": "Shared",
                "preInstalledSw": "NA",
                "capacitystatus": "Used",
            }
        case ("rds_single_az_hour", engine, instance_class):
            return "AmazonRDS", {
                "instanceType": instance_class,
                "regionCode": region,
                "databaseEngine": ENGINE_NAMES.get(engine, engine),
                "deploymentOption": "Single-AZ",
            }
    return None


def _products(a: Aws, service: str, filters: dict[str, str]) -> list[dict[str, Any]]:
    answer = a.client("pricing", PRICING_REGION).get_products(
        ServiceCode=service,
        Filters=[{"Type": "TERM_MATCH", "Field": f, "Value": v} for f, v in filters.items()],
        FormatVersion="aws_v1",
        MaxResults=100,
    )
    return [json.loads(product) for product in answer["PriceList"]]


def only_price(products: Sequence[dict[str, Any]]) -> float | None:
    """The one on-demand USD price that products agree on; None when there is none or several."""
    prices = {
        float(dimension["pricePerUnit"]["USD"])
        for product in products
        for term in product.get("terms", {}).get("OnDemand", {}).values()
        for dimension in term["priceDimensions"].values()
        if "USD" in dimension["pricePerUnit"]
    }
    positive = [usd for usd in prices if usd > 0]
    return positive[0] if len(positive) == 1 else None
