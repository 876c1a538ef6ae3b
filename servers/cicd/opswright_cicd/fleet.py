"""The instances of an auto-scaling group behind a target group: what runs, and is it healthy."""

import math
from dataclasses import dataclass
from typing import Any

from opswright_core.aws import Aws, error_code, is_absent
from opswright_core.errors import ConflictError, NotFoundError


@dataclass(frozen=True)
class Instance:
    """One instance of the group.

    `versions` are the launch-template versions it may have been started from: one on AWS, which
    says so; on
    an emulator, which does not, those with the user data that the instance has.
    """

    id: str
    lifecycle: str
    versions: frozenset[int]


@dataclass(frozen=True)
class FleetState:
    """A group as it was read.

    `follows` is its version as set ("3", "$Latest"), `version` what that means.
    """

    template_id: str
    follows: str
    version: int
    desired: int
    instances: tuple[Instance, ...]
    health: dict[str, str]
    """What the target group says of each target: "healthy", or the state and why."""

    def stale(self, version: int) -> list[Instance]:
        """Instances that were started from another version."""
        return [i for i in self.instances if version not in i.versions]

    def serving(self, version: int) -> list[Instance]:
        """Instances of a version that are in service and healthy."""
        return [
            i
            for i in self.instances
            if version in i.versions
            and i.lifecycle == "InService"
            and self.health.get(i.id) == "healthy"
        ]

    def keeps_up(self, version: int) -> bool:
        """Whether every instance that has been replaced is served by a healthy one."""
        return len(self.serving(version)) >= self.desired - len(self.stale(version))

    def settled(self, version: int) -> bool:
        """Whether the group is set to a version, and healthy instances of it alone serve."""
        return (
            self.version == version
            and not self.stale(version)
            and len(self.serving(version)) >= self.desired
        )

    def describe(self, version: int) -> str:
        """How many instances serve a version, and what ails the others, in words."""
        ill = [f"{i.id} {self.health.get(i.id, 'not registered')}" for i in self.instances]
        ill = [text for text in ill if not text.endswith(" healthy")]
        serving = len(self.serving(version))
        said = f"{serving} of {self.desired} instances healthy on template version {version}"
        return f"{said}; {', '.join(ill[:4])}" if ill else said


def batch_size(desired: int, batch_percent: int) -> int:
    """How many instances may be replaced at a time: `batch_percent` of the group, at least one."""
    return max(1, math.floor(desired * batch_percent / 100))


