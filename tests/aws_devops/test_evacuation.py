"""Leaving a region: what moves, in which order, and what has no copy; unread is never a copy."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from tests.aws_devops.stripping import writes

from opswright_aws_devops.evacuation import copies
from opswright_aws_devops.evacuation.facts import CUT_OVER, FACTS, PHASES
from opswright_aws_devops.evacuation.reading import COPIED, REBUILT

Clients = Callable[[str], Any]
HERE, THERE = "eu-west-1", "eu-central-1"


def by_type(plan: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {step["type"]: step for step in plan["steps"]}


@pytest.fixture
def furnished(client_of: Clients, cloud: Any) -> None:
    """A table that is replicated, and other things that are not."""
    client_of("dynamodb").create_table(
        TableName="orders",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    client_of("secretsmanager").create_secret(
        Name="db", SecretString="x", AddReplicaRegions=[{"Region": THERE}]
    )
    client_of("secretsmanager").create_secret(Name="api", SecretString="x")
    client_of("kms").create_key(MultiRegion=False)
    client_of("s3").create_bucket(
        Bucket="shop-data", CreateBucketConfiguration={"LocationConstraint": HERE}
    )
    boto3.client("s3", endpoint_url=cloud.endpoint, region_name=THERE).create_bucket(
        Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": THERE}
    )
    client_of("sqs").create_queue(QueueName="jobs")


@pytest.mark.usefixtures("furnished")
async def test_a_plan_says_what_moves_in_order_and_what_has_no_copy(agent: Any) -> None:
    plan = await agent.call("plan_evacuation", to_region=THERE)
    assert (plan["from_region"], plan["to_region"]) == (HERE, THERE)
    phases = [int(step["phase"].split()[0]) for step in plan["steps"]]
    assert phases == sorted(phases)
    assert plan["steps"][-1]["span"] == "global"
    steps = by_type(plan)
    assert (steps["secretsmanager:secret"]["count"], steps["secretsmanager:secret"]["copied"]) == (
        2, "FAIL",
    )  # fmt: skip
    assert steps["secretsmanager:secret"]["named"] == [
        "api: FAIL, no replica", "db: PASS, replicated",
    ]  # fmt: skip
    assert steps["dynamodb:table"]["named"] == ["orders: FAIL, no replica"]
    assert steps["s3:bucket"]["named"] == ["shop-data: FAIL, no replication rule"]
    assert steps["kms:key"]["named"][0].endswith("single-Region")
    assert steps["sqs:queue"]["copied"] is None
    assert "messages are not replicated" in steps["sqs:queue"]["how"]
    assert "rds:db" not in steps  # there is none
    assert "s3:bucket" in plan["summary"]
    assert "AWS Backup" in plan["not_looked_at"]


async def test_what_is_refused_is_unread_and_the_rest_is_planned(
    watched: Any, client_of: Clients
) -> None:
    client_of("sqs").create_queue(QueueName="jobs")
    watched.sessions.refused |= {"DescribeDBInstances": 0, "ListFunctions": 0}
    plan = await watched.call("plan_evacuation", to_region=THERE)
    steps = by_type(plan)
    assert (steps["rds:db"]["count"], steps["rds:db"]["copied"]) == (None, "UNKNOWN")
    assert steps["lambda:function"]["count"] is None
    assert any("rds:DescribeDBInstances" in one for one in plan["unread"])
    assert "rds:db" in plan["summary"]
    assert steps["sqs:queue"]["count"] == 1


async def test_a_task_in_plain_words_plans_it_and_changes_nothing(watched: Any) -> None:
    report = await watched.call(
        "handle_task", task="region evacuation plan from eu-west-1 to eu-central-1"
    )
    assert report["skill"] == "plan_region_evacuation"
    assert report["outputs"]["to_region"] == THERE
    assert not any(writes(call) for call in watched.sessions.sent)


@pytest.mark.parametrize(
    ("to_region", "said"),
    [(HERE, "region to leave"), ("mars-north-1", "no AWS region"), ("all", "no AWS region")],
)
async def test_a_region_that_cannot_be_gone_to_is_refused(
    agent: Any, to_region: str, said: str
) -> None:
    assert said in await agent.refused("plan_evacuation", to_region=to_region)


def test_every_kind_is_read_once_and_has_its_phase_and_its_source() -> None:
    assert {fact.type for fact in FACTS} == set(COPIED) | set(REBUILT)
    assert not set(COPIED) & set(REBUILT)
    for fact in (*FACTS, CUT_OVER):
        assert fact.phase in PHASES
        assert fact.url.startswith("https://docs.aws.amazon.com/")
    assert {fact.type for fact in FACTS if fact.holds == "data"} >= set(COPIED)


def arn(service: str, region: str, name: str) -> str:
    return f"arn:aws:{service}:{region}:1:{name}"


TIME = datetime(2026, 11, 1, 12, tzinfo=UTC)
DATABASE = {"DBInstanceIdentifier": "d", "DBInstanceArn": arn("rds", HERE, "db:d")}
SNAPSHOT = {
    "DBInstanceIdentifier": "d",
    "SourceDBSnapshotIdentifier": arn("rds", HERE, "snapshot:s"),
    "OriginalSnapshotCreateTime": TIME,
}


@pytest.mark.parametrize(
    ("database", "snapshots", "verdict", "said"),
    [
        ({}, [], "FAIL", "no replica"),
        ({"ReadReplicaDBInstanceIdentifiers": ["d-2"]}, [], "FAIL", ""),  # in the same region
        ({"ReadReplicaDBInstanceIdentifiers": [arn("rds", THERE, "db:e")]}, [], "PASS", "replica"),
        ({"ReadReplicaDBInstanceIdentifiers": [arn("rds", "us-east-1", "db:e")]}, [], "FAIL", ""),
        (
            {
                "DBInstanceAutomatedBackupsReplications": [
                    {"DBInstanceAutomatedBackupsArn": arn("rds", THERE, "auto-backup:a")}
                ]
            },
            [],
            "PASS",
            "some minutes ago",
        ),
        ({}, [SNAPSHOT], "PASS", "2026-11-01 12:00 UTC alone"),
        ({}, [{**SNAPSHOT, "DBInstanceIdentifier": "other"}], "FAIL", ""),
        ({}, [{**SNAPSHOT, "SourceDBSnapshotIdentifier": ""}], "FAIL", ""),  # made there
    ],
)
def test_a_database_has_a_replica_backups_or_a_snapshot_there(
    database: dict[str, Any], snapshots: list[dict[str, Any]], verdict: str, said: str
) -> None:
    judged = copies.judge_database({**DATABASE, **database}, snapshots, THERE)
    assert judged.verdict == verdict
    assert said in judged.evidence


def test_a_cluster_has_a_member_of_its_global_database_or_a_snapshot_there() -> None:
    own = arn("rds", HERE, "cluster:c")
    cluster = {"DBClusterIdentifier": "c", "DBClusterArn": own}
    member, other = arn("rds", THERE, "cluster:d"), arn("rds", HERE, "cluster:x")
    snapshot = {
        "DBClusterIdentifier": "c",
        "SourceDBClusterSnapshotArn": arn("rds", HERE, "cluster-snapshot:s"),
        "SnapshotCreateTime": TIME,
    }
    verdicts = [
        copies.judge_cluster(cluster, members, snapshots, THERE).verdict
        for members, snapshots in (
            ([[own, member]], []), ([[other, member]], []), ([[own]], []), ([], [snapshot]),
        )
    ]  # fmt: skip
    assert verdicts == ["PASS", "FAIL", "FAIL", "PASS"]


@pytest.mark.parametrize(
    ("replicas", "verdict"),
    [
        ([], "FAIL"),
        ([{"RegionName": THERE, "ReplicaStatus": "ACTIVE"}], "PASS"),
        ([{"RegionName": THERE, "ReplicaStatus": "CREATING"}], "UNKNOWN"),
        ([{"RegionName": "us-east-1", "ReplicaStatus": "ACTIVE"}], "FAIL"),
    ],
)
def test_a_table_has_an_active_replica_there(replicas: list[dict[str, str]], verdict: str) -> None:
    table = {"TableName": "t", "Replicas": replicas}
    assert copies.judge_table(table, THERE).verdict == verdict


def rule(bucket: str, **changes: Any) -> dict[str, Any]:
    return {"Status": "Enabled", "Destination": {"Bucket": f"arn:aws:s3:::{bucket}"}, **changes}


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ([], "FAIL"),
        ([rule("there")], "PASS"),
        ([rule("there", Filter={"Prefix": ""})], "PASS"),
        ([rule("there", Filter={"Prefix": "logs/"})], "UNKNOWN"),
        ([rule("there", Filter={"Prefix": "logs/"}), rule("there")], "PASS"),
        ([rule("there", Status="Disabled")], "FAIL"),
        ([rule("here")], "FAIL"),
        ([rule("of-others")], "UNKNOWN"),
    ],
)
def test_a_bucket_is_replicated_whole_in_part_or_not(
    rules: list[dict[str, Any]], verdict: str
) -> None:
    regions = {"b": HERE, "here": HERE, "there": THERE}
    assert copies.judge_bucket("b", rules, regions, THERE).verdict == verdict


@pytest.mark.parametrize(
    ("own", "there", "verdict"),
    [
        ([], [], "FAIL"),
        (["snap-0a"], [], "FAIL"),
        (["snap-0a"], ["[Copied snap-0a from eu-west-1]"], "PASS"),
        (["snap-0a"], ["nightly"], "UNKNOWN"),
        (["snap-0a"], ["[Copied snap-0a1 from eu-west-1]"], "UNKNOWN"),
    ],
)
def test_a_volume_has_a_copy_only_where_a_snapshot_says_so(
    own: list[str], there: list[str], verdict: str
) -> None:
    snapshots = [{"SnapshotId": one, "VolumeId": "vol-1", "StartTime": TIME} for one in own]
    other = [{"SnapshotId": "snap-f", "Description": text} for text in there]
    assert copies.judge_volume({"VolumeId": "vol-1"}, snapshots, other).verdict == verdict


def test_keys_images_repositories_files_and_caches_are_judged_by_what_names_the_copy() -> None:
    key = {"KeyId": "k", "MultiRegion": True}
    replicated = {**key, "MultiRegionConfiguration": {"ReplicaKeys": [{"Region": THERE}]}}
    assert copies.judge_key(key, THERE).verdict == "FAIL"
    assert copies.judge_key(replicated, THERE).verdict == "PASS"

    image = {"ImageId": "ami-1", "Name": "web"}
    copied = {"ImageId": "ami-2", "SourceImageId": "ami-1", "SourceImageRegion": HERE}
    assert copies.judge_image(image, [], HERE).verdict == "FAIL"
    assert copies.judge_image(image, [copied], HERE).verdict == "PASS"
    assert copies.judge_image(image, [{"ImageId": "x", "Name": "web"}], HERE).verdict == "UNKNOWN"

    to = {"destinations": [{"region": THERE}]}
    narrow = {**to, "repositoryFilters": [{"filter": "prod/"}]}
    verdicts = [copies.judge_repository("dev/a", rules, THERE).verdict
                for rules in ([], [to], [narrow])]  # fmt: skip
    assert verdicts == ["FAIL", "PASS", "FAIL"]

    replication = {
        "SourceFileSystemId": "fs-1", "Destinations": [{"Region": THERE, "Status": "PAUSED"}],
    }  # fmt: skip
    judged = [copies.judge_file_system({"FileSystemId": one}, [replication], THERE).verdict
              for one in ("fs-1", "fs-2")]  # fmt: skip
    assert judged == ["UNKNOWN", "FAIL"]

    group = {"ReplicationGroupId": "c", "GlobalReplicationGroupInfo":
             {"GlobalReplicationGroupId": "g"}}  # fmt: skip
    assert copies.judge_cache(group, {"g": [HERE, THERE]}, THERE).verdict == "PASS"
    assert copies.judge_cache(group, {"g": [HERE]}, THERE).verdict == "FAIL"
    assert copies.judge_cache({"ReplicationGroupId": "c"}, {}, THERE).verdict == "FAIL"
    assert [c.verdict for c in copies.judge_parameters(["a", "b"], {"a"})] == ["UNKNOWN", "FAIL"]
