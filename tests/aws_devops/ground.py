"""One account in which every change can be made: a network and one of each thing to change."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

CERTIFIED = ("a.shop.example", "b.shop.example")
IMAGE = "public.ecr.aws/team/shop:1.0"
KIND = "application/vnd.oci.image.manifest.v1+json"


async def lay(agent: Any, client_of: Callable[[str], Any], folder: Path) -> dict[str, Any]:
    """Make it; the ids by the names that stand for them in a table of arguments."""
    network = (await agent.call("create_network", name="shop", nat="none"))["outputs"]
    vpc = network["vpc_id"]
    groups = (await agent.call("create_security_groups", name="shop", vpc_id=vpc))["outputs"]
    balancer = (
        await agent.call(
            "create_load_balancer", name="shop", vpc_id=vpc,
            subnet_ids=network["public_subnet_ids"],
            security_group_ids=[groups["load_balancer_sg_id"]],
        )
    )["outputs"]  # fmt: skip
    endpoints = await agent.call(
        "create_vpc_endpoints", name="shop", vpc_id=vpc, services=["execute-api"]
    )
    queue = (await agent.call("create_queue", name="jobs", visibility_timeout_seconds=180))[
        "outputs"
    ]
    for name in ("code", "site"):
        (folder / name).mkdir()
    (folder / "code" / "app.py").write_text("def handler(event, context):\n    return {}\n")
    (folder / "site" / "index.html").write_text("<h1>one</h1>")
    (folder / "site" / "app.css").write_text("b{}")
    await agent.call(
        "create_function", name="hello", code=str(folder / "code"), runtime="python3.13",
        handler="app.handler",
    )  # fmt: skip
    await agent.call("create_bucket", name="shop-site")
    known = {
        "VPC": vpc, "PUBLIC": network["public_subnet_ids"],
        "PRIVATE": network["private_subnet_ids"], "DATA": network["database_subnet_ids"],
        "A_PRIVATE": network["private_subnet_ids"][0],
        "FRONT_SG": groups["load_balancer_sg_id"], "APP_SG": groups["app_sg_id"],
        "DATA_SG": groups["database_sg_id"], "BALANCER": balancer["load_balancer_arn"],
        "TARGETS": balancer["target_group_arn"], "LISTENER": balancer["listener_arn"],
        "QUEUE": queue["queue_arn"], "CODE": str(folder / "code"), "SITE": str(folder / "site"),
        "ENDPOINT": endpoints["outputs"]["made"][0]["endpoint_id"],
    }  # fmt: skip
    return known | _by_hand(client_of, known)


def _by_hand(client_of: Callable[[str], Any], known: dict[str, Any]) -> dict[str, Any]:
    """What somebody else made, to be changed."""
    client_of("route53").create_hosted_zone(Name="shop.example", CallerReference="shop")
    _databases(client_of("rds"), known)
    _containers(client_of("ecs"))
    s3 = client_of("s3")
    for name in ("shop-files", "shop-logs"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_versioning(  # once enabled, it is never off again
        Bucket="shop-files", VersioningConfiguration={"Status": "Suspended"}
    )
    server = client_of("ec2").run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, InstanceType="t3.micro",
        SubnetId=known["A_PRIVATE"],
    )["Instances"][0]  # fmt: skip
    data = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro"}
    made = client_of("ec2").create_launch_template(
        LaunchTemplateName="shop", LaunchTemplateData=data
    )
    client_of("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName="shop", MinSize=0, MaxSize=4, DesiredCapacity=0,
        VPCZoneIdentifier=known["A_PRIVATE"],
        LaunchTemplate={
            "LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"], "Version": "1",
        },
    )  # fmt: skip
    body = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue"}}})
    client_of("cloudformation").create_stack(StackName="shop", TemplateBody=body)
    return {
        **_encrypted_listener(client_of, known), "SERVER": server["InstanceId"],
        "KEY": client_of("kms").create_key()["KeyMetadata"]["KeyId"],
    }  # fmt: skip


def _databases(rds: Any, known: dict[str, Any]) -> None:
    rds.create_db_instance(
        DBInstanceIdentifier="shop", Engine="postgres", DBInstanceClass="db.t4g.micro",
        AllocatedStorage=20, MasterUsername="shop", MasterUserPassword="not-a-secret",
    )  # fmt: skip
    rds.create_db_subnet_group(
        DBSubnetGroupName="orders", DBSubnetGroupDescription="x", SubnetIds=known["DATA"]
    )
    rds.create_db_cluster(
        DBClusterIdentifier="orders", Engine="aurora-mysql", MasterUsername="ann",
        MasterUserPassword="not-a-real-one", DBSubnetGroupName="orders", StorageEncrypted=True,
        VpcSecurityGroupIds=[known["DATA_SG"]], BackupRetentionPeriod=3,
    )  # fmt: skip
    rds.create_db_instance(
        DBInstanceIdentifier="orders-1", DBClusterIdentifier="orders", Engine="aurora-mysql",
        DBInstanceClass="db.r6g.large",
    )  # fmt: skip
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier="orders", DBClusterSnapshotIdentifier="orders-tuesday"
    )


def _containers(ecs: Any) -> None:
    ecs.create_cluster(clusterName="shop")
    ecs.register_task_definition(
        family="shop", requiresCompatibilities=["FARGATE"], networkMode="awsvpc",
        cpu="256", memory="512", executionRoleArn="arn:aws:iam::123456789012:role/shop-execution",
        containerDefinitions=[{"name": "web", "image": IMAGE, "essential": True}],
    )  # fmt: skip
    ecs.create_service(cluster="shop", serviceName="shop", taskDefinition="shop", desiredCount=2)


def _encrypted_listener(client_of: Callable[[str], Any], known: dict[str, Any]) -> dict[str, str]:
    """A listener with a certificate, and another certificate for it."""
    acm = client_of("acm")
    first, second = (
        acm.request_certificate(DomainName=name, ValidationMethod="DNS")["CertificateArn"]
        for name in CERTIFIED
    )
    for _ in range(3):  # issued after some looks
        acm.describe_certificate(CertificateArn=second)
    listener = client_of("elbv2").create_listener(
        LoadBalancerArn=known["BALANCER"], Protocol="HTTPS", Port=8443,
        Certificates=[{"CertificateArn": first}],
        DefaultActions=[{"Type": "forward", "TargetGroupArn": known["TARGETS"]}],
    )  # fmt: skip
    return {"ENCRYPTED": listener["Listeners"][0]["ListenerArn"], "CERTIFICATE": second}
