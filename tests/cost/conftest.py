"""A cost server whose clock the test sets, and what its tests look behind with."""

import json
import urllib.request
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from opswright.sandbox import Sandbox
from opswright_cost.server import create_server

TODAY = datetime(2026, 10, 31, 12, tzinfo=UTC)

Client = Any
OpenServer = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def cost(connect: Callable[..., Any]) -> OpenServer:
    """`async with cost() as client` is a client of a cost server at noon of 2026-10-31."""

    def opened(clock: Callable[[], datetime] = lambda: TODAY) -> Any:
        return connect(partial(create_server, clock=clock))

    return opened


@pytest.fixture
def put_daily(client_of: Callable[[str], Any]) -> Callable[..., None]:
    """Store metric values, the last one an hour before noon of 2026-10-31."""

    def put(namespace: str, metric: str, dimension: tuple[str, str], values: list[float], *,
            every: timedelta = timedelta(days=1)) -> None:  # fmt: skip
        data = [
            {
                "MetricName": metric,
                "Dimensions": [{"Name": dimension[0], "Value": dimension[1]}],
                "Timestamp": TODAY - timedelta(hours=1) - every * age,
                "Value": value,
            }
            for age, value in enumerate(reversed(values))
        ]
        for start in range(0, len(data), 100):
            client_of("cloudwatch").put_metric_data(
                Namespace=namespace, MetricData=data[start : start + 100]
            )

    return put


@pytest.fixture
def seed_costs(cloud: Sandbox) -> Callable[..., None]:
    """Queue the next answer of the emulated Cost Explorer: `{day: {group: usd}}`."""

    def seed(daily: dict[str, dict[str, float]]) -> None:
        days = [
            {
                "TimePeriod": {"Start": day, "End": day},
                "Total": {},
                "Groups": [
                    {
                        "Keys": [key],
                        "Metrics": {"UnblendedCost": {"Amount": str(usd), "Unit": "USD"}},
                    }
                    for key, usd in groups.items()
                ],
                "Estimated": False,
            }
            for day, groups in daily.items()
        ]
        body = json.dumps({"results": [{"ResultsByTime": days, "DimensionValueAttributes": []}]})
        request = urllib.request.Request(
            f"{cloud.endpoint}/moto-api/static/ce/cost-and-usage-results",
            data=body.encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        urllib.request.urlopen(request, timeout=30).close()

    return seed
