"""Single servers: closed, encrypted, reached by Session Manager, terminated by undo."""

from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.tools.instances import Instance, judge_instance

Clients = Callable[[str], Any]


@pytest.fixture
def place(network: dict[str, Any], groups: dict[str, str]) -> dict[str, Any]:
    return {
        "name": "build-agent",
        "subnet_id": network["private_subnet_ids"][0],
        "security_group_ids": [groups["app_sg_id"]],
    }


async def test_a_server_has_a_role_an_encrypted_disk_and_no_key(
    agent: Any, place: dict[str, Any], client_of: Clients, inventory: Any
) -> None:
    before = inventory()
    asked = {**place, "disk_gb": 20, "user_data": "#!/bin/sh\necho hello"}
    change = await agent.call("create_instance", **asked)
    made = change["outputs"]
    ec2 = client_of("ec2")
    (reservation,) = ec2.describe_instances(InstanceIds=[made["instance_id"]])["Reservations"]
    (found,) = reservation["Instances"]
    assert found["SubnetId"] == place["subnet_id"]
    assert "KeyName" not in found
    assert found["IamInstanceProfile"]["Arn"] == made["instance_profile_arn"]
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert (tags["Name"], tags["managed-by"]) == ("build-agent", "opswright")
    script = ec2.describe_instance_attribute(InstanceId=made["instance_id"], Attribute="userData")[
        "UserData"
    ]["Value"]
    assert script == "IyEvYmluL3NoCmVjaG8gaGVsbG8="
    disks = ec2.describe_volumes(
        Filters=[{"Name": "attachment.instance-id", "Values": [made["instance_id"]]}]
    )["Volumes"]
    assert [(disk["Size"], disk["Encrypted"]) for disk in disks] == [(20, True)]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert (await agent.call("create_instance", **asked))["reused"]
    journal = await agent.client.read_resource(f"journal://changes/{change['change_id']}")
    assert "echo hello" not in str(journal)
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert inventory() == before


async def test_a_server_that_cannot_be_is_refused_and_a_plan_makes_nothing(
    agent: Any, place: dict[str, Any], client_of: Clients, inventory: Any
) -> None:
    before = inventory()
    planned = await agent.call("create_instance", dry_run=True, **place)
    kinds = [action["type"] for action in planned["plan"]["actions"]]
    assert kinds == ["iam:role", "iam:instance-profile", "ec2:instance"]
    assert "stops when its zone does" in planned["plan"]["warnings"][0]
    assert inventory() == before
    said = await agent.refused("create_instance", image="/nothing/here", **place)
    assert "SSM parameter /nothing/here does not exist" in said
    said = await agent.refused("create_instance", image="ami-0a1b2c3d", **place)
    assert "Image ami-0a1b2c3d" in said
    said = await agent.refused("create_instance", instance_type="t3.nothing", **place)
    assert "not offered" in said
    client_of("iam").create_role(RoleName="build-agent", AssumeRolePolicyDocument="{}")
    assert "outside opswright" in await agent.refused("create_instance", **place)


def test_a_server_without_imdsv2_or_encryption_fails() -> None:
    made = Instance(
        instance_id="i-1", private_ip="10.0.0.9", public_ip=None, az="a", image_id="ami-1",
        instance_profile_arn="arn",
    )  # fmt: skip
    found = {
        "State": {"Name": "running"}, "IamInstanceProfile": {"Arn": "arn"},
        "MetadataOptions": {"HttpTokens": "optional"},
    }  # fmt: skip
    checks = judge_instance(made, found, [{"Encrypted": False}], emulator=False)
    failed = [c.name for c in checks if c.verdict == "FAIL"]
    assert failed == ["It takes IMDSv2 alone", "Its disks are encrypted"]
    assert [c.verdict for c in judge_instance(made, None, [], emulator=False)] == ["FAIL"]
