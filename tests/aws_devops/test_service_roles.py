"""Service roles: taken by one service, allowed what was named, undone with nothing left."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastmcp import Client
from tests.aws_devops.conftest import Agent

from opswright_aws_devops.access.roles import RoleState, ServiceRole, judge_role
from opswright_aws_devops.access.statements import (
    Statement,
    document,
    review_statements,
    trust_policy,
)
from opswright_aws_devops.server import create_server
from opswright_core.errors import BadInputError
from opswright_core.settings import Settings

Clients = Callable[[str], Any]

ACCOUNT = "123456789012"
READS = [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::shop-data/orders/*"]}]
TASKS = {"name": "shop-task", "service": "ecs-tasks", "statements": READS}


def roles(client_of: Clients) -> list[str]:
    return [role["RoleName"] for role in client_of("iam").list_roles()["Roles"]]


async def test_a_role_is_taken_by_its_service_for_this_account_and_may_do_what_was_named(
    agent: Any, client_of: Clients
) -> None:
    made = (await agent.call("create_service_role", **TASKS))["outputs"]
    iam = client_of("iam")
    (trust,) = iam.get_role(RoleName="shop-task")["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    policy = iam.get_role_policy(RoleName="shop-task", PolicyName="permissions")
    (allowed,) = policy["PolicyDocument"]["Statement"]
    assert (allowed["Action"], allowed["Resource"]) == (
        READS[0]["actions"],
        READS[0]["resources"],
    )
    assert made["role_arn"] == f"arn:aws:iam::{ACCOUNT}:role/shop-task"
    assert (await agent.call("create_service_role", **TASKS))["reused"]


async def test_the_undo_of_a_role_leaves_nothing(agent: Any, client_of: Clients) -> None:
    change = await agent.call("create_service_role", **TASKS)
    undone = await agent.call("undo_change", change_id=change["change_id"])
    assert {c["verdict"] for c in undone["checks"]} == {"PASS"}
    assert roles(client_of) == []


async def test_what_keeps_an_undo_waiting_is_told_until_it_is_removed(
    settings: Settings, client_of: Clients
) -> None:
    iam = client_of("iam")
    impatient = dataclasses.replace(settings, wait_seconds=2.0)
    async with Client(create_server(impatient)) as client:
        agent = Agent(client)
        made = await agent.call("create_service_role", **TASKS)
        allowed = document([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])
        theirs = iam.create_policy(PolicyName="theirs", PolicyDocument=allowed)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="shop-task", PolicyArn=theirs)
        undo = await agent.call("undo_change", change_id=made["change_id"])
        assert undo["status"] == "working"
        assert undo["error"].startswith("delete role shop-task waits: DeleteRole: DeleteConflict")
        assert "remove that first" in undo["error"]
        iam.detach_role_policy(RoleName="shop-task", PolicyArn=theirs)
        done = await agent.call("get_change", change_id=undo["change_id"], wait_seconds=50)
        assert (done["status"], done["error"]) == ("done", None)
    assert roles(client_of) == []


async def test_a_dry_run_makes_no_role(agent: Any, client_of: Clients) -> None:
    planned = await agent.call("create_service_role", **TASKS, dry_run=True)
    assert "for account 123456789012 alone" in planned["summary"]
    assert roles(client_of) == []


async def test_a_permissions_boundary_is_set_and_must_exist(agent: Any, client_of: Clients) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/limits"
    asked = {**TASKS, "boundary_arn": boundary}
    assert "does not exist" in await agent.refused("create_service_role", **asked)
    allowed = document([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}])
    client_of("iam").create_policy(PolicyName="limits", PolicyDocument=allowed)
    change = await agent.call("create_service_role", **asked)
    role = client_of("iam").get_role(RoleName="shop-task")["Role"]
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"] == boundary
    assert {c["verdict"] for c in change["checks"]} == {"PASS"}


async def test_a_role_of_somebody_else_is_refused(agent: Any, client_of: Clients) -> None:
    trust = trust_policy("ec2", "aws", ACCOUNT)
    client_of("iam").create_role(RoleName="shop-task", AssumeRolePolicyDocument=trust)
    assert "outside opswright" in await agent.refused("create_service_role", **TASKS)


async def test_a_policy_attached_by_hand_is_found_by_a_repeat(
    agent: Any, client_of: Clients
) -> None:
    await agent.call("create_service_role", **TASKS)
    everything = document([{"Effect": "Allow", "Action": "*", "Resource": "*"}])
    client_of("iam").put_role_policy(
        RoleName="shop-task", PolicyName="more", PolicyDocument=everything
    )
    answer = await agent.client.call_tool("create_service_role", TASKS, raise_on_error=False)
    assert answer.structured_content["status"] == "failed"
    assert "It may do nothing else (more)" in answer.structured_content["error"]


@pytest.mark.parametrize(
    ("actions", "resources", "said"),
    [
        (["*"], ["arn:aws:s3:::b/*"], "one by one"),
        (["s3:*"], ["arn:aws:s3:::b/*"], "one by one"),
        (["s3:G*t"], ["arn:aws:s3:::b/*"], "one by one"),
        (["s3:GetObject"], ["*"], "'*' for s3:GetObject"),
        (["s3:Xyz*"], ["arn:aws:s3:::b/*"], "none that begins so"),
        (["s3:GetObject"], ["shop-data"], "not an ARN"),
        (["s3:GetObject"], ["arn:aws-cn:s3:::b/*"], "partition aws"),
        (["s3:GetObject"], ["arn:aws:*:::b"], "name the service"),
        (["iam:PassRole"], ["arn:aws:iam::123456789012:role/*"], "name the roles"),
    ],
)
async def test_what_grants_more_than_it_names_is_refused(
    agent: Any, actions: list[str], resources: list[str], said: str
) -> None:
    statements = [{"actions": actions, "resources": resources}]
    asked = {**TASKS, "statements": statements}
    assert said in await agent.refused("create_service_role", **asked)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({**TASKS, "name": "Shop Task"}, "pattern"),
        ({**TASKS, "service": "ecs-tasks.amazonaws.com"}, "pattern"),
        ({**TASKS, "statements": [{"actions": [], "resources": ["*"]}]}, "at least 1"),
        ({**TASKS, "statements": [{"Action": "s3:GetObject"}]}, "actions"),
    ],
)
async def test_a_bad_role_is_refused(agent: Any, arguments: dict[str, Any], said: str) -> None:
    assert said in await agent.refused("create_service_role", **arguments)


def reviewed(actions: list[str], resources: list[str]) -> list[str]:
    statement = Statement(actions=actions, resources=resources)
    return review_statements([statement], partition="aws", account_id=ACCOUNT)


@pytest.mark.parametrize(
    ("actions", "resources", "said"),
    [
        (["s3:GetObject*"], ["arn:aws:s3:::b/*"], "actions; name those"),
        (["s3:GetObjekt"], ["arn:aws:s3:::b/*"], "near it: s3:GetObject"),
        (["iam:PutRolePolicy"], ["arn:aws:iam::123456789012:role/x"], "power over permissions"),
        (["sqs:SendMessage"], ["arn:aws:sqs:eu-west-1:210987654321:q"], "another account"),
        (["dynamodb:Query"], ["arn:aws:dynamodb:eu-west-1:123456789012:table/*"], "every such"),
    ],
)
def test_what_a_reader_should_know_of_a_statement_is_said(
    actions: list[str], resources: list[str], said: str
) -> None:
    (warning,) = reviewed(actions, resources)
    assert said in warning


@pytest.mark.parametrize(
    ("actions", "resources"),
    [
        (["s3:GetObject"], ["arn:aws:s3:::b/*"]),
        (["ecr:GetAuthorizationToken"], ["*"]),
        (["sqs:SendMessage"], ["arn:aws:sqs:eu-west-1:123456789012:q"]),
    ],
)
def test_a_narrow_statement_is_passed_without_a_word(
    actions: list[str], resources: list[str]
) -> None:
    assert reviewed(actions, resources) == []


@pytest.mark.parametrize(
    ("service", "partition", "principal", "conditioned"),
    [
        ("ecs-tasks", "aws", "ecs-tasks.amazonaws.com", True),
        ("lambda", "aws", "lambda.amazonaws.com", False),
        ("ec2", "aws-cn", "ec2.amazonaws.com.cn", False),
    ],
)
def test_who_may_take_a_role(
    service: str, partition: str, principal: str, conditioned: bool
) -> None:
    (statement,) = json.loads(trust_policy(service, partition, ACCOUNT))["Statement"]
    assert statement["Principal"]["Service"] == principal
    assert ("Condition" in statement) is conditioned


ROLE = ServiceRole("r", "lambda", [READS[0]], "arn:aws:iam::1:policy/limits")
GOOD = RoleState(
    trust=json.loads(trust_policy("lambda", "aws", ACCOUNT)),
    policies={"permissions": json.loads(document(ROLE.statements))},
    attached=[],
    boundary_arn=ROLE.boundary_arn,
)


@pytest.mark.parametrize(
    "changed",
    [
        {"trust": json.loads(trust_policy("ec2", "aws", ACCOUNT))},
        {"policies": {"permissions": {}}},
        {"attached": ["arn:aws:iam::aws:policy/AdministratorAccess"]},
        {"boundary_arn": None},
    ],
)
def test_each_deviation_of_a_role_fails(changed: dict[str, Any]) -> None:
    def verdicts(state: RoleState | None) -> list[str]:
        checks = judge_role(ROLE, state, partition="aws", account_id=ACCOUNT)
        return [c.verdict for c in checks]

    assert verdicts(GOOD) == ["PASS"] * 4
    assert verdicts(GOOD.model_copy(update=changed)).count("FAIL") == 1
    assert verdicts(None) == ["FAIL"]


def test_an_unknown_service_is_warned_about() -> None:
    (warning,) = reviewed(["nosuch:Do"], ["arn:aws:nosuch:eu-west-1:123456789012:x"])
    assert "not in AWS's reference" in warning
    with pytest.raises(BadInputError, match="nosuch:Do"):
        reviewed(["nosuch:Do"], ["*"])
