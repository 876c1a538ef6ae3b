"""Aurora clusters, and databases that come back from their backups."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opswright_aws_devops.databases.backups import Source, choose
from opswright_aws_devops.databases.parts import maintenance
from opswright_aws_devops.skills.restoring import moment
from opswright_aws_devops.tools.aurora import AuroraCluster, judge_cluster
from opswright_aws_devops.tools.restore import RestoredDatabase, judge_restored
from opswright_core.errors import BadInputError

Clients = Callable[[str], Any]
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.fixture
def there(client_of: Clients) -> Callable[[], dict[str, list[str]]]:
    """The databases and what belongs to them."""
    rds = client_of("rds")

    def read() -> dict[str, list[str]]:
        groups = rds.describe_db_subnet_groups()["DBSubnetGroups"]
        return {
            "instances": sorted(
                d["DBInstanceIdentifier"] for d in rds.describe_db_instances()["DBInstances"]
            ),
            "clusters": [
                c["DBClusterIdentifier"] for c in rds.describe_db_clusters()["DBClusters"]
            ],
            "groups": [g["DBSubnetGroupName"] for g in groups],
        }

    return read


@pytest.fixture
def place(network: dict[str, Any], groups: dict[str, str]) -> dict[str, Any]:
    return {
        "subnet_ids": network["database_subnet_ids"],
        "security_group_ids": [groups["database_sg_id"]],
    }


@pytest.mark.parametrize(("engine", "port"), [("aurora-postgresql", 5432), ("aurora-mysql", 3306)])
async def test_an_aurora_cluster_is_private_encrypted_and_spread_over_zones(
    agent: Any, place: dict[str, Any], client_of: Clients, there: Any, engine: str, port: int
) -> None:
    asked = {"name": "orders", "engine": engine, "maintenance_window": "Sun:04:00-Sun:05:00"}
    change = await agent.call("create_aurora_cluster", **asked, **place)
    made = change["outputs"]
    (found,) = client_of("rds").describe_db_clusters(DBClusterIdentifier="orders")["DBClusters"]
    assert found["StorageEncrypted"]
    assert found["DeletionProtection"]
    assert found["BackupRetentionPeriod"] == 7
    assert found["PreferredMaintenanceWindow"] == "sun:04:00-sun:05:00"
    assert found["PreferredBackupWindow"] == "03:00-03:30"
    assert made["secret_arn"] == found["MasterUserSecret"]["SecretArn"]
    assert (made["port"], made["azs"]) == (port, ["eu-west-1a", "eu-west-1b"])
    assert made["endpoint"] != made["reader_endpoint"]
    assert there()["instances"] == made["instance_ids"] == ["orders-1", "orders-2"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert (await agent.call("create_aurora_cluster", **asked, **place))["reused"]


@pytest.mark.parametrize("keep", [True, False])
async def test_the_undo_of_a_cluster_keeps_a_snapshot_at_most(
    agent: Any, place: dict[str, Any], client_of: Clients, there: Any, keep: bool
) -> None:
    before = there()
    asked = {"name": "orders", "final_snapshot": keep, **place}
    change = await agent.call("create_aurora_cluster", **asked)
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert there() == before
    found = client_of("rds").describe_db_cluster_snapshots(SnapshotType="manual")
    kept = [s["DBClusterSnapshotIdentifier"] for s in found["DBClusterSnapshots"]]
    assert kept == ([f"orders-final-{change['change_id']}"] if keep else [])


async def test_a_cluster_of_somebody_else_is_refused_and_a_plan_makes_nothing(
    agent: Any, place: dict[str, Any], client_of: Clients, there: Any
) -> None:
    before = there()
    planned = await agent.call(
        "create_aurora_cluster", name="orders", instance_count=1, dry_run=True, **place
    )
    kinds = [action["type"] for action in planned["plan"]["actions"]]
    assert kinds == ["rds:subgrp", "rds:cluster", "rds:db"]
    assert "takes minutes" in " ".join(planned["plan"]["warnings"])
    assert there() == before
    client_of("rds").create_db_cluster(
        DBClusterIdentifier="orders", Engine="aurora-mysql", MasterUsername="ann",
        MasterUserPassword="not-a-real-one",
    )  # fmt: skip
    said = await agent.refused("create_aurora_cluster", name="orders", **place)
    assert "outside opswright" in said


def test_a_cluster_that_lost_an_instance_fails() -> None:
    made = AuroraCluster.model_validate(
        {
            "cluster_id": "orders", "engine": "aurora-mysql", "endpoint": "w",
            "reader_endpoint": "r", "port": 3306, "secret_arn": "", "instance_ids": ["a", "b"],
            "azs": [], "subnet_group": "orders", "encrypted": True,
        }
    )  # fmt: skip
    member = {
        "DBInstanceStatus": "available", "AvailabilityZone": "eu-west-1a",
        "PubliclyAccessible": False,
    }  # fmt: skip
    cluster = {
        "Status": "available", "StorageEncrypted": True, "BackupRetentionPeriod": 7,
        "DeletionProtection": True, "MasterUserSecret": {"SecretArn": "arn"},
    }  # fmt: skip
    checks = judge_cluster(made, cluster, [member, None], backup_days=7)
    failed = {c.name for c in checks if c.verdict == "FAIL"}
    assert failed == {"Its instances are available", "Instances are in two zones or more"}
    assert [c.verdict for c in judge_cluster(made, None, [], backup_days=7)] == ["FAIL"]


@pytest.fixture
async def shop(agent: Any, place: dict[str, Any], client_of: Clients) -> str:
    await agent.call("create_database", name="shop", **place)
    client_of("rds").create_db_snapshot(
        DBInstanceIdentifier="shop", DBSnapshotIdentifier="shop-tuesday"
    )
    return "shop"


async def test_a_database_is_restored_beside_the_one_it_comes_from(
    agent: Any, shop: str, client_of: Clients, there: Any
) -> None:
    before = there()
    asked = {"name": "shop-copy", "source_id": shop}
    change = await agent.call("restore_database", **asked)
    made = change["outputs"]
    rds = client_of("rds")
    (old,) = rds.describe_db_instances(DBInstanceIdentifier=shop)["DBInstances"]
    (new,) = rds.describe_db_instances(DBInstanceIdentifier="shop-copy")["DBInstances"]
    assert "shop-tuesday" in made["restored"]
    for same in ("DBInstanceClass", "MultiAZ", "StorageEncrypted", "VpcSecurityGroups"):
        assert new[same] == old[same]
    assert new["DBSubnetGroup"]["DBSubnetGroupName"] == "shop"
    assert new["DeletionProtection"]
    assert not new["PubliclyAccessible"]
    assert made["secret_arn"] == new["MasterUserSecret"]["SecretArn"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert (await agent.call("restore_database", **asked))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert there() == before


async def test_a_database_that_is_gone_is_restored_from_what_it_left(
    agent: Any, shop: str, place: dict[str, Any], client_of: Clients
) -> None:
    rds = client_of("rds")
    rds.modify_db_instance(DBInstanceIdentifier=shop, DeletionProtection=False)
    rds.delete_db_instance(DBInstanceIdentifier=shop, SkipFinalSnapshot=True)
    asked = {"name": "shop-copy", "source_id": shop}
    said = await agent.refused("restore_database", **asked)
    assert "give subnet_group, security_group_ids" in said
    said = await agent.refused("restore_database", restore_time="2026-11-20T10:00:00Z", **asked)
    assert "only its snapshots" in said
    where = {"subnet_group": "shop", "security_group_ids": place["security_group_ids"]}
    made = (await agent.call("restore_database", **asked, **where))["outputs"]
    assert (made["kind"], made["encrypted"]) == ("instance", True)


async def test_a_database_is_restored_to_a_point_in_time(agent: Any, shop: str) -> None:
    then = datetime.now(UTC).isoformat()
    change = await agent.call(
        "restore_database", name="shop-then", source_id=shop, restore_time=then
    )
    assert "as of" in change["outputs"]["restored"]
    assert any("what was in it" in gap for gap in change["gaps"])


def make_cluster(rds: Any, place: dict[str, Any]) -> None:
    """A cluster of somebody else's: the emulator restores none that has a managed password."""
    rds.create_db_subnet_group(
        DBSubnetGroupName="orders", DBSubnetGroupDescription="x", SubnetIds=place["subnet_ids"]
    )
    rds.create_db_cluster(
        DBClusterIdentifier="orders", Engine="aurora-mysql", MasterUsername="ann",
        MasterUserPassword="not-a-real-one", DBSubnetGroupName="orders", StorageEncrypted=True,
        VpcSecurityGroupIds=place["security_group_ids"], BackupRetentionPeriod=3,
    )  # fmt: skip
    for member in ("orders-1", "orders-2"):
        rds.create_db_instance(
            DBInstanceIdentifier=member, DBClusterIdentifier="orders", Engine="aurora-mysql",
            DBInstanceClass="db.r6g.large",
        )  # fmt: skip
    rds.create_db_cluster_snapshot(
        DBClusterIdentifier="orders", DBClusterSnapshotIdentifier="orders-tuesday"
    )


