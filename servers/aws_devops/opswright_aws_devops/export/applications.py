"""Load balancers, web tiers and buckets as the building tools make them, in parts."""

from collections.abc import Mapping
from typing import Any

from opswright_aws_devops.balancers.parts import TLS_POLICY
from opswright_aws_devops.buckets.protection import PRIVATE
from opswright_aws_devops.export.intent import Made, Place, named
from opswright_aws_devops.export.model import Join, PublicParameter, Ref, Value
from opswright_aws_devops.instances.setup import (
    IMAGE_PARAMETER,
    SESSION_MANAGER_POLICY,
    first_boot,
    launch_data,
)
from opswright_aws_devops.ownership import Request, short_name
from opswright_aws_devops.tools.web_tier import CPU_PERCENT
from opswright_core.policy_documents import VERSION, tls_only


def _target_group(made: Made, name: str, a: Mapping[str, Any]) -> Ref:
    return made.add(
        "Targets",
        "ElasticLoadBalancingV2::TargetGroup",
        {
            "Name": name,
            "Protocol": "HTTP",
            "Port": a["target_port"],
            "TargetType": a["target_type"],
            "VpcId": a["vpc_id"],
            "HealthCheckProtocol": "HTTP",
            "HealthCheckPath": a["health_check_path"],
            "HealthCheckIntervalSeconds": 10,
            "HealthCheckTimeoutSeconds": 5,
            "HealthyThresholdCount": 2,
            "UnhealthyThresholdCount": 3,
            "Tags": named(a["name"]),
        },
    )("TargetGroupArn")


def load_balancer(prefix: str, a: Mapping[str, Any], place: Place) -> Made:
    """As create_load_balancer builds it."""
    made, name = Made(prefix), short_name(a["name"])
    group = None if a["target_type"] == "none" else _target_group(made, name, a)
    drop = {"Key": "routing.http.drop_invalid_header_fields.enabled", "Value": "true"}
    balancer = made.add(
        "Balancer",
        "ElasticLoadBalancingV2::LoadBalancer",
        {
            "Name": name,
            "Scheme": "internal" if a["internal"] else "internet-facing",
            "Type": "application",
            "Subnets": a["subnet_ids"],
            "SecurityGroups": a["security_group_ids"],
            "LoadBalancerAttributes": [drop],
            "Tags": named(a["name"]),
        },
    )
    arn, dns_name = balancer("LoadBalancerArn"), balancer("DNSName")
    answer = {"StatusCode": "404", "ContentType": "text/plain", "MessageBody": "Not found"}
    serves_with: Value = (
        [{"Type": "forward", "TargetGroupArn": group}]
        if group
        else [{"Type": "fixed-response", "FixedResponseConfig": answer}]
    )

    def listener(key: str, port: int, protocol: str, actions: Value, **more: Value) -> Ref:
        properties = {
            "LoadBalancerArn": arn,
            "Port": port,
            "Protocol": protocol,
            **more,
            "DefaultActions": actions,
        }
        kind = "ElasticLoadBalancingV2::Listener"
        return made.add(key, kind, properties, name=a["name"])("ListenerArn")

    if certificate := a["certificate_arn"]:
        certificates = [{"CertificateArn": certificate}]
        serves = listener(
            "Https", 443, "HTTPS", serves_with, SslPolicy=TLS_POLICY, Certificates=certificates
        )
        redirect = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        listener("Http", 80, "HTTP", [{"Type": "redirect", "RedirectConfig": redirect}])
    else:
        serves = listener("Http", 80, "HTTP", serves_with)
    made.outputs = {
        "load_balancer_arn": arn,
        "load_balancer_name": name,
        "dns_name": dns_name,
        "url": Join((f"{'https' if certificate else 'http'}://", dns_name)),
        "target_group_arn": group or "",
        "target_group_name": name if group else "",
        "listener_arn": serves,
    }
    return made


