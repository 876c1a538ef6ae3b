"""`doctor` says what a server needs, what was found, and how to mend it; never ok unread."""

import ast
import asyncio
import dataclasses
import importlib
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import Session
from botocore.stub import Stubber
from fastmcp import Client
from tests.core.shelf import TOOLS
from tests.integration.servers import SERVERS

from opswright_cicd.examination import examine_docker, examine_git
from opswright_core import cli, doctor
from opswright_core.doctor import Line, examine, iam_policies, shown
from opswright_core.errors import BadInputError
from opswright_core.journal import Journal
from opswright_core.permissions import (
    DOCUMENT_CHARACTERS,
    NEEDS_NONE,
    action_of,
    denied_actions,
    policies,
    principal_arn,
)
from opswright_core.server import build_server
from opswright_core.settings import Settings

each_server = pytest.mark.parametrize("name", SERVERS)

CORE_TOOLS = {
    "handle_task", "get_task", "cancel_task", "can_handle",
    "list_changes", "get_change", "undo_change",
}  # fmt: skip

DEPENDENT = frozenset(
    {
        "apigateway:UpdateRestApiPolicy", "autoscaling:CreateOrUpdateTags", "budgets:TagResource",
        "cloudwatch:TagResource", "ec2:CreateTags", "ec2:RunInstances",
        "elasticloadbalancing:AddTags", "iam:CreateServiceLinkedRole", "iam:PassRole",
        "iam:TagInstanceProfile", "iam:TagRole", "logs:CreateLogDelivery",
        "logs:DeleteLogDelivery", "logs:GetLogDelivery", "logs:ListLogDeliveries",
        "logs:UpdateLogDelivery", "rds:AddTagsToResource", "rds:CreateDBSnapshot",
        "route53:AssociateVPCWithHostedZone", "s3:DeleteObjectVersion", "s3:GetObjectVersion",
        "s3:PutBucketOwnershipControls", "secretsmanager:CreateSecret",
        "secretsmanager:TagResource", "sns:TagResource",
    }
)  # fmt: skip
"""What AWS checks along with an operation of another name."""


def declared(name: str) -> dict[str, tuple[str, ...]]:
    module = importlib.import_module(f"opswright_{name}.permissions")
    found: dict[str, tuple[str, ...]] = module.PERMISSIONS
    return found


def server_of(name: str, settings: Settings) -> Any:
    return importlib.import_module(f"opswright_{name}.server").create_server(settings)


@pytest.fixture(scope="module")
def operations() -> dict[str, list[tuple[str, str]]]:
    """Every operation of AWS by boto3's name: `(service, action)` of each that has it."""
    session = Session()
    found: dict[str, list[tuple[str, str]]] = {}
    for service in session.get_available_services():
        if service in USED:
            model = session.get_service_model(service)
            for operation in model.operation_names:
                action = action_of(model, operation)
                found.setdefault(xform_name(operation), []).append((service, action))
    return found


USED = frozenset(
    {
        "accessanalyzer", "acm", "apigateway", "apigatewayv2", "application-autoscaling",
        "autoscaling", "budgets", "ce", "cloudformation", "cloudfront", "cloudtrail", "cloudwatch",
        "config", "dynamodb", "ec2", "ecr", "ecs", "efs", "eks", "elasticache", "elbv2", "events",
        "guardduty", "iam", "kms", "lambda", "logs", "pricing", "rds", "resourcegroupstaggingapi",
        "route53", "s3", "s3control", "savingsplans", "secretsmanager", "securityhub",
        "service-quotas", "sns", "sqs", "ssm", "sts",
    }
)  # fmt: skip
"""The services that the servers call."""


# What the servers declare.


@each_server
async def test_every_tool_declares_its_actions(name: str, settings: Settings) -> None:
    tools = {tool.name for tool in await server_of(name, settings).list_tools()}
    assert set(declared(name)) == tools - CORE_TOOLS


@each_server
def test_each_action_is_one_that_aws_has(
    name: str, operations: dict[str, list[tuple[str, str]]]
) -> None:
    known = {action for named in operations.values() for _, action in named} | DEPENDENT
    wrong = {a for actions in declared(name).values() for a in actions} - known
    assert not wrong


@each_server
def test_no_action_is_declared_twice_for_a_tool(name: str) -> None:
    for tool, actions in declared(name).items():
        assert len(actions) == len(set(actions)), tool


TOOLSETS = {"verify"}
"""Named as an operation (of KMS) is."""