@dataclass(frozen=True)
class Fleet:
    """One group behind one target group."""

    a: Aws
    asg_name: str
    target_group_arn: str

    def read(self) -> FleetState:
        """Read the group, its instances and their health. Raises NotFoundError, ConflictError."""
        group = self._group()
        spec = group.get("LaunchTemplate")
        if not spec:
            raise ConflictError(
                f"{self.asg_name} has no launch template of its own (a launch configuration or a "
                "mixed-instances "
                "policy); only groups with a launch template can be deployed to yet."
            )
        attached = set(group.get("TargetGroupARNs", [])) | {
            source.get("Identifier") for source in group.get("TrafficSources", [])
        }
        if self.target_group_arn not in attached:
            raise ConflictError(
                f"{self.asg_name} is not attached to {self.target_group_arn}, so no traffic would "
                "reach it. It is "
                f"attached to: {', '.join(sorted(filter(None, attached))) or 'no target group'}."
            )
        template_id, follows = spec["LaunchTemplateId"], spec.get("Version") or "$Default"
        version = int(self.template_version(template_id, follows)["VersionNumber"])
        return FleetState(
            template_id=template_id,
            follows=follows,
            version=version,
            desired=group["DesiredCapacity"],
            instances=self._instances(group, template_id),
            health=self._health(),
        )

    def template_version(self, template_id: str, version: str) -> dict[str, Any]:
        """One version of a launch template, with its data."""
        answer = self.a.client("ec2").describe_launch_template_versions(
            LaunchTemplateId=template_id, Versions=[version]
        )
        found: dict[str, Any] = answer["LaunchTemplateVersions"][0]
        return found

    def template_versions(self, template_id: str) -> list[dict[str, Any]]:
        """Every version of a launch template, newest first."""
        found = self.a.pages(
            "ec2",
            "describe_launch_template_versions",
            "LaunchTemplateVersions",
            LaunchTemplateId=template_id,
        )
        return sorted(found, key=lambda v: int(v["VersionNumber"]), reverse=True)

    def target_group(self) -> dict[str, Any]:
        """The target group, with its `deregistration_delay`. Raises NotFoundError."""
        elbv2 = self.a.client("elbv2")
        try:
            group: dict[str, Any] = elbv2.describe_target_groups(
                TargetGroupArns=[self.target_group_arn]
            )["TargetGroups"][0]
        except Exception as exc:
            if not is_absent(exc):
                raise
            raise NotFoundError(f"There is no target group {self.target_group_arn}.") from exc
        attributes = elbv2.describe_target_group_attributes(TargetGroupArn=self.target_group_arn)
        by_key = {item["Key"]: item["Value"] for item in attributes["Attributes"]}
        return group | {"deregistration_delay": by_key["deregistration_delay.timeout_seconds"]}

    def point(self, template_id: str, version: int) -> None:
        """Set the version that new instances start from."""
        self.a.client("autoscaling").update_auto_scaling_group(
            AutoScalingGroupName=self.asg_name,
            LaunchTemplate={"LaunchTemplateId": template_id, "Version": str(version)},
        )

    def terminate(self, instance_id: str) -> None:
        """Take one instance out; the group starts another from the version it is set to.

        AWS deregisters what its group terminates; an emulator leaves it in the target group.
        """
        try:
            self.a.client("elbv2").deregister_targets(
                TargetGroupArn=self.target_group_arn, Targets=[{"Id": instance_id}]
            )
        except Exception as exc:
            if error_code(exc) != "InvalidTarget":  # deregistered before this was cut off
                raise
        self.a.client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId=instance_id, ShouldDecrementDesiredCapacity=False
        )

    def _group(self) -> dict[str, Any]:
        groups = self.a.pages(
            "autoscaling",
            "describe_auto_scaling_groups",
            "AutoScalingGroups",
            AutoScalingGroupNames=[self.asg_name],
        )
        if not groups:
            every = self.a.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups")
            known = ", ".join(g["AutoScalingGroupName"] for g in every[:10]) or "none"
            raise NotFoundError(
                f"There is no auto-scaling group {self.asg_name!r} in {self.a.region}; there are: "
                f"{known}."
            )
        group: dict[str, Any] = groups[0]
        return group

    def _instances(self, group: dict[str, Any], template_id: str) -> tuple[Instance, ...]:
        emulated = self.a.is_emulator
        by_data = self._versions_by_user_data(template_id) if emulated else {}
        found = []
        for item in group["Instances"]:
            if emulated:
                versions = by_data.get(self._user_data(item["InstanceId"]), frozenset())
            else:
                versions = frozenset({int(item.get("LaunchTemplate", {}).get("Version", 0))})
            found.append(Instance(item["InstanceId"], item["LifecycleState"], versions))
        return tuple(sorted(found, key=lambda instance: instance.id))

    def _versions_by_user_data(self, template_id: str) -> dict[str, frozenset[int]]:
        by_data: dict[str, frozenset[int]] = {}
        for item in self.template_versions(template_id):
            data = item["LaunchTemplateData"].get("UserData") or ""
            by_data[data] = by_data.get(data, frozenset()) | {int(item["VersionNumber"])}
        return by_data

    def _user_data(self, instance_id: str) -> str:
        answer = self.a.client("ec2").describe_instance_attribute(
            InstanceId=instance_id, Attribute="userData"
        )
        return str(answer.get("UserData", {}).get("Value") or "")

    def _health(self) -> dict[str, str]:
        answer = self.a.client("elbv2").describe_target_health(TargetGroupArn=self.target_group_arn)
        health = {}
        for item in answer["TargetHealthDescriptions"]:
            state, why = item["TargetHealth"]["State"], item["TargetHealth"].get("Description")
            health[item["Target"]["Id"]] = (
                f"{state}: {why}" if why and state != "healthy" else state
            )
        return health