def web_tier(prefix: str, a: Mapping[str, Any], place: Place) -> Made:
    """As create_web_tier builds it."""
    made, name = Made(prefix), a["name"]
    service = {
        "Effect": "Allow",
        "Principal": {"Service": "ec2.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    policies: dict[str, Value] = {}
    if bucket := a["artifact_bucket"]:
        parts = (f"arn:{place.partition}:s3:::", bucket, "/releases/*")
        read = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": Join(parts)}
        document = {"Version": "2012-10-17", "Statement": [read]}
        policies = {"Policies": [{"PolicyName": "read-releases", "PolicyDocument": document}]}
    role = made.add(
        "Role",
        "IAM::Role",
        {
            "RoleName": name,
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [service]},
            "ManagedPolicyArns": [SESSION_MANAGER_POLICY.format(place.partition)],
            **policies,
            "Tags": named(name),
        },
    )("RoleName")
    profile = made.add(
        "Profile",
        "IAM::InstanceProfile",
        {"InstanceProfileName": name, "Roles": [role]},
        name=name,
    )("Arn")
    image: Any = PublicParameter(IMAGE_PARAMETER.format(place.architecture))
    profile_arn: Any = profile
    launch = launch_data(
        Request(name, ""),
        image_id=image,
        instance_type=a["instance_type"],
        profile_arn=profile_arn,
        security_group_ids=a["security_group_ids"],
        user_data=first_boot(a["app_port"]),
    )
    launch["TagSpecifications"] = [
        {"ResourceType": kind, "Tags": named(name)} for kind in ("instance", "volume")
    ]
    template = made.add(
        "Template",
        "EC2::LaunchTemplate",
        {
            "LaunchTemplateName": name,
            "LaunchTemplateData": launch,
            "TagSpecifications": [{"ResourceType": "launch-template", "Tags": named(name)}],
        },
    )
    group = made.add(
        "Group",
        "AutoScaling::AutoScalingGroup",
        {
            "AutoScalingGroupName": name,
            "MinSize": str(a["min_size"]),
            "MaxSize": str(a["max_size"]),
            "DesiredCapacity": str(a["min_size"]),
            "VPCZoneIdentifier": a["subnet_ids"],
            "TargetGroupARNs": [a["target_group_arn"]],
            "LaunchTemplate": {
                "LaunchTemplateId": template("LaunchTemplateId"),
                "Version": template("LatestVersionNumber"),
            },
            "HealthCheckType": "ELB",
            "HealthCheckGracePeriod": 180,
            "DefaultInstanceWarmup": 120,
            "Tags": [{**tag, "PropagateAtLaunch": False} for tag in named(name)],
        },
    )("AutoScalingGroupName")
    metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"}}
    made.add(
        "Scaling",
        "AutoScaling::ScalingPolicy",
        {
            "AutoScalingGroupName": group,
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingConfiguration": {**metric, "TargetValue": CPU_PERCENT},
        },
    )
    made.outputs = {
        "asg_name": group,
        "launch_template_id": template("LaunchTemplateId"),
        "instance_profile_arn": profile,
    }
    return made


def bucket(prefix: str, a: Mapping[str, Any], place: Place) -> Made:
    """As create_bucket builds it."""
    made, name = Made(prefix), a["name"]
    rule: dict[str, Value] = {
        "Id": "tidy",
        "Status": "Enabled",
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    }
    if a["versioned"] and a["expire_noncurrent_days"]:
        days = a["expire_noncurrent_days"]
        rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": days}
    by_default = {
        "ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": True,
    }
    it = made.add(
        "Bucket",
        "S3::Bucket",
        {
            "BucketName": name,
            "PublicAccessBlockConfiguration": PRIVATE,
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
            "BucketEncryption": {"ServerSideEncryptionConfiguration": [by_default]},
            **({"VersioningConfiguration": {"Status": "Enabled"}} if a["versioned"] else {}),
            "LifecycleConfiguration": {"Rules": [rule]},
            "Tags": named(name),
        },
        holds_data=True,
    )
    statement = tls_only("s3:*", [it("Arn"), Join((it("Arn"), "/*"))])
    document = {"Version": VERSION, "Statement": [statement]}
    policy = {"Bucket": it("BucketName"), "PolicyDocument": document}
    made.add("Policy", "S3::BucketPolicy", policy)
    made.outputs = {
        "bucket": it("BucketName"),
        "arn": it("Arn"),
        "region": place.region,
        "versioned": a["versioned"],
        "encrypted": True,
        "public_access_blocked": True,
    }
    return made
