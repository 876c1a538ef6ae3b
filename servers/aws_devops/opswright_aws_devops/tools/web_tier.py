"""Web tiers: an auto-scaling group behind a target group, with its role and launch template."""

import functools
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.access.roles import ROLE
from opswright_aws_devops.instances.profile import PROFILE, make_profile
from opswright_aws_devops.instances.setup import (
    InstanceType,
    find_image,
    first_boot,
    launch_data,
)
from opswright_aws_devops.instances.templates import (
    TEMPLATE,
    claim_parts,
    load_parts,
    make_template,
)
from opswright_aws_devops.lookup import first, must_exist
from opswright_aws_devops.networking.placement import place
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding
from opswright_aws_devops.steps import send
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, check

GROUP = "autoscaling:group"
CPU_PERCENT = 60.0
IN_SERVICE_SECONDS = 900.0


class WebTier(BaseModel):
    """An auto-scaling group and what it launches; `instance_ids` are those in service."""

    asg_name: str
    launch_template_id: str
    launch_template_version: int
    instance_profile_arn: str
    instance_ids: list[str]
    azs: list[str]


@write_tool()
def create_web_tier(
    name: ResourceName,
    subnet_ids: Annotated[list[str], Field(description="In two zones", min_length=2)],
    security_group_ids: Annotated[list[str], Field(description="At least one", min_length=1)],
    target_group_arn: Annotated[str, Field(description="To register in", max_length=300)],
    instance_type: InstanceType = "t3.small",
    min_size: Annotated[int, Field(description="Fewest servers", ge=1, le=100)] = 2,
    max_size: Annotated[int, Field(description="Most servers", ge=1, le=100)] = 6,
    app_port: Annotated[int, Field(description="They listen on", ge=1, le=65535)] = 8080,
    artifact_bucket: Annotated[str, Field(description="Whose releases/* they may read")]
    | None = None,
    target: Target = HERE,
) -> Work[WebTier]:
    """Create an auto-scaling group of Linux servers behind a target group."""
    if max_size < min_size:
        raise BadInputError(f"max_size {max_size} is below min_size {min_size}; raise it.")
    a = aws(target)
    request = Request.of(
        "create_web_tier",
        name,
        subnets=subnet_ids,
        groups=security_group_ids,
        target_group=target_group_arn,
        type=instance_type,
        sizes=[min_size, max_size],
        port=app_port,
        bucket=artifact_bucket,
    )
    wanted = [
        Action(verb="create", type=ROLE, name=name, detail="Session Manager, reading releases"),
        Action(verb="create", type=PROFILE, name=name),
        Action(verb="create", type=TEMPLATE, name=name, detail=f"{instance_type}, IMDSv2 only"),
        Action(verb="create", type=GROUP, name=name, detail=f"{min_size} to {max_size} instances"),
    ]
    group = {
        "MinSize": min_size,
        "MaxSize": max_size,
        "DesiredCapacity": min_size,
        "VPCZoneIdentifier": ",".join(subnet_ids),
        "TargetGroupARNs": [target_group_arn],
    }
    build = functools.partial(
        launch_data,
        request,
        instance_type=instance_type,
        security_group_ids=security_group_ids,
        user_data=first_boot(app_port),
    )

    def plan() -> ChangePlan:
        placement = place(a, subnet_ids, security_group_ids)
        _require_target_group(a, target_group_arn, placement.vpc_id)
        image_id = find_image(a, instance_type)
        if artifact_bucket:
            s3 = a.client("s3")
            must_exist(f"Bucket {artifact_bucket}", lambda: s3.head_bucket(Bucket=artifact_bucket))
        known = _known(a, request)
        warnings = [] if min_size > 1 else ["One instance: its zone's failure stops the service."]
        return ChangePlan(
            summary=f"Create web tier {name}: {min_size} to {max_size} {instance_type} over "
            f"{', '.join(placement.azs)}",
            actions=outstanding(wanted, known),
            warnings=[*warnings, f"{min_size} instances or more are billed by the hour."],
            observed={"known": known, "image": image_id},
        )

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=lambda rec: _apply(
            a,
            rec,
            request,
            lambda profile_arn: build(
                image_id=find_image(a, instance_type), profile_arn=profile_arn
            ),
            group,
            artifact_bucket,
            target,
        ),
        verify=lambda made: judge_web_tier(
            made, target_group_arn, load_group(a, made.asg_name), spread=not a.is_emulator
        ),
        outputs=WebTier,
    )


def _require_target_group(a: Aws, arn: str, vpc_id: str) -> None:
    elb = a.client("elbv2")
    (found,) = must_exist(
        f"Target group {arn}",
        lambda: elb.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"],
    )
    if found["TargetType"] != "instance":
        raise BadInputError(
            f"The target group takes targets by {found['TargetType']}; an auto-scaling group "
            "registers its servers by instance, so use a group of that type."
        )
    if found["VpcId"] != vpc_id:
        raise BadInputError(
            f"The target group is in {found['VpcId']}, the subnets in {vpc_id}; use one VPC."
        )


def load_group(a: Aws, name: str) -> dict[str, Any] | None:
    """EC2 Auto Scaling's description of a group, or None when there is none."""
    groups = a.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    return first(groups["AutoScalingGroups"])


