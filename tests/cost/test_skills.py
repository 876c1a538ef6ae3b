from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from opswright_core.agent.skills import SkillBook
from opswright_cost.skills import estimate, savings
from opswright_cost.skills.estimate import components_in

BOOK = SkillBook(
    [
        savings.find_savings,
        savings.explain_spend,
        savings.rightsize_instances,
        estimate.estimate_planned_cost,
        estimate.estimate_running_cost,
    ]
)


async def report(cost: Any, task: str, **context: Any) -> dict[str, Any]:
    async with cost() as client:
        arguments = {"task": task, "context": context} if context else {"task": task}
        r = await client.call_tool("handle_task", arguments)
    answer: dict[str, Any] = r.structured_content
    return answer


@pytest.mark.parametrize(
    ("task", "chosen"),
    [
        ("find what we waste money on", "find_savings"),
        ("where could we save money?", "find_savings"),
        ("what do we spend on AWS", "explain_spend"),
        ("where does the money go by account", "explain_spend"),
        ("rightsize our instances", "rightsize_instances"),
        ("estimate the cost of 3 m5.large and a NAT gateway", "estimate_planned_cost"),
        ("what does what is running in vpc-0a1b cost a month", "estimate_running_cost"),
        ("translate this poem into Latin", None),
    ],
)
def test_a_task_finds_its_skill(task: str, chosen: str | None) -> None:
    found = BOOK.choose(task)
    assert (found.name if found else None) == chosen


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "2 t3.small and a db.t4g.medium",
            [("ec2", "t3.small", 2, False), ("rds", "db.t4g.medium", 1, False)],
        ),
        ("a Multi-AZ db.m5.large", [("rds", "db.m5.large", 1, True)]),
        ("three x m6i.2xlarge", [("ec2", "m6i.2xlarge", 3, False)]),
        (
            "two NAT gateways, an ALB",
            [("nat_gateway", None, 2, False), ("load_balancer", None, 1, False)],
        ),
        ("a poem", []),
    ],
)
def test_components_are_read_from_words(
    text: str, found: list[tuple[str, str | None, int, bool]]
) -> None:
    got = [(c.kind, c.type, c.count, c.multi_az) for c in components_in(text)]
    assert got == found


def test_the_engine_is_taken_from_words() -> None:
    assert [c.engine for c in components_in("a MySQL db.t3.micro")] == ["mysql"]


async def test_a_planned_system_is_estimated_from_its_description(cost: Any) -> None:
    task = "estimate the cost of 2 t3.small and a NAT gateway in eu-west-1"
    answer = await report(cost, task)
    assert answer["status"] == "completed"
    assert answer["skill"] == "estimate_planned_cost"
    assert answer["outputs"]["monthly_usd"] == pytest.approx(
        2 * 730 * 0.0228 + 730 * 0.048, abs=0.01
    )
    assert answer["steps"][0]["tool"] == "estimate_monthly_cost"


async def test_components_can_come_from_the_context(cost: Any) -> None:
    facts = {"components": [{"kind": "secret", "count": 10}]}
    answer = await report(cost, "estimate the cost of this system per month", facts=facts)
    assert answer["outputs"]["monthly_usd"] == 4.0


async def test_without_components_they_are_asked_for(cost: Any) -> None:
    answer = await report(cost, "estimate the cost of this system per month")
    assert answer["status"] == "needs_input"
    assert answer["needs"][0]["name"] == "components"


async def test_waste_is_passed_on_to_who_can_remove_it(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    client_of("ec2").allocate_address(Domain="vpc")
    answer = await report(cost, "find what we waste money on")
    assert answer["status"] == "completed"
    assert answer["outputs"]["monthly_usd"] == 3.65
    (message,) = answer["messages"]
    assert message["recipient"] == "aws_devops"
    assert message["data"]["findings"][0]["kind"] == "unassociated_address"
    assert "$3.65" in answer["memories"][0]["text"]


async def test_an_account_without_waste_sends_no_message(cost: Any, cloud: Any) -> None:
    answer = await report(cost, "find what we waste money on")
    assert answer["messages"] == []
    assert answer["summary"].startswith("Nothing found")


async def test_spend_is_explained_and_an_unusual_day_is_a_warning(
    cost: Any, seed_costs: Callable[..., None]
) -> None:
    end = date(2026, 10, 31)
    daily = {(end - timedelta(days=n)).isoformat(): {"Amazon EC2": 2.0} for n in range(1, 15)}
    daily["2026-10-28"] = {"Amazon EC2": 50.0}
    seed_costs(daily)
    answer = await report(cost, "what did we spend in the last 14 days by service")
    assert answer["skill"] == "explain_spend"
    assert answer["outputs"]["total_usd"] == 13 * 2 + 50
    assert answer["messages"][0]["intent"] == "warn"
    assert "2026-10-28" in answer["messages"][0]["content"]


async def test_running_resources_of_a_vpc_are_priced(
    cost: Any, client_of: Callable[[str], Any]
) -> None:
    vpc = client_of("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
    answer = await report(cost, f"what does what is running in {vpc} cost a month")
    assert answer["skill"] == "estimate_running_cost"
    assert answer["status"] == "completed"
    assert answer["outputs"]["monthly_usd"] == 0


async def test_instances_are_rightsized(cost: Any, cloud: Any) -> None:
    answer = await report(cost, "rightsize our instances")
    assert answer["outputs"]["total"] == 0