@pytest.mark.parametrize("by_time", [False, True])
async def test_a_cluster_is_restored_with_as_many_instances(
    agent: Any, place: dict[str, Any], client_of: Clients, there: Any, by_time: bool
) -> None:
    rds = client_of("rds")
    make_cluster(rds, place)
    before = there()
    asked: dict[str, Any] = {"name": "orders-copy", "source_id": "orders"}
    asked |= {"restore_time": datetime.now(UTC).isoformat()} if by_time else {}
    change = await agent.call("restore_database", **asked)
    made = change["outputs"]
    assert (made["kind"], made["instance_ids"]) == ("cluster", ["orders-copy-1", "orders-copy-2"])
    (new,) = rds.describe_db_clusters(DBClusterIdentifier="orders-copy")["DBClusters"]
    assert new["DeletionProtection"]
    assert made["secret_arn"] == new["MasterUserSecret"]["SecretArn"]
    assert made["subnet_group"] == "orders"
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert there() == before
    said = await agent.refused("restore_database", name="x", source_id="orders-1")
    assert "restore the cluster" in said


async def test_a_restore_that_cannot_be_is_refused(agent: Any, shop: str) -> None:
    asked = {"name": "copy", "source_id": shop}
    said = await agent.refused("restore_database", **{**asked, "source_id": "nothing"})
    assert "no database 'nothing'" in said
    said = await agent.refused("restore_database", snapshot_id="shop-monday", **asked)
    assert "there are: shop-tuesday" in said
    said = await agent.refused("restore_database", restore_time="2020-01-01T00:00:00Z", **asked)
    assert "cannot be restored to 2020-01-01" in said
    said = await agent.refused("restore_database", **{**asked, "name": shop})
    assert "source's own name" in said
    said = await agent.refused("restore_database", subnet_group="other", **asked)
    assert "no DB subnet group 'other'" in said
    both = {"restore_time": "2026-11-20T10:00:00Z", "snapshot_id": "shop-tuesday"}
    assert "not both" in await agent.refused("restore_database", **both, **asked)


