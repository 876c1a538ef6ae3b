"""What the credentials may not read: a client that refuses one call, everything else real."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.metrics.conftest import ClientOf, WebTier

from opswright_core.aws import Aws
from opswright_metrics.tools.diagnosis import diagnose
from opswright_metrics.tools.topic import SubscriptionUndo, check_key
from opswright_metrics.tools.web_tier import load_tier


class Refusing:
    """A boto3 client but for the operations that are refused."""

    def __init__(self, client: Any, refused: set[str]) -> None:
        self._client, self._refused = client, refused

    def __getattr__(self, name: str) -> Any:
        if name in self._refused:
            return self._refuse(name)
        return getattr(self._client, name)

    def can_paginate(self, name: str) -> bool:
        return name not in self._refused and bool(self._client.can_paginate(name))

    def _refuse(self, name: str) -> Callable[..., Any]:
        def call(**_: Any) -> Any:
            error = {"Code": "AccessDenied", "Message": "not authorized"}
            raise ClientError({"Error": error}, name)

        return call


class Account(Aws):
    """An account of which some operations are refused."""

    refused: set[str]
    client_of: ClientOf

    def client(self, service: str, region: str | None = None) -> Any:
        return Refusing(self.client_of(service), self.refused)


def account(client_of: ClientOf, *refused: str) -> Account:
    opened = Account(session=None, region="eu-west-1", config=None)
    opened.client_of, opened.refused = client_of, set(refused)
    return opened


@pytest.mark.parametrize(
    "refused",
    [
        "describe_target_groups",
        "describe_target_health",
        "describe_load_balancers",
        "describe_instances",
        "describe_instance_status",
        "describe_security_groups",
        "describe_auto_scaling_groups",
        "describe_scaling_activities",
        "describe_alarms",
        "get_metric_data",
    ],
)
def test_one_refused_call_makes_a_healthy_tier_unknown_and_is_named(
    client_of: ClientOf, tier: WebTier, asg: str, refused: str
) -> None:
    found = diagnose(load_tier(account(client_of, refused), None, None))
    assert (found.state, found.verdict) == ("unknown", "UNKNOWN")
    assert found.unread
    assert found.causes == []


def test_unreadable_subnets_matter_only_when_no_rule_names_the_load_balancer(
    client_of: ClientOf, tier: WebTier
) -> None:
    blind = account(client_of, "describe_subnets")
    assert diagnose(load_tier(blind, None, None)).verdict == "PASS"
    ec2 = client_of("ec2")
    (app,) = ec2.describe_security_groups(GroupIds=[tier.app_sg])["SecurityGroups"]
    ec2.revoke_security_group_ingress(GroupId=tier.app_sg, IpPermissions=app["IpPermissions"])
    assert diagnose(load_tier(blind, None, None)).verdict == "UNKNOWN"


def test_a_refused_auto_scaling_read_keeps_a_named_group_unknown(
    client_of: ClientOf, tier: WebTier
) -> None:
    blind = account(client_of, "describe_auto_scaling_groups")
    assert diagnose(load_tier(blind, None, "web-asg")).verdict == "UNKNOWN"


def test_a_key_whose_policy_cannot_be_read_is_unknown(client_of: ClientOf) -> None:
    key_id = client_of("kms").create_key()["KeyMetadata"]["KeyId"]
    assert check_key(account(client_of, "get_key_policy"), key_id).verdict == "UNKNOWN"
    assert check_key(account(client_of), key_id).verdict == "FAIL"


class Subscribed(SubscriptionUndo):
    """Undo on a topic whose subscription stands as `arn`."""

    def __init__(self, arn: str | None) -> None:
        self.arn = arn

    def _find(self, step: Any) -> str | None:
        return self.arn


@pytest.mark.parametrize(
    ("arn", "verdict"),
    [(None, "PASS"), ("PendingConfirmation", "PASS"), ("arn:aws:sns:x:1:t:s", "FAIL")],
)
def test_an_unconfirmed_subscription_counts_as_undone(arn: str | None, verdict: str) -> None:
    from opswright_core.undo import UndoStep

    undo = Subscribed(arn)
    step = UndoStep(kind="sns_subscription", description="unsubscribe ops@example.org")
    assert undo.verify(step).verdict == verdict
    if verdict == "PASS":
        undo.replay(step)  # nothing is sent: there is nothing that SNS would let be removed
