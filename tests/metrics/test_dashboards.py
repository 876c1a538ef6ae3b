import json
from typing import Any

from tests.metrics.conftest import WebTier

from opswright_metrics.server import create_server
from opswright_metrics.tools.dashboards import dashboard_body
from opswright_metrics.tools.subjects import Subjects


async def test_a_dashboard_shows_every_resource_and_undo_removes_it(
    connect: Any, client_of: Any, tier: WebTier, asg: str, database: str
) -> None:
    arguments = {
        "name": "shop",
        "load_balancer_arn": tier.load_balancer_arn,
        "target_group_arn": tier.target_group_arn,
        "asg_name": asg,
        "db_instance_id": database,
    }
    async with connect(create_server) as client:
        done = (await client.call_tool("create_dashboard", arguments)).structured_content
        assert done["status"] == "done"
        assert done["outputs"]["dashboard_name"] == "shop"
        assert done["outputs"]["url"].endswith("#dashboards/dashboard/shop")
        body = client_of("cloudwatch").get_dashboard(DashboardName="shop")["DashboardBody"]
        assert len(json.loads(body)["widgets"]) == done["outputs"]["widgets"] == 11
        again = (await client.call_tool("create_dashboard", arguments)).structured_content
        assert again["reused"]
        undone = await client.call_tool("undo_change", {"change_id": done["change_id"]})
    assert {c["verdict"] for c in undone.structured_content["checks"]} == {"PASS"}
    assert not client_of("cloudwatch").list_dashboards()["DashboardEntries"]


async def test_an_update_is_undone_to_the_earlier_body(
    connect: Any, client_of: Any, asg: str, database: str
) -> None:
    cloudwatch = client_of("cloudwatch")
    async with connect(create_server) as client:
        await client.call_tool("create_dashboard", {"name": "shop", "asg_name": asg})
        before = cloudwatch.get_dashboard(DashboardName="shop")["DashboardBody"]
        arguments = {"name": "shop", "asg_name": asg, "db_instance_id": database}
        wider = (await client.call_tool("create_dashboard", arguments)).structured_content
        assert wider["outputs"]["widgets"] == 7
        undone = await client.call_tool("undo_change", {"change_id": wider["change_id"]})
    assert {c["verdict"] for c in undone.structured_content["checks"]} == {"PASS"}
    assert cloudwatch.get_dashboard(DashboardName="shop")["DashboardBody"] == before


async def test_a_dashboard_of_somebody_else_is_left_alone(
    connect: Any, client_of: Any, asg: str
) -> None:
    client_of("cloudwatch").put_dashboard(DashboardName="shop", DashboardBody='{"widgets": []}')
    async with connect(create_server) as client:
        result = await client.call_tool(
            "create_dashboard", {"name": "shop", "asg_name": asg}, raise_on_error=False
        )
        nothing = await client.call_tool("create_dashboard", {"name": "shop"}, raise_on_error=False)
    assert result.is_error
    assert "opswright did not make" in result.content[0].text
    assert nothing.is_error
    assert "at least one" in nothing.content[0].text


def test_graphs_do_not_overlap() -> None:
    body = dashboard_body("shop", "eu-west-1", Subjects(load_balancer="net/web/1", asg_name="web"))
    places = [(w["x"], w["y"]) for w in body["widgets"]]
    assert len(set(places)) == len(places)
    assert body["widgets"][1]["properties"]["metrics"][0] == [
        "AWS/NetworkELB", "ActiveFlowCount", "LoadBalancer", "net/web/1", {"stat": "Average"},
    ]  # fmt: skip
