"""Launch templates by intent: what a group, a fleet or one server is started from, closed."""

import hashlib
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.access.roles import ROLE
from opswright_aws_devops.instances.profile import PROFILE, make_profile
from opswright_aws_devops.instances.setup import (
    NEWEST,
    ROOT_DISK_GB,
    BootScript,
    DiskSize,
    ImageName,
    InstanceType,
    choose_image,
    launch_data,
)
from opswright_aws_devops.instances.templates import (
    TEMPLATE,
    claim_parts,
    load_parts,
    make_template,
)
from opswright_aws_devops.lookup import first, if_exists, must_exist
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check


class LaunchTemplate(BaseModel):
    """A launch template; update_auto_scaling_group makes new versions of a group's."""

    launch_template_id: str
    launch_template_name: str
    version: int
    image_id: str
    instance_profile_arn: str


@write_tool(toolset="compute")
def create_launch_template(
    name: ResourceName,
    security_group_ids: Annotated[list[str], Field(description="Of one VPC", min_length=1)],
    instance_type: InstanceType = "t3.small",
    image: ImageName = NEWEST,
    disk_gb: DiskSize = ROOT_DISK_GB,
    user_data: BootScript = "",
    target: Target = HERE,
) -> Work[LaunchTemplate]:
    """Create an EC2 launch template: Session Manager, not SSH; IMDSv2; encrypted disk."""
    a = aws(target)
    settings = {
        "groups": security_group_ids,
        "type": instance_type,
        "image": image,
        "disk_gb": disk_gb,
        "user_data": hashlib.sha256(user_data.encode()).hexdigest(),
    }
    request = Request.of("create_launch_template", name, **settings)
    wanted = [
        Action(verb="create", type=ROLE, name=name, detail="Session Manager"),
        Action(verb="create", type=PROFILE, name=name),
        Action(verb="create", type=TEMPLATE, name=name, detail=f"{instance_type}, IMDSv2 only"),
    ]

    def plan() -> ChangePlan:
        _require_groups(a, security_group_ids)
        booted = choose_image(a, image, instance_type)
        known = [key(kind, name) for kind in claim_parts(request, load_parts(a, request))]
        return ChangePlan(
            summary=f"Create launch template {name} ({instance_type}, {booted.id})",
            actions=outstanding(wanted, known),
            warnings=["Its image stays the one of now: new servers are as old as it is."],
            observed={"known": known, "image": booted.id},
        )

    def apply(rec: Recorder) -> LaunchTemplate:
        profile_arn = make_profile(a, rec, request, None, target)

        def launch() -> dict[str, Any]:
            booted = choose_image(a, image, instance_type)
            return launch_data(
                request,
                image_id=booted.id,
                instance_type=instance_type,
                profile_arn=profile_arn,
                security_group_ids=security_group_ids,
                user_data=user_data,
                disk_gb=disk_gb,
                root_device=booted.root_device,
            )

        template_id = make_template(a, rec, request, launch, target)
        found = load_version(a, template_id) or {}
        return LaunchTemplate(
            launch_template_id=template_id,
            launch_template_name=name,
            version=found["VersionNumber"],
            image_id=found["LaunchTemplateData"]["ImageId"],
            instance_profile_arn=profile_arn,
        )

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=lambda made: judge_template(
            made, load_version(a, made.launch_template_id), instance_type, security_group_ids
        ),
        outputs=LaunchTemplate,
        arguments={"name": name, **settings, "target": target.model_dump(exclude_none=True)},
    )


def _require_groups(a: Aws, group_ids: list[str]) -> None:
    ec2 = a.client("ec2")
    found = must_exist(
        f"Security group of {', '.join(group_ids)}",
        lambda: ec2.describe_security_groups(GroupIds=group_ids)["SecurityGroups"],
    )
    if len(vpcs := sorted({group["VpcId"] for group in found})) > 1:
        raise BadInputError(
            f"The security groups are in {' and '.join(vpcs)}; a server is in one VPC, so use "
            "groups of one."
        )


def load_version(a: Aws, template_id: str) -> dict[str, Any] | None:
    """EC2's description of the version that is the default, or None."""
    ec2 = a.client("ec2")
    asked = {"LaunchTemplateId": template_id, "Versions": ["$Default"]}
    found = if_exists(lambda: ec2.describe_launch_template_versions(**asked))
    return first(found["LaunchTemplateVersions"]) if found else None


def judge_template(
    made: LaunchTemplate,
    found: dict[str, Any] | None,
    instance_type: str,
    security_group_ids: list[str],
) -> list[Check]:
    """Whether the default version starts closed, encrypted servers, as asked for."""
    about = made.launch_template_id
    if found is None:
        return [check("Launch template exists", False, "EC2 knows none of that id", about)]
    data = found["LaunchTemplateData"]
    size = data.get("InstanceType")
    disks = [disk.get("Ebs") or {} for disk in data.get("BlockDeviceMappings", [])]
    tokens = (data.get("MetadataOptions") or {}).get("HttpTokens")
    profile = (data.get("IamInstanceProfile") or {}).get("Arn")
    groups = data.get("SecurityGroupIds", [])
    facts = [
        ("Launch template exists", True, f"version {found['VersionNumber']}"),
        ("It has the image", data.get("ImageId") == made.image_id, str(data.get("ImageId"))),
        ("It has the size", size == instance_type, str(size)),
        ("It has its role", profile == made.instance_profile_arn, str(profile)),
        ("It has the groups", sorted(groups) == sorted(security_group_ids), ", ".join(groups)),
        ("It has no key pair", not data.get("KeyName"), str(data.get("KeyName", ""))),
        ("It takes IMDSv2 alone", tokens == "required", str(tokens)),
        (
            "Its disks are encrypted",
            bool(disks) and all(disk.get("Encrypted") for disk in disks),
            f"{len(disks)} disks",
        ),
    ]
    return [check(name, ok, evidence, about) for name, ok, evidence in facts]
