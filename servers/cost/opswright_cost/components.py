"""What an estimate is made of: components, the charges each one brings, and their prices. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.errors import BadInputError
from opswright_cost.prices import HOURS_PER_MONTH, Key, PriceBook

Kind = Literal[
    "ec2",
    "rds",
    "nat_gateway",
    "load_balancer",
    "ebs",
    "snapshot",
    "s3",
    "elastic_ip",
    "alarm",
    "secret",
    "log_storage",
    "data_transfer_out",
]
ENGINES = {"postgresql": "postgres", "postgres": "postgres", "mysql": "mysql"}

Amount = Annotated[float, Field(ge=0, le=1e9)]


class Component(BaseModel):
    """One part of a system whose cost is estimated."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Kind = Field(description="Kind of resource")
    type: str | None = Field(
        None, max_length=60, description="t3.small, db.t4g.medium, gp3, application, network"
    )
    count: int = Field(1, description="How many", ge=0, le=100_000)
    multi_az: bool = Field(False, description="rds: with a standby")
    engine: str | None = Field(None, max_length=30, description="rds: postgres or mysql")
    storage_gb: Amount = Field(0, description="Size of disk, bucket or log")
    storage_type: str = Field("gp3", description="Kind of disk", max_length=20)
    gb_per_month: Amount = Field(0, description="Data through NAT or out")
    lcu: Amount = Field(0, description="Average load balancer capacity units")
    hours_per_month: float = Field(HOURS_PER_MONTH, description="Hours it runs", ge=0, le=744)

    @property
    def label(self) -> str:
        """How a line names it, like `rds postgres db.t4g.medium Multi-AZ`."""
        engine = (self.engine or "postgres") if self.kind == "rds" else None
        parts = [self.kind, engine, self.type, "Multi-AZ" if self.multi_az else None]
        return " ".join(part for part in parts if part)


class Line(BaseModel):
    """One charge of an estimate: `quantity` units a month at `unit_usd` each."""

    model_config = ConfigDict(frozen=True)
    component: str
    quantity: float
    unit: str
    unit_usd: float
    monthly_usd: float
    note: str = ""
    region: str = ""


@dataclass(frozen=True)
class Charge:
    """A quantity of a unit that is billed, at the price under `key` times `times`."""

    what: str
    quantity: float
    unit: str
    key: Key
    times: float = 1


def charges(c: Component) -> list[Charge]:
    """The charges of a component. Raises BadInputError where its type is needed and missing."""
    n, hours, gb = c.count, c.count * c.hours_per_month, c.count * c.storage_gb
    az = 2 if c.multi_az else 1
    match c.kind:
        case "ec2":
            found = [Charge("instance", hours, "hour", ("ec2_linux_hour", _type(c)))]
            return found + (_ebs(c.storage_type, gb) if gb else [])
        case "rds":
            engine = ENGINES.get((c.engine or "postgres").lower(), (c.engine or "").lower())
            key = ("rds_single_az_hour", engine, _type(c))
            storage = ("rds_storage_gb_month", c.storage_type)
            found = [Charge("instance", hours, "hour", key, az)]
            return found + ([Charge("storage", gb, "GB-month", storage, az)] if gb else [])
        case "nat_gateway":
            found = [Charge("gateway", hours, "hour", ("nat_gateway_hour",))]
            through = c.count * c.gb_per_month
            return found + ([Charge("data", through, "GB", ("nat_gateway_gb",))] if through else [])
        case "load_balancer":
            kind = c.type or "application"
            found = [Charge("balancer", hours, "hour", ("load_balancer_hour", kind))]
            lcu = ("load_balancer_lcu_hour", kind)
            return found + ([Charge("capacity", hours * c.lcu, "LCU-hour", lcu)] if c.lcu else [])
        case "ebs":
            return _ebs(c.type or c.storage_type, gb)
        case "snapshot":
            return [Charge("snapshot", gb, "GB-month", ("snapshot_gb_month",))]
        case "s3":
            return [Charge("Standard storage", gb, "GB-month", ("s3_standard_gb_month",))]
        case "elastic_ip":
            return [Charge("public IPv4", hours, "hour", ("public_ipv4_hour",))]
        case "alarm":
            return [Charge("alarm", n, "month", ("alarm_month",))]
        case "secret":
            return [Charge("secret", n, "month", ("secret_month",))]
        case "log_storage":
            return [Charge("log storage", gb, "GB-month", ("log_storage_gb_month",))]
        case "data_transfer_out":
            return [Charge("transfer", n * c.gb_per_month, "GB", ("data_transfer_out_gb",))]


def price(book: PriceBook, components: Sequence[Component]) -> tuple[list[Line], list[str]]:
    """Price components: the lines, and in words what has no known price (never a line of zero)."""
    lines: list[Line] = []
    unpriced: list[str] = []
    for component in components:
        for charge in charges(component):
            unit_usd = _unit_usd(book, charge)
            if unit_usd is None:
                unpriced.append(
                    f"{component.label}: no price of {charge.what} ({' '.join(charge.key)}) "
                    f"in {book.region}"
                )
                continue
            lines.append(
                Line(
                    component=component.label,
                    quantity=round(charge.quantity, 4),
                    unit=charge.unit,
                    unit_usd=round(unit_usd, 6),
                    monthly_usd=round(charge.quantity * unit_usd, 4),
                    note=charge.what + (" (2 x Single-AZ)" if charge.times == 2 else ""),
                    region=book.region,
                )
            )
    return lines, unpriced


def monthly_usd(book: PriceBook, *components: Component) -> float | None:
    """The monthly price of some components together; None when any part of it is not known."""
    lines, unpriced = price(book, components)
    return None if unpriced else round(sum(line.monthly_usd for line in lines), 2)


def tiered_usd(tiers: Sequence[tuple[float, float]], quantity: float) -> float:
    """What a quantity costs where each tier has its own price: [(up to in all, USD per unit)]."""
    total, done = 0.0, 0.0
    for upto, usd in tiers:
        part = min(quantity, upto) - done
        if part <= 0:
            break
        total, done = total + part * usd, done + part
    return total


def _unit_usd(book: PriceBook, charge: Charge) -> float | None:
    if charge.key == ("data_transfer_out_gb",):
        tiers = book.tiers("data_transfer_out_gb")
        if not tiers:
            return None
        return tiered_usd(tiers, charge.quantity) / charge.quantity if charge.quantity else 0.0
    found = book.find(*charge.key)
    return None if found is None else found * charge.times


def _ebs(volume_type: str, gb: float) -> list[Charge]:
    return [Charge(f"{volume_type} volume", gb, "GB-month", ("ebs_gb_month", volume_type))]


def _type(c: Component) -> str:
    if not c.type:
        example = "db.t4g.medium" if c.kind == "rds" else "t3.small"
        raise BadInputError(f"A component of kind {c.kind!r} needs its `type`, like {example}.")
    return c.type
