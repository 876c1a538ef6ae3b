from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from botocore.exceptions import ClientError

from opswright_core.aws import Aws
from opswright_cost.rightsizing import Spec, Usage, judge, next_smaller
from opswright_cost.series import percentile

SPECS = {
    "m5.large": Spec(2, 8192),
    "m5.xlarge": Spec(4, 16384),
    "m5.2xlarge": Spec(8, 32768),
    "t3.small": Spec(2, 2048),
    "t3.medium": Spec(2, 4096),
}
ENOUGH = 168


def usage(cpu: float, memory: float | None = None, hours: int = ENOUGH) -> Usage:
    return Usage([cpu] * hours, [] if memory is None else [memory] * hours)


@pytest.mark.parametrize(
    ("instance_type", "used", "verdict", "suggested"),
    [
        ("m5.xlarge", usage(20), "downsize", "m5.large"),
        ("m5.xlarge", usage(40), "downsize", "m5.large"),
        ("m5.xlarge", usage(41), "fits", None),
        ("m5.xlarge", usage(20, memory=39), "downsize", "m5.large"),
        ("m5.xlarge", usage(20, memory=45), "fits", None),
        ("m5.xlarge", usage(95), "busy", None),
        ("m5.xlarge", usage(20, memory=95), "busy", None),
        ("m5.xlarge", usage(20, hours=ENOUGH - 1), "unknown", None),
        ("m5.large", usage(5), "fits", None),
        ("t3.medium", usage(10), "unknown", None),
        ("t3.medium", usage(10, memory=30), "downsize", "t3.small"),
        ("t3.medium", usage(25, memory=30), "fits", None),
        ("t3.medium", usage(10, memory=45), "fits", None),
    ],
)
def test_a_smaller_type_keeps_a_fifth_free_or_is_not_suggested(
    instance_type: str, used: Usage, verdict: str, suggested: str | None
) -> None:
    got, smaller, why = judge(instance_type, used, SPECS, ENOUGH)
    assert (got, smaller) == (verdict, suggested)
    assert why


def test_a_rare_peak_does_not_count_but_a_regular_one_does() -> None:
    rare = Usage([10.0] * 195 + [90.0] * 5, [])
    regular = Usage([10.0] * 180 + [90.0] * 20, [])
    assert judge("m5.xlarge", rare, SPECS, ENOUGH)[0] == "downsize"
    assert judge("m5.xlarge", regular, SPECS, ENOUGH)[0] == "fits"


@pytest.mark.parametrize(
    ("own", "smaller"),
    [("m5.2xlarge", "m5.xlarge"), ("m5.large", None), ("m5.metal", None), ("x9.large", None)],
)
def test_the_next_smaller_type_exists(own: str, smaller: str | None) -> None:
    assert next_smaller(own, SPECS) == smaller


@pytest.mark.parametrize(("percent", "value"), [(95, 95), (50, 50), (100, 100), (1, 1)])
def test_percentiles_are_values_that_were_seen(percent: int, value: int) -> None:
    assert percentile(list(range(1, 101)), percent) == value


@pytest.fixture
def fleet(client_of: Callable[[str], Any], put_daily: Callable[..., None]) -> dict[str, str]:
    """An oversized m5.xlarge, a busy one, and one without data."""
    made = client_of("ec2").run_instances(
        ImageId="ami-12345678", InstanceType="m5.xlarge", MinCount=3, MaxCount=3
    )["Instances"]
    names = dict(zip(("quiet", "busy", "silent"), (i["InstanceId"] for i in made), strict=True))
    for name, cpu in (("quiet", 12.0), ("busy", 97.0)):
        dimension = ("InstanceId", names[name])
        put_daily("AWS/EC2", "CPUUtilization", dimension, [cpu] * 200, every=timedelta(hours=1))
    return names


async def test_an_oversized_instance_comes_first_with_its_saving(
    cost: Any, fleet: dict[str, str]
) -> None:
    async with cost() as client:
        r = await client.call_tool("find_rightsizing", {})
    answer = r.structured_content
    by_id = {item["instance_id"]: item for item in answer["items"]}
    assert answer["items"][0]["instance_id"] == fleet["quiet"]
    quiet = by_id[fleet["quiet"]]
    assert (quiet["verdict"], quiet["suggested_type"]) == ("downsize", "m5.large")
    assert quiet["monthly_saving_usd"] == pytest.approx(730 * 0.107, abs=0.006)
    assert quiet["cpu_p95_percent"] == 12
    assert by_id[fleet["busy"]]["verdict"] == "busy"
    assert by_id[fleet["silent"]]["verdict"] == "unknown"
    assert answer["is_lower_bound"] is True
    assert answer["summary"].startswith("1 of 3 running instances could be smaller")


async def test_memory_that_the_agent_reports_is_used(
    cost: Any, fleet: dict[str, str], put_daily: Callable[..., None]
) -> None:
    dimension = ("InstanceId", fleet["quiet"])
    put_daily("CWAgent", "mem_used_percent", dimension, [70.0] * 20, every=timedelta(hours=1))
    async with cost() as client:
        r = await client.call_tool("find_rightsizing", {})
    quiet = next(i for i in r.structured_content["items"] if i["instance_id"] == fleet["quiet"])
    assert quiet["verdict"] == "fits"
    assert quiet["memory_max_percent"] == 70


async def test_metrics_that_may_not_be_read_leave_every_verdict_unknown(
    cost: Any, fleet: dict[str, str]
) -> None:
    read = Aws.pages

    def denied(self: Aws, service: str, operation: str, key: str, **params: Any) -> list[Any]:
        if service == "cloudwatch":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, operation)
        return read(self, service, operation, key, **params)

    with patch.object(Aws, "pages", denied):
        async with cost() as client:
            r = await client.call_tool("find_rightsizing", {})
    assert {i["verdict"] for i in r.structured_content["items"]} == {"unknown"}
    assert len(r.structured_content["unread"]) == 2


async def test_without_instances_there_is_nothing_to_rightsize(cost: Any, cloud: Any) -> None:
    async with cost() as client:
        r = await client.call_tool("find_rightsizing", {})
    assert r.structured_content["total"] == 0
    assert r.structured_content["monthly_saving_usd"] == 0


@pytest.mark.parametrize("window_days", [2, 61])
async def test_the_window_has_bounds(cost: Any, cloud: Any, window_days: int) -> None:
    async with cost() as client:
        call = {"window_days": window_days}
        r = await client.call_tool("find_rightsizing", call, raise_on_error=False)
    assert r.is_error
    assert "window_days" in r.content[0].text
