"""Load balancers and servers in an exported script. Each function is copied into it."""

import json
import time
from typing import Any

from opswright_aws_devops.export.script.building import Building, or_none


def tags_of_elb(it: Building, arn: str) -> list[dict[str, str]]:
    """The tags of a load balancer or target group."""
    answer = it.client("elbv2").describe_tags(ResourceArns=[arn])
    tags: list[dict[str, str]] = answer["TagDescriptions"][0]["Tags"]
    return tags


def target_group(
    it: Building, key: str, *, Name: str, Tags: Any = (), TargetGroupAttributes: Any = (),
    **own: Any,
) -> dict[str, Any]:  # fmt: skip
    """A target group."""
    elb = it.client("elbv2")

    def find() -> dict[str, Any] | None:
        found = or_none(lambda: elb.describe_target_groups(Names=[Name]), "TargetGroupNotFound")
        if not found:
            return None
        group: dict[str, Any] = found["TargetGroups"][0]
        it.must_be_ours(key, f"Target group {Name}", tags_of_elb(it, group["TargetGroupArn"]))
        return group

    def create() -> dict[str, Any]:
        made = elb.create_target_group(Name=Name, Tags=it.tags(key, Tags), **own)
        group: dict[str, Any] = made["TargetGroups"][0]
        return group

    made = it.part(key, "target group", find, create)
    if TargetGroupAttributes:
        it.setting(
            elb.modify_target_group_attributes,
            TargetGroupArn=made["TargetGroupArn"],
            Attributes=TargetGroupAttributes,
        )
    return made


def load_balancer(
    it: Building,
    key: str,
    *,
    Name: str,
    Tags: Any = (),
    LoadBalancerAttributes: Any = (),
    **own: Any,
) -> dict[str, Any]:
    """A load balancer, available."""
    elb = it.client("elbv2")

    def find() -> dict[str, Any] | None:
        found = or_none(lambda: elb.describe_load_balancers(Names=[Name]), "LoadBalancerNotFound")
        if not found:
            return None
        balancer: dict[str, Any] = found["LoadBalancers"][0]
        it.must_be_ours(key, f"Load balancer {Name}", tags_of_elb(it, balancer["LoadBalancerArn"]))
        return balancer

    def create() -> dict[str, Any]:
        made = elb.create_load_balancer(Name=Name, Tags=it.tags(key, Tags), **own)
        balancer: dict[str, Any] = made["LoadBalancers"][0]
        return balancer

    made = it.part(key, "load balancer", find, create)
    arn = made["LoadBalancerArn"]
    it.wait("elbv2", "load_balancer_available", LoadBalancerArns=[arn])
    if LoadBalancerAttributes:
        it.setting(
            elb.modify_load_balancer_attributes,
            LoadBalancerArn=arn,
            Attributes=LoadBalancerAttributes,
        )
    return made


def listener(
    it: Building, key: str, *, LoadBalancerArn: str, Port: int, **own: Any
) -> dict[str, Any]:
    """A listener; a load balancer has one for each port."""
    elb = it.client("elbv2")

    def find() -> dict[str, Any] | None:
        if not LoadBalancerArn.startswith("arn:"):  # missing still, in a dry run
            return None
        found = elb.describe_listeners(LoadBalancerArn=LoadBalancerArn)["Listeners"]
        return next((item for item in found if item["Port"] == Port), None)

    def create() -> dict[str, Any]:
        made = elb.create_listener(LoadBalancerArn=LoadBalancerArn, Port=Port, **own)
        found: dict[str, Any] = made["Listeners"][0]
        return found

    return it.part(key, "listener", find, create)


def role(
    it: Building, key: str, *, RoleName: str, AssumeRolePolicyDocument: Any, Tags: Any = (),
    ManagedPolicyArns: Any = (), Policies: Any = (), **own: Any,
) -> dict[str, Any]:  # fmt: skip
    """A role with its policies."""
    iam, which = it.client("iam"), {"RoleName": RoleName}

    def find() -> dict[str, Any] | None:
        if found := or_none(lambda: iam.get_role(**which)["Role"], "NoSuchEntity"):
            it.must_be_ours(key, f"Role {RoleName}", found.get("Tags", []))
        there: dict[str, Any] | None = found
        return there

    def create() -> dict[str, Any]:
        trust = json.dumps(AssumeRolePolicyDocument)
        made = iam.create_role(
            **which, AssumeRolePolicyDocument=trust, Tags=it.tags(key, Tags), **own
        )
        found: dict[str, Any] = made["Role"]
        return found

    made = it.part(key, "role", find, create)
    for arn in ManagedPolicyArns:
        it.setting(iam.attach_role_policy, **which, PolicyArn=arn)
    for policy in Policies:
        document = json.dumps(policy["PolicyDocument"])
        name = policy["PolicyName"]
        it.setting(iam.put_role_policy, **which, PolicyName=name, PolicyDocument=document)
    return made


