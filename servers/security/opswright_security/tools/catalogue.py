"""What the checks are, and how to mend what they find."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.pages import Page, page
from opswright_core.tools import read_tool
from opswright_security.checks.registry import RULES, rule_of, rules_of
from opswright_security.rules import Severity


class CheckLine(BaseModel):
    """One check in a list."""

    model_config = ConfigDict(frozen=True)
    id: str
    title: str
    severity: Severity
    service: str
    controls: list[str] = Field(description="framework:control")


class Explanation(BaseModel):
    """Why a check matters and how to mend what it finds."""

    model_config = ConfigDict(frozen=True)
    check_id: str
    title: str
    severity: Severity
    rationale: str
    remediation: str
    commands: list[str] = Field(description="Words in CAPITALS are yours to fill in")
    references: list[str]


_FRAMEWORKS = {
    "cis-3.0": "CIS AWS Foundations Benchmark v3.0.0",
    "fsbp": "AWS Foundational Security Best Practices",
}


@read_tool
def list_checks(
    service: Annotated[str | None, Field(description="Like iam, ec2, s3", max_length=40)] = None,
    cursor: Annotated[str | None, Field(description="From the page before")] = None,
) -> Page[CheckLine]:
    """List the checks that audit_account runs."""
    rules = rules_of([service]) if service else list(RULES)
    lines = [
        CheckLine(
            id=r.id, title=r.title, severity=r.severity, service=r.service, controls=[*r.controls]
        )
        for r in rules
    ]
    return page(lines, cursor=cursor, limit=100, summary=f"{len(lines)} checks")


@read_tool
def explain_finding(
    check_id: Annotated[str, Field(description="From a finding", max_length=80)],
) -> Explanation:
    """Explain a finding: why it matters, how to mend it, with commands and references."""
    found = rule_of(check_id)
    references = [
        f"{_FRAMEWORKS[framework]}, {control}"
        for framework, _, control in (entry.partition(":") for entry in found.controls)
    ]
    return Explanation(
        check_id=found.id,
        title=found.title,
        severity=found.severity,
        rationale=found.rationale,
        remediation=found.fix,
        commands=[found.command] if found.command else [],
        references=references,
    )
