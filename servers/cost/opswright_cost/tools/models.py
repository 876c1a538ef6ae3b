"""Ways to pay for the same instances: on demand, with a commitment, spot."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws, Target
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, attempt
from opswright_cost.components import Component
from opswright_cost.live import with_live_prices
from opswright_cost.prices import HOURS_PER_MONTH, choose_region, price_book

SAVINGS_PLANS_REGION = "us-east-1"
SECONDS_PER_YEAR = 365 * 24 * 3600


class PricingModel(BaseModel):
    """One way to pay; without a known price `monthly_usd` is None and `note` says how to get it."""

    model_config = ConfigDict(frozen=True)
    model: Literal["on_demand", "commitment", "compute_savings_plan", "spot"]
    monthly_usd: float | None
    total_usd: float | None = Field(description="Over all the years")
    discount_percent: float | None
    break_even_utilisation_percent: float | None = Field(
        None, description="Share of the hours above which it is cheaper than on demand"
    )
    note: str


class PricingComparison(BaseModel):
    """Ways to pay for some instances, cheapest first, unknown last."""

    summary: str
    region: str
    models: list[PricingModel]


@read_tool(toolset="models")
def compare_pricing_models(
    instance_type: Annotated[str, Field(description="Like m7g.large", max_length=40)],
    count: Annotated[int, Field(description="Instances", ge=1, le=10_000)] = 1,
    hours_per_month: Annotated[float, Field(gt=0, le=744, description="Hours each runs")] = 730,
    years: Annotated[Literal[1, 3], Field(description="Of the commitment")] = 1,
    discount_percent: Annotated[
        float | None, Field(gt=0, lt=100, description="Of the commitment offered to you")
    ] = None,
    region: Annotated[str | None, Field(description="Priced in", max_length=32)] = None,
    live: Annotated[bool, Field(description="Ask AWS for current prices")] = False,
    target: Target = HERE,
) -> PricingComparison:
    """Compare on demand with a commitment (discount given, or read live) and spot; break-even."""
    chosen, _ = choose_region(region or target.region)
    book = price_book(chosen)
    notes: list[str] = []
    component = Component(kind="ec2", type=instance_type)
    if live:
        book, notes, _ = with_live_prices(aws(target), book, [component])
    hourly = book.find("ec2_linux_hour", instance_type)
    used, months = count * hours_per_month, years * 12
    models = [_on_demand(hourly, used, months, f"as of {book.as_of}", notes)]
    committed_hours = count * HOURS_PER_MONTH
    if discount_percent is not None:
        rate = None if hourly is None else hourly * (1 - discount_percent / 100)
        models.append(
            _committed("commitment", rate, hourly, committed_hours, months, "the discount given")
        )
    rate, note = (
        _savings_plan_rate(aws(target), instance_type, chosen, years) if live else (None, _ASK)
    )
    models.append(_committed("compute_savings_plan", rate, hourly, committed_hours, months, note))
    models.append(
        _spot(aws(target), instance_type, hourly, used, months)
        if live
        else _model("spot", None, months, None, _ASK)
    )
    models.sort(key=lambda m: (m.monthly_usd is None, m.monthly_usd or 0))
    best = models[0]
    return PricingComparison(
        summary=f"{count} x {instance_type} in {chosen}: "
        + (
            f"{best.model} is cheapest of those known, ${best.monthly_usd:,.2f} a month"
            if best.monthly_usd is not None
            else "no price is known; call with live=true"
        ),
        region=chosen,
        models=models,
    )


_ASK = "Not known here: call with live=true, or give discount_percent from your console's offer."


def break_even_percent(discount_percent: float) -> float:
    """Share of hours at which a commitment, paid for every hour, costs the same as on demand."""
    return round(100 - discount_percent, 1)


def _model(
    model: Any, monthly: float | None, months: int, discount: float | None, note: str
) -> PricingModel:
    return PricingModel(
        model=model,
        monthly_usd=None if monthly is None else round(monthly, 2),
        total_usd=None if monthly is None else round(monthly * months, 2),
        discount_percent=None if discount is None else round(discount, 1),
        note=note,
    )


def _on_demand(
    hourly: float | None, hours: float, months: int, as_of: str, notes: list[str]
) -> PricingModel:
    if hourly is None:
        why = "; ".join(notes) or "no shipped price of this type and region; call with live=true"
        return _model("on_demand", None, months, None, why)
    return _model("on_demand", hourly * hours, months, 0, f"${hourly:g} an hour, {as_of}")


def _committed(
    model: Any, rate: float | None, hourly: float | None, hours: float, months: int, note: str
) -> PricingModel:
    if rate is None or hourly is None:
        return _model(
            model, None, months, None, note if rate is None else "no on-demand price known"
        )
    discount = (1 - rate / hourly) * 100
    made = _model(model, rate * hours, months, discount, f"${rate:.4f} for every hour ({note})")
    return made.model_copy(update={"break_even_utilisation_percent": break_even_percent(discount)})


def _savings_plan_rate(
    a: Aws, instance_type: str, region: str, years: int
) -> tuple[float | None, str]:
    """The no-upfront Compute Savings Plan rate of a Linux instance (savingsplans API)."""
    answer = attempt(
        lambda: a.client(
            "savingsplans", SAVINGS_PLANS_REGION
        ).describe_savings_plans_offering_rates(
            savingsPlanTypes=["Compute"],
            savingsPlanPaymentOptions=["No Upfront"],
            products=["EC2"],
            serviceCodes=["AmazonEC2"],
            filters=[
                {"name": "instanceType", "values": [instance_type]},
                {"name": "region", "values": [region]},
                {"name": "productDescription", "values": ["Linux/UNIX"]},
                {"name": "tenancy", "values": ["shared"]},
            ],
        )
    )
    if isinstance(answer, Unread):
        return None, f"UNKNOWN: {answer.reason}"
    rates = {
        float(r["rate"])
        for r in answer["searchResults"]
        if r["savingsPlanOffering"]["durationSeconds"] == years * SECONDS_PER_YEAR
    }
    if len(rates) != 1:
        return None, f"UNKNOWN: AWS listed {len(rates)} rates, not one"
    return rates.pop(), f"{years}-year Compute Savings Plan, no upfront, live"


def _spot(
    a: Aws, instance_type: str, hourly: float | None, hours: float, months: int
) -> PricingModel:
    answer = attempt(
        lambda: a.client("ec2").describe_spot_price_history(
            InstanceTypes=[instance_type], ProductDescriptions=["Linux/UNIX"], MaxResults=50
        )
    )
    if isinstance(answer, Unread):
        return _model("spot", None, months, None, f"UNKNOWN: {answer.reason}")
    latest: dict[str, float] = {}
    for entry in sorted(answer["SpotPriceHistory"], key=lambda e: e["Timestamp"]):
        latest[entry["AvailabilityZone"]] = float(entry["SpotPrice"])
    if not latest:
        return _model("spot", None, months, None, "UNKNOWN: AWS lists no spot price")
    zone, rate = min(latest.items(), key=lambda item: item[1])
    discount = None if hourly is None else (1 - rate / hourly) * 100
    return _model(
        "spot",
        rate * hours,
        months,
        discount,
        f"${rate:g} an hour in {zone} now; can be taken away",
    )
