"""The review of what was just deployed."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from tests.security.conftest import Deployed

from opswright_core.verdicts import Unread
from opswright_security.facts.application import Application
from opswright_security.server import create_server
from opswright_security.tools import review

Connect = Callable[..., AbstractAsyncContextManager[Any]]
Clients = Callable[[str], Any]


async def reviewed(connect: Connect, **arguments: Any) -> dict[str, Any]:
    async with connect(create_server) as client:
        r = await client.call_tool("review_application", arguments)
    answer: dict[str, Any] = r.structured_content
    assert len(json.dumps(answer)) <= 16_000
    return answer


def failed(answer: dict[str, Any]) -> set[str]:
    return {f["check_id"] for f in answer["findings"]}


async def test_a_sound_application_passes_with_its_advisories(
    connect: Connect, application: Deployed
) -> None:
    answer = await reviewed(connect, name="shop")
    assert (answer["verdict"], answer["vpc_id"]) == ("PASS", application.vpc_id), answer["findings"]
    assert answer["findings"] == []
    assert {f["check_id"] for f in answer["advisories"]} >= {"elb-tls", "ec2-vpc-flow-logs"}
    assert answer["total_advisories"] == len(answer["advisories"])
    checks = {c["name"]: c for c in answer["checks"]}
    assert checks["The internet cannot reach a database"]["evidence"] == "1 checked"
    assert checks["Launch templates ask for IMDSv2"]["evidence"] == "1 checked"


async def test_other_vpcs_do_not_matter(
    connect: Connect, application: Deployed, bad_account: dict[str, str]
) -> None:
    answer = await reviewed(connect, vpc_id=application.vpc_id)
    assert answer["verdict"] == "PASS", answer["findings"]
    assert answer["name"] == "shop"


async def test_a_database_that_the_internet_can_reach_is_computed_from_all_three(
    connect: Connect, application: Deployed, client_of: Clients
) -> None:
    ec2, rds = client_of("ec2"), client_of("rds")
    rds.modify_db_instance(
        DBInstanceIdentifier="shop", PubliclyAccessible=True, ApplyImmediately=True
    )
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 5432,
        "ToPort": 5432,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    ec2.authorize_security_group_ingress(GroupId=application.db_group, IpPermissions=[rule])
    answer = await reviewed(connect, name="shop")
    assert failed(answer) == {"rds-public", "rds-ingress-outside", "ec2-sg-database-ports"}
    private = [
        s["SubnetId"]
        for s in ec2.describe_subnets()["Subnets"]
        if s["VpcId"] == application.vpc_id and s["CidrBlock"] in {"10.0.2.0/24", "10.0.3.0/24"}
    ]
    table = ec2.describe_route_tables(
        Filters=[{"Name": "association.subnet-id", "Values": [application.public_subnet]}]
    )["RouteTables"][0]["RouteTableId"]
    for subnet in private:
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    answer = await reviewed(connect, name="shop")
    assert answer["verdict"] == "FAIL"
    assert failed(answer) >= {"rds-reachable", "rds-public-subnet"}


async def test_an_instance_beside_the_load_balancer_is_found(
    connect: Connect, application: Deployed, client_of: Clients
) -> None:
    ec2 = client_of("ec2")
    rule = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
    }
    ec2.authorize_security_group_ingress(GroupId=application.app_group, IpPermissions=[rule])
    ec2.modify_subnet_attribute(
        SubnetId=application.public_subnet, MapPublicIpOnLaunch={"Value": True}
    )
    ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SubnetId=application.public_subnet,
        SecurityGroupIds=[application.app_group],
        UserData="export API_TOKEN=hunter2hunter2",
    )
    answer = await reviewed(connect, name="shop")
    assert failed(answer) == {
        "ec2-instance-public",
        "ec2-sg-admin-ports-ipv4",
        "ec2-imdsv2",
        "ec2-user-data-credentials",
    }
    assert "ec2-ebs-encrypted" in {f["check_id"] for f in answer["advisories"]}
    assert "hunter2" not in json.dumps(answer)


async def test_buckets_belong_to_an_application_by_their_tag(
    connect: Connect, application: Deployed, client_of: Clients
) -> None:
    s3 = client_of("s3")
    for bucket in ("shop-files", "others-files"):
        s3.create_bucket(
            Bucket=bucket,
            ACL="public-read",
            CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name},
        )
    s3.put_bucket_tagging(
        Bucket="shop-files", Tagging={"TagSet": [{"Key": "opswright:name", "Value": "shop"}]}
    )
    answer = await reviewed(connect, name="shop")
    assert [(f["check_id"], f["resource"]) for f in answer["findings"]] == [
        ("s3-bucket-public", "shop-files")
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "pass vpc_id, or the name"),
        ({"name": "nothing"}, "No VPC in eu-west-1 is tagged 'nothing'"),
        ({"vpc_id": "vpc-0123"}, "No VPC vpc-0123"),
        ({"vpc_id": "shop"}, "vpc_id"),
    ],
)
async def test_an_application_that_is_not_there_is_not_reviewed(
    connect: Connect, cloud: Any, arguments: dict[str, Any], says: str
) -> None:
    async with connect(create_server) as client:
        r = await client.call_tool("review_application", arguments, raise_on_error=False)
    assert r.is_error
    assert says in r.content[0].text


async def test_an_ambiguous_name_is_asked_about(
    connect: Connect, application: Deployed, client_of: Clients
) -> None:
    tags = [{"Key": "Name", "Value": "shop"}]
    client_of("ec2").create_vpc(
        CidrBlock="10.1.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
    )
    async with connect(create_server) as client:
        r = await client.call_tool("review_application", {"name": "shop"}, raise_on_error=False)
    assert "2 VPCs are tagged 'shop'" in r.content[0].text


def test_members_that_could_not_be_read_make_a_review_unknown() -> None:
    from opswright_security.rules import judge

    denied = Unread(operation="autoscaling:DescribeAutoScalingGroups", reason="denied")
    outcomes = [judge(rule, denied) for rule in review.OF_TEMPLATES]
    application = Application("vpc-1", "shop", frozenset(), denied, frozenset())
    answer = review.review_of(application, outcomes)
    assert answer.verdict == "UNKNOWN"
    assert {c.verdict for c in answer.checks} == {"UNKNOWN"}