def instance_profile(
    it: Building, key: str, *, InstanceProfileName: str, Roles: list[str]
) -> dict[str, Any]:
    """An instance profile with its role."""
    iam, which = it.client("iam"), {"InstanceProfileName": InstanceProfileName}

    def find() -> dict[str, Any] | None:
        found = or_none(lambda: iam.get_instance_profile(**which), "NoSuchEntity")
        if not found:
            return None
        profile: dict[str, Any] = found["InstanceProfile"]
        what = f"Instance profile {InstanceProfileName}"
        it.must_be_ours(key, what, profile.get("Tags", []))
        return profile

    def create() -> dict[str, Any]:
        named = [{"Key": "Name", "Value": InstanceProfileName}]
        made = iam.create_instance_profile(**which, Tags=it.tags(key, named))
        profile: dict[str, Any] = made["InstanceProfile"]
        iam.get_waiter("instance_profile_exists").wait(**which)
        return profile

    made = it.part(key, "instance profile", find, create)
    there = [] if it.dry_run else iam.get_instance_profile(**which)["InstanceProfile"]["Roles"]
    if not there:
        it.setting(iam.add_role_to_instance_profile, **which, RoleName=Roles[0])
    return made


def launch_template(
    it: Building, key: str, *, LaunchTemplateName: str, LaunchTemplateData: Any,
    TagSpecifications: Any = (),
) -> dict[str, Any]:  # fmt: skip
    """A launch template."""
    ec2 = it.client("ec2")
    named = [{"Name": "launch-template-name", "Values": [LaunchTemplateName]}]

    def find() -> dict[str, Any] | None:
        found = ec2.describe_launch_templates(Filters=named)["LaunchTemplates"]
        if not found:
            return None
        template: dict[str, Any] = found[0]
        what = f"Launch template {LaunchTemplateName}"
        it.must_be_ours(key, what, template.get("Tags", []))
        return {**template, "LatestVersionNumber": str(template["LatestVersionNumber"])}

    def create() -> dict[str, Any]:
        tagged = [{**one, "Tags": it.tags(key, one["Tags"])} for one in TagSpecifications]
        template: dict[str, Any] = ec2.create_launch_template(
            LaunchTemplateName=LaunchTemplateName,
            LaunchTemplateData=LaunchTemplateData,
            TagSpecifications=tagged,
        )["LaunchTemplate"]
        return {**template, "LatestVersionNumber": str(template["LatestVersionNumber"])}

    return it.part(key, "launch template", find, create)


def auto_scaling_group(
    it: Building, key: str, *, AutoScalingGroupName: str, Tags: Any = (), VPCZoneIdentifier: Any,
    MinSize: str, MaxSize: str, DesiredCapacity: str, MetricsCollection: Any = (), **own: Any,
) -> dict[str, Any]:  # fmt: skip
    """An auto-scaling group; it is not waited for until its instances are in service."""
    asg, which = it.client("autoscaling"), {"AutoScalingGroupName": AutoScalingGroupName}
    mine = {"ResourceId": AutoScalingGroupName, "ResourceType": "auto-scaling-group"}

    def find() -> dict[str, Any] | None:
        found = asg.describe_auto_scaling_groups(AutoScalingGroupNames=[AutoScalingGroupName])
        if not found["AutoScalingGroups"]:
            return None
        group: dict[str, Any] = found["AutoScalingGroups"][0]
        it.must_be_ours(key, f"Auto-scaling group {AutoScalingGroupName}", group["Tags"])
        return group

    def create() -> dict[str, Any]:
        sizes = {
            "MinSize": int(MinSize),
            "MaxSize": int(MaxSize),
            "DesiredCapacity": int(DesiredCapacity),
        }
        tags = [{"PropagateAtLaunch": False, **tag, **mine} for tag in it.tags(key, Tags)]
        subnets = ",".join(VPCZoneIdentifier)
        for left in range(18, -1, -1):  # IAM's news of a new instance profile takes a minute
            try:
                asg.create_auto_scaling_group(
                    **which, **sizes, VPCZoneIdentifier=subnets, Tags=tags, **own
                )
                break
            except asg.exceptions.ClientError as error:
                if not left or "nstance profile" not in str(error).lower():
                    raise
                time.sleep(5)
        return which

    made = it.part(key, "auto-scaling group", find, create)
    for collected in MetricsCollection:
        it.setting(asg.enable_metrics_collection, **which, **collected)
    return made


def scaling_policy(
    it: Building, key: str, *, AutoScalingGroupName: str, **own: Any
) -> dict[str, Any]:
    """How a group scales; the same name again replaces it."""
    which = {"AutoScalingGroupName": AutoScalingGroupName, "PolicyName": key}
    it.setting(it.client("autoscaling").put_scaling_policy, **which, **own)
    return which