def snapshot(name: str, hour: int) -> dict[str, Any]:
    return {"id": name, "SnapshotCreateTime": NOW - timedelta(hours=hour)}


def test_the_newest_snapshot_is_chosen_and_the_time_is_held_to_the_backups() -> None:
    live = {
        "BackupRetentionPeriod": 7, "EarliestRestorableTime": NOW - timedelta(days=7),
        "LatestRestorableTime": NOW - timedelta(minutes=5),
    }  # fmt: skip
    cluster = Source("cluster", "orders", live, [snapshot("new", 1), snapshot("old", 9)])
    aws: Any = None
    assert choose(aws, cluster, None, None, NOW).snapshot_id == "new"
    assert choose(aws, cluster, "old", None, NOW).snapshot_id == "old"
    naive = datetime(2026, 11, 22, 10, 0)  # noqa: DTZ001 (taken as UTC)
    assert choose(aws, cluster, None, naive, NOW).time == naive.replace(tzinfo=UTC)
    for time in (NOW, NOW - timedelta(days=8)):
        with pytest.raises(BadInputError, match="2026-11-16 12:00:00 to 2026-11-23 11:55:00"):
            choose(aws, cluster, None, time, NOW)
    bare = Source("cluster", "orders", {"BackupRetentionPeriod": 0}, [])
    with pytest.raises(BadInputError, match="keeps no backups"):
        choose(aws, bare, None, NOW, NOW)
    with pytest.raises(BadInputError, match="no snapshot"):
        choose(aws, bare, None, None, NOW)