@each_server
def test_every_operation_that_the_source_names_is_declared(
    name: str, operations: dict[str, list[tuple[str, str]]]
) -> None:
    folder = Path(importlib.import_module(f"opswright_{name}").__file__ or "").parent
    # The first is about any service; the others are texts for elsewhere: what exported scripts
    # call, and Terraform's own arguments.
    others = {"api", "script", "terraform"}
    own = (p for p in folder.rglob("*.py") if p.parent.name not in others)
    source = [p.read_text(encoding="utf-8") for p in own]
    services = {
        node.value
        for text in source
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and node.value in USED
    }
    allowed = {a for actions in declared(name).values() for a in actions} | NEEDS_NONE
    undeclared = set()
    for text in source:
        for node in ast.walk(ast.parse(text)):
            word = node.attr if isinstance(node, ast.Attribute) else None
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                word = node.value
            needs = [a for service, a in operations.get(word or "", []) if service in services]
            named = word in declared(name) or word in TOOLSETS
            if needs and not named and not allowed & set(needs):
                undeclared.add((word, *needs))
    assert not undeclared


@each_server
@pytest.mark.parametrize("allow_writes", [False, True], ids=["reading", "changing"])
async def test_the_policy_of_every_toolset_comes_in_documents_that_fit_a_managed_policy(
    name: str, settings: Settings, allow_writes: bool
) -> None:
    chosen = dataclasses.replace(settings, allow_writes=allow_writes)
    documents = await iam_policies(server_of(name, chosen))
    for document in documents:
        assert len(json.dumps(document, separators=(",", ":"))) <= DOCUMENT_CHARACTERS
    sids = [statement["Sid"] for document in documents for statement in document["Statement"]]
    assert "Change" not in sids or allow_writes


SAMPLES: dict[str, dict[str, Any]] = {
    "get_resource": {"resource_id": "VPC"},
    "explain_resource": {"resource_id": "VPC"},
    "preview_teardown": {"application": "shop"},
    "plan_evacuation": {"to_region": "eu-central-1"},
    "verify_high_availability": {"vpc_id": "VPC"},
    "check_reachability": {"source": "INSTANCE", "destination": "INSTANCE", "port": 80},
    "review_application": {"vpc_id": "VPC"},
    "check_compliance": {"framework": "cis"},
    "explain_policy": {"policy": "arn:aws:iam::123456789012:policy/narrow"},
    "get_deployment": {"application": "blog"},
    "get_metrics": {"namespace": "AWS/EC2", "metric": "CPUUtilization", "dimensions": {}},
    "find_anomalies": {"namespace": "AWS/EC2", "metric": "CPUUtilization", "dimensions": {}},
    "search_logs": {"log_group": "/app"},
    "summarize_logs": {"log_group": "/app"},
    "estimate_monthly_cost": {"components": [{"kind": "nat_gateway"}]},
    "compare_pricing_models": {"instance_type": "t3.micro"},
}


