"""Changes an auto-scaling group that is there: its sizes, and what it launches."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.differences import Difference, Planned, differences, is_not
from opswright_aws_devops.instances.group_releases import (
    Group,
    load_group,
    newest_refresh,
    return_template,
    start_refresh,
)
from opswright_aws_devops.instances.setup import ImageName, choose_image, find_architecture
from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.steps import send
from opswright_aws_devops.tools.scaling import GROUP, AsgName
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, Unread, check

TEMPLATE_VERSION = "ec2:launch-template-version"
REFRESH_SECONDS = 3600.0
SIZES_SECONDS = 900.0
TYPE, IMAGE = "instance_type", "image"
SIZES = {"min_size": "MinSize", "max_size": "MaxSize", "desired": "DesiredCapacity"}
Size = Annotated[int | None, Field(ge=0, le=1000)]


class GroupRelease(BaseModel):
    """A group as it is now; `was_version` is what it launched before."""

    asg_name: str
    min_size: int
    max_size: int
    desired: int
    launch_template_version: int
    was_version: int
    instance_type: str
    image_id: str
    instance_ids: list[str]


@write_tool(toolset="compute")
def update_auto_scaling_group(
    asg_name: AsgName,
    min_size: Annotated[Size, Field(description="Fewest servers")] = None,
    max_size: Annotated[Size, Field(description="Most servers")] = None,
    desired: Annotated[Size, Field(description="Servers now")] = None,
    instance_type: Annotated[str | None, Field(description="Size", max_length=40)] = None,
    image: ImageName | None = None,
    refresh: Annotated[bool, Field(description="Replace running servers in batches")] = True,
    target: Target = HERE,
) -> Work[GroupRelease]:
    """Change an auto-scaling group's sizes, or its instance type or image by a template version.

    What is not given stays.
    """
    a = aws(target)
    given = {"min_size": min_size, "max_size": max_size, "desired": desired, TYPE: instance_type}
    if image is None and all(value is None for value in given.values()):
        raise BadInputError(
            "Nothing to change: give min_size, max_size, desired, instance_type or image."
        )
    planned = Planned(f"Auto-scaling group {asg_name}", lambda: load_group(a, asg_name))

    def wanted(group: Group) -> dict[str, Any]:
        booted = choose_image(a, image, instance_type or group.instance_type) if image else None
        return {**given, IMAGE: booted.id if booted else None}

    def judge(_: GroupRelease) -> list[Check]:
        group = load_group(a, asg_name)
        return judge_group(group, wanted(group), refresh=refresh, replaces=not a.is_emulator)

    def plan() -> ChangePlan:
        group = planned.read()
        return _plan(a, group, wanted(group), refresh)

    def apply(rec: Recorder) -> GroupRelease:
        group = planned.confirm()
        return _apply(a, rec, group, wanted(group), refresh, target)

    def existing() -> GroupRelease:
        group = load_group(a, asg_name)
        return _outputs(group, was=group.version)

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=judge,
        outputs=GroupRelease,
        existing=existing,
    )


def _settings(group: Group) -> dict[str, Any]:
    return {
        "min_size": group.min_size,
        "max_size": group.max_size,
        "desired": group.desired,
        TYPE: group.instance_type,
        IMAGE: group.image_id,
    }


def _plan(a: Aws, group: Group, wanted: dict[str, Any], refresh: bool) -> ChangePlan:
    found = differences(_settings(group), wanted)
    _require_possible(a, group, found)
    launched = [str(one) for word, one in found.items() if word not in SIZES]
    sized = [str(one) for word, one in found.items() if word in SIZES]
    actions = []
    if launched:
        actions.append(
            Action(
                verb="create", type=TEMPLATE_VERSION, name=group.template["LaunchTemplateId"],
                detail="; ".join(launched),
            )
        )  # fmt: skip
        sized.append(f"the new version, in place of {group.version}")
    if found:
        detail = "; ".join(sized)
        actions.append(Action(verb="modify", type=GROUP, name=group.name, detail=detail))
    if launched and refresh:
        detail = f"{len(group.running)} servers, in batches"
        actions.append(Action(verb="replace", type="ec2:instance", name=group.name, detail=detail))
    return ChangePlan(
        summary=f"Update auto-scaling group {group.name}: {'; '.join(map(str, found.values()))}",
        actions=actions,
        warnings=_warnings(group, found, refresh),
        observed={
            "template": group.template,
            "sizes": [group.min_size, group.max_size],
            "desired": group.desired if "desired" in found else None,
        },
    )


def _require_possible(a: Aws, group: Group, found: dict[str, Difference]) -> None:
    sizes = _settings(group) | {word: one.new for word, one in found.items()}
    if SIZES.keys() & found.keys():
        least, most = sizes["min_size"], sizes["max_size"]
        desired = sizes["desired"] if "desired" in found else least
        if not least <= desired <= most:
            raise BadInputError(
                f"min_size {least}, desired {desired}, max_size {most}: they have to grow in that "
                "order; give the others too."
            )
    if not {TYPE, IMAGE} & found.keys():
        return
    if not group.template:
        raise BadInputError(
            f"{group.name} launches by a launch configuration or a mixed-instances policy, not by "
            "one template: instance_type and image cannot be changed here (change_aws can)."
        )
    architecture = find_architecture(a, sizes[TYPE])
    own = _architecture_of(a, group.image_id)
    if TYPE in found and IMAGE not in found and own not in (None, architecture):
        raise BadInputError(
            f"instance_type {sizes[TYPE]} is {architecture}, the template's image {own}; give "
            "an image of that architecture too (image: al2023)."
        )


def _architecture_of(a: Aws, image_id: str) -> str | None:
    """An image's architecture; None where it cannot be told (a parameter, or it is gone)."""
    ec2 = a.client("ec2")
    if not image_id.startswith("ami-"):
        return None
    images = if_exists(lambda: ec2.describe_images(ImageIds=[image_id])["Images"])
    return (first(images) or {}).get("Architecture")


