"""The operator's rules: the first that fits decides, a bad file stops the server at its start."""

import json
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client

from opswright_aws_devops.api import policy
from opswright_aws_devops.api.access import access_of
from opswright_aws_devops.api.models import find
from opswright_aws_devops.api.policy import Call, Rules
from opswright_aws_devops.server import create_server
from opswright_core import cli
from opswright_core.errors import BadInputError
from opswright_core.settings import Settings

ACCOUNT = "123456789012"


def rules(path: Path, text: str) -> Rules:
    path.write_text(text)
    return policy.from_environment({policy.VARIABLE: str(path)})


def effect(
    chosen: Rules, name: str, region: str = "eu-west-1", **parameters: Any
) -> tuple[str, str]:
    operation = find(*name.split(":"))
    call = Call(operation, access_of(operation), lambda: ACCOUNT, region, parameters)
    decision = chosen.decide(call)
    return decision.effect, decision.said_by


@pytest.mark.parametrize(
    ("name", "parameters", "expected"),
    [
        ("ec2:DescribeVpcs", {}, "allow"),
        ("ec2:TerminateInstances", {}, "allow"),
        ("secretsmanager:GetRandomPassword", {}, "allow"),
        ("secretsmanager:GetSecretValue", {}, "deny"),
        ("ssm:GetParameter", {}, "allow"),
        ("ssm:GetParameter", {"WithDecryption": True}, "deny"),
        ("iam:GetPolicy", {}, "allow"),
        ("iam:AttachRolePolicy", {}, "ask"),
        ("iam:CreatePolicyVersion", {}, "ask"),
        ("iam:UpdateAssumeRolePolicy", {}, "ask"),
        ("s3:PutBucketPolicy", {}, "ask"),
        ("organizations:ListAccounts", {}, "allow"),
        ("organizations:CreateAccount", {}, "ask"),
        ("organizations:CloseAccount", {}, "deny"),
        ("cloudtrail:StopLogging", {}, "deny"),
        ("guardduty:DeleteDetector", {}, "deny"),
        ("config:StopConfigurationRecorder", {}, "deny"),
        ("kms:ScheduleKeyDeletion", {}, "deny"),
    ],
)
def test_what_holds_without_a_file(name: str, parameters: dict[str, Any], expected: str) -> None:
    assert effect(policy.from_environment({}), name, **parameters)[0] == expected


def test_every_operation_that_a_built_in_rule_names_exists() -> None:
    from fnmatch import fnmatchcase

    from opswright_aws_devops.api.models import services
    from opswright_core.service_models import service_models

    loader = service_models(None)
    for _, rule in policy.from_environment({}).ordered:
        for pattern in rule.operations:
            service, _, operation = pattern.partition(":")
            if "*" in service:
                continue
            assert service in services(), pattern
            names = loader.load_service_model(service, "service-2")["operations"]
            assert any(fnmatchcase(name, operation) for name in names), pattern


def test_the_file_comes_first_and_the_first_rule_that_fits_decides(tmp_path: Path) -> None:
    chosen = rules(
        tmp_path / "policy.toml",
        """
        [[rules]]
        effect = "allow"
        operations = ["secretsmanager:GetSecretValue"]
        accounts = ["1234*"]

        [[rules]]
        effect = "deny"
        operations = ["ec2:Terminate*", "elasticloadbalancing:DeleteLoadBalancer"]
        reason = "ask the platform team"

        [[rules]]
        effect = "deny"
        regions = ["us-*"]

        [[rules]]
        effect = "ask"
        operations = ["dynamodb:*"]
        access = "read"
        """,
    )
    assert effect(chosen, "secretsmanager:GetSecretValue") == ("allow", "policy.toml rule 1")
    said = ("deny", "policy.toml rule 2: ask the platform team")
    assert effect(chosen, "ec2:TerminateInstances") == said
    assert effect(chosen, "elbv2:DeleteLoadBalancer") == said  # by its IAM name
    assert effect(chosen, "ec2:DescribeVpcs", "us-east-1") == ("deny", "policy.toml rule 3")
    assert effect(chosen, "dynamodb:Scan")[0] == "ask"
    assert effect(chosen, "dynamodb:PutItem")[0] == "allow"
    assert effect(chosen, "kms:ScheduleKeyDeletion")[0] == "deny"


def test_the_built_in_rules_can_be_left_out_in_json_too(tmp_path: Path) -> None:
    chosen = rules(tmp_path / "policy.json", json.dumps({"default_rules": False}))
    assert effect(chosen, "kms:ScheduleKeyDeletion") == ("allow", "")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("p.toml", "[[rules]]\neffect = 'forbid'", "rules.0.effect: Input should be 'allow'"),
        ("p.toml", "[[rules]]\neffect = 'deny'\noperation = ['a:b']", "rules.0.operation: Extra"),
        ("p.toml", "[[rules]]\neffect = 'deny'\noperations = ['ec2']", "should match pattern"),
        ("p.toml", "[[rules]]\neffect = 'deny'\noperations = []", "at least 1 item"),
        ("p.toml", "not toml", "it is not TOML"),
        ("p.json", "{", "it is not JSON"),
        ("p.json", "[]", "valid dictionary"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(
    name: str, text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInputError, match=said):
        rules(tmp_path / name, text)


def test_a_file_that_is_missing_stops_the_server_at_its_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv(policy.VARIABLE, str(tmp_path / "missing.toml"))
    assert cli.main(create_server, "aws_devops", ["doctor"]) == 2
    assert "missing.toml, which cannot be used: No such file" in capsys.readouterr().err


@pytest.mark.usefixtures("cloud")
async def test_a_read_that_asks_is_for_change_aws_and_a_denied_one_names_its_rule(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(
        "[[rules]]\neffect = 'ask'\noperations = ['s3:ListBuckets']\n"
        "[[rules]]\neffect = 'deny'\noperations = ['sqs:*']\naccounts = ['123456789012']\n"
    )
    monkeypatch.setenv(policy.VARIABLE, str(path))
    listing = {"service": "s3", "operation": "ListBuckets"}
    async with Client(create_server(settings)) as client:
        refused = await client.call_tool("read_aws", listing, raise_on_error=False)
        asked = await client.call_tool("change_aws", listing)
        denied = await client.call_tool(
            "read_aws", {"service": "sqs", "operation": "ListQueues"}, raise_on_error=False
        )
    assert "change_aws asks for it" in refused.content[0].text
    assert asked.structured_content["status"] == "needs_approval"
    assert "sqs ListQueues is denied here by policy.toml rule 2" in denied.content[0].text