@pytest.fixture
def furnished(client_of: Callable[[str], Any]) -> dict[str, str]:
    """An account with one of what most tools look at; the ids of some."""
    ec2, s3, iam, logs = (client_of(name) for name in ("ec2", "s3", "iam", "logs"))
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    made = ec2.run_instances(
        ImageId="ami-12c6146b", MinCount=1, MaxCount=1, InstanceType="t3.micro",
        UserData="#!/bin/sh",
    )  # fmt: skip
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    ec2.create_volume(AvailabilityZone=zone, Size=1)
    s3.create_bucket(
        Bucket="opswright-doctor", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    iam.create_user(UserName="ann")
    iam.create_access_key(UserName="ann")
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_policy(PolicyName="narrow", PolicyDocument=document)
    logs.create_log_group(logGroupName="/app")
    client_of("kms").create_key()
    return {"VPC": vpc, "INSTANCE": made["Instances"][0]["InstanceId"]}


@each_server
async def test_a_reading_tool_calls_nothing_that_it_has_not_declared(
    name: str, settings: Settings, furnished: dict[str, str]
) -> None:
    server = server_of(name, settings)
    session = server.opswright_runtime.aws_sessions.open()
    called: set[str] = set()

    def record(model: Any, **_: Any) -> None:
        called.add(action_of(model.service_model, model.name))

    session.session.events.register("before-call.*.*", record)
    any_called = False
    async with Client(server) as client:
        for tool, actions in declared(name).items():
            if not (await server.get_tool(tool)).annotations.read_only_hint:
                continue
            called.clear()
            arguments = {
                key: furnished.get(value, value) if isinstance(value, str) else value
                for key, value in SAMPLES.get(tool, {}).items()
            }
            await client.call_tool(tool, arguments, raise_on_error=False)
            any_called |= bool(called - NEEDS_NONE)
            assert called - NEEDS_NONE <= set(actions), tool
    assert any_called or name == "knowledge"


# What doctor looks at.


def small(settings: Settings, **options: Any) -> Any:
    return build_server(
        "shelf", title="Shelf", instructions="Keeps a shelf.", tools=TOOLS, settings=settings,
        **options,
    )  # fmt: skip


def line_of(server: Any, what: str) -> Line:
    (found,) = [line for line in asyncio.run(examine(server)) if line.what == what]
    return found


NEEDS = {"list_things": ("s3:ListAllMyBuckets",), "shelve": ("ec2:CreateVpc", "iam:PassRole")}


def test_a_state_directory_that_cannot_be_written_is_a_problem(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    broken = dataclasses.replace(settings, state_dir=tmp_path / "file" / "state")
    found = line_of(small(broken), "state directory")
    assert found.state == "problem"
    assert "OPSWRIGHT_STATE_DIR" in found.mend
    assert line_of(small(settings), "state directory").state == "ok"


def test_the_journal_is_intact_or_broken_at_an_event(settings: Settings) -> None:
    assert "none yet" in line_of(small(settings), "journal").found
    journal = Journal(settings.state_dir / "journal.db", "shelf")
    for number in range(3):
        journal.append("ch-1", "note", {"number": number})
    assert line_of(small(settings), "journal").found == "intact, 3 events"
    with sqlite3.connect(journal.path) as db:
        db.execute("DROP TRIGGER events_no_update")
        db.execute("UPDATE events SET body = '{}' WHERE seq = 2")
    db.close()
    found = line_of(small(settings), "journal")
    assert (found.state, found.found) == ("problem", "broken at 2")


def test_a_journal_that_is_no_database_is_a_problem(settings: Settings) -> None:
    settings.state_dir.mkdir(parents=True)
    (settings.state_dir / "journal.db").write_text("not a database, but long enough to be read" * 9)
    found = line_of(small(settings), "journal")
    assert found.state == "problem"
    assert "cannot be read" in found.found


def test_what_is_not_declared_is_unknown(settings: Settings) -> None:
    assert line_of(small(settings), "permissions").state == "unknown"
    with pytest.raises(BadInputError, match="does not declare"):
        asyncio.run(iam_policies(small(settings)))


def test_a_server_without_aws_is_not_asked_about_it(settings: Settings) -> None:
    lines = asyncio.run(examine(small(settings, permissions={"list_things": ()})))
    assert not {"AWS credentials", "permissions"} & {line.what for line in lines}


def test_without_credentials_the_rest_is_unknown(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    server = small(settings, permissions=NEEDS)
    assert line_of(server, "AWS credentials").state == "problem"
    assert "aws configure" in line_of(server, "AWS credentials").found
    assert line_of(server, "permissions").state == "unknown"


def test_without_a_region_the_credentials_line_says_so(settings: Settings) -> None:
    found = line_of(small(settings, permissions=NEEDS), "AWS credentials")
    assert (found.state, "AWS_REGION" in found.found) == ("problem", True)


@pytest.mark.usefixtures("cloud")
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"}, "eu-west-1, from AWS_R"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1, from AWS_DEFAULT_R"),
    ],
    ids=["AWS_REGION first", "AWS_DEFAULT_REGION"],
)
def test_the_region_is_named_with_its_source(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], said: str
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert line_of(small(settings, permissions=NEEDS), "region").found.startswith(said)


