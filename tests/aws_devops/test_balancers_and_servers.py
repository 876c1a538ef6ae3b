"""Load balancers and web tiers, each checked behind the tool's back."""

import base64
import time
from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.instances.setup import releases_policy
from opswright_aws_devops.ownership import short_name

Clients = Callable[[str], Any]
NO_TARGETS = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/x/0"
Inventory = Callable[[], dict[str, list[str]]]


async def test_a_load_balancer_faces_the_internet_and_forwards_to_its_targets(
    balancer: dict[str, str], network: dict[str, Any], groups: dict[str, str], client_of: Clients
) -> None:
    elb = client_of("elbv2")
    arn = balancer["load_balancer_arn"]
    (found,) = elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"]
    assert found["Scheme"] == "internet-facing"
    assert {z["SubnetId"] for z in found["AvailabilityZones"]} == set(network["public_subnet_ids"])
    assert found["SecurityGroups"] == [groups["load_balancer_sg_id"]]
    (listener,) = elb.describe_listeners(LoadBalancerArn=arn)["Listeners"]
    assert listener["ListenerArn"] == balancer["listener_arn"]
    assert (listener["Protocol"], listener["Port"]) == ("HTTP", 80)
    assert listener["DefaultActions"][0]["TargetGroupArn"] == balancer["target_group_arn"]
    which = [balancer["target_group_arn"]]
    (group,) = elb.describe_target_groups(TargetGroupArns=which)["TargetGroups"]
    assert (group["Port"], group["HealthCheckPath"]) == (8080, "/healthz")
    assert balancer["url"] == f"http://{found['DNSName']}"


async def test_an_internal_load_balancer_stays_inside_and_its_targets_are_addresses(
    agent: Any, network: dict[str, Any], groups: dict[str, str], client_of: Clients
) -> None:
    elb, made = client_of("elbv2"), {}
    before = elb.describe_load_balancers()["LoadBalancers"]
    for target_type in ("ip", "none"):
        change = await agent.call(
            "create_load_balancer",
            name=f"shop-{target_type}",
            vpc_id=network["vpc_id"],
            subnet_ids=network["private_subnet_ids"],
            security_group_ids=[groups["app_sg_id"]],
            internal=True,
            target_type=target_type,
        )
        assert {c["verdict"] for c in change["checks"]} == {"PASS"}
        made[target_type] = change["outputs"]
    arns = [found["load_balancer_arn"] for found in made.values()]
    found = elb.describe_load_balancers(LoadBalancerArns=arns)["LoadBalancers"]
    assert {balancer["Scheme"] for balancer in found} == {"internal"}
    (group,) = elb.describe_target_groups(Names=["shop-ip"])["TargetGroups"]
    assert group["TargetType"] == "ip"
    assert group["TargetGroupArn"] == made["ip"]["target_group_arn"]
    assert made["none"]["target_group_arn"] == ""
    which = [made["none"]["listener_arn"]]
    (listener,) = elb.describe_listeners(ListenerArns=which)["Listeners"]
    (answer,) = listener["DefaultActions"]
    assert answer["FixedResponseConfig"]["StatusCode"] == "404"
    for change_id in agent.made[-2:]:
        await agent.call("undo_change", change_id=change_id)
    assert elb.describe_load_balancers()["LoadBalancers"] == before
    assert elb.describe_target_groups()["TargetGroups"] == []


