"""Things of somebody else's that bear the name of what a tool is about to make."""

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Parameters = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Of the name, and of what is there: the ids of a ground."""


@dataclass(frozen=True)
class Namesake:
    """How a thing of one type is made by hand, and removed again by what the making answered."""

    service: str
    make: str
    given: Parameters
    remove: str
    by: Parameters


def _zipped() -> bytes:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return {}\n")
    return package.getvalue()


_NOBODY = '{"Version": "2012-10-17", "Statement": []}'

NAMESAKES: dict[str, Namesake] = {
    "ec2:vpc": Namesake(
        "ec2", "create_vpc",
        lambda n, _: {"CidrBlock": "10.9.0.0/16", "TagSpecifications": [
            {"ResourceType": "vpc", "Tags": [{"Key": "Name", "Value": n}]}]},
        "delete_vpc", lambda _, made: {"VpcId": made["Vpc"]["VpcId"]},
    ),
    "ec2:security-group": Namesake(
        "ec2", "create_security_group",
        lambda n, known: {"GroupName": n, "Description": "x", "VpcId": known["VPC"]},
        "delete_security_group", lambda _, made: {"GroupId": made["GroupId"]},
    ),
    "ec2:launch-template": Namesake(
        "ec2", "create_launch_template",
        lambda n, _: {
            "LaunchTemplateName": n, "LaunchTemplateData": {"ImageId": "ami-12c6146b"},
        },
        "delete_launch_template", lambda n, _: {"LaunchTemplateName": n},
    ),
    "autoscaling:group": Namesake(
        "autoscaling", "create_auto_scaling_group",
        lambda n, known: {
            "AutoScalingGroupName": n, "MinSize": 0, "MaxSize": 0,
            "VPCZoneIdentifier": known["A_PRIVATE"],
            "LaunchTemplate": {"LaunchTemplateName": "shop"},
        },
        "delete_auto_scaling_group",
        lambda n, _: {"AutoScalingGroupName": n, "ForceDelete": True},
    ),
    "elb:loadbalancer": Namesake(
        "elbv2", "create_load_balancer",
        lambda n, known: {"Name": n, "Subnets": known["PUBLIC"]},
        "delete_load_balancer",
        lambda _, made: {"LoadBalancerArn": made["LoadBalancers"][0]["LoadBalancerArn"]},
    ),
    "elb:targetgroup": Namesake(
        "elbv2", "create_target_group",
        lambda n, known: {"Name": n, "Protocol": "HTTP", "Port": 80, "VpcId": known["VPC"]},
        "delete_target_group",
        lambda _, made: {"TargetGroupArn": made["TargetGroups"][0]["TargetGroupArn"]},
    ),
    "rds:db": Namesake(
        "rds", "create_db_instance",
        lambda n, _: {
            "DBInstanceIdentifier": n, "Engine": "postgres", "DBInstanceClass": "db.t4g.micro",
            "AllocatedStorage": 20, "MasterUsername": "ann", "MasterUserPassword": "not-a-secret",
        },
        "delete_db_instance",
        lambda n, _: {"DBInstanceIdentifier": n, "SkipFinalSnapshot": True},
    ),
    "rds:cluster": Namesake(
        "rds", "create_db_cluster",
        lambda n, _: {
            "DBClusterIdentifier": n, "Engine": "aurora-mysql", "MasterUsername": "ann",
            "MasterUserPassword": "not-a-real-one",
        },
        "delete_db_cluster", lambda n, _: {"DBClusterIdentifier": n, "SkipFinalSnapshot": True},
    ),
    "rds:subgrp": Namesake(
        "rds", "create_db_subnet_group",
        lambda n, known: {
            "DBSubnetGroupName": n, "DBSubnetGroupDescription": "x", "SubnetIds": known["DATA"],
        },
        "delete_db_subnet_group", lambda n, _: {"DBSubnetGroupName": n},
    ),
    "iam:role": Namesake(
        "iam", "create_role",
        lambda n, _: {"RoleName": n, "AssumeRolePolicyDocument": _NOBODY},
        "delete_role", lambda n, _: {"RoleName": n},
    ),
    "iam:instance-profile": Namesake(
        "iam", "create_instance_profile", lambda n, _: {"InstanceProfileName": n},
        "delete_instance_profile", lambda n, _: {"InstanceProfileName": n},
    ),
    "logs:log-group": Namesake(
        "logs", "create_log_group", lambda n, _: {"logGroupName": n},
        "delete_log_group", lambda n, _: {"logGroupName": n},
    ),
    "s3:bucket": Namesake(
        "s3", "create_bucket",
        lambda n, _: {
            "Bucket": n, "CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"},
        },
        "delete_bucket", lambda n, _: {"Bucket": n},
    ),
    "cloudfront:origin-access-control": Namesake(
        "cloudfront", "create_origin_access_control",
        lambda n, _: {"OriginAccessControlConfig": {
            "Name": n, "SigningProtocol": "sigv4", "SigningBehavior": "always",
            "OriginAccessControlOriginType": "s3"}},
        "delete_origin_access_control",
        lambda _, made: {"Id": made["OriginAccessControl"]["Id"], "IfMatch": made["ETag"]},
    ),
    "route53:hostedzone": Namesake(
        "route53", "create_hosted_zone", lambda n, _: {"Name": n, "CallerReference": "theirs"},
        "delete_hosted_zone", lambda _, made: {"Id": made["HostedZone"]["Id"]},
    ),
    "sqs:queue": Namesake(
        "sqs", "create_queue", lambda n, _: {"QueueName": n},
        "delete_queue", lambda _, made: {"QueueUrl": made["QueueUrl"]},
    ),
    "sns:topic": Namesake(
        "sns", "create_topic", lambda n, _: {"Name": n},
        "delete_topic", lambda _, made: {"TopicArn": made["TopicArn"]},
    ),
    "ecr:repository": Namesake(
        "ecr", "create_repository", lambda n, _: {"repositoryName": n},
        "delete_repository", lambda n, _: {"repositoryName": n},
    ),
    "ecs:cluster": Namesake(
        "ecs", "create_cluster", lambda n, _: {"clusterName": n},
        "delete_cluster", lambda n, _: {"cluster": n},
    ),
    "lambda:function": Namesake(
        "lambda", "create_function",
        lambda n, _: {
            "FunctionName": n, "Runtime": "python3.13", "Handler": "app.handler",
            "Role": "arn:aws:iam::123456789012:role/hello", "Code": {"ZipFile": _zipped()},
        },
        "delete_function", lambda n, _: {"FunctionName": n},
    ),
    "events:rule": Namesake(
        "events", "put_rule", lambda n, _: {"Name": n, "ScheduleExpression": "rate(1 day)"},
        "delete_rule", lambda n, _: {"Name": n},
    ),
    "apigateway:http-api": Namesake(
        "apigatewayv2", "create_api", lambda n, _: {"Name": n, "ProtocolType": "HTTP"},
        "delete_api", lambda _, made: {"ApiId": made["ApiId"]},
    ),
    "apigateway:rest-api": Namesake(
        "apigateway", "create_rest_api", lambda n, _: {"name": n},
        "delete_rest_api", lambda _, made: {"restApiId": made["id"]},
    ),
}  # fmt: skip


@contextmanager
def namesake(
    client_of: Callable[[str], Any], type_: str, name: str, known: dict[str, Any]
) -> Iterator[None]:
    """While it lasts, somebody else has a thing of that type and name."""
    one = NAMESAKES[type_]
    client = client_of(one.service)
    made = getattr(client, one.make)(**one.given(name, known))
    yield
    getattr(client, one.remove)(**one.by(name, made))