def _warnings(group: Group, found: dict[str, Difference], refresh: bool) -> list[str]:
    said = []
    if {TYPE, IMAGE} & found.keys():
        if refresh:
            said.append(
                "Each server is terminated and another launched; what is on its disk alone is "
                "lost. An undo replaces them once more."
            )
            if len(group.running) < 2:
                said.append("One server alone: nothing answers while it is replaced.")
            if not group.balanced:
                said.append("No load balancer's health check counts: a broken image is not seen.")
        else:
            said.append("Running servers stay as they are; only new ones are launched so.")
    desired = found.get("desired")
    most = found.get("max_size")
    fewer = (desired.new if desired else group.desired, most.new if most else group.desired)
    if min(fewer) < group.desired:
        said.append(f"{group.desired - min(fewer)} servers are terminated.")
    if 0 in fewer:
        said.append("No server is left running.")
    return said


def _apply(
    a: Aws, rec: Recorder, group: Group, wanted: dict[str, Any], refresh: bool, target: AwsTarget
) -> GroupRelease:
    asg, found = a.client("autoscaling"), differences(_settings(group), wanted)
    name, touched = group.name, ResourceRef(
        type=GROUP, id=group.name, name=group.name, action="modified"
    )  # fmt: skip
    sizes = {SIZES[word]: one.new for word, one in found.items() if word in SIZES}
    if sizes:
        rec.step(
            f"sizes of {name}: {', '.join(f'{k} {v}' for k, v in sizes.items())}",
            lambda: send(asg.update_auto_scaling_group, AutoScalingGroupName=name, **sizes),
            undo=_undo_sizes(group, found, target, a.region),
            resource=touched,
        )
    # Kept with the first step that is about it: a call that was cut off finds the new version.
    before = group.version
    if {TYPE, IMAGE} & found.keys():
        version = _make_version(a, rec, group, found, target)
        rec.step(
            f"template version {version} for {name}",
            lambda: send(
                asg.update_auto_scaling_group,
                AutoScalingGroupName=name,
                LaunchTemplate={**group.template, "Version": str(version)},
            ),
            undo=[return_template(group, refresh, target, a.region)],
            resource=touched,
        )
    if refresh and _others(load_group(a, name)):
        _replace_servers(a, rec, name)
    rec.wait(
        f"{name} with its servers in service",
        lambda: _is_settled(load_group(a, name)),
        timeout_seconds=SIZES_SECONDS,
    )
    if a.is_emulator:
        rec.gap("The emulator boots no servers: nothing runs on the instances.")
    return _outputs(load_group(a, name), was=before)


def _is_settled(group: Group) -> bool:
    return len(group.running) >= group.desired


def _others(group: Group) -> int:
    """How many servers were launched by another version than the group's."""
    return sum(version != group.version for version in group.running.values())