def self_signed(lasts_seconds: float = 86_400) -> dict[str, bytes]:
    """A certificate and its key, valid from now, as ACM imports them."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "shop.example.com")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(seconds=lasts_seconds))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "Certificate": certificate.public_bytes(serialization.Encoding.PEM),
        "PrivateKey": private,
    }


def status_of(acm: Any, arn: str) -> str:
    status: str = acm.describe_certificate(CertificateArn=arn)["Certificate"]["Status"]
    return status


async def test_a_certificate_gives_https_and_sends_http_there(
    agent: Any,
    network: dict[str, Any],
    groups: dict[str, str],
    client_of: Clients,
) -> None:
    acm = client_of("acm")
    expired = acm.import_certificate(**self_signed(lasts_seconds=3))["CertificateArn"]
    while status_of(acm, expired) != "EXPIRED":
        time.sleep(0.2)
    arguments = {
        "name": "shop",
        "vpc_id": network["vpc_id"],
        "subnet_ids": network["public_subnet_ids"],
        "security_group_ids": [groups["load_balancer_sg_id"]],
        "certificate_arn": expired,
    }
    assert "is EXPIRED" in await agent.refused("create_load_balancer", **arguments)
    issued = acm.import_certificate(**self_signed())["CertificateArn"]
    made = (await agent.call("create_load_balancer", **{**arguments, "certificate_arn": issued}))[
        "outputs"
    ]
    arn = made["load_balancer_arn"]
    listeners = client_of("elbv2").describe_listeners(LoadBalancerArn=arn)["Listeners"]
    actions = {x["Port"]: x["DefaultActions"][0]["Type"] for x in listeners}
    assert actions == {443: "forward", 80: "redirect"}
    assert made["url"].startswith("https://")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"health_check_path": "healthz"}, "pattern"),
        ({"vpc_id": "vpc-0123456789abcdef0"}, "not in vpc-0123456789abcdef0"),
        ({"name": "internal-shop"}, "internal-"),
        ({"certificate_arn": "arn:aws:acm:eu-west-1:1:certificate/x"}, "does not exist"),
        ({"target_port": 70000}, "65535"),
    ],
)
async def test_a_bad_load_balancer_is_refused(
    agent: Any,
    network: dict[str, Any],
    groups: dict[str, str],
    change: dict[str, Any],
    said: str,
) -> None:
    arguments = {
        "name": "shop",
        "vpc_id": network["vpc_id"],
        "subnet_ids": network["public_subnet_ids"],
        "security_group_ids": [groups["load_balancer_sg_id"]],
    }
    assert said in await agent.refused("create_load_balancer", **{**arguments, **change})


async def test_private_subnets_are_refused_for_an_internet_facing_load_balancer(
    agent: Any, network: dict[str, Any], groups: dict[str, str]
) -> None:
    said = await agent.refused(
        "create_load_balancer",
        name="shop",
        vpc_id=network["vpc_id"],
        subnet_ids=network["private_subnet_ids"],
        security_group_ids=[groups["load_balancer_sg_id"]],
    )
    assert "no route to an internet gateway" in said


async def test_a_long_name_is_cut_to_what_elb_takes_and_stays_unique(
    agent: Any, network: dict[str, Any], groups: dict[str, str]
) -> None:
    made = await agent.call(
        "create_load_balancer",
        name="a-very-long-application-name-of-the-shop",
        vpc_id=network["vpc_id"],
        subnet_ids=network["public_subnet_ids"],
        security_group_ids=[groups["load_balancer_sg_id"]],
    )
    assert len(made["outputs"]["load_balancer_name"]) <= 32
    names = {short_name(f"a-very-long-application-name-{n}") for n in range(50)}
    assert len(names) == 50
    assert short_name("shop") == "shop"


async def test_a_web_tier_launches_hardened_servers_behind_the_load_balancer(
    agent: Any, web_arguments: dict[str, Any], client_of: Clients
) -> None:
    change = await agent.call("create_web_tier", **web_arguments)
    made = change["outputs"]
    ec2, asg, iam = client_of("ec2"), client_of("autoscaling"), client_of("iam")
    which = {"AutoScalingGroupNames": [made["asg_name"]]}
    (group,) = asg.describe_auto_scaling_groups(**which)["AutoScalingGroups"]
    assert (group["MinSize"], group["MaxSize"], group["HealthCheckType"]) == (2, 6, "ELB")
    assert group["TargetGroupARNs"] == [web_arguments["target_group_arn"]]
    assert group["VPCZoneIdentifier"].split(",") == web_arguments["subnet_ids"]
    assert len(made["instance_ids"]) == 2
    (policy,) = asg.describe_policies(AutoScalingGroupName="shop")["ScalingPolicies"]
    assert policy["TargetTrackingConfiguration"]["TargetValue"] == 60.0
    template = ec2.describe_launch_template_versions(LaunchTemplateId=made["launch_template_id"])
    data = template["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert data["BlockDeviceMappings"][0]["Ebs"]["Encrypted"]
    assert "KeyName" not in data
    assert "8080" in base64.b64decode(data["UserData"]).decode()
    profile = iam.get_instance_profile(InstanceProfileName="shop")["InstanceProfile"]
    assert profile["Arn"] == made["instance_profile_arn"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["shop"]
    gaps = " ".join(change["gaps"])
    assert "AmazonSSMManagedInstanceCore" in gaps
    assert "put all instances into" in gaps
    assert (await agent.call("create_web_tier", **web_arguments))["reused"]


async def test_servers_may_read_releases_and_nothing_else_of_the_bucket(
    agent: Any, web_arguments: dict[str, Any], client_of: Clients
) -> None:
    await agent.call("create_bucket", name="shop-artifacts")
    await agent.call("create_web_tier", **web_arguments, artifact_bucket="shop-artifacts")
    policy = client_of("iam").get_role_policy(RoleName="shop", PolicyName="read-releases")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "s3:GetObject"
    assert statement["Resource"] == "arn:aws:s3:::shop-artifacts/releases/*"
    assert "arn:aws-cn:s3" in releases_policy("aws-cn", "b")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instance_type": "zz.small"}, "not offered"),
        ({"min_size": 5, "max_size": 2}, "below min_size"),
        ({"target_group_arn": NO_TARGETS}, "does not exist"),
        ({"artifact_bucket": "nowhere-to-be-found"}, "does not exist"),
        ({"security_group_ids": ["sg-0123456789abcdef0"]}, "does not exist"),
    ],
)  # fmt: skip
async def test_a_bad_web_tier_is_refused_before_anything_is_sent(
    agent: Any,
    web_arguments: dict[str, Any],
    inventory: Inventory,
    change: dict[str, Any],
    said: str,
) -> None:
    before = inventory()
    assert said in await agent.refused("create_web_tier", **{**web_arguments, **change})
    assert inventory() == before


async def test_servers_are_not_registered_where_addresses_or_functions_are(
    agent: Any, web_arguments: dict[str, Any], client_of: Clients
) -> None:
    made = client_of("elbv2").create_target_group(Name="functions", TargetType="lambda")
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    said = await agent.refused("create_web_tier", **{**web_arguments, "target_group_arn": arn})
    assert "takes targets by lambda" in said


async def test_arm_instance_types_get_an_arm_image(
    agent: Any, web_arguments: dict[str, Any], client_of: Clients
) -> None:
    change = await agent.call("create_web_tier", **web_arguments, instance_type="t4g.small")
    path = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"
    image = client_of("ssm").get_parameter(Name=path)["Parameter"]["Value"]
    template = change["outputs"]["launch_template_id"]
    versions = client_of("ec2").describe_launch_template_versions(LaunchTemplateId=template)
    data = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    assert data["ImageId"] == image


async def test_everything_undone_in_reverse_order_leaves_the_account_as_it_was(
    agent: Any,
    inventory: Inventory,
) -> None:
    before = inventory()
    network = (await agent.call("create_network", name="shop"))["outputs"]
    groups = (await agent.call("create_security_groups", name="shop", vpc_id=network["vpc_id"]))[
        "outputs"
    ]
    await agent.call(
        "create_database",
        name="shop",
        subnet_ids=network["database_subnet_ids"],
        security_group_ids=[groups["database_sg_id"]],
        final_snapshot=False,
    )
    balancer = (
        await agent.call(
            "create_load_balancer",
            name="shop",
            vpc_id=network["vpc_id"],
            subnet_ids=network["public_subnet_ids"],
            security_group_ids=[groups["load_balancer_sg_id"]],
        )
    )["outputs"]
    await agent.call("create_bucket", name="shop-artifacts")
    await agent.call(
        "create_web_tier",
        name="shop",
        subnet_ids=network["private_subnet_ids"],
        security_group_ids=[groups["app_sg_id"]],
        target_group_arn=balancer["target_group_arn"],
        artifact_bucket="shop-artifacts",
    )
    made = list(agent.made)
    assert len(made) == 6
    for change_id in reversed(made):
        undone = await agent.call("undo_change", change_id=change_id)
        assert {c["verdict"] for c in undone["checks"]} == {"PASS"}, undone["checks"]
    assert inventory() == before