def _known(a: Aws, request: Request) -> list[str]:
    """The parts of this request that exist. Raises ConflictError for a name that is another's."""
    parts = {**load_parts(a, request), GROUP: load_group(a, request.name)}
    return [key(kind, request.name) for kind in claim_parts(request, parts)]


def _apply(
    a: Aws,
    rec: Recorder,
    request: Request,
    launch: Callable[[str], dict[str, Any]],
    group: dict[str, Any],
    artifact_bucket: str | None,
    target: AwsTarget,
) -> WebTier:
    name = request.name
    profile_arn = make_profile(a, rec, request, artifact_bucket, target)
    template_id = make_template(a, rec, request, lambda: launch(profile_arn), target)
    _make_group(a, rec, request, template_id, group, target)
    rec.wait(
        f"{group['MinSize']} instances of {name} in service",
        lambda: len(in_service(load_group(a, name))) >= group["MinSize"],
        timeout_seconds=IN_SERVICE_SECONDS,
    )
    made = load_group(a, name) or {}
    instances = in_service(made)
    zones = sorted({instance["AvailabilityZone"] for instance in instances})
    if a.is_emulator:
        rec.gap("The emulator boots no servers: nothing runs on the instances.")
        if not _all_ask_for_tokens(a, instances):
            rec.gap("The emulator does not carry the template's IMDSv2 over to its instances.")
        if len(zones) < 2:
            rec.gap(f"The emulator put all instances into {zones[0]}; AWS spreads them over zones.")
    return WebTier(
        asg_name=name,
        launch_template_id=template_id,
        launch_template_version=int(made["LaunchTemplate"]["Version"]),
        instance_profile_arn=profile_arn,
        instance_ids=[instance["InstanceId"] for instance in instances],
        azs=zones,
    )


def _all_ask_for_tokens(a: Aws, instances: list[dict[str, Any]]) -> bool:
    ids = [instance["InstanceId"] for instance in instances]
    reservations = a.pages("ec2", "describe_instances", "Reservations", InstanceIds=ids)
    options = [i.get("MetadataOptions") or {} for r in reservations for i in r["Instances"]]
    return all(option.get("HttpTokens") == "required" for option in options)


def _make_group(
    a: Aws,
    rec: Recorder,
    request: Request,
    template_id: str,
    group: dict[str, Any],
    target: AwsTarget,
) -> None:
    asg, name = a.client("autoscaling"), request.name
    tags = [
        {"Key": k, "Value": v, "PropagateAtLaunch": False, "ResourceId": name,
         "ResourceType": "auto-scaling-group"}
        for k, v in request.tags(name).items()
    ]  # fmt: skip

    def make() -> dict[str, str]:
        if load_group(a, name) is None:
            asg.create_auto_scaling_group(
                AutoScalingGroupName=name,
                LaunchTemplate={"LaunchTemplateId": template_id, "Version": "1"},
                HealthCheckType="ELB",
                HealthCheckGracePeriod=180,
                DefaultInstanceWarmup=120,
                Tags=tags,
                **group,
            )
        return {"asg_name": name}

    rec.step(
        f"auto-scaling group {name}",
        make,
        undo=[
            aws_undo(
                f"delete auto-scaling group {name} and terminate its instances",
                "autoscaling",
                "delete_auto_scaling_group",
                {"AutoScalingGroupName": name, "ForceDelete": True},
                target=target,
                region=a.region,
                gone=(
                    "describe_auto_scaling_groups",
                    {"AutoScalingGroupNames": [name]},
                    "AutoScalingGroups[]",
                ),
                wait_gone=True,
            )
        ],
        resource=ResourceRef(type=GROUP, id=name, name=name),
    )
    metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}
    tracking = {**metric, "TargetValue": CPU_PERCENT}
    rec.step(  # it goes with its group, so it needs no undo
        f"scale {name} on CPU",
        lambda: send(
            functools.partial(asg.put_scaling_policy, TargetTrackingConfiguration=tracking),
            AutoScalingGroupName=name,
            PolicyName="cpu",
            PolicyType="TargetTrackingScaling",
        ),
    )


def in_service(group: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The instances of a group that are in service."""
    return [i for i in (group or {}).get("Instances", []) if i["LifecycleState"] == "InService"]


def judge_web_tier(
    made: WebTier, target_group_arn: str, group: dict[str, Any] | None, *, spread: bool
) -> list[Check]:
    """Whether the group runs, is attached and is spread; a later release or size is not a fault.

    `spread` is False where the backend cannot spread instances over zones (which is then a gap).
    """
    if group is None:
        return [check("Auto-scaling group exists", False, "there is none", made.asg_name)]
    running = in_service(group)
    least = group["MinSize"]
    zones = sorted({instance["AvailabilityZone"] for instance in running})
    template = group.get("LaunchTemplate", {}).get("LaunchTemplateId")
    facts = [
        ("Auto-scaling group exists", True, ""),
        ("It launches from its template", template == made.launch_template_id, str(template)),
        ("Enough instances are in service", len(running) >= least, f"{len(running)} of {least}"),
        ("It is attached to the target group", target_group_arn in group["TargetGroupARNs"], ""),
        ("The load balancer's health check counts", group["HealthCheckType"] == "ELB", ""),
    ]
    if spread and least > 1:
        facts.append(("Instances are in two zones or more", len(zones) > 1, ", ".join(zones)))
    return [check(name, ok, evidence, made.asg_name) for name, ok, evidence in facts]
