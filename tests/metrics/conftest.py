"""A small web tier in the emulated account: network, load balancer, instances, group, database."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

ClientOf = Callable[[str], Any]


@dataclass
class WebTier:
    """Ids of what was built."""

    vpc_id: str
    subnet_ids: list[str]
    lb_sg: str
    app_sg: str
    image_id: str
    load_balancer_arn: str
    target_group_arn: str
    instance_ids: list[str]


def build_tier(client_of: ClientOf, *, instances: int = 2) -> WebTier:
    ec2, elb = client_of("ec2"), client_of("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"eu-west-1{zone}"
        )["Subnet"]["SubnetId"]
        for number, zone in enumerate("ab")
    ]
    lb_sg, app_sg = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        for name in ("lb", "app")
    )
    ec2.authorize_security_group_ingress(
        GroupId=app_sg,
        IpPermissions=[
            {
                "IpProtocol": "tcp",
                "FromPort": 8080,
                "ToPort": 8080,
                "UserIdGroupPairs": [{"GroupId": lb_sg}],
            }
        ],
    )
    image = ec2.register_image(Name="web", RootDeviceName="/dev/sda1")["ImageId"]
    lb = elb.create_load_balancer(Name="web", Subnets=subnets, SecurityGroups=[lb_sg])
    lb_arn = lb["LoadBalancers"][0]["LoadBalancerArn"]
    tg = elb.create_target_group(
        Name="web", Protocol="HTTP", Port=8080, VpcId=vpc, HealthCheckPath="/health"
    )
    tg_arn = tg["TargetGroups"][0]["TargetGroupArn"]
    elb.create_listener(
        LoadBalancerArn=lb_arn,
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": tg_arn}],
    )
    ids = [
        ec2.run_instances(
            ImageId=image, MinCount=1, MaxCount=1, InstanceType="t3.micro",
            SubnetId=subnets[number % 2], SecurityGroupIds=[app_sg],
        )["Instances"][0]["InstanceId"]
        for number in range(instances)
    ]  # fmt: skip
    if ids:
        elb.register_targets(TargetGroupArn=tg_arn, Targets=[{"Id": i} for i in ids])
    return WebTier(vpc, subnets, lb_sg, app_sg, image, lb_arn, tg_arn, ids)


@pytest.fixture
def tier(client_of: ClientOf) -> WebTier:
    """Two healthy instances behind a load balancer."""
    return build_tier(client_of)


@pytest.fixture
def database(client_of: ClientOf) -> str:
    """A PostgreSQL instance with 20 GiB on a db.t3.micro (1 GiB of memory)."""
    client_of("rds").create_db_instance(
        DBInstanceIdentifier="orders-db", DBInstanceClass="db.t3.micro", Engine="postgres",
        AllocatedStorage=20, MasterUsername="admin1", MasterUserPassword="not-a-secret-1",
    )  # fmt: skip
    return "orders-db"


@pytest.fixture
def asg(client_of: ClientOf, tier: WebTier) -> str:
    """An Auto Scaling group of two that registers with the tier's target group."""
    client_of("ec2").create_launch_template(
        LaunchTemplateName="web",
        LaunchTemplateData={
            "ImageId": tier.image_id,
            "InstanceType": "t3.micro",
            "SecurityGroupIds": [tier.app_sg],
        },
    )
    client_of("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="web-asg", MinSize=0, MaxSize=4, DesiredCapacity=2,
        LaunchTemplate={"LaunchTemplateName": "web"}, VPCZoneIdentifier=",".join(tier.subnet_ids),
        TargetGroupARNs=[tier.target_group_arn],
    )  # fmt: skip
    return "web-asg"
