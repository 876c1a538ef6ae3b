"""A call whose answer was lost is sent again, unless that would make a second thing."""

from typing import Any

import pytest
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer

from opswright_core.sent_again import makes_another


def would_make_another(service: str, operation: str, parameters: dict[str, Any]) -> bool:
    model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
    found = model.operation_model(operation)
    serializer = create_serializer(model.metadata["protocol"], include_validation=False)
    return makes_another(found, serializer.serialize_to_request(parameters, found))


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("ec2", "CreateVpc", {"CidrBlock": "10.0.0.0/16"}),
        ("ec2", "AllocateAddress", {"Domain": "vpc"}),
        ("ec2", "CreateFlowLogs", {"ResourceIds": ["vpc-1"], "ResourceType": "VPC"}),
        ("iam", "CreateAccessKey", {"UserName": "shop"}),
        ("elbv2", "CreateListener", {"LoadBalancerArn": "a", "DefaultActions": []}),
        ("ecs", "RegisterTaskDefinition", {"family": "shop", "containerDefinitions": []}),
        ("apigatewayv2", "CreateRoute", {"ApiId": "a", "RouteKey": "GET /"}),
    ],
)
def test_what_is_known_by_its_id_alone_would_be_made_twice(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    assert would_make_another(service, operation, parameters)


@pytest.mark.parametrize(
    ("service", "operation", "parameters"),
    [
        ("ec2", "RunInstances", {"MinCount": 1, "MaxCount": 1}),
        ("ec2", "CreateFlowLogs", {"ResourceIds": ["vpc-1"], "ClientToken": "t"}),
        ("ec2", "CreateSecurityGroup", {"GroupName": "shop", "Description": "x"}),
        ("ec2", "CreateTags", {"Resources": ["vpc-1"], "Tags": []}),
        ("ec2", "DescribeVpcs", {}),
        ("ec2", "DeleteVpc", {"VpcId": "vpc-1"}),
        ("iam", "CreateUser", {"UserName": "shop"}),
        ("rds", "CreateDBInstance", {"DBInstanceIdentifier": "shop"}),
        ("ecs", "CreateCluster", {"clusterName": "shop"}),
        ("lambda", "CreateFunction", {"FunctionName": "shop", "Code": {}}),
        ("s3", "CreateBucket", {"Bucket": "shop"}),
        ("route53", "CreateHostedZone", {"Name": "shop.test", "CallerReference": "1"}),
    ],
)
def test_what_has_a_token_or_a_name_or_makes_nothing_is_sent_again(
    service: str, operation: str, parameters: dict[str, Any]
) -> None:
    assert not would_make_another(service, operation, parameters)
