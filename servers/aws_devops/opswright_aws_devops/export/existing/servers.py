"""Existing load balancers, servers and their roles, as parts."""

import json
from typing import Any
from urllib.parse import unquote

from opswright_aws_devops.export.existing.described import Named, Parts, name_of, own_tags

_TARGET_GROUP = (
    "Protocol", "ProtocolVersion", "Port", "TargetType", "VpcId", "HealthCheckProtocol",
    "HealthCheckPort", "HealthCheckPath", "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds", "HealthyThresholdCount", "UnhealthyThresholdCount", "Matcher",
)  # fmt: skip
_AS_MADE = {"HealthCheckPort": "traffic-port", "ProtocolVersion": "HTTP1",
            "Matcher": {"HttpCode": "200"}}  # fmt: skip
_TARGET_GROUP_AS_MADE = {
    "deregistration_delay.timeout_seconds": "300", "slow_start.duration_seconds": "0",
    "stickiness.enabled": "false", "load_balancing.algorithm.type": "round_robin",
}  # fmt: skip
_BALANCER_AS_MADE = {
    "idle_timeout.timeout_seconds": "60", "deletion_protection.enabled": "false",
    "routing.http2.enabled": "true", "routing.http.drop_invalid_header_fields.enabled": "false",
    "routing.http.preserve_host_header.enabled": "false", "client_keep_alive.seconds": "3600",
    "routing.http.desync_mitigation_mode": "defensive", "waf.fail_open.enabled": "false",
    "routing.http.xff_header_processing.mode": "append",
    "routing.http.xff_client_port.enabled": "false",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": "false",
}  # fmt: skip
_STICKY = ("stickiness.enabled", "stickiness.type", "stickiness.lb_cookie.duration_seconds")
_DATA = (
    "ImageId", "InstanceType", "IamInstanceProfile", "SecurityGroupIds", "MetadataOptions",
    "BlockDeviceMappings", "TagSpecifications", "EbsOptimized", "Monitoring", "KeyName",
    "NetworkInterfaces",
)  # fmt: skip
_GROUP = ("HealthCheckType", "HealthCheckGracePeriod", "DefaultInstanceWarmup", "DefaultCooldown",
          "TerminationPolicies", "CapacityRebalance", "MaxInstanceLifetime",
          "NewInstancesProtectedFromScaleIn")  # fmt: skip
_GROUP_AS_MADE = {
    "DefaultCooldown": 300, "TerminationPolicies": ["Default"], "HealthCheckType": "EC2",
    "CapacityRebalance": False,
}  # fmt: skip


def target_group(it: Parts, item: dict[str, Any]) -> None:
    """A target group; what is registered in it by hand is told as left out."""
    name, arn = item["TargetGroupName"], item["TargetGroupArn"]
    own = {
        key: item[key] for key in _TARGET_GROUP if key in item and item[key] != _AS_MADE.get(key)
    }
    attributes = it.a.client("elbv2").describe_target_group_attributes(TargetGroupArn=arn)
    told = {x["Key"]: x["Value"] for x in attributes["Attributes"]}
    kept = {key: told[key] for key, usual in _TARGET_GROUP_AS_MADE.items()
            if told.get(key, usual) != usual}  # fmt: skip
    if "stickiness.enabled" in kept:
        kept |= {key: told[key] for key in _STICKY if key in told}
        if told.get("stickiness.type") == "app_cookie":
            it.leave_out(name, "the name and duration of its application's cookie")
    it.add(
        "ElasticLoadBalancingV2::TargetGroup",
        name,
        {
            "Name": name,
            **own,
            "TargetGroupAttributes": [{"Key": key, "Value": kept[key]} for key in kept],
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"TargetGroupArn": arn},
    )


def load_balancer(it: Parts, item: dict[str, Any]) -> None:
    """A load balancer with its listeners; rules beside the default are told as left out."""
    elb, arn, name = it.a.client("elbv2"), item["LoadBalancerArn"], item["LoadBalancerName"]
    attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
    set_ = [
        {"Key": x["Key"], "Value": x["Value"]}
        for x in attributes
        if x["Value"].lower() != _BALANCER_AS_MADE.get(x["Key"], x["Value"].lower())
    ]
    it.add(
        "ElasticLoadBalancingV2::LoadBalancer",
        name,
        {
            "Name": name,
            "Scheme": item.get("Scheme"),
            "Type": item["Type"],
            "Subnets": [zone["SubnetId"] for zone in item["AvailabilityZones"]],
            "SecurityGroups": item.get("SecurityGroups"),
            "LoadBalancerAttributes": set_,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"LoadBalancerArn": arn},
    )
    if any(x["Key"] == "access_logs.s3.enabled" and x["Value"] == "true" for x in attributes):
        it.leave_out(name, "its access logs")
    for listener in it.a.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn):
        _listener(it, name, listener)


