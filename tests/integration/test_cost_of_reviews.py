"""What a review says is to be paid for is what the cost server can price, over MCP."""

from typing import Any

import pytest
from tests.aws_devops.plans import DATABASE, change, plan
from tests.aws_devops.test_reviews import TEMPLATE
from tests.integration.servers import client_of_server

from opswright_core.settings import Settings

PLAN = plan(
    change("aws_db_instance.data", "create", after=DATABASE),
    change("aws_instance.web", "create", after={
        "instance_type": "t3.small", "root_block_device": [{"volume_size": 30}]}),
    *(change(f"{kind}.a", "create", after={}) for kind in (
        "aws_nat_gateway", "aws_eip", "aws_lb", "aws_cloudwatch_metric_alarm",
        "aws_secretsmanager_secret")),
    change("aws_ebs_volume.a", "create", after={"size": 100, "type": "gp3"}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("tool", "arguments", "kinds"),
    [
        ("review_template", {"template": TEMPLATE}, {"rds", "ec2", "ebs"}),
        ("review_terraform_plan", {"plan": PLAN}, {
            "rds", "ec2", "ebs", "nat_gateway", "elastic_ip", "load_balancer", "alarm", "secret"}),
    ],
)  # fmt: skip
async def test_the_cost_server_prices_what_a_review_found(
    settings: Settings, tool: str, arguments: dict[str, Any], kinds: set[str]
) -> None:
    async with client_of_server("aws_devops", settings) as infrastructure:
        review = (await infrastructure.call_tool(tool, arguments)).structured_content
    assert {component["kind"] for component in review["components"]} == kinds
    async with client_of_server("cost", settings) as cost:
        asked = {"components": review["components"], "region": "eu-west-1"}
        estimate = (await cost.call_tool("estimate_monthly_cost", asked)).structured_content
    assert estimate["unpriced"] == []
    assert estimate["monthly_usd"] > 50
