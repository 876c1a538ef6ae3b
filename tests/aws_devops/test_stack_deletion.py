"""Deleting a stack: what goes and what stays is said, and undo creates it again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.aws_devops.conftest import Agent
from tests.aws_devops.test_stacks import LARGER, QUEUES, queues

from opswright_aws_devops.cloudformation.recreation import hindrance

Clients = Callable[[str], Any]
FILES = """
Resources:
  Files:
    Type: AWS::S3::Bucket
    Properties: {BucketName: shop-files}
"""
NETWORK = """
Resources:
  Net:
    Type: AWS::EC2::VPC
    Properties: {CidrBlock: 10.0.0.0/16}
"""
POLICY = {
    "Statement": [
        {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"},
    ]
}


async def test_deleting_a_stack_names_what_goes_and_keeps_what_is_retained(
    stacks: Agent, stack_cloud: Clients
) -> None:
    kept_queue = LARGER.replace("Late:\n", "Late:\n    DeletionPolicy: Retain\n")
    await stacks.call("deploy_stack", name="shop", template=kept_queue)
    planned = await stacks.call("delete_stack", name="shop", dry_run=True)
    assert planned["plan"]["reversible"] is False
    assert [a["name"] for a in planned["plan"]["actions"]] == ["Jobs"]
    assert "Late stay" in planned["summary"]
    assert any("import_resources" in warning for warning in planned["plan"]["warnings"])
    gone = await stacks.call("delete_stack", name="shop")
    assert gone["outputs"]["retained"][0].endswith("/late")
    assert queues(stack_cloud) == ["late"]
    assert Path(gone["outputs"]["template"]).read_text() == kept_queue
    undone = await stacks.call("undo_change", change_id=gone["change_id"], dry_run=True)
    assert "nothing that can be reversed" in undone["summary"]


async def test_a_stack_of_the_same_name_is_deleted_again(
    stacks: Agent, stack_cloud: Clients
) -> None:
    await stacks.call("deploy_stack", name="shop", template=QUEUES)
    await stacks.call("delete_stack", name="shop")
    assert (await stacks.call("delete_stack", name="shop"))["reused"]
    await stacks.call("deploy_stack", name="shop", template=QUEUES)
    assert not (await stacks.call("delete_stack", name="shop"))["reused"]
    assert queues(stack_cloud) == []
    assert "no stack 'other'" in await stacks.refused("delete_stack", name="other")


async def test_undoing_a_deletion_creates_the_stack_again_as_it_was(
    stacks: Agent, stack_cloud: Clients
) -> None:
    cfn = stack_cloud("cloudformation")
    cfn.create_stack(
        StackName="shop",
        TemplateBody=QUEUES,
        Parameters=[{"ParameterKey": "Stage", "ParameterValue": "prod"}],
        Tags=[{"Key": "team", "Value": "web"}],
        StackPolicyBody=json.dumps(POLICY),
    )
    cfn.get_waiter("stack_create_complete").wait(StackName="shop", WaiterConfig={"Delay": 1})
    planned = await stacks.call("delete_stack", name="shop", dry_run=True)
    assert any("with new ids and empty" in warning for warning in planned["plan"]["warnings"])
    gone = await stacks.call("delete_stack", name="shop")
    assert gone["undo"] == ["create stack shop again from the template it had, without the data"]
    assert queues(stack_cloud) == []
    undone = await stacks.call("undo_change", change_id=gone["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert queues(stack_cloud) == ["jobs-prod"]
    (stack,) = cfn.describe_stacks(StackName="shop")["Stacks"]
    assert stack["Tags"] == [{"Key": "team", "Value": "web"}]
    assert json.loads(cfn.get_stack_policy(StackName="shop")["StackPolicyBody"]) == POLICY


async def test_an_undo_that_meets_the_name_of_a_resource_leaves_nothing_half_made(
    stacks: Agent, stack_cloud: Clients
) -> None:
    there = {"LocationConstraint": "eu-west-1"}
    await stacks.call("deploy_stack", name="shop", template=FILES)
    gone = await stacks.call("delete_stack", name="shop")
    stack_cloud("s3").create_bucket(Bucket="shop-files", CreateBucketConfiguration=there)
    said = await stacks.refused("undo_change", change_id=gone["change_id"])
    assert "Files (AWS::S3::Bucket) failed" in said
    assert "/templates/" in said
    assert "no stack 'shop'" in await stacks.refused("get_stack", name="shop")
    stack_cloud("s3").delete_bucket(Bucket="shop-files")
    undone = await stacks.call("undo_change", change_id=gone["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}


async def test_another_stack_that_took_the_name_is_left_alone_by_an_undo(
    stacks: Agent, stack_cloud: Clients
) -> None:
    await stacks.call("deploy_stack", name="shop", template=QUEUES)
    gone = await stacks.call("delete_stack", name="shop")
    await stacks.call("deploy_stack", name="shop", template=LARGER)
    said = await stacks.refused("undo_change", change_id=gone["change_id"])
    assert "Another stack shop is there by now" in said
    assert queues(stack_cloud) == ["jobs-dev", "late"]


async def test_a_stack_that_is_in_use_says_what_fails_and_is_deleted_once_that_is_mended(
    stacks: Agent, stack_cloud: Clients
) -> None:
    ec2 = stack_cloud("ec2")
    made = await stacks.call("deploy_stack", name="shop", template=NETWORK)
    vpc_id = made["outputs"]["resources"]["Net"]
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
    said = await stacks.refused("delete_stack", name="shop")
    assert "DELETE_FAILED: Net (AWS::EC2::VPC) failed" in said
    assert "explain_resource names it" in said
    ec2.delete_subnet(SubnetId=subnet)
    gone = await stacks.call("delete_stack", name="shop")
    assert gone["checks"][0]["verdict"] == "PASS"
    assert len(gone["undo"]) == 1


def stack(**more: Any) -> dict[str, Any]:
    return {"StackName": "shop", "StackStatus": "CREATE_COMPLETE", **more}


@pytest.mark.parametrize(
    ("there", "template", "retained", "said"),
    [
        (stack(), QUEUES, [], ""),
        (stack(StackStatus="ROLLBACK_COMPLETE"), QUEUES, [], "ROLLBACK_COMPLETE, and never"),
        (stack(), QUEUES, ["Late (AWS::SQS::Queue late)"], "import_resources"),
        (stack(), QUEUES + " " * 52_000, [], "51200 bytes"),
        (
            stack(Parameters=[{"ParameterKey": "Key", "ParameterValue": "****"}]),
            QUEUES,
            [],
            "the value of Key is a secret",
        ),
    ],
)
def test_what_keeps_an_undo_from_creating_a_stack_again_is_said_with_the_way_out(
    there: dict[str, Any], template: str, retained: list[str], said: str
) -> None:
    told = hindrance(there, template, retained)
    assert said in told if said else told == ""
