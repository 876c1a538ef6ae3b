"""Load balancers, servers and their roles, in the provider's words."""

from typing import Any

from opswright_aws_devops.export.model import Value
from opswright_aws_devops.export.terraform.draft import Draft, Kind, generic, tags
from opswright_aws_devops.export.terraform.hcl import Block, Json, snake_case

_HEALTH = {
    "HealthCheckProtocol": "protocol",
    "HealthCheckPort": "port",
    "HealthCheckPath": "path",
    "HealthCheckIntervalSeconds": "interval",
    "HealthCheckTimeoutSeconds": "timeout",
    "HealthyThresholdCount": "healthy_threshold",
    "UnhealthyThresholdCount": "unhealthy_threshold",
}
_ATTRIBUTES = {
    "routing.http.drop_invalid_header_fields.enabled": "drop_invalid_header_fields",
    "idle_timeout.timeout_seconds": "idle_timeout",
    "deletion_protection.enabled": "enable_deletion_protection",
    "routing.http2.enabled": "enable_http2",
    "routing.http.preserve_host_header.enabled": "preserve_host_header",
    "client_keep_alive.seconds": "client_keep_alive",
    "routing.http.desync_mitigation_mode": "desync_mitigation_mode",
    "waf.fail_open.enabled": "enable_waf_fail_open",
    "routing.http.xff_header_processing.mode": "xff_header_processing_mode",
    "routing.http.xff_client_port.enabled": "enable_xff_client_port",
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": (
        "enable_tls_version_and_cipher_suite_headers"
    ),
}
_OF_TARGETS = {
    "deregistration_delay.timeout_seconds": "deregistration_delay",
    "slow_start.duration_seconds": "slow_start",
    "load_balancing.algorithm.type": "load_balancing_algorithm_type",
}
_STICKINESS = {
    "stickiness.enabled": "enabled",
    "stickiness.type": "type",
    "stickiness.lb_cookie.duration_seconds": "cookie_duration",
}


_OF_TERRAFORM_ALONE = (
    "force_delete",
    "force_delete_warm_pool",
    "ignore_failed_scaling_activities",
    "wait_for_capacity_timeout",
)


def _target_group(draft: Draft) -> None:
    check = {new: draft.take(old) for old, new in _HEALTH.items() if old in draft.rest}
    if matcher := draft.take("Matcher"):
        check["matcher"] = matcher.get("HttpCode") or matcher["GrpcCode"]
    if check:
        draft.body["health_check"] = Block(check)
    given = {one["Key"]: _plain(one["Value"]) for one in draft.take("TargetGroupAttributes", [])}
    draft.body |= {_OF_TARGETS[key]: given[key] for key in given.keys() & _OF_TARGETS.keys()}
    if sticky := {new: given[old] for old, new in _STICKINESS.items() if old in given}:
        draft.body["stickiness"] = Block(sticky)


def _plain(value: str) -> Value:
    """An attribute's text as a number or a truth where it is one."""
    return int(value) if value.isdigit() else {"true": True, "false": False}.get(value, value)


def _load_balancer(draft: Draft) -> None:
    if scheme := draft.take("Scheme"):
        draft.body["internal"] = scheme == "internal"
    for attribute in draft.take("LoadBalancerAttributes", []):
        draft.body[_ATTRIBUTES[attribute["Key"]]] = _plain(attribute["Value"])


def _listener(draft: Draft) -> None:
    if certificates := draft.take("Certificates"):
        draft.body["certificate_arn"] = certificates[0]["CertificateArn"]
    draft.body["default_action"] = [_action(action) for action in draft.take("DefaultActions")]


def _action(action: dict[str, Any]) -> Block:
    """An action; what belongs to its type is a block without CloudFormation's Config."""
    body: dict[str, Value] = {}
    for key, value in action.items():
        if key == "ForwardConfig":
            body["forward"] = _forward(value)
        else:
            body[snake_case(key.removesuffix("Config"))] = generic(value)
    return Block(body)


def _forward(config: dict[str, Any]) -> Block:
    groups = [
        Block({"arn": g["TargetGroupArn"], **({"weight": g["Weight"]} if "Weight" in g else {})})
        for g in config["TargetGroups"]
    ]
    body: dict[str, Value] = {"target_group": groups}
    sticky = config.get("TargetGroupStickinessConfig", {})
    if sticky.get("Enabled"):
        body["stickiness"] = Block({"enabled": True, "duration": sticky["DurationSeconds"]})
    return Block(body)


def _role(draft: Draft) -> None:
    """A role; its policies are resources of their own, as the provider advises."""
    draft.body["assume_role_policy"] = Json(draft.take("AssumeRolePolicyDocument"))
    name = draft.there("RoleName")
    for number, arn in enumerate(draft.take("ManagedPolicyArns", []), 1):
        draft.add(
            "aws_iam_role_policy_attachment",
            f"_{number}",
            {"role": draft("RoleName"), "policy_arn": arn},
            f"{name}/{draft.literal(arn)}" if name else "",
        )
    for number, policy in enumerate(draft.take("Policies", []), 1):
        draft.add(
            "aws_iam_role_policy",
            f"_{number}",
            {
                "name": policy["PolicyName"],
                "role": draft("RoleName"),
                "policy": Json(policy["PolicyDocument"]),
            },
            f"{name}:{policy['PolicyName']}" if name else "",
        )


