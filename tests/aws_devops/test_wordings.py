"""What people call kinds of resources, networks and applications, without a model."""

from typing import Any

import pytest
from tests.aws_devops.conftest import Agent

from opswright_aws_devops.resource_kinds import KINDS
from opswright_aws_devops.skills.inspection import Looked, OneResource
from opswright_aws_devops.skills.removal import ApplicationNamed
from opswright_aws_devops.skills.wordings import InVpc
from opswright_core.agent.kinds import KINDS_BY_WORD, types_of
from opswright_core.agent.skills import fill


def test_every_word_for_a_kind_names_types_that_there_are() -> None:
    there = {kind.type for kind in KINDS}
    assert {kind for types in KINDS_BY_WORD.values() for kind in types} <= there


@pytest.mark.parametrize(
    ("words", "types"),
    [
        ("databases", ["rds:db", "rds:cluster"]),
        ("Load Balancers and queues", ["elb:loadbalancer", "sqs:queue"]),
        ("VPCs, subnets and NAT gateways", ["ec2:vpc", "ec2:subnet", "ec2:natgateway"]),
        ("EC2 instances or auto-scaling groups", ["ec2:instance", "autoscaling:group"]),
        ("DB subnet groups", ["rds:subnet-group"]),
        (["ec2:vpc"], ["ec2:vpc"]),
    ],
)
def test_words_stand_for_types(words: Any, types: list[str]) -> None:
    assert types_of(words) == types


@pytest.mark.parametrize(
    ("task", "types", "tag", "region"),
    [
        ("list the databases in eu-west-1", ["rds:db", "rds:cluster"], None, "eu-west-1"),
        ("which instances are tagged with team=web", ["ec2:instance"], "team=web", None),
        ("show all queues and topics", ["sqs:queue", "sns:topic"], None, None),
        ("list everything in eu-west-1", None, None, "eu-west-1"),
    ],
)
def test_a_list_is_of_what_was_asked(
    task: str, types: list[str] | None, tag: str | None, region: str | None
) -> None:
    asked = fill(Looked, task, {})
    assert isinstance(asked, Looked)
    assert (asked.types, asked.tag, asked.region) == (types, tag, region)


@pytest.mark.parametrize(
    ("task", "resource"),
    [
        ("explain the load balancer shop", "elb:loadbalancer/shop"),
        ("explain the vpc shop", "ec2:vpc/shop"),
        ("explain the queue named jobs", "sqs:queue/jobs"),
        ("explain sg-0a1b2c3d", "sg-0a1b2c3d"),
        ("what breaks if the security group sg-0a1b2c3d goes", "sg-0a1b2c3d"),
    ],
)
def test_a_kind_says_which_of_a_name_is_meant(task: str, resource: str) -> None:
    asked = fill(OneResource, task, {})
    assert isinstance(asked, OneResource)
    assert asked.resource == resource


@pytest.mark.parametrize(
    ("task", "vpc"),
    [
        ("is shop highly available?", "shop"),
        ("is VPC vpc-0a1b2c highly available", "vpc-0a1b2c"),
        ("check high availability of the network shop", "shop"),
        ("export shop as terraform", "shop"),
        ("export the shop network as Terraform", "shop"),
        ("export it as terraform", None),
        ("is the application highly available?", None),
    ],
)
def test_a_network_goes_by_its_name(task: str, vpc: str | None) -> None:
    asked = fill(InVpc, task, {})
    assert (asked.vpc_id if isinstance(asked, InVpc) else None) == vpc


@pytest.mark.parametrize(
    ("task", "application"),
    [
        ("tear down shop", "shop"),
        ("take down the shop", "shop"),
        ("remove the shop application", "shop"),
        ("delete the application shop with all its resources", "shop"),
        ("tear down everything", None),
        ("tear down the whole environment", None),
        ("delete everything", None),
    ],
)
def test_an_application_to_take_down_is_named_or_asked_for(
    task: str, application: str | None
) -> None:
    asked = fill(ApplicationNamed, task, {})
    assert (asked.application if isinstance(asked, ApplicationNamed) else None) == application


async def test_what_was_asked_in_plain_words_is_looked_at_and_drawn(agent: Agent) -> None:
    made = (await agent.call("create_network", name="shop", nat="none"))["outputs"]
    await agent.call("create_queue", name="jobs")

    async def ask(task: str) -> dict[str, Any]:
        return await agent.call("handle_task", task=task)

    listed = await ask("list the vpcs and queues")
    assert listed["skill"] == "list_infrastructure"
    assert {item["type"] for item in listed["outputs"]["items"]} == {"ec2:vpc", "sqs:queue"}
    assert f"shop ({made['vpc_id']})" in listed["summary"]
    tagged = await ask("which subnets are tagged with opswright:name=shop")
    assert tagged["outputs"]["total"] == 6
    assert (await ask("what is in eu-west-1?"))["skill"] == "list_infrastructure"
    drawn = await ask("draw a diagram of the network shop")
    assert drawn["skill"] == "draw_picture"
    assert "flowchart" in drawn["summary"]
    assert drawn["outputs"]["vpc_id"] == made["vpc_id"]
    parts = await ask("show me a picture of the shop application")
    assert parts["outputs"]["svg"].startswith("application://")
    judged = await ask("is shop highly available?")
    assert judged["outputs"]["vpc_id"] == made["vpc_id"]
    queue = await ask("explain the queue jobs")
    assert queue["outputs"]["resource"]["type"] == "sqs:queue"
    nowhere = await ask("is blog highly available?")
    assert (nowhere["skill"], nowhere["status"]) == ("check_high_availability", "partial")
    assert "No VPC is named blog" in nowhere["summary"]
