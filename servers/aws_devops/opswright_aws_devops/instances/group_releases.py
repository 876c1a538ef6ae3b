"""What an auto-scaling group launches: its template's version, a new one, and the way back."""

import time
from dataclasses import dataclass, field
from typing import Any

from opswright_aws_devops.lookup import first
from opswright_core.aws import Aws, AwsTarget, translate
from opswright_core.errors import EmulatorGapError, NotFoundError, OpswrightError
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

RETURN_TEMPLATE = "autoscaling-template"
"""The kind of undo step that gives a group the template version back that it launched."""

ACTIVE = frozenset({"Pending", "InProgress", "Cancelling", "RollbackInProgress"})
CANCEL_SECONDS = 600.0


@dataclass(frozen=True)
class Group:
    """What was read of a group, and of the version of its template that it launches."""

    name: str
    template: dict[str, str]
    """`LaunchTemplateId` and `Version`, as the group has them; empty without a template."""
    version: int
    """The number that the version is by now ($Default and $Latest are names)."""
    data: dict[str, Any]
    """EC2's `LaunchTemplateData` of that version."""
    min_size: int
    max_size: int
    balanced: bool
    """Whether a load balancer's health check counts."""
    desired: int = field(compare=False)  # scaling may set another at any time
    running: dict[str, int] = field(compare=False)
    """By id the template's version of each server in service; 0: of another template."""

    @property
    def image_id(self) -> str:
        """The image that it boots."""
        return str(self.data.get("ImageId", ""))

    @property
    def instance_type(self) -> str:
        """The type of its servers."""
        return str(self.data.get("InstanceType", ""))


def load_group(a: Aws, name: str) -> Group:
    """Read a group. Raises NotFoundError."""
    asg, ec2 = a.client("autoscaling"), a.client("ec2")
    found = first(
        asg.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"]
    )
    if found is None:
        raise NotFoundError(f"There is no auto-scaling group {name!r} in {a.region}.")
    own = found.get("LaunchTemplate") or {}
    template, data, number = {}, {}, 0
    if own:
        template = {
            "LaunchTemplateId": own["LaunchTemplateId"],
            "Version": own.get("Version", "$Default"),
        }
        (read,) = ec2.describe_launch_template_versions(
            LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]]
        )["LaunchTemplateVersions"]
        data, number = read["LaunchTemplateData"], read["VersionNumber"]
    return Group(
        name=name,
        template=template,
        version=number,
        data=data,
        min_size=found["MinSize"],
        max_size=found["MaxSize"],
        balanced=found.get("HealthCheckType") == "ELB",
        desired=found["DesiredCapacity"],
        running={
            i["InstanceId"]: _version_of(i, template)
            for i in found.get("Instances", [])
            if i["LifecycleState"] == "InService"
        },
    )


def _version_of(instance: dict[str, Any], template: dict[str, str]) -> int:
    launched = instance.get("LaunchTemplate") or {}
    same = launched.get("LaunchTemplateId") == template.get("LaunchTemplateId")
    version = str(launched.get("Version", ""))
    return int(version) if same and version.isdigit() else 0


def newest_refresh(a: Aws, name: str) -> dict[str, Any] | None:
    """A group's newest instance refresh; None when there was none, or the emulator has none."""
    asg = a.client("autoscaling")
    try:
        return first(
            asg.describe_instance_refreshes(AutoScalingGroupName=name)["InstanceRefreshes"]
        )
    except Exception as exc:
        if isinstance(translate(exc), EmulatorGapError):
            return None
        raise


def start_refresh(a: Aws, name: str) -> str | None:
    """Replace the servers that are not as the template says; its id, None on an emulator's gap.

    One that is under way is taken for it: it replaces by the template of now.
    """
    asg = a.client("autoscaling")
    try:
        answer = asg.start_instance_refresh(
            AutoScalingGroupName=name, Preferences={"SkipMatching": True}
        )
    except asg.exceptions.InstanceRefreshInProgressFault:
        return str((newest_refresh(a, name) or {}).get("InstanceRefreshId", ""))
    except Exception as exc:
        if isinstance(translate(exc), EmulatorGapError):
            return None
        raise
    return str(answer["InstanceRefreshId"])


def return_template(group: Group, refresh: bool, target: AwsTarget, region: str) -> UndoStep:
    """The inverse of another template version: the one that the group launches now."""
    replaced = ", and replace the servers that are not of it" if refresh else ""
    return UndoStep(
        kind=RETURN_TEMPLATE,
        description=f"have {group.name} launch version {group.template['Version']} of its template "
        f"again{replaced}",
        args={
            "group": group.name,
            "template": group.template,
            "version": group.version,
            "refresh": refresh,
            "target": target.model_copy(update={"region": region}).model_dump(exclude_none=True),
        },
    )


class TemplateUndo:
    """Gives a group its former template version back; a group that is gone is no error."""

    def replay(self, step: UndoStep) -> None:
        """End a refresh under way, set the version, and begin a refresh back where it is wanted.

        Raises OpswrightError when the refresh under way does not end in time.
        """
        args, a = step.args, aws(AwsTarget(**step.args["target"]))
        asg, name = a.client("autoscaling"), args["group"]
        try:
            group = load_group(a, name)
        except NotFoundError:
            return
        if group.template != args["template"]:
            self._end_refresh(a, name)
            asg.update_auto_scaling_group(
                AutoScalingGroupName=name, LaunchTemplate=args["template"]
            )
        if args["refresh"] and set(group.running.values()) - {args["version"]}:
            start_refresh(a, name)

    def _end_refresh(self, a: Aws, name: str) -> None:
        asg, deadline, pause = a.client("autoscaling"), time.monotonic() + CANCEL_SECONDS, 0.5
        while (newest_refresh(a, name) or {}).get("Status") in ACTIVE:
            if time.monotonic() > deadline:
                raise OpswrightError(
                    f"The instance refresh of {name} did not end within {CANCEL_SECONDS:.0f} s; "
                    "undo again later."
                )
            try:
                asg.cancel_instance_refresh(AutoScalingGroupName=name)
            except asg.exceptions.ActiveInstanceRefreshNotFoundFault:
                return
            time.sleep(pause)
            pause = min(pause * 2, 15.0)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the group launches its former version; servers may be replaced still."""
        args = step.args

        def read() -> Group | None:
            try:
                return load_group(aws(AwsTarget(**args["target"])), args["group"])
            except NotFoundError:
                return None

        found = attempt(read)
        if isinstance(found, Unread):
            return check(step.description, found)
        if found is None:
            return check(step.description, True, "the group is gone")
        others = sum(version != args["version"] for version in found.running.values())
        evidence = f"version {found.version}; {others} servers of another, being replaced"
        return check(step.description, found.template == args["template"], evidence)
