"""Networks for several environments, out of one block."""

from ipaddress import ip_network
from itertools import combinations
from typing import Any

import pytest

from opswright_aws_devops.networking.layout import divide
from opswright_core.errors import BadInputError


async def test_each_environment_gets_a_network_of_its_own_range(agent: Any) -> None:
    task = "build networks named shop for dev, staging and prod from 10.16.0.0/14"
    report = await agent.call("handle_task", task=task)
    assert report["status"] == "completed", report
    networks = report["outputs"]["networks"]
    assert {e: (n["name"], n["cidr"]) for e, n in networks.items()} == {
        "dev": ("shop-dev", "10.16.0.0/16"),
        "staging": ("shop-staging", "10.17.0.0/16"),
        "prod": ("shop-prod", "10.18.0.0/16"),
    }
    assert [len(n["nat_gateway_ids"]) for n in networks.values()] == [1, 1, 2]
    assert "shop-prod" in report["summary"]
    changes = (await agent.call("list_changes"))["items"]
    assert len([c for c in changes if c["tool"] == "create_network"]) == 3


@pytest.mark.parametrize(
    ("block", "parts", "ranges"),
    [
        ("10.0.0.0/12", 3, ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16"]),
        ("10.0.0.0/16", 3, ["10.0.0.0/18", "10.0.64.0/18", "10.0.128.0/18"]),
        ("10.0.0.0/16", 1, ["10.0.0.0/16"]),
        ("10.0.0.0/22", 4, ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/24", "10.0.3.0/24"]),
    ],
)
def test_a_block_is_divided_without_overlap(block: str, parts: int, ranges: list[str]) -> None:
    assert divide(block, parts) == ranges
    networks = [ip_network(r) for r in ranges]
    assert not any(one.overlaps(other) for one, other in combinations(networks, 2))


@pytest.mark.parametrize(
    ("block", "said"), [("10.0.0.0/23", "give a /22 or larger"), ("nonsense", "not an IPv4 range")]
)
def test_a_block_that_is_too_small_is_refused(block: str, said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        divide(block, 3)
