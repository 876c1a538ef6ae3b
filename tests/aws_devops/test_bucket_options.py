"""Options of a bucket that exists: set beside what others set, and given back as it was."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.buckets.protection import PRIVATE
from opswright_aws_devops.buckets.settings import BucketSettings, transitions
from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.tools.bucket_options import Wanted, judge_options

Clients = Callable[[str], Any]
THEIRS = {
    "ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3},
}  # fmt: skip
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Theirs", "Effect": "Allow", "Action": "s3:GetObject",
            "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
            "Resource": "arn:aws:s3:::shop-logs/*",
        }
    ],
}  # fmt: skip


@pytest.fixture
def options(client_of: Clients) -> Callable[[], dict[str, Any]]:
    """What is set of the buckets."""
    s3 = client_of("s3")

    def read() -> dict[str, Any]:
        which = {"Bucket": "shop-files"}
        encryption = s3.get_bucket_encryption(**which)["ServerSideEncryptionConfiguration"]
        return {
            "rules": s3.get_bucket_lifecycle_configuration(**which)["Rules"],
            "logging": s3.get_bucket_logging(**which).get("LoggingEnabled"),
            "encryption": encryption["Rules"],
            "policy": json.loads(s3.get_bucket_policy(Bucket="shop-logs")["Policy"]),
        }

    return read


@pytest.fixture
def buckets(cloud: Any, client_of: Clients) -> str:
    """Two buckets of somebody else's; the key to encrypt with."""
    s3 = client_of("s3")
    for name in ("shop-files", "shop-logs"):
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    s3.put_bucket_lifecycle_configuration(
        Bucket="shop-files", LifecycleConfiguration={"Rules": [THEIRS]}
    )
    s3.put_bucket_policy(Bucket="shop-logs", Policy=json.dumps(POLICY))
    aes = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(
        Bucket="shop-files", ServerSideEncryptionConfiguration={"Rules": [aes]}
    )
    key_id: str = client_of("kms").create_key()["KeyMetadata"]["KeyId"]
    return key_id


ASKED = {
    "bucket": "shop-files", "ia_after_days": 30, "archive_after_days": 90,
    "archive_class": "DEEP_ARCHIVE", "log_bucket": "shop-logs",
}  # fmt: skip


async def test_options_are_set_beside_those_of_others_and_given_back(
    agent: Any, buckets: str, options: Any
) -> None:
    before = options()
    change = await agent.call("configure_bucket", kms_key=buckets, **ASKED)
    assert change["outputs"]["transitions"] == [
        "STANDARD_IA after 30 days", "DEEP_ARCHIVE after 90 days",
    ]  # fmt: skip
    now = options()
    assert [rule["ID"] for rule in now["rules"]] == ["theirs", "opswright-storage-classes"]
    assert now["logging"] == {"TargetBucket": "shop-logs", "TargetPrefix": "shop-files/"}
    (encryption,) = now["encryption"]
    default = encryption["ApplyServerSideEncryptionByDefault"]
    assert (default["SSEAlgorithm"], encryption["BucketKeyEnabled"]) == ("aws:kms", True)
    assert default["KMSMasterKeyID"].endswith(f"key/{buckets}")
    theirs, ours = now["policy"]["Statement"]
    assert [theirs] == POLICY["Statement"]
    assert ours["Principal"] == {"Service": "logging.s3.amazonaws.com"}
    assert ours["Resource"] == "arn:aws:s3:::shop-logs/shop-files/*"
    assert ours["Condition"]["StringEquals"] == {"aws:SourceAccount": "123456789012"}
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert (await agent.call("configure_bucket", kms_key=buckets, **ASKED))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert options() == before


