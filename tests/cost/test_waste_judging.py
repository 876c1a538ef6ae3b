from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opswright_cost.prices import price_book
from opswright_cost.waste.network import judge_balancer
from opswright_cost.waste.retention import missing_rules
from opswright_cost.waste.servers import judge_generation
from opswright_cost.waste.volumes import gp3_saving, judge_snapshots, judge_volumes, volume_usd

VIRGINIA = price_book("us-east-1")
NOWHERE = price_book("sa-east-1")


@pytest.mark.parametrize(
    ("size_gb", "saving"),
    [
        (100, 2.0),
        (333, 6.66),
        (334, 1.68),
        (1000, 15.0),
        (2000, 20.0),
        (16_000, 250.0),
    ],
)
def test_gp3_saves_less_where_its_iops_and_throughput_must_be_bought(
    size_gb: int, saving: float
) -> None:
    """0.02 a GB, less $5 for 125 MB/s from 334 GB and $0.005 for each IOPS above 3,000."""
    assert gp3_saving(size_gb, VIRGINIA) == pytest.approx(saving)


def test_an_attached_gp2_volume_is_found_and_an_attached_gp3_is_not() -> None:
    volumes = [
        {"VolumeId": "vol-1", "VolumeType": "gp2", "Size": 100, "State": "in-use"},
        {"VolumeId": "vol-2", "VolumeType": "gp3", "Size": 100, "State": "in-use"},
    ]
    (finding,) = judge_volumes(volumes, VIRGINIA)
    assert (finding.kind, finding.resource, finding.monthly_usd) == ("gp2_volume", "vol-1", 2.0)


def test_without_prices_volumes_are_found_with_an_unknown_saving() -> None:
    volumes = [
        {"VolumeId": "vol-1", "VolumeType": "gp2", "Size": 100, "State": "in-use"},
        {"VolumeId": "vol-2", "VolumeType": "gp3", "Size": 100, "State": "available"},
    ]
    assert [f.monthly_usd for f in judge_volumes(volumes, NOWHERE)] == [None, None]


@pytest.mark.parametrize(
    ("volume", "usd"),
    [
        ({"VolumeType": "gp3", "Size": 100, "Iops": 3000, "Throughput": 125}, 8.0),
        ({"VolumeType": "gp3", "Size": 100, "Iops": 5000, "Throughput": 250}, 8 + 10 + 5),
        ({"VolumeType": "io1", "Size": 100, "Iops": 1000}, 12.5 + 65),
        ({"VolumeType": "io2", "Size": 100, "Iops": 1000}, None),
        ({"VolumeType": "st1", "Size": 500}, 22.5),
    ],
)
def test_provisioned_iops_and_throughput_are_part_of_a_volumes_price(
    volume: dict[str, Any], usd: float | None
) -> None:
    assert volume_usd(volume, VIRGINIA) == (usd if usd is None else pytest.approx(usd))


@pytest.mark.parametrize(("age_days", "found"), [(29, 0), (31, 1)])
def test_a_snapshot_is_old_after_thirty_days(age_days: int, found: int) -> None:
    now = datetime(2026, 10, 31, tzinfo=UTC)
    snapshot = {
        "SnapshotId": "snap-1", "VolumeId": "vol-1", "VolumeSize": 8,
        "StartTime": now - timedelta(days=age_days),
    }  # fmt: skip
    assert len(judge_snapshots([snapshot], VIRGINIA, now)) == found


@pytest.mark.parametrize(
    ("targets", "traffic", "idle"),
    [
        (2, 0.0, True),
        (0, 0.0, True),
        (0, None, True),
        (0, 5.0, False),
        (2, 5.0, False),
        (2, None, False),
        (None, None, False),
    ],
)
def test_a_balancer_is_idle_by_its_traffic_else_by_its_targets(
    targets: int | None, traffic: float | None, idle: bool
) -> None:
    assert (judge_balancer(targets, traffic) is not None) is idle


ABORT = {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}}
EXPIRE = {"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 30}}


@pytest.mark.parametrize(
    ("rules", "versioned", "missing"),
    [
        ([], False, ["incomplete uploads"]),
        ([], True, ["incomplete uploads", "old versions"]),
        ([ABORT], False, []),
        ([ABORT], True, ["old versions"]),
        ([ABORT, EXPIRE], True, []),
        ([{**ABORT, "Status": "Disabled"}], False, ["incomplete uploads"]),
    ],
)
def test_only_enabled_rules_end_uploads_and_versions(
    rules: list[dict[str, Any]], versioned: bool, missing: list[str]
) -> None:
    assert missing_rules(rules, versioned) == missing


@pytest.mark.parametrize(
    ("instance_type", "savings"),
    [("t2.micro", [0.88]), ("m4.large", [2.92]), ("c4.large", [None]), ("t3.micro", [])],
)
def test_only_previous_generations_are_named(
    instance_type: str, savings: list[float | None]
) -> None:
    found = judge_generation([{"InstanceId": "i-1", "InstanceType": instance_type}], VIRGINIA)
    assert [f.monthly_usd for f in found] == savings