def _listener(it: Parts, name: str, item: dict[str, Any]) -> None:
    arn = item["ListenerArn"]
    certificates = [{"CertificateArn": c["CertificateArn"]} for c in item.get("Certificates", [])]
    actions = [_action(action) for action in item["DefaultActions"]]
    if any("ClientSecret" in str(action) for action in actions):
        it.leave_out(f"{name}:{item['Port']}", "its sign-in, which needs a client secret")
        return
    it.add(
        "ElasticLoadBalancingV2::Listener",
        f"{name} {item['Port']}",
        {
            "LoadBalancerArn": item["LoadBalancerArn"],
            "Port": item["Port"],
            "Protocol": item["Protocol"],
            "SslPolicy": item.get("SslPolicy") if certificates else None,
            "Certificates": certificates,
            "DefaultActions": actions,
        },
        ids={"ListenerArn": arn},
        tags=it.a.client("elbv2").describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"],
    )
    rules = it.a.pages("elbv2", "describe_rules", "Rules", ListenerArn=arn)
    if more := sum(not rule["IsDefault"] for rule in rules):
        it.leave_out(f"{name}:{item['Port']}", f"{more} rules beside the default")


def _action(action: dict[str, Any]) -> dict[str, Any]:
    """A default action without what ELB adds by itself."""
    if action["Type"] == "forward" and action.get("TargetGroupArn"):
        return {"Type": "forward", "TargetGroupArn": action["TargetGroupArn"]}
    redirect = action.get("RedirectConfig")
    if redirect:
        usual = {"Host": "#{host}", "Path": "/#{path}", "Query": "#{query}"}
        own = {k: v for k, v in redirect.items() if usual.get(k) != v}
        return {"Type": "redirect", "RedirectConfig": own}
    return {k: v for k, v in action.items() if k != "Order"}


def role(it: Parts, item: dict[str, Any]) -> None:
    """A role with its policies and instance profiles; AWS's own are left out."""
    name = item["RoleName"]
    if item["Path"].startswith("/aws-service-role/"):
        it.leave_out(name, "AWS makes service-linked roles by itself")
        return
    it.add(
        "IAM::Role",
        name,
        {
            "RoleName": name,
            "Path": item["Path"] if item["Path"] != "/" else None,
            "AssumeRolePolicyDocument": _document(item["AssumeRolePolicyDocument"]),
            "ManagedPolicyArns": [p["PolicyArn"] for p in item.get("AttachedManagedPolicies", [])],
            "Policies": [
                {"PolicyName": p["PolicyName"], "PolicyDocument": _document(p["PolicyDocument"])}
                for p in item.get("RolePolicyList", [])
            ],
            "PermissionsBoundary": item.get("PermissionsBoundary", {}).get(
                "PermissionsBoundaryArn"
            ),
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"Arn": item["Arn"]},
        named=("RoleName", name),
    )
    for profile in item.get("InstanceProfileList", []):
        it.add(
            "IAM::InstanceProfile",
            profile["InstanceProfileName"],
            {
                "InstanceProfileName": profile["InstanceProfileName"],
                "Roles": [Named("IAM::Role", name)],
            },
            ids={"Arn": profile["Arn"]},
            named=("InstanceProfileName", profile["InstanceProfileName"]),
            tags=it.a.client("iam")
            .get_instance_profile(InstanceProfileName=profile["InstanceProfileName"])[
                "InstanceProfile"
            ]
            .get("Tags"),
        )


def _document(policy: Any) -> Any:
    """A policy as JSON; IAM gives some as encoded text."""
    return json.loads(unquote(policy)) if isinstance(policy, str) else policy


def launch_template(it: Parts, item: dict[str, Any]) -> None:
    """A launch template in its default version, without user data, which may hold secrets."""
    name, template_id = item["LaunchTemplateName"], item["LaunchTemplateId"]
    (version,) = it.a.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=template_id, Versions=["$Default"]
    )["LaunchTemplateVersions"]
    data = version["LaunchTemplateData"]
    own = {key: data[key] for key in _DATA if data.get(key)}
    if "MetadataOptions" in own:
        own["MetadataOptions"] = {k: v for k, v in own["MetadataOptions"].items() if k != "State"}
    if "TagSpecifications" in own:
        specifications = [
            {**one, "Tags": own_tags(one["Tags"])} for one in own["TagSpecifications"]
        ]
        own["TagSpecifications"] = [one for one in specifications if one["Tags"]]
    profile = own.get("IamInstanceProfile", {})
    if "Name" in profile:
        own["IamInstanceProfile"] = {"Name": Named("IAM::InstanceProfile", profile["Name"])}
    tags = own_tags(item.get("Tags"))
    it.add(
        "EC2::LaunchTemplate",
        name,
        {
            "LaunchTemplateName": name,
            "LaunchTemplateData": own,
            "TagSpecifications": [{"ResourceType": "launch-template", "Tags": tags}]
            if tags
            else [],
        },
        ids={"LaunchTemplateId": template_id},
        named=("LatestVersionNumber", template_id),
        unwritten=[
            key for key in ("UserData", "TagSpecifications") if data.get(key) != own.get(key)
        ],
    )
    if rest := sorted(set(data) - set(_DATA) - {"UserData"}):
        it.leave_out(name, f"of its data {', '.join(rest)}")
    if data.get("UserData"):
        it.leave_out(name, "its user data, which may hold secrets")


