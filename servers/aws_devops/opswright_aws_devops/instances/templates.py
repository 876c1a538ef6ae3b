"""Launch templates: what of a request's servers exists, and the making of their template."""

from collections.abc import Callable
from typing import Any

from opswright_aws_devops.access.roles import ROLE
from opswright_aws_devops.instances.profile import PROFILE
from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.ownership import Request
from opswright_core.aws import Aws, AwsTarget, tags_of
from opswright_core.changes import ResourceRef
from opswright_core.recorder import Recorder
from opswright_core.undo import aws_undo

TEMPLATE = "ec2:launch-template"


def named(name: str) -> dict[str, Any]:
    """EC2's parameters for the template of a name, which is no error where there is none."""
    return {"Filters": [{"Name": "launch-template-name", "Values": [name]}]}


def load_parts(a: Aws, request: Request) -> dict[str, dict[str, Any] | None]:
    """The role, instance profile and template of a request's name, by kind; None: it is free."""
    ec2, iam, name = a.client("ec2"), a.client("iam"), request.name
    profile = if_exists(lambda: iam.get_instance_profile(InstanceProfileName=name))
    return {
        ROLE: if_exists(lambda: iam.get_role(RoleName=name)["Role"]),
        PROFILE: profile and profile["InstanceProfile"],
        TEMPLATE: first(ec2.describe_launch_templates(**named(name))["LaunchTemplates"]),
    }


def claim_parts(request: Request, parts: dict[str, dict[str, Any] | None]) -> list[str]:
    """The kinds of the parts that exist. Raises ConflictError for one that is another's."""
    there = {kind: part for kind, part in parts.items() if part is not None}
    for kind, part in there.items():
        request.claim(f"{kind} {request.name}", tags_of(part.get("Tags")))
    return list(there)


def make_template(
    a: Aws,
    rec: Recorder,
    request: Request,
    launch: Callable[[], dict[str, Any]],
    target: AwsTarget,
) -> str:
    """Make a request's launch template, or take up the one that is there; returns its id."""
    ec2, name = a.client("ec2"), request.name

    def make() -> dict[str, str]:
        there = ec2.describe_launch_templates(**named(name))["LaunchTemplates"]
        if there:
            return {"id": there[0]["LaunchTemplateId"]}
        made = ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData=launch(),
            TagSpecifications=request.specification("launch-template", name),
        )
        return {"id": made["LaunchTemplate"]["LaunchTemplateId"]}

    result: dict[str, str] = rec.step(
        f"launch template {name}",
        make,
        undo=[
            aws_undo(
                f"delete launch template {name}",
                "ec2",
                "delete_launch_template",
                {"LaunchTemplateName": name},
                target=target,
                region=a.region,
                gone=("describe_launch_templates", named(name), "LaunchTemplates[]"),
            )
        ],
        resource=lambda result: ResourceRef(type=TEMPLATE, id=result["id"], name=name),
    )
    return result["id"]
