"""Flow logs, written by a role of least privilege or by a bucket's policy, and taken back."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from opswright_aws_devops.tools.flow_logs import FlowLog, judge_flow_log

Clients = Callable[[str], Any]


@pytest.fixture
def left(client_of: Clients) -> Callable[[], dict[str, Any]]:
    """What flow logs leave behind."""

    def read() -> dict[str, Any]:
        groups = client_of("logs").describe_log_groups()["logGroups"]
        return {
            "flow logs": client_of("ec2").describe_flow_logs()["FlowLogs"],
            "groups": [group["logGroupName"] for group in groups],
            "roles": [role["RoleName"] for role in client_of("iam").list_roles()["Roles"]],
        }

    return read


async def test_flow_logs_go_to_a_log_group_by_a_role_for_that_group_alone(
    agent: Any, network: dict[str, Any], client_of: Clients, left: Any
) -> None:
    before = left()
    asked = {"name": "shop", "vpc_id": network["vpc_id"], "retention_days": 30}
    change = await agent.call("create_flow_logs", **asked)
    made = change["outputs"]
    (log,) = client_of("ec2").describe_flow_logs(FlowLogIds=[made["flow_log_id"]])["FlowLogs"]
    assert (log["ResourceId"], log["TrafficType"]) == (network["vpc_id"], "ALL")
    (group,) = client_of("logs").describe_log_groups()["logGroups"]
    assert (group["logGroupName"], group["retentionInDays"]) == (made["log_group"], 30)
    iam = client_of("iam")
    role = iam.get_role(RoleName="shop-flow-logs")["Role"]
    assert log["DeliverLogsPermissionArn"] == role["Arn"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "vpc-flow-logs.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "123456789012"}}
    policy = iam.get_role_policy(RoleName="shop-flow-logs", PolicyName="permissions")
    write, read = policy["PolicyDocument"]["Statement"]
    assert all(arn.split(":")[6] == made["log_group"] for arn in write["Resource"])
    assert read["Action"] == ["logs:DescribeLogGroups"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}
    assert (await agent.call("create_flow_logs", **asked))["reused"]
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert left() == before


async def test_flow_logs_go_to_a_bucket_whose_policy_keeps_what_others_put_there(
    agent: Any, network: dict[str, Any], client_of: Clients
) -> None:
    s3 = client_of("s3")
    await agent.call("create_bucket", name="opswright-traffic")
    deny = {
        "Sid": "TlsOnly", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
        "Resource": "arn:aws:s3:::opswright-traffic/*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }  # fmt: skip
    before = {"Version": "2012-10-17", "Statement": [deny]}
    s3.put_bucket_policy(Bucket="opswright-traffic", Policy=json.dumps(before))
    asked = {"name": "shop", "vpc_id": network["vpc_id"], "bucket": "opswright-traffic"}
    change = await agent.call("create_flow_logs", traffic="REJECT", **asked)
    assert change["outputs"]["log_group"] is None

    def policy() -> Any:
        return json.loads(s3.get_bucket_policy(Bucket="opswright-traffic")["Policy"])

    kept, write, check = policy()["Statement"]
    assert kept == deny
    assert write["Resource"].endswith(":::opswright-traffic/AWSLogs/123456789012/*")
    assert check["Action"] == "s3:GetBucketAcl"
    for statement in (write, check):
        assert statement["Principal"] == {"Service": "delivery.logs.amazonaws.com"}
        assert statement["Condition"]["StringEquals"]["aws:SourceAccount"] == "123456789012"
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert policy() == before


async def test_flow_logs_that_cannot_be_are_refused_and_a_plan_makes_nothing(
    agent: Any, network: dict[str, Any], client_of: Clients, left: Any
) -> None:
    before, asked = left(), {"name": "shop", "vpc_id": network["vpc_id"]}
    planned = await agent.call("create_flow_logs", dry_run=True, **asked)
    kinds = [action["type"] for action in planned["plan"]["actions"]]
    assert kinds == ["logs:log-group", "iam:role", "ec2:vpc-flow-log"]
    assert "bills" in planned["plan"]["warnings"][0]
    assert left() == before
    said = await agent.refused("create_flow_logs", bucket="opswright-nowhere", **asked)
    assert "Bucket opswright-nowhere does not exist" in said
    client_of("logs").create_log_group(logGroupName="/opswright/flow-logs/shop")
    assert "outside opswright" in await agent.refused("create_flow_logs", **asked)


def test_a_flow_log_that_does_not_deliver_fails() -> None:
    made = FlowLog(flow_log_id="fl-1", vpc_id="vpc-1", traffic="ALL", log_group="/a", bucket=None)
    log = {
        "FlowLogStatus": "ACTIVE", "TrafficType": "ALL", "DeliverLogsStatus": "FAILED",
        "DeliverLogsErrorMessage": "Access error",
    }  # fmt: skip
    checks = judge_flow_log(made, log, {"retentionInDays": 30}, 30)
    assert [(c.name, c.evidence) for c in checks if c.verdict == "FAIL"] == [
        ("It delivers", "Access error")
    ]
    assert [c.verdict for c in judge_flow_log(made, None, None, 30)] == ["FAIL"]
