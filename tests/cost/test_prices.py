from itertools import pairwise

import pytest

from opswright_cost.components import Component, charges, monthly_usd, price, tiered_usd
from opswright_cost.prices import price_book

REGIONS = price_book("us-east-1").known_regions
STEPS = {
    "nano": 0.0625,
    "micro": 0.125,
    "small": 0.25,
    "medium": 0.5,
    "large": 1,
    "xlarge": 2,
    "2xlarge": 4,
}
SAME_EVERYWHERE = (
    "ebs_gb_month",
    "rds_storage_gb_month",
    "load_balancer_hour",
    "load_balancer_lcu_hour",
)


def test_the_four_regions_are_shipped_with_a_date_and_a_source() -> None:
    book = price_book("eu-west-1")
    assert set(REGIONS) == {"us-east-1", "us-west-2", "eu-west-1", "eu-central-1"}
    assert book.as_of == "2026-09"
    assert "AWS public on-demand price lists" in book.source


@pytest.mark.parametrize("region", REGIONS)
def test_every_region_has_the_same_kinds_of_prices(region: str) -> None:
    reference, book = price_book("us-east-1"), price_book(region)
    assert set(book.prices) == set(reference.prices)
    for kind in SAME_EVERYWHERE:
        assert set(book.prices[kind]) == set(reference.prices[kind])


@pytest.mark.parametrize("region", REGIONS)
def test_every_shipped_price_is_positive(region: str) -> None:
    def numbers(value: object) -> list[float]:
        if isinstance(value, dict):
            return [n for inner in value.values() for n in numbers(inner)]
        if isinstance(value, list):
            return [n for inner in value for n in numbers(inner)]
        return [float(value)] if isinstance(value, int | float) else []

    found = numbers(dict(price_book(region).prices))
    assert len(found) > 60
    assert min(found) > 0


@pytest.mark.parametrize("region", REGIONS)
def test_instance_prices_of_a_family_grow_with_the_size(region: str) -> None:
    prices = price_book(region).prices["ec2_linux_hour"]
    for family in {t.partition(".")[0] for t in prices}:
        sized = [prices[f"{family}.{s}"] / STEPS[s] for s in STEPS if f"{family}.{s}" in prices]
        assert max(sized) / min(sized) == pytest.approx(1, abs=0.02), family


def test_no_region_is_cheaper_than_virginia() -> None:
    virginia = price_book("us-east-1").prices["ec2_linux_hour"]
    for region in REGIONS:
        prices = price_book(region).prices["ec2_linux_hour"]
        assert all(usd >= virginia[t] for t, usd in prices.items())


def test_multi_az_is_twice_single_az() -> None:
    book = price_book("us-east-1")
    single = Component(kind="rds", type="db.m5.large", engine="postgres", storage_gb=100)
    double = single.model_copy(update={"multi_az": True})
    one, two = monthly_usd(book, single), monthly_usd(book, double)
    assert one is not None
    assert two == pytest.approx(2 * one)


def test_published_monthly_prices_are_reproduced() -> None:
    """Figures of infracost's price tests (us-east-1, 730 hours)."""
    book = price_book("us-east-1")
    known = {
        Component(kind="rds", type="db.t3.large", engine="mysql"): 99.28,
        Component(kind="rds", type="db.t3.large", engine="mysql", multi_az=True): 198.56,
        Component(kind="rds", type="db.t4g.small", engine="postgres"): 23.36,
        Component(kind="rds", type="db.m5.large", engine="mysql"): 124.83,
        Component(kind="ec2", type="t3.medium"): 30.37,
        Component(kind="nat_gateway"): 32.85,
        Component(kind="load_balancer", type="network"): 16.43,
        Component(kind="ebs", type="gp3", storage_gb=40): 3.20,
        Component(kind="ebs", type="io1", storage_gb=30): 3.75,
        Component(kind="elastic_ip"): 3.65,
        Component(kind="secret"): 0.40,
        Component(kind="data_transfer_out", gb_per_month=10_240): 921.60,
    }
    for component, usd in known.items():
        assert monthly_usd(book, component) == pytest.approx(usd, abs=0.006), component.label


def test_tiers_are_charged_part_by_part() -> None:
    tiers = [(100.0, 0.1), (200.0, 0.05), (float("inf"), 0.01)]
    assert tiered_usd(tiers, 50) == pytest.approx(5)
    assert tiered_usd(tiers, 150) == pytest.approx(12.5)
    assert tiered_usd(tiers, 1200) == pytest.approx(10 + 5 + 10)
    steps = [tiered_usd(tiers, n) for n in range(0, 500, 50)]
    assert all(more >= less for less, more in pairwise(steps))


def test_what_has_no_price_gives_no_line_and_is_named() -> None:
    lines, unpriced = price(price_book("eu-west-1"), [Component(kind="ec2", type="u7i.metal")])
    assert lines == []
    assert unpriced == [
        "ec2 u7i.metal: no price of instance (ec2_linux_hour u7i.metal) in eu-west-1"
    ]
    assert monthly_usd(price_book("eu-west-1"), Component(kind="ec2", type="u7i.metal")) is None


def test_a_region_without_shipped_prices_has_none_at_all() -> None:
    book = price_book("sa-east-1")
    parts = [Component(kind="nat_gateway"), Component(kind="data_transfer_out", gb_per_month=1)]
    lines, unpriced = price(book, parts)
    assert lines == []
    assert len(unpriced) == 2


def test_data_through_a_nat_gateway_and_lcus_are_their_own_charges() -> None:
    nat = charges(Component(kind="nat_gateway", count=2, gb_per_month=50))
    assert [(c.what, c.quantity) for c in nat] == [("gateway", 1460), ("data", 100)]
    balancer = charges(Component(kind="load_balancer", lcu=1.5))
    assert [(c.what, c.quantity) for c in balancer] == [("balancer", 730), ("capacity", 1095)]
