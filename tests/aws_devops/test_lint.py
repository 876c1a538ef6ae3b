"""Linting: what cfn-lint says comes sorted, and what it could not say is told as unread."""

import os
import sys
from pathlib import Path

import pytest
from tests.conftest import need

from opswright_aws_devops.cloudformation import lint as linting
from opswright_aws_devops.cloudformation.lint import LintFinding, is_installed, lint
from opswright_core.verdicts import Unread

GOOD = """
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties: {QueueName: jobs}
"""
BAD = """
Parameters:
  Unused: {Type: String}
Resources:
  Jobs:
    Type: AWS::SQS::Queue
    Properties: {QueueNme: jobs, DelaySeconds: !Ref Nobody}
"""


@pytest.fixture(autouse=True)
def _installed() -> None:
    need("cfn-lint", is_installed(), "the extra lint is not installed")


def linted(template: str, *regions: str) -> list[LintFinding]:
    found = lint(template, regions)
    assert not isinstance(found, Unread), found.reason
    return found


def unread(template: str, *regions: str) -> str:
    found = lint(template, regions)
    assert isinstance(found, Unread), found
    return found.reason


def test_a_good_template_has_no_findings() -> None:
    assert linted(GOOD, "eu-west-1") == []


def test_findings_come_errors_first_with_rule_place_and_line() -> None:
    found = linted(BAD, "eu-west-1")
    assert [(f.rule, f.level, f.path, f.line) for f in found] == [
        ("E1020", "error", "Resources/Jobs/Properties/DelaySeconds/Ref", 7),
        ("E3002", "error", "Resources/Jobs/Properties/QueueNme", 7),
        ("W2001", "warning", "Parameters/Unused", 3),
    ]
    assert "QueueName" in str(found[1])


def test_what_is_no_yaml_is_a_finding() -> None:
    assert {f.rule for f in linted("Resources: [", "eu-west-1")} == {"E0000"}


def test_a_region_that_cfn_lint_does_not_know_is_told() -> None:
    assert "mars-1" in unread(GOOD, "mars-1")
    assert "is no region" in unread(GOOD, "--output-file=/tmp/x")


def test_a_deadline_that_passes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linting, "TIMEOUT_SECONDS", 0.01)
    assert "did not end within" in unread(GOOD, "eu-west-1")


def test_a_limit_of_memory_that_is_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linting, "MEMORY_BYTES", 60 << 20)
    assert "ended with" in unread(GOOD, "eu-west-1")


def test_settings_in_the_folder_of_the_server_do_not_silence_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".cfnlintrc").write_text("ignore_checks: [E, W]\n")
    (tmp_path / "cfnlint.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    assert os.getcwd() == str(tmp_path)
    assert linted(BAD, "eu-west-1")


def test_without_cfn_lint_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cfnlint", None)  # as where it is not installed
    assert "opswright-aws-devops[lint]" in unread(GOOD, "eu-west-1")