@pytest.mark.usefixtures("cloud")
def test_a_region_of_the_profile_is_said_to_be(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for variable in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "config").write_text("[default]\nregion = eu-north-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    found = line_of(small(settings, permissions=NEEDS), "region").found
    assert found == "eu-north-1, from the profile default"


@pytest.mark.usefixtures("cloud")
def test_behind_an_emulator_permissions_are_unknown(settings: Settings) -> None:
    server = small(settings, permissions=NEEDS)
    assert line_of(server, "endpoint").found.startswith("an emulator at http://127.0.0.1")
    found = line_of(server, "permissions")
    assert (found.state, "3 that are needed" in found.found) == ("unknown", True)


@pytest.mark.usefixtures("cloud")
def test_half_an_emulator_is_a_problem(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", "https://ec2.eu-west-1.amazonaws.com")
    found = line_of(small(settings, permissions=NEEDS), "endpoint")
    assert (found.state, "treated as real" in found.found) == ("problem", True)


USER = "arn:aws:iam::123456789012:user/ann"


class Account:
    """A session on the real AWS, as far as doctor looks."""

    is_emulator = False

    def __init__(self) -> None:
        self.iam = Session().create_client(
            "iam", region_name="eu-west-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        self.stub = Stubber(self.iam)

    def client(self, _service: str) -> Any:
        return self.iam

    def judge(self, caller: str, actions: list[str], **decisions: str) -> Line:
        verdicts = [
            {"EvalActionName": a, "EvalDecision": decisions.get(a.replace(":", "_"), "allowed")}
            for a in actions
        ]
        self.stub.add_response("simulate_principal_policy", {"EvaluationResults": verdicts})
        with self.stub:
            return doctor._permissions(self, caller, actions)  # type: ignore[arg-type]


def test_permissions_are_ok_when_all_are_allowed() -> None:
    found = Account().judge(USER, ["ec2:CreateVpc", "s3:ListBucket"])
    assert (found.state, found.found) == ("ok", "all 2 that are needed are allowed")


def test_a_missing_permission_is_a_problem_and_named() -> None:
    found = Account().judge(USER, ["ec2:CreateVpc", "s3:ListBucket"], ec2_CreateVpc="implicitDeny")
    assert found.state == "problem"
    assert "ec2:CreateVpc" in found.found
    assert "s3:ListBucket" not in found.found
    assert "--iam-policy" in found.mend


def test_where_iam_may_not_be_asked_permissions_are_unknown() -> None:
    account = Account()
    account.stub.add_client_error(
        "simulate_principal_policy",
        "AccessDenied",
        "User is not authorized to perform: iam:SimulatePrincipalPolicy",
    )
    with account.stub:
        found = doctor._permissions(account, USER, ["ec2:CreateVpc"])  # type: ignore[arg-type]
    assert found.state == "unknown"
    assert "iam:SimulatePrincipalPolicy" in found.found


def test_for_the_root_user_permissions_are_unknown() -> None:
    root = "arn:aws:iam::123456789012:root"
    found = doctor._permissions(Account(), root, ["ec2:CreateVpc"])  # type: ignore[arg-type]
    assert (found.state, "cannot simulate" in found.found) == ("unknown", True)


def test_no_permission_is_needed_by_toolsets_that_call_nothing() -> None:
    assert doctor._permissions(Account(), USER, []).state == "ok"  # type: ignore[arg-type]


def test_a_role_is_asked_about_with_its_path() -> None:
    account, arn = Account(), "arn:aws:iam::123456789012:role/aws-reserved/sso/Admin"
    role = {
        "Path": "/aws-reserved/sso/", "RoleName": "Admin", "RoleId": "A" * 16, "Arn": arn,
        "CreateDate": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    account.stub.add_response("get_role", {"Role": role}, {"RoleName": "Admin"})
    with account.stub:
        caller = "arn:aws:sts::123456789012:assumed-role/Admin/ann"
        assert principal_arn(account.iam, caller) == arn


def test_many_actions_are_asked_about_in_batches() -> None:
    account, actions = Account(), [f"ec2:Action{i:03}" for i in range(120)]
    for size in (50, 50, 20):
        batch, actions = actions[:size], actions[size:]
        denied = [{"EvalActionName": batch[0], "EvalDecision": "explicitDeny"}]
        account.stub.add_response(
            "simulate_principal_policy",
            {"EvaluationResults": denied},
            {"PolicySourceArn": USER, "ActionNames": batch},
        )
    with account.stub:
        wanted = [f"ec2:Action{i:03}" for i in range(120)]
        assert denied_actions(account.iam, USER, wanted) == [
            "ec2:Action000", "ec2:Action050", "ec2:Action100",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("mind", "key", "package", "state"),
    [
        ("skills", "", True, "ok"),
        ("auto", "", True, "ok"),
        ("auto", "k", True, "ok"),
        ("auto", "k", False, "problem"),
        ("claude", "", True, "problem"),
        ("claude", "k", True, "ok"),
        ("claude", "k", False, "problem"),
    ],
)
def test_the_model_line_fits_who_does_the_tasks(
    settings: Settings, monkeypatch: pytest.MonkeyPatch,
    mind: Any, key: str, package: bool, state: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("ANTHROPIC_API_KEY", key)
    monkeypatch.setattr(doctor, "find_spec", lambda _: object() if package else None)
    found = line_of(small(dataclasses.replace(settings, mind=mind)), "model")
    assert found.state == state
    assert found.mend or state == "ok"


def test_a_servers_own_examinations_come_last(settings: Settings) -> None:
    own = Line(what="dust", state="problem", found="some", mend="sweep")
    assert asyncio.run(examine(small(settings, examinations=[lambda _: own])))[-1] == own


def test_cicd_looks_for_git_and_docker(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examine_git(settings).state == "ok"
    monkeypatch.setenv("PATH", "")
    assert examine_git(settings).state == "problem"
    default = dataclasses.replace(settings, toolsets=frozenset({"default"}))
    assert "not needed" in examine_docker(default).found
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
    found = examine_docker(settings)
    assert (found.state, "DOCKER_HOST" in found.mend) == ("problem", True)


def test_the_policy_grants_what_is_needed_and_no_more() -> None:
    (document,) = policies(["s3:ListBucket"], ["iam:PassRole", "ec2:CreateVpc", "s3:ListBucket"])
    read, change, passing = document["Statement"]
    assert read["Action"] == ["s3:ListBucket"]
    assert change["Action"] == ["ec2:CreateVpc"]
    passed_to = passing["Condition"]["StringEquals"]["iam:PassedToService"]
    assert passed_to == ["ec2.amazonaws.com", "ecs-tasks.amazonaws.com", "lambda.amazonaws.com"]
    assert policies([], []) == [{"Version": "2012-10-17", "Statement": []}]


def test_a_policy_too_long_for_one_document_comes_in_several_with_every_action_once() -> None:
    reads = [f"ec2:Describe{'Thing' * 4}{n}" for n in range(300)]
    changes = [f"ec2:Create{'Thing' * 4}{n}" for n in range(300)]
    documents = policies(reads, [*changes, "iam:PassRole"])
    statements = [statement for document in documents for statement in document["Statement"]]
    granted = [action for statement in statements for action in statement["Action"]]
    assert sorted(granted) == sorted([*reads, *changes, "iam:PassRole"])
    assert len(documents) > 1
    for document in documents:
        assert len(json.dumps(document, separators=(",", ":"))) <= DOCUMENT_CHARACTERS


# The command.


def command(
    settings: Settings, *arguments: str, allow_writes: bool = True, needs: Any = None
) -> int:
    def create(chosen: Settings) -> Any:
        return small(chosen, permissions=needs or NEEDS)

    flags = ["--state-dir", str(settings.state_dir)]
    return cli.main(
        create, "shelf", [*flags, *(["--allow-writes"] if allow_writes else []), *arguments]
    )


@pytest.mark.usefixtures("cloud")
def test_the_command_prints_lines_and_ends_with_0_without_problems(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(settings, "doctor") == 0
    printed = capsys.readouterr().out
    assert printed.startswith("ok       python")
    assert "unknown  permissions" in printed
    assert command(settings, "doctor", "--json") == 0
    lines = json.loads(capsys.readouterr().out)
    assert {line["state"] for line in lines} == {"ok", "unknown"}


def test_the_command_ends_with_1_on_a_problem(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(settings, "doctor") == 1
    assert "problem  AWS credentials" in capsys.readouterr().out


@pytest.mark.parametrize("allow_writes", [False, True], ids=["reading", "changing"])
def test_the_policy_is_printed_for_what_is_on_offer(
    settings: Settings, capsys: pytest.CaptureFixture[str], allow_writes: bool
) -> None:
    assert command(settings, "doctor", "--iam-policy", allow_writes=allow_writes) == 0
    document = json.loads(capsys.readouterr().out)
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert sids == (["Read", "Change", "PassRole"] if allow_writes else ["Read"])


def test_a_long_policy_is_printed_as_a_list_which_is_said(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    many = {"list_things": tuple(f"ec2:Describe{'Thing' * 4}{n}" for n in range(300)), "shelve": ()}
    assert command(settings, "doctor", "--iam-policy", needs=many) == 0
    printed = capsys.readouterr()
    documents = json.loads(printed.out)
    assert len(documents) > 1
    assert f"{len(documents)} policies" in printed.err


def test_nothing_hidden_reaches_the_terminal() -> None:
    printed = shown([Line(what="x", state="problem", found="a\x1b[2Jb", mend="m")])
    assert "\x1b" not in printed
    assert "to mend it: m" in printed


def test_no_line_is_taken_for_a_secret(settings: Settings) -> None:
    lines = asyncio.run(examine(small(dataclasses.replace(settings, mind="auto"))))
    assert "[redacted]" not in shown(lines)
