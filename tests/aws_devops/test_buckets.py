"""Buckets: private, encrypted, and undone with what is in them."""

from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.tools.buckets import (
    Bucket,
    BucketState,
    judge_bucket,
    lifecycle,
    tls_only_policy,
)
from opswright_core.verdicts import Unread

Clients = Callable[[str], Any]


async def test_a_bucket_is_private_encrypted_and_versioned(agent: Any, client_of: Clients) -> None:
    change = await agent.call("create_bucket", name="shop-logs")
    s3, which = client_of("s3"), {"Bucket": "shop-logs"}
    assert change["outputs"] == {
        "bucket": "shop-logs",
        "arn": "arn:aws:s3:::shop-logs",
        "region": "eu-west-1",
        "versioned": True,
        "encrypted": True,
        "public_access_blocked": True,
    }
    block = s3.get_public_access_block(**which)["PublicAccessBlockConfiguration"]
    assert set(block.values()) == {True}
    assert s3.get_bucket_encryption(**which)["ServerSideEncryptionConfiguration"]["Rules"]
    assert s3.get_bucket_versioning(**which)["Status"] == "Enabled"
    owned = s3.get_bucket_ownership_controls(**which)["OwnershipControls"]["Rules"]
    assert owned == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (rule,) = s3.get_bucket_lifecycle_configuration(**which)["Rules"]
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 90
    assert any("plain HTTP" in gap for gap in change["gaps"])
    assert (await agent.call("create_bucket", name="shop-logs"))["reused"]


async def test_a_bucket_can_be_made_in_us_east_1(agent: Any, client_of: Clients) -> None:
    target = {"region": "us-east-1"}
    change = await agent.call("create_bucket", name="shop-logs", target=target)
    assert change["outputs"]["region"] == "us-east-1"
    assert client_of("s3").get_bucket_location(Bucket="shop-logs")["LocationConstraint"] is None


async def test_undo_removes_the_bucket_with_every_version_in_it(
    agent: Any, client_of: Clients
) -> None:
    change = await agent.call("create_bucket", name="shop-logs")
    s3 = client_of("s3")
    for body in (b"one", b"two"):
        s3.put_object(Bucket="shop-logs", Key="a", Body=body)
    s3.delete_object(Bucket="shop-logs", Key="a")
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert [c["verdict"] for c in undone["checks"]] == ["PASS"]
    assert s3.list_buckets()["Buckets"] == []


async def test_the_plan_says_that_undo_loses_what_is_in_the_bucket(agent: Any) -> None:
    planned = await agent.call("create_bucket", name="shop-logs", dry_run=True, versioned=False)
    warnings = " ".join(planned["plan"]["warnings"])
    assert "every object" in warnings
    assert "Not versioned" in warnings


async def test_a_protection_taken_off_is_put_back_by_a_repeat(
    agent: Any, client_of: Clients
) -> None:
    await agent.call("create_bucket", name="shop-logs")
    s3 = client_of("s3")
    s3.delete_public_access_block(Bucket="shop-logs")
    again = await agent.call("create_bucket", name="shop-logs")
    assert not again["reused"]
    assert s3.get_public_access_block(Bucket="shop-logs")


async def test_a_taken_bucket_name_is_refused(agent: Any, client_of: Clients) -> None:
    client_of("s3").create_bucket(
        Bucket="shop-logs", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    assert "outside opswright" in await agent.refused("create_bucket", name="shop-logs")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "Shop_Logs"}, "pattern"),
        ({"name": "ab"}, "pattern"),
        ({"name": "xn--shop"}, "reserves"),
        ({"name": "shop-logs", "expire_noncurrent_days": -1}, "greater than or equal to 0"),
        ({}, "name is required"),
    ],
)
async def test_a_bad_bucket_is_refused(agent: Any, arguments: dict[str, Any], said: str) -> None:
    assert said in await agent.refused("create_bucket", **arguments)


BUCKET = Bucket(
    bucket="b", arn="arn:b", region="r", versioned=True, encrypted=True, public_access_blocked=True
)
GOOD = {
    "encrypted": True,
    "public_access_blocked": True,
    "versioned": True,
    "tls_only": True,
    "acls_off": True,
}


@pytest.mark.parametrize("lost", GOOD)
def test_each_protection_that_is_missing_fails(lost: str) -> None:
    state = BucketState(**{**GOOD, lost: False})
    checks = judge_bucket(BUCKET, state, versioned=True, tls_only=True)
    assert [c.verdict for c in checks].count("FAIL") == 1


def test_a_bucket_that_cannot_be_read_is_unknown_and_one_that_is_gone_fails() -> None:
    denied = Unread(operation="s3:GetBucketPolicy", reason="AccessDenied", permission="s3:Get")
    gone = Unread(operation="s3:HeadBucket", reason="HeadBucket: 404: Not Found")
    verdicts = [
        [c.verdict for c in judge_bucket(BUCKET, state, versioned=True, tls_only=True)]
        for state in (denied, gone)
    ]
    assert verdicts == [["UNKNOWN"], ["FAIL"]]


def test_the_policy_refuses_plain_http_and_old_versions_are_kept_on_request() -> None:
    assert '"aws:SecureTransport": "false"' in tls_only_policy("arn:aws:s3:::b")
    (rule,) = lifecycle(0)["Rules"]
    assert "NoncurrentVersionExpiration" not in rule