def _instance_profile(draft: Draft) -> None:
    for role in draft.take("Roles", []):
        draft.body["role"] = role


def _launch_template(draft: Draft) -> None:
    for given in draft.take("TagSpecifications", []):
        draft.body["tags"] = tags(given["Tags"])
    data = dict(draft.take("LaunchTemplateData"))
    groups = data.pop("SecurityGroupIds", None)
    specifications = data.pop("TagSpecifications", [])
    interfaces = [
        {("SecurityGroups" if k == "Groups" else k): v for k, v in one.items()}
        for one in data.pop("NetworkInterfaces", [])
    ]
    draft.rest |= data
    if groups:
        draft.body["vpc_security_group_ids"] = groups
    if interfaces:
        draft.body["network_interfaces"] = generic(interfaces)
    draft.body["tag_specifications"] = [
        Block({"resource_type": one["ResourceType"], "tags": tags(one["Tags"])})
        for one in specifications
    ]


def _auto_scaling_group(draft: Draft) -> None:
    """A group; how many servers it has at the moment is its scaling policies' to say."""
    template = draft.take("LaunchTemplate")
    draft.body["launch_template"] = Block(
        {"id": template["LaunchTemplateId"], "version": template["Version"]}
    )
    for size in ("MinSize", "MaxSize", "DesiredCapacity"):
        draft.rest[size] = int(draft.rest[size])
    draft.body["tag"] = [generic(tag) for tag in draft.take("Tags", [])]
    for collected in draft.take("MetricsCollection", []):
        draft.body["enabled_metrics"] = collected["Metrics"]
    draft.ignored = ("desired_capacity",)
    if draft.exists:
        draft.ignored = (*draft.ignored, *_OF_TERRAFORM_ALONE)


def _scaling_policy(draft: Draft) -> None:
    arn = draft.part.ids.get("Arn", "")
    draft.body["name"] = arn.rpartition("policyName/")[2] or snake_case(draft.part.key)
    tracking = dict(draft.take("TargetTrackingConfiguration"))
    custom = dict(tracking.pop("CustomizedMetricSpecification", {}))
    if custom:
        custom["MetricDimension"] = custom.pop("Dimensions", [])
        tracking["CustomizedMetricSpecification"] = custom
    draft.body["target_tracking_configuration"] = generic(tracking)


KINDS = {
    "AWS::ElasticLoadBalancingV2::TargetGroup": Kind(
        "aws_lb_target_group",
        {"TargetGroupArn": "arn"},
        import_id="{TargetGroupArn}",
        write=_target_group,
    ),
    "AWS::ElasticLoadBalancingV2::LoadBalancer": Kind(
        "aws_lb",
        {"LoadBalancerArn": "arn", "DNSName": "dns_name"},
        {"Type": "load_balancer_type"},
        "{LoadBalancerArn}",
        _load_balancer,
    ),
    "AWS::ElasticLoadBalancingV2::Listener": Kind(
        "aws_lb_listener", {"ListenerArn": "arn"}, import_id="{ListenerArn}", write=_listener
    ),
    "AWS::IAM::Role": Kind(
        "aws_iam_role", {"RoleName": "name"}, {"RoleName": "name"}, "{RoleName}", _role
    ),
    "AWS::IAM::InstanceProfile": Kind(
        "aws_iam_instance_profile",
        {"InstanceProfileName": "name"},
        {"InstanceProfileName": "name"},
        "{InstanceProfileName}",
        _instance_profile,
    ),
    "AWS::EC2::LaunchTemplate": Kind(
        "aws_launch_template",
        {"LaunchTemplateId": "id", "LatestVersionNumber": "latest_version"},
        {"LaunchTemplateName": "name"},
        "{LaunchTemplateId}",
        _launch_template,
    ),
    "AWS::EC2::Instance": Kind(
        "aws_instance",
        {"InstanceId": "id"},
        {"ImageId": "ami", "SecurityGroupIds": "vpc_security_group_ids"},
        "{InstanceId}",
    ),
    "AWS::AutoScaling::AutoScalingGroup": Kind(
        "aws_autoscaling_group",
        {"AutoScalingGroupName": "name"},
        {
            "AutoScalingGroupName": "name",
            "TargetGroupARNs": "target_group_arns",
            "NewInstancesProtectedFromScaleIn": "protect_from_scale_in",
        },
        "{AutoScalingGroupName}",
        _auto_scaling_group,
    ),
    "AWS::AutoScaling::ScalingPolicy": Kind(
        "aws_autoscaling_policy",
        renamed={"AutoScalingGroupName": "autoscaling_group_name"},
        import_id="{AutoScalingGroupName}/{name}",
        write=_scaling_policy,
    ),
}