def test_a_restored_database_that_is_public_fails() -> None:
    made = RestoredDatabase.model_validate(
        {
            "database_id": "x", "kind": "instance", "restored": "y", "engine": "mysql",
            "endpoint": "e", "port": 3306, "secret_arn": "s", "instance_ids": ["x"],
            "subnet_group": "g", "encrypted": True,
        }
    )  # fmt: skip
    found = {
        "DBInstanceStatus": "available", "PubliclyAccessible": True, "DeletionProtection": True,
        "BackupRetentionPeriod": 7, "MasterUserSecret": {"SecretArn": "s"},
    }  # fmt: skip
    failed = [c.name for c in judge_restored(made, found, []) if c.verdict == "FAIL"]
    assert failed == ["It is not public"]
    assert [c.verdict for c in judge_restored(made, None, [])] == ["FAIL"]


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ("yesterday 10:00", "2026-11-22T10:00:00+00:00"),
        ("yesterday at 9:05", "2026-11-22T09:05:00+00:00"),
        ("Today 08:00:30 UTC", "2026-11-23T08:00:30+00:00"),
        ("2026-11-20T08:15", "2026-11-20T08:15:00+00:00"),
    ],
)
def test_a_moment_is_read_in_utc(said: str, time: str) -> None:
    assert moment(said, NOW).isoformat() == time


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("yesterday", "no point in time"),
        ("today 13:00", "has not come yet"),
        ("2026-02-30 10:00", "day is out of range"),
        ("yesterday 25:00", "hour must be"),
    ],
)
def test_what_is_no_moment_is_refused(said: str, why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        moment(said, NOW)


@pytest.mark.parametrize(
    ("window", "backup"),
    [
        ("sun:04:00-sun:05:00", "03:00-03:30"),
        ("mon:00:40-mon:01:10", "23:40-00:10"),
        ("sun:23:45-mon:00:30", "22:45-23:15"),
    ],
)
def test_backups_are_made_before_the_maintenance(window: str, backup: str) -> None:
    assert maintenance(window) == {
        "PreferredMaintenanceWindow": window, "PreferredBackupWindow": backup,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("window", "why"),
    [
        ("sunday 4:00", "give it in UTC as"),
        ("sun:24:00-mon:01:00", "give it in UTC as"),
        ("sun:04:00-sun:04:15", "lasts 15 minutes"),
        ("sun:04:00-mon:04:00", "lasts 1440 minutes"),
    ],
)
def test_a_window_that_aws_refuses_is_refused_at_once(window: str, why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        maintenance(window)


async def test_a_database_gets_the_maintenance_window_that_is_asked_for(
    agent: Any, place: dict[str, Any], client_of: Clients
) -> None:
    window = "sun:04:00-sun:05:00"
    await agent.call("create_database", name="shop", maintenance_window=window, **place)
    (found,) = client_of("rds").describe_db_instances(DBInstanceIdentifier="shop")["DBInstances"]
    assert found["PreferredMaintenanceWindow"] == window
    assert found["PreferredBackupWindow"] == "03:00-03:30"


async def test_the_skill_restores_the_latest_snapshot_or_says_what_can_be(
    agent: Any, shop: str, there: Any
) -> None:
    report = await agent.call("handle_task", task="restore database shop from its latest snapshot")
    assert report["status"] == "completed", report
    assert "shop is untouched" in report["summary"]
    assert there()["instances"] == ["shop", "shop-restored"]
    said = await agent.refused("handle_task", task="restore the database shop to yesterday 10:00")
    assert "shop cannot be restored to" in said
