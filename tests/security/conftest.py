"""Accounts to judge: one with something of each kind done wrong, and a deployed application."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

Clients = Callable[[str], Any]
ANYONE = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
)
EVERYTHING = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
    }
)
SECRET = "hunter2hunter2"


@pytest.fixture
def bad_account(client_of: Clients) -> dict[str, str]:
    """An account with one of each kind done wrong; answers the ids of what is bad, by check."""
    bad: dict[str, str] = {}
    bad |= _bad_iam(client_of("iam"))
    bad |= _bad_ec2(client_of("ec2"))
    bad |= _bad_storage(client_of)
    _bad_function(client_of("lambda"), client_of("iam"))
    bad["lambda-environment-credentials"] = "pay"
    trails = client_of("cloudtrail")
    trails.create_trail(Name="main", S3BucketName="open-bucket", IsMultiRegionTrail=True)
    trails.start_logging(Name="main")
    client_of("config").put_configuration_recorder(
        ConfigurationRecorder={"name": "default", "roleARN": "arn:aws:iam::123456789012:role/open"}
    )
    bad |= {"cloudtrail-validation": "main", "config-enabled": trails.meta.region_name}
    return bad


def _bad_iam(iam: Any) -> dict[str, str]:
    iam.create_user(UserName="ann")
    iam.create_login_profile(UserName="ann", Password="Abcdefgh1!")
    iam.create_access_key(UserName="ann")
    iam.create_access_key(UserName="ann")
    iam.put_user_policy(UserName="ann", PolicyName="all", PolicyDocument=EVERYTHING)
    iam.create_role(RoleName="open", AssumeRolePolicyDocument=ANYONE)
    iam.create_role(
        RoleName="vendor",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": "999999999999"},
                        "Action": "sts:AssumeRole",
                    }
                ]
            }
        ),
    )
    return {
        "iam-root-mfa": "root",
        "iam-password-length": "password-policy",
        "iam-user-mfa": "ann",
        "iam-user-one-key": "ann",
        "iam-user-policies": "ann",
        "iam-admin-policy": "user ann/all",
        "iam-role-trust-everyone": "open",
        "iam-role-external-account": "vendor",
    }


def _bad_ec2(ec2: Any) -> dict[str, str]:
    bad = {}
    for check, port, cidr in (
        ("ec2-sg-admin-ports-ipv4", 22, {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}),
        ("ec2-sg-admin-ports-ipv6", 3389, {"Ipv6Ranges": [{"CidrIpv6": "::/0"}]}),
        ("ec2-sg-database-ports", 5432, {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}),
        ("ec2-sg-risky-ports", 23, {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}),
    ):
        group = ec2.create_security_group(GroupName=check, Description="x")["GroupId"]
        rule = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **cidr}
        ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
        bad[check] = group
    group = ec2.create_security_group(GroupName="all", Description="x")["GroupId"]
    rule = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    bad["ec2-sg-open-all"] = group
    instance = ec2.run_instances(
        ImageId="ami-12345678",
        MinCount=1,
        MaxCount=1,
        SecurityGroupIds=[group],
        UserData=f"#!/bin/sh\nexport DB_PASSWORD={SECRET}\n",
    )["Instances"][0]
    bad |= dict.fromkeys(("ec2-imdsv2", "ec2-user-data-credentials"), instance["InstanceId"])
    volume = ec2.describe_volumes()["Volumes"][0]["VolumeId"]
    bad["ec2-ebs-encrypted"] = volume
    snapshot = ec2.create_snapshot(VolumeId=volume)["SnapshotId"]
    ec2.modify_snapshot_attribute(
        SnapshotId=snapshot,
        Attribute="createVolumePermission",
        OperationType="add",
        GroupNames=["all"],
    )
    bad["ec2-snapshot-public"] = snapshot
    image = ec2.create_image(InstanceId=instance["InstanceId"], Name="image")["ImageId"]
    ec2.modify_image_attribute(ImageId=image, LaunchPermission={"Add": [{"Group": "all"}]})
    bad["ec2-image-public"] = image
    ec2.create_launch_template(
        LaunchTemplateName="old", LaunchTemplateData={"ImageId": "ami-12345678"}
    )
    bad["ec2-launch-template-imdsv2"] = "old v1"
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    bad |= {"ec2-vpc-flow-logs": vpc, "ec2-default-vpc-used": vpc}
    return {**bad, "ec2-ebs-default-encryption": ec2.meta.region_name}


def _bad_storage(client_of: Clients) -> dict[str, str]:
    s3, rds = client_of("s3"), client_of("rds")
    s3.create_bucket(
        Bucket="open-bucket",
        ACL="public-read",
        CreateBucketConfiguration={"LocationConstraint": s3.meta.region_name},
    )
    rds.create_db_instance(
        DBInstanceIdentifier="orders",
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        MasterUsername="app",
        MasterUserPassword=SECRET,
        PubliclyAccessible=True,
        StorageEncrypted=False,
        BackupRetentionPeriod=0,
    )
    rds.create_db_snapshot(DBInstanceIdentifier="orders", DBSnapshotIdentifier="dump")
    rds.modify_db_snapshot_attribute(
        DBSnapshotIdentifier="dump", AttributeName="restore", ValuesToAdd=["all"]
    )
    key = client_of("kms").create_key()["KeyMetadata"]["KeyId"]
    client_of("secretsmanager").create_secret(Name="api", SecretString=SECRET)
    system = client_of("efs").create_file_system(CreationToken="x", Encrypted=False)
    databases = ("public", "encrypted", "backups", "deletion-protection", "password-secret")
    buckets = ("", "-public-access-block", "-versioning", "-tls-only")
    return {
        **{f"rds-{check}": "orders" for check in databases},
        "s3-bucket-public": "open-bucket",
        **{f"s3-bucket{check}": "open-bucket" for check in buckets if check},
        "rds-snapshot-public": "dump",
        "kms-rotation": key,
        "secretsmanager-rotation": "api",
        "efs-encrypted": system["FileSystemId"],
    }


def _bad_function(functions: Any, iam: Any) -> None:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("f.py", "")
    role = iam.get_role(RoleName="open")["Role"]["Arn"]
    functions.create_function(
        FunctionName="pay",
        Runtime="python3.12",
        Role=role,
        Handler="f.x",
        Code={"ZipFile": code.getvalue()},
        Environment={"Variables": {"STRIPE_API_KEY": SECRET}},
    )


@dataclass(frozen=True)
class Deployed:
    """What the application fixture made."""

    vpc_id: str
    public_subnet: str
    app_group: str
    db_group: str


@pytest.fixture
def application(client_of: Clients) -> Deployed:
    """A sound three-tier application, in a VPC named `shop`, with a plain HTTP listener."""
    ec2, rds = client_of("ec2"), client_of("rds")
    tags = [{"Key": "opswright:name", "Value": "shop"}]
    vpc = ec2.create_vpc(
        CidrBlock="10.0.0.0/16", TagSpecifications=[{"ResourceType": "vpc", "Tags": tags}]
    )["Vpc"]["VpcId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    subnets = {}
    for number, (tier, zone) in enumerate(
        (tier, zone) for tier in ("public", "private") for zone in ("a", "b")
    ):
        made = ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{number}.0/24", AvailabilityZone=f"eu-west-1{zone}"
        )
        subnets[tier, zone] = made["Subnet"]["SubnetId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    for zone in ("a", "b"):
        ec2.associate_route_table(RouteTableId=table, SubnetId=subnets["public", zone])
    groups = {
        name: ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"]
        for name in ("lb", "app", "db")
    }
    web = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80}
    sources = {
        "lb": {**web, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]},
        "app": {**web, "UserIdGroupPairs": [{"GroupId": groups["lb"]}]},
        "db": {
            "IpProtocol": "tcp",
            "FromPort": 5432,
            "ToPort": 5432,
            "UserIdGroupPairs": [{"GroupId": groups["app"]}],
        },
    }
    for name, rule in sources.items():
        ec2.authorize_security_group_ingress(GroupId=groups[name], IpPermissions=[rule])
    rds.create_db_subnet_group(
        DBSubnetGroupName="shop",
        DBSubnetGroupDescription="x",
        SubnetIds=[subnets["private", "a"], subnets["private", "b"]],
    )
    rds.create_db_instance(
        DBInstanceIdentifier="shop",
        Engine="postgres",
        DBInstanceClass="db.t3.micro",
        AllocatedStorage=20,
        MasterUsername="app",
        ManageMasterUserPassword=True,
        StorageEncrypted=True,
        BackupRetentionPeriod=7,
        DeletionProtection=True,
        PubliclyAccessible=False,
        DBSubnetGroupName="shop",
        VpcSecurityGroupIds=[groups["db"]],
        Port=5432,
    )
    template = ec2.create_launch_template(
        LaunchTemplateName="shop",
        LaunchTemplateData={
            "ImageId": "ami-12345678",
            "InstanceType": "t3.micro",
            "SecurityGroupIds": [groups["app"]],
            "MetadataOptions": {"HttpTokens": "required"},
        },
    )["LaunchTemplate"]["LaunchTemplateId"]
    client_of("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="shop",
        MinSize=0,
        MaxSize=2,
        DesiredCapacity=0,
        LaunchTemplate={"LaunchTemplateId": template, "Version": "1"},
        VPCZoneIdentifier=",".join([subnets["private", "a"], subnets["private", "b"]]),
    )
    elb = client_of("elbv2")
    balancer = elb.create_load_balancer(
        Name="shop",
        Subnets=[subnets["public", "a"], subnets["public", "b"]],
        SecurityGroups=[groups["lb"]],
        Scheme="internet-facing",
    )["LoadBalancers"][0]["LoadBalancerArn"]
    target = elb.create_target_group(Name="shop", Protocol="HTTP", Port=80, VpcId=vpc)
    forward = {"Type": "forward", "TargetGroupArn": target["TargetGroups"][0]["TargetGroupArn"]}
    elb.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[forward]
    )
    return Deployed(vpc, subnets["public", "a"], groups["app"], groups["db"])
