"""Readers of Aurora clusters: in the cluster, in another zone, private, and undone alone."""

from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.tools.aurora_readers import AuroraReader, judge_reader, quietest_zone

Clients = Callable[[str], Any]
TOOL = "create_aurora_reader"


@pytest.fixture
def cluster(client_of: Clients, network: dict[str, Any], groups: dict[str, str]) -> str:
    """Somebody else's, with a writer alone; the writer's zone."""
    rds = client_of("rds")
    rds.create_db_subnet_group(
        DBSubnetGroupName="orders", DBSubnetGroupDescription="x",
        SubnetIds=network["database_subnet_ids"],
    )  # fmt: skip
    rds.create_db_cluster(
        DBClusterIdentifier="orders", Engine="aurora-postgresql", MasterUsername="ann",
        MasterUserPassword="not-a-real-one", DBSubnetGroupName="orders", StorageEncrypted=True,
        VpcSecurityGroupIds=[groups["database_sg_id"]],
    )  # fmt: skip
    rds.create_db_instance(
        DBInstanceIdentifier="orders-1", DBClusterIdentifier="orders",
        Engine="aurora-postgresql", DBInstanceClass="db.r6g.large", AvailabilityZone="eu-west-1a",
    )  # fmt: skip
    return "eu-west-1a"


def members(rds: Any) -> list[str]:
    (found,) = rds.describe_db_clusters(DBClusterIdentifier="orders")["DBClusters"]
    return [m["DBInstanceIdentifier"] for m in found["DBClusterMembers"]]


async def test_a_reader_is_like_its_writer_in_another_zone_and_leaves_the_cluster_alone(
    agent: Any, cluster: str, client_of: Clients
) -> None:
    rds, asked = client_of("rds"), {"name": "orders-reader", "cluster_id": "orders"}
    planned = await agent.call(TOOL, **asked, dry_run=True)
    assert planned["plan"]["actions"][0]["detail"].startswith("db.r6g.large in eu-west-1")
    assert members(rds) == ["orders-1"]
    change = await agent.call(TOOL, **asked)
    made = change["outputs"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}, change["checks"]
    assert members(rds) == ["orders-1", "orders-reader"]
    (found,) = rds.describe_db_instances(DBInstanceIdentifier="orders-reader")["DBInstances"]
    assert (found["DBInstanceClass"], found["PubliclyAccessible"]) == ("db.r6g.large", False)
    assert found["AvailabilityZone"] == made["az"] != cluster
    tags = {tag["Key"] for tag in found["TagList"]}
    assert {"Name", "managed-by"} <= tags
    assert (await agent.call(TOOL, **asked))["reused"]
    assert "other settings" in await agent.refused(TOOL, **asked, instance_class="db.r6g.xlarge")
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert members(rds) == ["orders-1"]


async def test_a_reader_that_cannot_be_is_refused(agent: Any, cluster: str, client_of: Any) -> None:
    said = await agent.refused(TOOL, name="orders-1", cluster_id="orders")
    assert "outside opswright" in said
    assert "no Aurora cluster 'none'" in await agent.refused(TOOL, name="r", cluster_id="none")
    client_of("rds").delete_db_instance(DBInstanceIdentifier="orders-1", SkipFinalSnapshot=True)
    said = await agent.refused(TOOL, name="r", cluster_id="orders")
    assert "its first would be its writer" in said


@pytest.mark.parametrize(
    ("zones", "taken", "chosen"),
    [
        (["b", "a"], ["a"], "b"),
        (["b", "a"], ["a", "b"], "a"),
        (["a", "b", "c"], ["a", "a", "b", "c", "c"], "b"),
        ([], ["a"], "a"),
        ([], [], ""),
    ],
)
def test_a_reader_goes_where_fewest_are(zones: list[str], taken: list[str], chosen: str) -> None:
    assert quietest_zone(zones, taken) == chosen


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, []),
        ({"DBInstanceStatus": "failed"}, ["It is available"]),
        ({"PubliclyAccessible": True}, ["It is not public"]),
        ({"DBInstanceClass": "db.t4g.medium"}, ["It has the size"]),
        ({"AvailabilityZone": "a"}, ["The cluster is in two zones or more"]),
        ({"DBInstanceIdentifier": "other"}, ["It is in the cluster"]),
    ],
)
def test_each_deviation_of_a_reader_fails(changed: dict[str, Any], failed: list[str]) -> None:
    made = AuroraReader(
        db_instance_id="r", cluster_id="orders", instance_class="db.r6g.large", az="b",
        reader_endpoint="e",
    )  # fmt: skip
    writer = {
        "DBInstanceIdentifier": "w", "DBInstanceClass": "db.r6g.large", "AvailabilityZone": "a",
        "DBInstanceStatus": "available", "PubliclyAccessible": False,
    }  # fmt: skip
    reader = {**writer, "DBInstanceIdentifier": "r", "AvailabilityZone": "b", **changed}
    cluster = {"DBClusterMembers": [{"DBInstanceIdentifier": "w", "IsClusterWriter": True}]}
    checks = judge_reader(made, cluster, [writer, reader], "db.r6g.large")
    assert [c.name for c in checks if c.verdict != "PASS"] == failed