async def test_a_second_rule_replaces_the_first_and_its_undo_gives_that_back(
    agent: Any, buckets: str, options: Any
) -> None:
    await agent.call("configure_bucket", bucket="shop-files", ia_after_days=30)
    before = options()
    change = await agent.call("configure_bucket", bucket="shop-files", archive_after_days=10)
    assert change["outputs"]["transitions"] == ["GLACIER after 10 days"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert options() == before


async def test_what_another_set_meanwhile_outlives_the_undo(
    agent: Any, buckets: str, options: Any, client_of: Clients
) -> None:
    change = await agent.call("configure_bucket", bucket="shop-files", ia_after_days=30)
    later = {**THEIRS, "ID": "later", "Filter": {"Prefix": "old/"}}
    rules = [*options()["rules"], later]
    client_of("s3").put_bucket_lifecycle_configuration(
        Bucket="shop-files", LifecycleConfiguration={"Rules": rules}
    )
    await agent.call("undo_change", change_id=change["change_id"])
    assert [rule["ID"] for rule in options()["rules"]] == ["theirs", "later"]


async def test_a_plan_sets_nothing_and_says_what_it_costs(
    agent: Any, buckets: str, options: Any
) -> None:
    before = options()
    plan = (await agent.call("configure_bucket", kms_key=buckets, dry_run=True, **ASKED))["plan"]
    assert [a["name"] for a in plan["actions"]] == [
        "shop-files", "shop-logs", "shop-files", "shop-files",
    ]  # fmt: skip
    said = " ".join(plan["warnings"])
    assert "stay where they are after an undo" in said
    assert "kms:Decrypt" in said
    assert options() == before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "Nothing to set"),
        ({"ia_after_days": 10}, "30 or more"),
        ({"ia_after_days": 30, "archive_after_days": 40}, "give 60 or more"),
        ({"log_bucket": "shop-files"}, "cannot log into itself"),
        ({"log_bucket": "shop-nowhere"}, "no bucket 'shop-nowhere'"),
        ({"kms_key": "alias/nothing"}, "KMS key alias/nothing does not exist"),
        ({"bucket": "shop-nowhere", "ia_after_days": 30}, "no bucket 'shop-nowhere'"),
    ],
)
async def test_options_that_cannot_be_are_refused(
    agent: Any, buckets: str, asked: dict[str, Any], said: str
) -> None:
    assert said in await agent.refused("configure_bucket", **{"bucket": "shop-files", **asked})


async def test_a_log_bucket_with_a_key_of_its_own_is_refused(agent: Any, buckets: str) -> None:
    await agent.call("configure_bucket", bucket="shop-logs", kms_key=buckets)
    said = await agent.refused("configure_bucket", bucket="shop-files", log_bucket="shop-logs")
    assert "does not support" in said


@pytest.fixture
def protection(buckets: str, client_of: Clients) -> Callable[[], list[Any]]:
    """Whether a bucket keeps old versions, and what is blocked of public access."""
    s3 = client_of("s3")

    def read() -> list[Any]:
        blocked = if_exists(lambda: s3.get_public_access_block(Bucket="shop-files"))
        return [
            s3.get_bucket_versioning(Bucket="shop-files").get("Status"),
            blocked and blocked["PublicAccessBlockConfiguration"],
        ]

    return read


PROTECTED = {"bucket": "shop-files", "versioned": True, "block_public_access": True}
PART = {**PRIVATE, "BlockPublicPolicy": False, "RestrictPublicBuckets": False}


@pytest.mark.parametrize("before", [None, PART])
async def test_a_bucket_is_protected_and_given_back(
    agent: Any, protection: Any, client_of: Clients, before: dict[str, bool] | None
) -> None:
    if before:
        client_of("s3").put_public_access_block(
            Bucket="shop-files", PublicAccessBlockConfiguration=before
        )
    plan = (await agent.call("configure_bucket", dry_run=True, **PROTECTED))["plan"]
    said = [action["detail"] for action in plan["actions"]]
    on = "BlockPublicAcls, IgnorePublicAcls" if before else "none"
    assert said == [
        "versioning: never enabled -> Enabled", f"public access block: {on} -> all four",
    ]  # fmt: skip
    assert "only suspends" in " ".join(plan["warnings"])
    assert protection() == [None, before]
    change = await agent.call("configure_bucket", **PROTECTED)
    assert protection() == ["Enabled", PRIVATE]
    assert (change["outputs"]["versioned"], change["outputs"]["public_access_blocked"]) == (
        True, True,
    )  # fmt: skip
    assert [c["verdict"] for c in change["checks"]] == ["PASS", "PASS"]
    assert (await agent.call("configure_bucket", **PROTECTED))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert protection() == ["Suspended", before]


async def test_versioning_is_suspended_where_that_is_said_and_its_undo_enables_it(
    agent: Any, protection: Any
) -> None:
    await agent.call("configure_bucket", **PROTECTED)
    asked = {"bucket": "shop-files", "versioned": False}
    plan = (await agent.call("configure_bucket", dry_run=True, **asked))["plan"]
    assert "is lost" in " ".join(plan["warnings"])
    change = await agent.call("configure_bucket", **asked)
    assert protection() == ["Suspended", PRIVATE]
    await agent.call("undo_change", change_id=change["change_id"])
    assert protection() == ["Enabled", PRIVATE]


def test_options_that_were_changed_by_hand_fail() -> None:
    wanted = Wanted(
        rule=transitions("", 30, None, "GLACIER"), log_bucket="shop-logs", key_arn="arn:key",
        versioned=True, closed=True,
    )  # fmt: skip
    now = BucketSettings(lifecycle=None, logging=None, encryption=None)
    checks = judge_options("shop-files", wanted, now, allowed=False)
    assert [c.verdict for c in checks] == ["FAIL"] * 6
