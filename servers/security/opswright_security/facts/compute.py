"""Reads what runs: instances, launch templates, volumes, images, functions."""

from typing import Any

from opswright_core.verdicts import Unread
from opswright_security.plaintext import decode_user_data
from opswright_security.reading import Fact, Reader, picked

_ENDED = {"terminated", "shutting-down"}


def load_instances(reader: Reader) -> list[Fact]:
    """Instances that are not terminated."""
    only = {"Filters": [{"Name": "vpc-id", "Values": [reader.vpc_id]}]} if reader.vpc_id else {}
    return [
        Fact(instance["InstanceId"], instance)
        for reservation in reader.pages("ec2", "describe_instances", "Reservations", **only)
        for instance in reservation["Instances"]
        if instance["State"]["Name"] not in _ENDED
    ]


def load_user_data(reader: Reader) -> list[Fact]:
    """The start script of every instance: `VpcId` and `text` (may be Unread)."""

    def one(instance: Fact) -> Fact:
        answer = reader.maybe(
            "ec2", "describe_instance_attribute", InstanceId=instance.id, Attribute="userData"
        )
        value = picked(answer, "UserData", "Value")
        text = value if isinstance(value, Unread) else decode_user_data(value)
        return Fact(instance.id, {"VpcId": instance.get("VpcId"), "text": text})

    return reader.each(reader.load(load_instances), one)


def load_launch_templates(reader: Reader) -> list[Fact]:
    """The default and latest version of every launch template, its user data as `text`."""
    versions = reader.pages(
        "ec2",
        "describe_launch_template_versions",
        "LaunchTemplateVersions",
        Versions=["$Default", "$Latest"],
    )
    facts = {}
    for version in versions:
        name = f"{version['LaunchTemplateName']} v{version['VersionNumber']}"
        data = version["LaunchTemplateData"]
        facts[name] = Fact(
            name,
            {
                **data,
                "LaunchTemplateId": version["LaunchTemplateId"],
                "text": decode_user_data(data.get("UserData")),
            },
        )
    return list(facts.values())


def load_volumes(reader: Reader) -> list[Fact]:
    """EBS volumes."""
    return [Fact(v["VolumeId"], v) for v in reader.pages("ec2", "describe_volumes", "Volumes")]


def load_ebs_default(reader: Reader) -> list[Fact]:
    """One fact: whether new volumes of the region are encrypted."""
    return [Fact(reader.aws.region, reader.call("ec2", "get_ebs_encryption_by_default"))]


def load_shared_snapshots(reader: Reader) -> list[Fact]:
    """The account's EBS snapshots that AWS lists as restorable by all, with their `permissions`.

    Each is asked again for its own permissions, since not every backend filters.
    """
    found = reader.pages(
        "ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"], RestorableByUserIds=["all"]
    )

    def one(snapshot: dict[str, Any]) -> Fact:
        answer = reader.maybe(
            "ec2",
            "describe_snapshot_attribute",
            SnapshotId=snapshot["SnapshotId"],
            Attribute="createVolumePermission",
        )
        permissions = picked(answer, "CreateVolumePermissions")
        return Fact(snapshot["SnapshotId"], {**snapshot, "permissions": permissions})

    return reader.each(found, one)


def load_images(reader: Reader) -> list[Fact]:
    """The account's own AMIs."""
    found = reader.pages("ec2", "describe_images", "Images", Owners=["self"])
    return [Fact(image["ImageId"], image) for image in found]


def load_functions(reader: Reader) -> list[Fact]:
    """Lambda functions with their environment."""
    found = reader.pages("lambda", "list_functions", "Functions")
    return [Fact(function["FunctionName"], function) for function in found]
