"""The picture of an application shows all that carries its tag, wherever it is, and its needs."""

import base64
import re
from typing import Any
from xml.etree import ElementTree

from tests.aws_devops.conftest import Agent
from tests.aws_devops.test_explanation import BY_TYPE
from tests.aws_devops.test_inventory import furnished as furnished

from opswright_aws_devops.drawing.application import application_as_mermaid, application_as_svg
from opswright_aws_devops.graph.application_topology import (
    MOST_ARROWS,
    MOST_DRAWN,
    lay_out,
    tagged_nodes,
)
from opswright_aws_devops.graph.graph import Graph
from opswright_core.pages import BUDGET_BYTES

SVG = "{http://www.w3.org/2000/svg}"


def arrows_of(mermaid: str) -> set[tuple[str, str, str]]:
    names = dict(re.findall(r'(n\d+)\["([^"]*?)<br/>', mermaid))
    found = re.findall(r'(n\d+) -->\|"([^"]*)"\| (n\d+)', mermaid)
    return {(names[source], label, names[target]) for source, label, target in found}


async def test_an_application_is_drawn_by_its_tag_across_services(
    agent: Agent, furnished: dict[str, str], client_of: Any
) -> None:
    client_of("logs").create_log_group(logGroupName="/shop/web", tags={"app": "shop"})
    drawn = await agent.call("draw_topology", application="app=shop")
    assert drawn["unread"] == []
    assert {
        ("shop-worker", "acts as", "shop-worker"),
        ("shop-worker", "started by", "shop-orders"),
        ("shop-events", "delivers to", "shop-orders"),
        ("web", "in", "shop"),
    } <= arrows_of(drawn["mermaid"])
    for kind in ("dynamodb:table", "acm:certificate", "route53:hosted-zone", "kms:key"):
        assert f"1 {kind}" in drawn["summary"]
    assert "/shop/web<br/>logs:log-group" in drawn["mermaid"]
    svg = (await agent.client.read_resource(drawn["svg"]))[0]
    texts = [text.text for text in ElementTree.fromstring(svg.text).iter(f"{SVG}text")]
    assert {"shop-orders", "shop-events", "entry", "compute", "data", "rights"} <= set(texts)
    png = (await agent.client.read_resource(drawn["svg"].replace(".svg", ".png")))[0]
    assert base64.b64decode(png.blob).startswith(b"\x89PNG")


async def test_what_opswright_made_under_a_name_is_drawn_with_its_vpc(
    agent: Agent, network: dict[str, Any], groups: dict[str, str], balancer: dict[str, str]
) -> None:
    drawn = await agent.call("draw_topology", application="shop")
    assert drawn["vpc_id"] is None
    assert 'subgraph v0["VPC shop (eu-west-1)"]' in drawn["mermaid"]
    assert any(label == "forwards to" for _, label, _ in arrows_of(drawn["mermaid"]))


async def test_either_a_vpc_or_an_application_that_exists_is_asked_for(agent: Agent) -> None:
    assert "either vpc or application" in await agent.refused("draw_topology")
    both = await agent.refused("draw_topology", vpc="vpc-1", application="shop")
    assert "not both" in both
    said = await agent.refused("draw_topology", application="team=nobody")
    assert "team=nobody" in said
    assert "list_resources" in said


def queues(count: int) -> Graph:
    kind, card = BY_TYPE["sqs:queue"], BY_TYPE["ec2:network-interface"]
    tags = [{"Key": "app", "Value": "shop"}]
    read = [
        (kind, {"QueueUrl": f"https://sqs/1/q{n}", "QueueName": f'<q"{n}>', "Arn": f"arn:{n}",
                "Tags": tags})
        for n in range(count)
    ]  # fmt: skip
    return Graph([*read, (card, {"NetworkInterfaceId": "eni-1", "TagSet": tags})], "eu-west-1")


def test_what_is_too_much_is_left_out_and_counted_the_least_telling_first() -> None:
    graph = queues(MOST_DRAWN + 2)
    own = tagged_nodes(graph, "app", "shop")
    drawn = lay_out(graph, own, {}, "app=shop", [])
    assert len(drawn.boxes) == MOST_DRAWN
    assert drawn.left_out == {"sqs:queue": 2, "ec2:network-interface": 1}
    assert "Left out: 2 sqs:queue, 1 ec2:network-interface" in application_as_svg(drawn)


def test_a_crowded_picture_fits_an_answer() -> None:
    kind = BY_TYPE["ec2:security-group"]

    def group(number: int) -> dict[str, Any]:
        pairs = [{"GroupId": f"sg-{other}"} for other in range(MOST_DRAWN) if other != number]
        return {"GroupId": f"sg-{number}", "GroupName": "é" * 200,
                "IpPermissions": [{"UserIdGroupPairs": pairs}]}  # fmt: skip

    graph = Graph([(kind, group(number)) for number in range(MOST_DRAWN)], "eu-west-1")
    drawn = lay_out(graph, range(MOST_DRAWN), {}, "shop", [])
    assert len(drawn.arrows) == MOST_ARROWS
    assert drawn.left_out == {"arrows": MOST_DRAWN * (MOST_DRAWN - 1) - MOST_ARROWS}
    assert len(application_as_mermaid(drawn).encode()) < BUDGET_BYTES - 2_000


def test_names_of_other_peoples_making_are_quoted() -> None:
    graph = queues(1)
    drawn = lay_out(graph, tagged_nodes(graph, "app", "shop"), {}, "<b>", ["refused <x>"])
    assert "<b>" not in application_as_svg(drawn)
    assert '<q"' not in application_as_mermaid(drawn)
    assert "Not read" in application_as_svg(drawn)


def test_what_only_its_arn_tells_of_is_drawn_once() -> None:
    graph = queues(1)
    others: dict[str, dict[str, str]] = {
        "arn:0": {},
        "arn:aws:logs:eu-west-1:123456789012:log-group:/shop/web": {},
        "arn:aws:cloudfront::123456789012:distribution/E1": {"Name": "site"},
    }
    drawn = lay_out(graph, [0], others, "shop", [])
    assert [(box.type, box.name, box.layer) for box in drawn.boxes] == [
        ("sqs:queue", '<q"0>', "data"),
        ("logs:log-group", "/shop/web", "data"),
        ("cloudfront:distribution", "site", "entry"),
    ]
