"""Functions behind a load balancer: invoked by it alone, by one path, and gone without a trace."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opswright_aws_devops.tools.function_targets import (
    FunctionTarget,
    FunctionTargetState,
    Wanted,
    judge_function_target,
)

Clients = Callable[[str], Any]
TOOL = "create_function_target"


@pytest.fixture
async def arguments(agent: Any, balancer: dict[str, str], tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text("def handler(event, context):\n    return {}\n")
    await agent.call(
        "create_function", name="hello", code=str(tmp_path / "code"), runtime="python3.13",
        handler="app.handler",
    )  # fmt: skip
    return {
        "name": "greeting",
        "function_name": "hello",
        "listener_arn": balancer["listener_arn"],
        "path": "/hello/*",
    }


def left(client_of: Clients, listener_arn: str) -> dict[str, Any]:
    """What there is of it: target groups, rules, and the function's policy."""
    functions, elb = client_of("lambda"), client_of("elbv2")
    try:
        policy = json.loads(functions.get_policy(FunctionName="hello")["Policy"])["Statement"]
    except functions.exceptions.ResourceNotFoundException:
        policy = []
    return {
        "groups": [g["TargetGroupName"] for g in elb.describe_target_groups()["TargetGroups"]],
        "rules": len(elb.describe_rules(ListenerArn=listener_arn)["Rules"]),
        "policy": policy,
    }


async def test_a_path_invokes_the_function_once_made_and_nothing_of_it_is_left(
    agent: Any, arguments: dict[str, Any], client_of: Clients
) -> None:
    elb, listener_arn = client_of("elbv2"), arguments["listener_arn"]
    before = left(client_of, listener_arn)
    planned = await agent.call(TOOL, **arguments, dry_run=True)
    assert any("Anyone on the internet" in w for w in planned["plan"]["warnings"])
    assert left(client_of, listener_arn) == before
    change = await agent.call(TOOL, **arguments)
    made = change["outputs"]
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}, change["checks"]
    (target,) = elb.describe_target_health(TargetGroupArn=made["target_group_arn"])[
        "TargetHealthDescriptions"
    ]
    assert target["Target"]["Id"] == made["function_arn"]
    (rule,) = elb.describe_rules(RuleArns=[made["rule_arn"]])["Rules"]
    assert rule["Actions"][0]["TargetGroupArn"] == made["target_group_arn"]
    (statement,) = left(client_of, listener_arn)["policy"]
    assert statement["Principal"] == {"Service": "elasticloadbalancing.amazonaws.com"}
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": made["target_group_arn"]}}
    assert made["url"].endswith("/hello/")
    assert (await agent.call(TOOL, **arguments))["reused"]
    taken = await agent.refused(TOOL, **arguments | {"name": "other"})
    assert "sends /hello/* elsewhere" in taken
    await agent.call("undo_change", change_id=change["change_id"])
    assert left(client_of, listener_arn) == before


async def test_a_network_load_balancer_takes_no_functions(
    agent: Any, arguments: dict[str, Any], network: dict[str, Any], groups: dict[str, str]
) -> None:
    made = await agent.call(
        "create_network_load_balancer",
        name="ledger",
        subnet_ids=network["public_subnet_ids"],
        security_group_ids=[groups["load_balancer_sg_id"]],
    )
    listener = made["outputs"]["listener_arn"]
    said = await agent.refused(TOOL, **arguments | {"listener_arn": listener})
    assert "takes no functions; create_load_balancer makes one that does" in said


MADE = FunctionTarget(target_group_arn="arn:g", rule_arn="arn:r", function_arn="arn:f", url="u")
WANTED = Wanted("hello", "arn:l", "/hello")
PATHS = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/hello"]}}
RULE = {"Conditions": [PATHS], "Actions": [{"TargetGroupArn": "arn:g"}]}
GOOD = FunctionTargetState(target_ids=["arn:f"], rule=RULE, may_invoke=True)


@pytest.mark.parametrize(
    ("changed", "failed"),
    [
        ({}, []),
        ({"target_ids": None}, ["The function is the only target"]),
        ({"target_ids": ["arn:f", "arn:other"]}, ["The function is the only target"]),
        ({"rule": None}, ["/hello leads to it"]),
        ({"rule": RULE | {"Actions": [{"TargetGroupArn": "arn:x"}]}}, ["/hello leads to it"]),
        ({"may_invoke": False}, ["The load balancer may invoke it"]),
    ],
)
def test_what_is_not_as_it_was_made_fails(changed: dict[str, Any], failed: list[str]) -> None:
    checks = judge_function_target(MADE, WANTED, GOOD.model_copy(update=changed))
    assert [c.name for c in checks if c.verdict != "PASS"] == failed
