"""The role that web-tier instances have: Session Manager, and reading releases."""

from typing import Any

from opswright_aws_devops.access.roles import ServiceRole, make_role, put_policy
from opswright_aws_devops.instances.setup import SESSION_MANAGER_POLICY, releases_policy
from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.ownership import Request
from opswright_aws_devops.steps import send
from opswright_core.aws import Aws, AwsTarget, exists
from opswright_core.changes import ResourceRef
from opswright_core.recorder import Recorder
from opswright_core.undo import UndoStep, aws_undo

PROFILE = "iam:instance-profile"


def make_profile(
    a: Aws, rec: Recorder, request: Request, bucket: str | None, target: AwsTarget
) -> str:
    """The role, its policies and its instance profile; returns the profile's ARN."""
    iam, name, tags = a.client("iam"), request.name, request.tag_list(request.name)
    role, profile = {"RoleName": name}, {"InstanceProfileName": name}

    def undo(
        what: str, operation: str, params: dict[str, str], gone: tuple[str, dict[str, str], str]
    ) -> list[UndoStep]:
        return [
            aws_undo(what, "iam", operation, params, target=target, region=a.region, gone=gone)
        ]  # fmt: skip

    make_role(a, rec, request, ServiceRole(name, "ec2"), target)
    _attach_session_manager(a, rec, name, undo)
    if bucket:
        document = releases_policy(a.partition, bucket)
        put_policy(a, rec, name, "read-releases", document, target)

    def create_profile() -> dict[str, str]:
        found = if_exists(lambda: iam.get_instance_profile(**profile))
        found = found or iam.create_instance_profile(**profile, Tags=tags)
        return {"arn": found["InstanceProfile"]["Arn"]}

    made = rec.step(
        f"instance profile {name}",
        create_profile,
        undo=undo(
            f"delete instance profile {name}",
            "delete_instance_profile",
            profile,
            ("get_instance_profile", profile, "InstanceProfile"),
        ),
        resource=ResourceRef(type=PROFILE, id=name, name=name),
    )

    def add_role() -> dict[str, str]:
        if not iam.get_instance_profile(**profile)["InstanceProfile"]["Roles"]:
            iam.add_role_to_instance_profile(**profile, **role)
        return role

    rec.step(
        f"role in instance profile {name}",
        add_role,
        undo=undo(
            f"take role out of instance profile {name}",
            "remove_role_from_instance_profile",
            {**profile, **role},
            ("get_instance_profile", profile, "InstanceProfile.Roles[]"),
        ),
    )
    arn: str = made["arn"]
    return arn


def _attach_session_manager(a: Aws, rec: Recorder, role: str, undo: Any) -> None:
    """Let Session Manager reach the instances; an emulator may lack AWS's managed policies."""
    iam, arn = a.client("iam"), SESSION_MANAGER_POLICY.format(a.partition)
    if a.is_emulator and not exists(lambda: iam.get_policy(PolicyArn=arn)):
        rec.gap(f"The emulator lacks AWS's managed policy {arn}: it is not attached.")
        return
    rec.step(
        "policy for Session Manager",
        lambda: send(iam.attach_role_policy, RoleName=role, PolicyArn=arn),
        undo=undo(
            f"detach the Session Manager policy from {role}",
            "detach_role_policy",
            {"RoleName": role, "PolicyArn": arn},
            (
                "list_attached_role_policies",
                {"RoleName": role},
                f"AttachedPolicies[?PolicyArn=='{arn}']",
            ),
        ),
    )