def auto_scaling_group(it: Parts, item: dict[str, Any]) -> None:
    """An auto-scaling group with its target-tracking policies."""
    name = item["AutoScalingGroupName"]
    template = item.get("LaunchTemplate")
    if not template or not item.get("VPCZoneIdentifier"):
        it.leave_out(name, "it starts from a launch configuration, an instance or a mixed policy")
        return
    own = {k: item[k] for k in _GROUP if item.get(k) and item[k] != _GROUP_AS_MADE.get(k)}
    metrics = sorted(metric["Metric"] for metric in item.get("EnabledMetrics", []))
    if processes := item.get("SuspendedProcesses"):
        suspended = ", ".join(process["ProcessName"] for process in processes)
        it.leave_out(name, f"that its processes {suspended} are suspended")
    it.add(
        "AutoScaling::AutoScalingGroup",
        name,
        {
            "AutoScalingGroupName": name,
            "MinSize": str(item["MinSize"]),
            "MaxSize": str(item["MaxSize"]),
            "DesiredCapacity": str(item["DesiredCapacity"]),
            "VPCZoneIdentifier": item["VPCZoneIdentifier"].split(","),
            "TargetGroupARNs": item.get("TargetGroupARNs"),
            "LaunchTemplate": {
                "LaunchTemplateId": template["LaunchTemplateId"],
                "Version": Named(
                    "EC2::LaunchTemplate",
                    template["LaunchTemplateId"],
                    str(template.get("Version")),
                ),
            },
            **own,
            "MetricsCollection": [{"Granularity": "1Minute", "Metrics": metrics}]
            if metrics
            else None,
            "Tags": [
                {**tag, "PropagateAtLaunch": bool(given.get("PropagateAtLaunch"))}
                for given in item.get("Tags", [])
                for tag in own_tags([given])
            ],
        },
        named=("AutoScalingGroupName", name),
    )
    policies = it.a.pages(
        "autoscaling", "describe_policies", "ScalingPolicies", AutoScalingGroupName=name
    )
    for policy in policies:
        tracking = policy.get("TargetTrackingConfiguration")
        if policy["PolicyType"] != "TargetTrackingScaling" or not tracking:
            it.leave_out(f"{name}/{policy['PolicyName']}", "only target tracking is exported")
            continue
        kept = {k: v for k, v in tracking.items() if v not in (None, False)}
        it.add(
            "AutoScaling::ScalingPolicy",
            f"{name} {policy['PolicyName']}",
            {
                "AutoScalingGroupName": Named("AutoScaling::AutoScalingGroup", name),
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingConfiguration": kept,
            },
            ids={"Arn": policy["PolicyARN"]},
        )


def instance(it: Parts, item: dict[str, Any]) -> None:
    """A server, without its disks' contents and its user data; those of groups belong to them."""
    instance_id = item["InstanceId"]
    if item["State"]["Name"] in {"terminated", "shutting-down"}:
        return
    if any(tag["Key"] == "aws:autoscaling:groupName" for tag in item.get("Tags", [])):
        it.leave_out(instance_id, "its auto-scaling group starts another")
        return
    profile = item.get("IamInstanceProfile", {}).get("Arn", "").rpartition("/")[2]
    options = item.get("MetadataOptions", {})
    required = options.get("HttpTokens") == "required"
    protected = it.a.client("ec2").describe_instance_attribute(
        InstanceId=instance_id, Attribute="disableApiTermination"
    )["DisableApiTermination"]["Value"]
    it.add(
        "EC2::Instance",
        name_of(item, instance_id),
        {
            "ImageId": item["ImageId"],
            "InstanceType": item["InstanceType"],
            "SubnetId": item.get("SubnetId"),
            "SecurityGroupIds": [group["GroupId"] for group in item.get("SecurityGroups", [])],
            "IamInstanceProfile": Named("IAM::InstanceProfile", profile) if profile else None,
            "KeyName": item.get("KeyName"),
            "EbsOptimized": item.get("EbsOptimized") or None,
            "MetadataOptions": {"HttpTokens": "required"} if required else None,
            "Monitoring": item.get("Monitoring", {}).get("State") == "enabled" or None,
            "SourceDestCheck": None if item.get("SourceDestCheck", True) else False,
            "DisableApiTermination": protected or None,
            "Tags": own_tags(item.get("Tags")),
        },
        ids={"InstanceId": instance_id},
        holds_data=True,
    )
    it.leave_out(instance_id, "what is on its disks, their sizes, and its user data")
