"""The picture of a VPC shows what is there, where it is, and who reaches whom."""

import base64
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.aws_devops.conftest import Agent

from opswright_aws_devops.drawing.mermaid import as_mermaid
from opswright_aws_devops.drawing.svg import as_svg
from opswright_aws_devops.graph.topology import Topology, VpcParts, lay_out

SVG = "{http://www.w3.org/2000/svg}"


def words_of(svg: str) -> list[str]:
    return [text.text or "" for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]


@pytest.fixture
async def application(
    agent: Agent, network: dict[str, Any], groups: dict[str, str], web_arguments: dict[str, Any]
) -> dict[str, Any]:
    """A three-tier application whose parts are all called shop."""
    await agent.call("create_web_tier", **web_arguments)
    await agent.call(
        "create_database",
        name="shop",
        subnet_ids=network["database_subnet_ids"],
        security_group_ids=[groups["database_sg_id"]],
    )
    return network


async def test_an_application_is_drawn_from_the_internet_to_its_database(
    agent: Agent, application: dict[str, Any]
) -> None:
    drawn = await agent.call("draw_topology", vpc="shop")
    assert drawn["vpc_id"] == application["vpc_id"]
    assert drawn["unread"] == []
    names = dict(re.findall(r'(n\d+)\S*?"([^"<]*)', drawn["mermaid"]))
    arrows = {
        (names[source], names[target], label)
        for source, label, target in re.findall(
            r'(n\d+) -->(?:\|"([^"]*)"\|)? (n\d+)', drawn["mermaid"]
        )
    }
    assert arrows == {
        ("Internet", "Internet gateway shop", ""),
        ("Internet gateway shop", "Load balancer shop", "HTTP 80"),
        ("Load balancer shop", "Auto-scaling group shop", "HTTP 8080, checks /healthz"),
        ("Auto-scaling group shop", "Database shop", "tcp 5432"),
    }
    assert len(re.findall(r"s\d+ -.-> n\d+", drawn["mermaid"])) == 2, (
        "private subnets go out by NAT"
    )


async def test_the_picture_is_a_resource_as_svg_and_png(
    agent: Agent, application: dict[str, Any]
) -> None:
    address = (await agent.call("draw_topology", vpc=application["vpc_id"]))["svg"]
    svg = (await agent.client.read_resource(address))[0]
    assert svg.mime_type == "image/svg+xml"
    assert {"Load balancer shop", "Database shop", "eu-west-1a", "eu-west-1b"} <= set(
        words_of(svg.text)
    )
    png = (await agent.client.read_resource(address.replace(".svg", ".png")))[0]
    assert png.mime_type == "image/png"
    assert base64.b64decode(png.blob).startswith(b"\x89PNG")


async def test_an_empty_vpc_is_drawn_as_empty(agent: Agent, client_of: Any) -> None:
    vpc_id = client_of("ec2").create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    drawn = await agent.call("draw_topology", vpc=vpc_id)
    assert drawn["summary"] == f"{vpc_id}: 0 subnets in 0 zones; nothing runs in it"
    svg = (await agent.client.read_resource(drawn["svg"]))[0].text
    assert any(vpc_id in text for text in words_of(svg))


async def test_an_unknown_vpc_and_a_shared_name_are_refused(agent: Agent, client_of: Any) -> None:
    assert "list_resources" in await agent.refused("draw_topology", vpc="nowhere")
    assert "vpc-0bad" in await agent.refused("draw_topology", vpc="vpc-0bad")
    ec2, tags = client_of("ec2"), [{"Key": "Name", "Value": "twin"}]
    ids = [
        ec2.create_vpc(
            CidrBlock="10.9.0.0/16",
            TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}],
        )["Vpc"]["VpcId"]
        for _ in range(2)
    ]
    said = await agent.refused("draw_topology", vpc="twin")
    assert all(vpc_id in said for vpc_id in ids)


async def test_another_accounts_vpc_has_no_address_of_ours(
    agent: Agent, network: dict[str, Any]
) -> None:
    role = "arn:aws:iam::210987654321:role/reader"
    drawn = await agent.client.call_tool(
        "draw_topology", {"vpc": "shop", "target": {"role_arn": role}}, raise_on_error=False
    )
    assert drawn.is_error or drawn.structured_content["svg"] == ""


def parts(**changed: Any) -> VpcParts:
    """One VPC with a private subnet and nothing else."""
    kinds: dict[str, Any] = {name: [] for name in VpcParts.model_fields if name != "vpc"}
    subnet = {
        "SubnetId": "subnet-1", "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "eu-west-1a",
    }  # fmt: skip
    vpc = {"VpcId": "vpc-1", "CidrBlock": "10.0.0.0/16"}
    return VpcParts(**{"vpc": vpc, **kinds, "subnets": [subnet], **changed})


def instance(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "InstanceId": f"i-{number:04}", "InstanceType": "t3.small", "SubnetId": "subnet-1",
        "State": {"Name": "running"}, **changed,
    }  # fmt: skip


def drawn(**changed: Any) -> Topology:
    return lay_out(parts(**changed), "eu-west-1")


def test_a_subnet_whose_routes_were_not_read_has_an_unknown_way_out() -> None:
    assert drawn().subnets[0].exit == "unknown"
    main = {"Associations": [{"Main": True}], "Routes": []}
    assert drawn(tables=[main]).subnets[0].exit == "none"


def test_what_was_not_read_is_written_on_the_picture() -> None:
    svg = as_svg(drawn(unread=["db instances: rds:DescribeDBInstances was denied"]))
    assert any("rds:DescribeDBInstances was denied" in text for text in words_of(svg))


def test_a_crowded_subnet_is_drawn_in_a_few_boxes_with_exact_counts() -> None:
    crowded = drawn(instances=[instance(number) for number in range(5000)])
    assert [node.name for node in crowded.nodes][-1] == "4994 instances more"
    assert len(as_mermaid(crowded)) < 2000


def test_a_stopped_instance_is_not_shown_as_running() -> None:
    node = drawn(instances=[instance(1, State={"Name": "stopped"})]).nodes[0]
    assert node.detail == "t3.small, stopped"


@pytest.mark.parametrize(
    "name",
    ['"]; click n0 "javascript:alert(1)"', "<script>alert(1)</script>", "a\nend\nb", "#quot;"],
)
def test_a_name_cannot_break_out_of_the_picture(name: str) -> None:
    hostile = drawn(instances=[instance(1, Tags=[{"Key": "Name", "Value": name}])])
    mermaid = as_mermaid(hostile)
    assert mermaid.count('"') % 2 == 0
    assert not re.search(r"^\s*(click|b\b)", mermaid, re.MULTILINE)
    assert "<script" not in mermaid
    assert not ElementTree.fromstring(as_svg(hostile)).findall(f".//{SVG}script")