def _make_version(
    a: Aws, rec: Recorder, group: Group, found: dict[str, Difference], target: AwsTarget
) -> int:
    """A version that differs from the group's in type or image alone; its number."""
    ec2, template = a.client("ec2"), {"LaunchTemplateId": group.template["LaunchTemplateId"]}
    words = {TYPE: "InstanceType", IMAGE: "ImageId"}
    data = {theirs: found[word].new for word, theirs in words.items() if word in found}

    if a.is_emulator:  # it takes nothing over from the source version
        data = {**group.data, **data}

    mark = f"opswright {rec.change_id} after {group.version}"

    def make() -> dict[str, int]:
        made = ec2.create_launch_template_version(
            **template,
            SourceVersion=str(group.version),
            VersionDescription=mark,
            LaunchTemplateData=data,
            ClientToken=f"{rec.change_id}-{group.version}",
        )
        return {"version": made["LaunchTemplateVersion"]["VersionNumber"]}

    def find() -> dict[str, int] | None:
        there = a.pages(
            "ec2", "describe_launch_template_versions", "LaunchTemplateVersions", **template
        )
        made = first([one for one in there if one.get("VersionDescription") == mark])
        return {"version": made["VersionNumber"]} if made else None

    def undo(result: dict[str, int]) -> list[UndoStep]:
        if a.is_emulator:
            return []
        which = {**template, "Versions": [str(result["version"])]}
        return [
            aws_undo(
                f"delete version {result['version']} of {template['LaunchTemplateId']}", "ec2",
                "delete_launch_template_versions", which, target=target, region=a.region,
                gone=("describe_launch_template_versions", which, "LaunchTemplateVersions[]"),
            )
        ]  # fmt: skip

    if a.is_emulator:
        rec.gap("The emulator deletes no template versions: an undo leaves the new one, unused.")
    made: dict[str, int] = rec.step(
        f"template version after {group.version}", make, undo=undo, find=find,
        resource=lambda result: ResourceRef(
            type=TEMPLATE_VERSION, id=f"{template['LaunchTemplateId']}:{result['version']}"
        ),
    )  # fmt: skip
    return made["version"]


def _replace_servers(a: Aws, rec: Recorder, name: str) -> None:
    """Replace what another version launched, and wait for it. Raises OpswrightError."""
    started: dict[str, str | None] = rec.step(
        f"instance refresh of {name}", lambda: {"id": start_refresh(a, name)}
    )
    if started["id"] is None:
        rec.gap("The emulator replaces no servers: those that run are of the version before.")
        return

    def is_over() -> bool:
        refresh = newest_refresh(a, name) or {}
        status = refresh.get("Status", "")
        if status in {"Failed", "Cancelled", "RollbackFailed", "RollbackSuccessful"}:
            raise OpswrightError(
                f"The instance refresh of {name} is {status}: "
                f"{refresh.get('StatusReason', 'no reason given')} undo_change returns the group."
            )
        return bool(status == "Successful")

    rec.wait(
        f"the servers of {name} replaced",
        is_over,
        timeout_seconds=REFRESH_SECONDS,
        every_seconds=15,
    )


def _undo_sizes(
    group: Group, found: dict[str, Difference], target: AwsTarget, region: str
) -> list[UndoStep]:
    """The sizes of before; the number of servers is verified only where it was asked for."""
    old = {"MinSize": group.min_size, "MaxSize": group.max_size, "DesiredCapacity": group.desired}
    sure = {
        word: size for word, size in old.items() if word in {SIZES[w] for w in found if w in SIZES}
    }
    return [
        aws_undo(
            f"give {group.name} its sizes back: {group.min_size} to {group.max_size}, "
            f"{group.desired} now", "autoscaling", "update_auto_scaling_group",
            {"AutoScalingGroupName": group.name, **old}, target=target, region=region,
            gone=(
                "describe_auto_scaling_groups", {"AutoScalingGroupNames": [group.name]},
                f"AutoScalingGroups[?{is_not(sure)}]",
            ),
        )
    ]  # fmt: skip


def _outputs(group: Group, *, was: int) -> GroupRelease:
    return GroupRelease(
        asg_name=group.name,
        min_size=group.min_size,
        max_size=group.max_size,
        desired=group.desired,
        launch_template_version=group.version,
        was_version=was,
        instance_type=group.instance_type,
        image_id=group.image_id,
        instance_ids=sorted(group.running),
    )


def judge_group(
    group: Group, wanted: dict[str, Any], *, refresh: bool, replaces: bool
) -> list[Check]:
    """Whether the group is as asked for, with its servers in service.

    `replaces` is False where the backend replaces no servers: whether they are new is UNKNOWN then.
    """
    found = differences(_settings(group), wanted)
    idle = Unread(operation="autoscaling:StartInstanceRefresh", reason="this backend has none")
    facts: list[tuple[str, bool | Unread, str]] = [
        (f"Its {word} is as asked", word not in found, str(found.get(word, "")))
        for word, value in wanted.items()
        if value is not None and (word != "desired" or value)
    ]
    running, others = len(group.running), _others(group)
    facts.append(
        ("Its servers are in service", _is_settled(group), f"{running} of {group.desired}")
    )
    if refresh and (wanted[TYPE] or wanted[IMAGE]):
        facts.append(
            (
                "All servers are of its template version",
                not others or (False if replaces else idle),
                f"{others} of another",
            )
        )
    return [check(name, ok, evidence, group.name) for name, ok, evidence in facts]
