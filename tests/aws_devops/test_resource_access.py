"""Whom a resource's own policy, ACL and access block let in, told without reading anything."""

import json
from typing import Any

import pytest

from opswright_aws_devops.access.resource_access import callers, judge, judge_bucket, judge_function

OWN, OTHER = "123456789012", "210987654321"
EVERYONE = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def when(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {**EVERYONE, "Condition": {operator: {key: value}}}


def deny(**more: Any) -> dict[str, Any]:
    return {**EVERYONE, "Effect": "Deny", "Action": "sqs:*", **more}


def unless(operator: str, key: str, value: str) -> dict[str, Any]:
    return deny(Condition={operator: {key: value}})


@pytest.mark.parametrize(
    ("statements", "public", "because"),
    [
        ([], "no", "admits only its own account"),
        ([EVERYONE], "yes", "sqs:SendMessage"),
        ([{**EVERYONE, "Principal": {"AWS": ["*"]}}], "yes", "sqs:SendMessage"),
        ([{"Effect": "Allow", "NotPrincipal": {"AWS": OTHER}, "NotAction": "sqs:Add*",
           "Resource": "*"}], "yes", "all but sqs:Add*"),
        ([{**EVERYONE, "Principal": {"AWS": OTHER}}], "other accounts", OTHER),
        ([{**EVERYONE, "Principal": {"AWS": f"arn:aws:iam::{OTHER}:role/x"}}],
         "other accounts", f"account {OTHER}"),
        ([{**EVERYONE, "Principal": {"AWS": f"arn:aws:iam::{OWN}:root"}}], "no", "only its own"),
        ([{**EVERYONE, "Principal": {"AWS": "AIDAEXAMPLE"}}], "unknown", "AIDAEXAMPLE"),
        ([{**EVERYONE, "Principal": {"CanonicalUser": "79a5"}}], "unknown", "79a5"),
        ([{**EVERYONE, "Principal": {"Service": "sns.amazonaws.com"}}], "no", "AWS services"),
        ([when("StringEquals", "aws:SourceAccount", OWN)], "no", ""),
        ([when("StringEquals", "AWS:SourceOwner", OTHER)], "other accounts", OTHER),
        ([when("ArnLike", "aws:SourceArn", f"arn:aws:sns:eu-west-1:{OWN}:t")], "no", ""),
        ([when("ArnLike", "aws:SourceArn", f"arn:aws:sns:eu-west-1:{OTHER}:t")],
         "other accounts", OTHER),
        ([when("ArnLike", "aws:SourceArn", "*")], "yes", ""),
        ([when("StringEquals", "aws:PrincipalOrgID", "o-1")], "other accounts", "organization o-1"),
        ([when("StringNotEquals", "aws:PrincipalOrgID", "o-1")], "yes", ""),
        ([when("StringEqualsIfExists", "aws:SourceVpce", "vpce-1")], "yes", ""),
        ([when("StringEquals", "aws:SourceVpce", "vpce-1")], "no", ""),
        ([when("IpAddress", "aws:SourceIp", "203.0.113.0/24")], "no", ""),
        ([when("IpAddress", "aws:SourceIp", "0.0.0.0/0")], "yes", ""),
        ([EVERYONE, deny()], "no", ""),
        ([EVERYONE, deny(Action="sqs:ReceiveMessage")], "yes", ""),
        ([EVERYONE, deny(Resource="arn:aws:sqs:eu-west-1:1:other")], "yes", ""),
        ([EVERYONE, unless("StringNotEquals", "aws:PrincipalAccount", OWN)], "no", ""),
        ([EVERYONE, unless("StringNotEquals", "aws:SourceVpce", "vpce-1")], "no", ""),
        ([EVERYONE, unless("Bool", "aws:SecureTransport", "false")], "yes", ""),
        ([EVERYONE, unless("StringEquals", "aws:PrincipalAccount", OTHER)], "yes", ""),
        ([EVERYONE, {**EVERYONE, "Principal": {"AWS": OTHER}}], "yes", ""),
    ],
)  # fmt: skip
def test_a_policy_is_public_shared_or_its_own_accounts(
    statements: list[dict[str, Any]], public: str, because: str
) -> None:
    told, said = judge(policy(*statements), OWN)
    assert told == public
    assert because in said


def test_no_policy_admits_nobody_else() -> None:
    assert judge(None, OWN)[0] == "no"
    assert judge("", OWN)[0] == "no"


READ = policy({**EVERYONE, "Action": "s3:GetObject"})
ALL_USERS = {"URI": "http://acs.amazonaws.com/groups/global/AllUsers"}
BY_ACL = [{"Grantee": ALL_USERS, "Permission": "READ"}]


@pytest.mark.parametrize(
    ("document", "grants", "blocks", "public"),
    [
        (None, [], [{}, {}], "no"),
        (READ, [], [{}, {}], "yes"),
        (READ, [], [{"RestrictPublicBuckets": True}, {}], "no"),
        (READ, [], [{}, {"RestrictPublicBuckets": True}], "no"),
        (READ, [], [{"BlockPublicPolicy": True}, {}], "yes"),
        (None, BY_ACL, [{}, {}], "yes"),
        (None, BY_ACL, [{"IgnorePublicAcls": True}, {}], "no"),
        (READ, BY_ACL, [{"IgnorePublicAcls": True}, {}], "yes"),
        (policy({**EVERYONE, "Principal": {"AWS": OTHER}}), [], [{}, {}], "other accounts"),
        (policy({**EVERYONE, "Principal": {"AWS": OTHER}}), BY_ACL,
         [{"IgnorePublicAcls": True}, {}], "other accounts"),
    ],
)  # fmt: skip
def test_a_bucket_is_public_by_policy_or_acl_unless_a_block_holds_it(
    document: str | None, grants: list[Any], blocks: list[Any], public: str
) -> None:
    assert judge_bucket(document, grants, blocks, OWN)[0] == public


CALL_URL = policy({**EVERYONE, "Action": "lambda:InvokeFunctionUrl"})
OPEN = {"AuthType": "NONE", "FunctionUrl": "https://x.lambda-url.eu-west-1.on.aws/"}


@pytest.mark.parametrize(
    ("document", "url", "public"),
    [
        (CALL_URL, OPEN, "yes"),
        (CALL_URL, {}, "no"),
        (CALL_URL, {"AuthType": "AWS_IAM"}, "no"),
        (None, OPEN, "no"),
        (policy({**EVERYONE, "Action": "lambda:InvokeFunction"}), {}, "yes"),
        (policy({**EVERYONE, "Principal": {"AWS": OTHER}}), {}, "other accounts"),
    ],
)
def test_a_function_is_public_by_a_url_that_exists_and_asks_for_no_signature(
    document: str | None, url: dict[str, Any], public: str
) -> None:
    assert judge_function(document, url, OWN)[0] == public


def test_callers_are_those_that_statements_name() -> None:
    arn = "arn:aws:s3:::pictures"
    assert callers(policy(when("ArnLike", "AWS:SourceArn", [arn]), deny())) == [arn]
    assert callers(None) == []
