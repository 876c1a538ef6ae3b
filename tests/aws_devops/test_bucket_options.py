"""Options of a bucket that exists: set beside what others set, and given back as it was."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops.answering import AnsweringSessions
from tests.aws_devops.conftest import Watched
from tests.aws_devops.test_roll_outs import approved

from opswright_aws_devops.buckets.lifecycle import old_versions, sooner, transitions
from opswright_aws_devops.buckets.protection import PRIVATE
from opswright_aws_devops.buckets.settings import BucketSettings
from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.server import create_server
from opswright_aws_devops.tools.bucket_options import Wanted, judge_options
from opswright_core.settings import Settings

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


async def test_old_versions_go_and_s3s_own_keys_come_back_and_all_is_given_back(
    agent: Any, buckets: str, options: Any
) -> None:
    await agent.call("configure_bucket", bucket="shop-files", kms_key=buckets, ia_after_days=30)
    before = options()
    asked = {"bucket": "shop-files", "kms_key": "AES256", "noncurrent_days": 30}
    plan = (await agent.call("configure_bucket", dry_run=True, **asked))["plan"]
    said = " ".join(plan["warnings"])
    assert "no key policy guards it" in said
    assert "give versioned too" in said
    change = await agent.call("configure_bucket", **asked)
    now = options()
    (encryption,) = now["encryption"]
    assert encryption["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert [rule["ID"] for rule in now["rules"]] == [
        "theirs", "opswright-storage-classes", "opswright-old-versions",
    ]  # fmt: skip
    assert now["rules"][2]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert (change["outputs"]["kms_key"], change["outputs"]["noncurrent_days"]) == (None, 30)
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert (await agent.call("configure_bucket", **asked))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert options() == before


def test_the_rule_that_deletes_old_versions_first_is_told() -> None:
    def expiring(days: int, prefix: str = "", status: str = "Enabled") -> dict[str, Any]:
        rule = {**old_versions(days), "ID": "tidy", "Status": status}
        return {**rule, "Filter": {"Prefix": prefix}}

    rules = [expiring(7), expiring(40), expiring(1, "tmp/"), expiring(2, status="Disabled"), THEIRS]
    assert sooner({"Rules": [*rules, old_versions(3)]}, 30) == ["tidy after 7 days"]
    assert sooner(None, 30) == []


async def test_plain_http_is_refused_beside_what_others_allow_until_it_is_undone(
    settings: Settings, buckets: str, client_of: Clients
) -> None:
    server = create_server(replace(settings, approvals="token"))
    sessions = AnsweringSessions(is_real=True)
    server.opswright_runtime.aws_sessions = sessions  # type: ignore[attr-defined]
    s3, asked = client_of("s3"), {"bucket": "shop-logs", "tls_only": True}
    async with Client(server) as client:
        watched = Watched(client, sessions=sessions)
        change = await approved(watched, "configure_bucket", **asked)
        assert change["status"] == "done"
        assert {c["verdict"] for c in change["checks"]} == {"PASS"}, change["checks"]
        theirs, ours = json.loads(s3.get_bucket_policy(Bucket="shop-logs")["Policy"])["Statement"]
        assert [theirs] == POLICY["Statement"]
        assert (ours["Effect"], ours["Principal"], ours["Action"]) == ("Deny", "*", "s3:*")
        assert ours["Resource"] == ["arn:aws:s3:::shop-logs", "arn:aws:s3:::shop-logs/*"]
        assert ours["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert (await watched.call("configure_bucket", **asked))["reused"]
        await approved(watched, "undo_change", change_id=change["change_id"])
    assert json.loads(s3.get_bucket_policy(Bucket="shop-logs")["Policy"]) == POLICY


async def test_an_emulator_that_speaks_plain_http_is_not_said_to_refuse_it(
    agent: Any, buckets: str, options: Any
) -> None:
    before = options()
    change = await agent.call("configure_bucket", bucket="shop-logs", tls_only=True)
    assert {c["name"]: c["verdict"] for c in change["checks"]} == {
        "Plain HTTP is refused": "UNKNOWN"
    }
    assert "is left out" in " ".join(change["plan"]["warnings"])
    assert options() == before


def test_options_that_were_changed_by_hand_fail() -> None:
    wanted = Wanted(
        rule=transitions("", 30, None, "GLACIER"), log_bucket="shop-logs", encryption="arn:key",
        versioned=True, closed=True, noncurrent_days=9, tls_only=True,
    )  # fmt: skip
    now = BucketSettings(lifecycle=None, logging=None, encryption=None)
    checks = judge_options("shop-files", wanted, now, allowed=False, refuses=False)
    assert [c.verdict for c in checks] == ["FAIL"] * 8
