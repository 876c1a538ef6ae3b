"""Launch templates: closed and encrypted, made once, rolled out to a group, deleted by undo."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.tools.launch_templates import LaunchTemplate, judge_template

Clients = Callable[[str], Any]


@pytest.fixture
def asked(groups: dict[str, str]) -> dict[str, Any]:
    return {"name": "worker", "security_group_ids": [groups["app_sg_id"]]}


async def test_a_template_starts_closed_servers_is_made_once_and_undone(
    agent: Any, asked: dict[str, Any], client_of: Clients, inventory: Any
) -> None:
    before = inventory()
    script = "#!/bin/sh\necho hello"
    wanted = {**asked, "disk_gb": 20, "user_data": script, "instance_type": "t4g.small"}
    change = await agent.call("create_launch_template", **wanted)
    made = change["outputs"]
    ec2 = client_of("ec2")
    (version,) = ec2.describe_launch_template_versions(
        LaunchTemplateId=made["launch_template_id"], Versions=["$Latest"]
    )["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    assert (made["version"], made["image_id"]) == (1, data["ImageId"])
    assert data["SecurityGroupIds"] == asked["security_group_ids"]
    assert data["IamInstanceProfile"]["Arn"] == made["instance_profile_arn"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert base64.b64decode(data["UserData"]).decode() == script
    (disk,) = data["BlockDeviceMappings"]
    assert (disk["Ebs"]["VolumeSize"], disk["Ebs"]["Encrypted"]) == (20, True)
    assert "KeyName" not in data
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert (await agent.call("create_launch_template", **wanted))["reused"]
    journal = await agent.client.read_resource(f"journal://changes/{change['change_id']}")
    assert "echo hello" not in str(journal)
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert inventory() == before


async def test_a_server_starts_from_it_and_a_plan_makes_nothing(
    agent: Any, asked: dict[str, Any], network: dict[str, Any], client_of: Clients, inventory: Any
) -> None:
    before = inventory()
    planned = await agent.call("create_launch_template", **asked, dry_run=True)
    kinds = [action["type"] for action in planned["plan"]["actions"]]
    assert kinds == ["iam:role", "iam:instance-profile", "ec2:launch-template"]
    assert inventory() == before
    made = (await agent.call("create_launch_template", **asked))["outputs"]
    (server,) = client_of("ec2").run_instances(
        LaunchTemplate={"LaunchTemplateId": made["launch_template_id"]},
        SubnetId=network["private_subnet_ids"][0],
        MinCount=1,
        MaxCount=1,
    )["Instances"]
    assert server["ImageId"] == made["image_id"]


async def test_a_template_that_cannot_be_is_refused_with_what_to_do(
    agent: Any, asked: dict[str, Any], client_of: Clients
) -> None:
    other = client_of("ec2").create_security_group(GroupName="other", Description="other")
    mixed = [*asked["security_group_ids"], other["GroupId"]]
    said = await agent.refused("create_launch_template", name="mixed", security_group_ids=mixed)
    assert "use groups of one" in said
    said = await agent.refused("create_launch_template", **{**asked, "image": "ami-0a1b2c3d"})
    assert "Image ami-0a1b2c3d" in said
    said = await agent.refused("create_launch_template", **asked, instance_type="t3.nothing")
    assert "not offered" in said
    said = await agent.refused("create_launch_template", name="none", security_group_ids=["sg-0"])
    assert "Security group of sg-0" in said


DATA: dict[str, Any] = {
    "ImageId": "ami-1", "InstanceType": "t3.small", "SecurityGroupIds": ["sg-1"],
    "IamInstanceProfile": {"Arn": "arn"}, "MetadataOptions": {"HttpTokens": "required"},
    "BlockDeviceMappings": [{"Ebs": {"Encrypted": True}}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, set()),
        ({"MetadataOptions": {"HttpTokens": "optional"}}, {"It takes IMDSv2 alone"}),
        ({"BlockDeviceMappings": []}, {"Its disks are encrypted"}),
        ({"KeyName": "mine", "ImageId": "ami-2"}, {"It has no key pair", "It has the image"}),
        ({"InstanceType": None, "SecurityGroupIds": []}, {"It has the size", "It has the groups"}),
    ],
)
def test_a_template_that_opens_or_differs_fails(changed: dict[str, Any], failed: set[str]) -> None:
    made = LaunchTemplate(
        launch_template_id="lt-1", launch_template_name="x", version=1, image_id="ami-1",
        instance_profile_arn="arn",
    )  # fmt: skip
    found = {"VersionNumber": 1, "LaunchTemplateData": {**DATA, **changed}}
    checks = judge_template(made, found, "t3.small", ["sg-1"])
    assert {c.name for c in checks if c.verdict == "FAIL"} == failed
    gone = judge_template(made, None, "t3.small", ["sg-1"])
    assert [c.verdict for c in gone] == ["FAIL"]
