"""Security groups and databases, each checked behind the tool's back."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Clients = Callable[[str], Any]
NO_TARGETS = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/x/0"
Inventory = Callable[[], dict[str, list[str]]]


async def test_each_tier_lets_in_only_the_one_before(
    groups: dict[str, str], client_of: Clients
) -> None:
    found = client_of("ec2").describe_security_groups(GroupIds=list(groups.values()))
    rules = {g["GroupId"]: g["IpPermissions"] for g in found["SecurityGroups"]}
    front = rules[groups["load_balancer_sg_id"]]
    assert {(r["FromPort"], r["IpRanges"][0]["CidrIp"]) for r in front} == {
        (80, "0.0.0.0/0"),
        (443, "0.0.0.0/0"),
    }
    chain = [("app_sg_id", 8080, "load_balancer_sg_id"), ("database_sg_id", 5432, "app_sg_id")]
    for group, port, source in chain:
        (rule,) = rules[groups[group]]
        assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == (port, port, [])
        assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [groups[source]]


async def test_an_opened_group_is_found_by_a_repeat(
    agent: Any, network: dict[str, Any], groups: dict[str, str], client_of: Clients
) -> None:
    arguments = {"name": "shop", "vpc_id": network["vpc_id"]}
    assert (await agent.call("create_security_groups", **arguments))["reused"]
    client_of("ec2").authorize_security_group_ingress(
        GroupId=groups["app_sg_id"], IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )
    said = await agent.refused("create_security_groups", **arguments)
    assert "lets in exactly what it should" in said
    assert "22" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"vpc_id": "vpc-0123456789abcdef0"}, "does not exist"),
        ({"vpc_id": "vpc-1", "app_port": 22}, "Session Manager"),
        ({"vpc_id": "vpc-1", "app_port": 0}, "greater than or equal to 1"),
        ({"vpc_id": "vpc-1", "name": "sg-x"}, "begin with sg-"),
    ],
)
async def test_bad_security_groups_are_refused(
    agent: Any, arguments: dict[str, Any], said: str
) -> None:
    assert said in await agent.refused("create_security_groups", **{"name": "shop", **arguments})


async def test_a_group_name_that_is_anothers_is_refused(
    agent: Any, network: dict[str, Any], client_of: Clients
) -> None:
    client_of("ec2").create_security_group(
        GroupName="shop-app", Description="x", VpcId=network["vpc_id"]
    )
    said = await agent.refused("create_security_groups", name="shop", vpc_id=network["vpc_id"])
    assert "outside opswright" in said


@pytest.fixture
def database_arguments(network: dict[str, Any], groups: dict[str, str]) -> dict[str, Any]:
    return {
        "name": "shop",
        "subnet_ids": network["database_subnet_ids"],
        "security_group_ids": [groups["database_sg_id"]],
    }


async def test_a_database_is_private_encrypted_doubled_and_backed_up(
    agent: Any, database_arguments: dict[str, Any], client_of: Clients
) -> None:
    change = await agent.call("create_database", **database_arguments)
    made = change["outputs"]
    (found,) = client_of("rds").describe_db_instances(DBInstanceIdentifier="shop")["DBInstances"]
    assert found["StorageEncrypted"]
    assert found["MultiAZ"]
    assert not found["PubliclyAccessible"]
    assert found["BackupRetentionPeriod"] == 7
    assert found["DeletionProtection"]
    assert (made["endpoint"], made["port"]) == (found["Endpoint"]["Address"], 5432)
    zones = {s["SubnetAvailabilityZone"]["Name"] for s in found["DBSubnetGroup"]["Subnets"]}
    assert len(zones) == 2
    assert made["secret_arn"] == found["MasterUserSecret"]["SecretArn"]
    assert any("no database engine" in gap for gap in change["gaps"])
    assert (await agent.call("create_database", **database_arguments))["reused"]


async def test_no_password_is_journalled_or_returned(
    agent: Any, database_arguments: dict[str, Any], client_of: Clients
) -> None:
    change = await agent.call("create_database", **database_arguments)
    secret = client_of("secretsmanager").get_secret_value(SecretId=change["outputs"]["secret_arn"])
    password = json.loads(secret["SecretString"])["password"]
    journal = await agent.client.read_resource(f"journal://changes/{change['change_id']}")
    assert password not in json.dumps(change)
    assert password not in str(journal)


@pytest.mark.parametrize("keep", [True, False])
async def test_undoing_a_database_keeps_a_last_snapshot_unless_told_not_to(
    agent: Any, database_arguments: dict[str, Any], client_of: Clients, keep: bool
) -> None:
    change = await agent.call("create_database", **database_arguments, final_snapshot=keep)
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    rds = client_of("rds")
    assert rds.describe_db_instances()["DBInstances"] == []
    assert rds.describe_db_subnet_groups()["DBSubnetGroups"] == []
    snapshots = [s["DBSnapshotIdentifier"] for s in rds.describe_db_snapshots()["DBSnapshots"]]
    assert snapshots == ([f"shop-final-{change['change_id']}"] if keep else [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subnet_ids": ["subnet-0123456789abcdef0", "subnet-1"]}, "does not exist"),
        ({"subnet_ids": []}, "at least 2"),
        ({"storage_gb": 5}, "greater than or equal to 20"),
        ({"engine": "oracle"}, "postgres"),
        ({"instance_class": "t3.small"}, "pattern"),
        ({"name": "a" * 41}, "at most 40"),
    ],
)
async def test_a_bad_database_is_refused(
    agent: Any, database_arguments: dict[str, Any], change: dict[str, Any], said: str
) -> None:
    assert said in await agent.refused("create_database", **{**database_arguments, **change})


async def test_subnets_of_one_zone_or_two_vpcs_are_refused(
    agent: Any, database_arguments: dict[str, Any], network: dict[str, Any]
) -> None:
    one_zone = [network["public_subnet_ids"][0], network["private_subnet_ids"][0]]
    said = await agent.refused("create_database", **{**database_arguments, "subnet_ids": one_zone})
    assert "two" in said or "at least 2 availability zones" in said
    other = (await agent.call("create_network", name="blog", cidr="10.1.0.0/16", nat="none"))[
        "outputs"
    ]
    mixed = [network["private_subnet_ids"][0], other["private_subnet_ids"][1]]
    said = await agent.refused("create_database", **{**database_arguments, "subnet_ids": mixed})
    assert "different VPCs" in said
    stranger = {**database_arguments, "subnet_ids": other["database_subnet_ids"]}
    assert "not in the subnets' VPC" in await agent.refused("create_database", **stranger)
