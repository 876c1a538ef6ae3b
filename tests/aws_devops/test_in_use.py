"""Removing what is in use: what is in the way or lost is told before anything is removed."""

import dataclasses
from collections.abc import Callable
from typing import Any

from fastmcp import Client
from tests.aws_devops.conftest import Agent, Watched

from opswright_aws_devops.server import create_server
from opswright_core.settings import Settings

Clients = Callable[[str], Any]


def removed(watched: Watched) -> list[str]:
    """What was sent that takes something away."""
    takes = ("Delete", "Detach", "Disassociate", "Release", "Terminate")
    return [call for call in watched.sessions.sent if call.partition(":")[2].startswith(takes)]


async def test_a_network_with_somebody_elses_server_is_left_whole_and_says_what_is_in_it(
    watched: Watched, client_of: Clients
) -> None:
    made = await watched.call("create_network", name="shop")
    ec2, network = client_of("ec2"), made["outputs"]
    image = ec2.register_image(Name="any", RootDeviceName="/dev/sda1")["ImageId"]
    launched = ec2.run_instances(
        ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro",
        SubnetId=network["private_subnet_ids"][0],
    )["Instances"][0]["InstanceId"]  # fmt: skip
    said = await watched.refused("undo_change", change_id=made["change_id"])
    assert f"aws ec2 terminate-instances --instance-ids {launched}" in said
    assert "Nothing was undone" in said
    preview = await watched.call("preview_undo", change_id=made["change_id"])
    (change,) = preview["changes"]
    assert launched in change["blocked_by"][0]
    down = await watched.client.call_tool(
        "handle_task", {"task": "tear down the application named shop"}, raise_on_error=False
    )
    assert "Nothing was undone" in down.structured_content["summary"]
    assert launched in down.structured_content["summary"]
    assert removed(watched) == []
    ec2.terminate_instances(InstanceIds=[launched])
    undone = await watched.call("undo_change", change_id=made["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}


async def test_a_subnet_an_endpoint_and_an_interface_of_others_are_named_with_what_removes_them(
    agent: Agent, client_of: Clients, network: dict[str, Any]
) -> None:
    ec2, vpc_id = client_of("ec2"), network["vpc_id"]
    subnet = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.255.0/28")["Subnet"]["SubnetId"]
    spare = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    service = "com.amazonaws.eu-west-1.s3"
    endpoint = ec2.create_vpc_endpoint(VpcId=vpc_id, ServiceName=service)["VpcEndpoint"]
    said = await agent.refused("undo_change", change_id=agent.made[0])
    for command in (
        f"delete-subnet --subnet-id {subnet}",
        f"delete-network-interface --network-interface-id {spare}",
        f"delete-vpc-endpoints --vpc-endpoint-ids {endpoint['VpcEndpointId']}",
    ):
        assert command in said


async def test_groups_that_somebody_elses_server_carries_keep_their_rules(
    watched: Watched, client_of: Clients
) -> None:
    network = (await watched.call("create_network", name="shop"))["outputs"]
    asked = {"name": "shop", "vpc_id": network["vpc_id"]}
    made = await watched.call("create_security_groups", **asked)
    ec2 = client_of("ec2")
    launched = ec2.run_instances(
        ImageId="ami-12345678", MinCount=1, MaxCount=1, InstanceType="t3.micro",
        SubnetId=network["private_subnet_ids"][0],
        SecurityGroupIds=[made["outputs"]["app_sg_id"]],
    )["Instances"][0]["InstanceId"]  # fmt: skip
    watched.sessions.sent.clear()
    said = await watched.refused("undo_change", change_id=made["change_id"])
    assert f"aws ec2 terminate-instances --instance-ids {launched}" in said
    assert "its rules would go first" in said
    assert not [call for call in watched.sessions.sent if "Revoke" in call or "Delete" in call]


async def test_an_undo_that_may_not_look_into_a_network_says_so(watched: Watched) -> None:
    made = await watched.call("create_network", name="shop")
    watched.sessions.refused["DescribeNetworkInterfaces"] = 0
    planned = await watched.call("undo_change", change_id=made["change_id"], dry_run=True)
    assert any(
        "is not known" in warning and "DescribeNetworkInterfaces" in warning
        for warning in planned["plan"]["warnings"]
    )


async def test_the_undo_of_a_bucket_says_how_much_is_lost_with_it(
    agent: Agent, client_of: Clients, settings: Settings
) -> None:
    made = await agent.call("create_bucket", name="shop-logs")
    asked = {"change_id": made["change_id"]}
    planned = await agent.call("undo_change", **asked, dry_run=True)
    assert not [one for one in planned["plan"]["warnings"] if "DATA LOSS" in one]
    s3 = client_of("s3")
    for body in (b"one", b"two"):
        s3.put_object(Bucket="shop-logs", Key="a", Body=body)
    planned = await agent.call("undo_change", **asked, dry_run=True)
    lost = "DATA LOSS: 1 objects and 1 earlier versions in bucket shop-logs."
    assert lost in planned["plan"]["warnings"]
    (change,) = (await agent.call("preview_undo", **asked))["changes"]
    assert change["warnings"] == [lost]
    report = await agent.call("preview_teardown", application="shop-logs")
    assert report["changes"][0]["warnings"] == [lost]
    careful = create_server(dataclasses.replace(settings, approvals="token"))
    async with Client(careful) as client:
        task = {"task": "tear down the application named shop-logs"}
        asked_for = (await client.call_tool("handle_task", task)).structured_content
    assert asked_for["status"] == "needs_approval"
    assert lost in asked_for["summary"]


async def test_an_object_that_s3_keeps_stops_the_undo_of_its_bucket_and_is_named(
    agent: Agent, client_of: Clients
) -> None:
    made = await agent.call("create_bucket", name="shop-logs")
    s3, which = client_of("s3"), {"Bucket": "shop-logs"}
    locked = {"ObjectLockEnabled": "Enabled"}
    s3.put_object_lock_configuration(**which, ObjectLockConfiguration=locked)
    s3.put_object(**which, Key="free", Body=b"1")
    s3.put_object(**which, Key="held", Body=b"1", ObjectLockLegalHoldStatus="ON")
    said = await agent.refused("undo_change", change_id=made["change_id"])
    assert "first held" in said
    assert "1 others are deleted and the bucket stays" in said
    s3.put_object_legal_hold(**which, Key="held", LegalHold={"Status": "OFF"})
    undone = await agent.call("undo_change", change_id=made["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
