"""Audits one account and region."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Target
from opswright_core.pages import page
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_core.verdicts import Verdict, worst
from opswright_security.checks.registry import rules_of
from opswright_security.reading import Reader
from opswright_security.rules import (
    SEVERITIES,
    Finding,
    Outcome,
    Severity,
    at_least,
    by_weight,
    run,
    unread_lines,
)

Cursor = Annotated[str | None, Field(description="From the page before", max_length=40)]


class Audit(BaseModel):
    """What the checks found in an account and region."""

    model_config = ConfigDict(frozen=True)
    account_id: str
    region: str
    verdict: Verdict = Field(description="FAIL or UNKNOWN by any check graver than info")
    summary: str
    counts: dict[Verdict, int] = Field(description="Findings per verdict")
    by_severity: dict[Severity, int] = Field(description="FAIL findings per severity")
    findings: list[Finding] = Field(
        description="FAIL, gravest first, then UNKNOWN; PASS is only counted"
    )
    total_findings: int = Field(description="FAIL and UNKNOWN findings in all")
    cursor: str | None = None
    unread: list[str] = Field(description="What was refused, and the permission to grant")


@read_tool
def audit_account(
    severity: Annotated[Severity | None, Field(description="Least severity")] = None,
    services: Annotated[
        list[str] | None, Field(description="Only these, like iam, s3", max_length=30)
    ] = None,
    cursor: Cursor = None,
    target: Target = HERE,
) -> Audit:
    """Audit the account's security in one region: IAM, network, S3, RDS, EC2, logging, secrets."""
    rules = [r for r in rules_of(services) if r.severity in at_least(severity)]
    session = aws(target)
    account_id = session.account_id
    return audit_of(account_id, session.region, run(Reader(session), rules), cursor)


def audit_of(
    account_id: str, region: str, outcomes: Sequence[Outcome], cursor: str | None
) -> Audit:
    """Sum outcomes up and cut one page of findings. Raises BadInputError for a bad cursor."""
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    counts = Counter(f.verdict for f in findings)
    failed = Counter(f.severity for f in findings if f.verdict == "FAIL")
    shown = page(by_weight(f for f in findings if f.verdict != "PASS"), cursor=cursor, limit=100)
    grave = [f"{failed[s]} {s}" for s in SEVERITIES if failed[s]]
    said = [f"{len(outcomes)} checks in {account_id}, {region}"]
    said.append(f"{counts['FAIL']} findings ({', '.join(grave)})" if grave else "no findings")
    if counts["UNKNOWN"]:
        said.append(f"{counts['UNKNOWN']} could not be judged")
    return Audit(
        account_id=account_id,
        region=region,
        verdict=verdict_of(findings),
        summary="; ".join(said) + ".",
        counts={"PASS": counts["PASS"], "FAIL": counts["FAIL"], "UNKNOWN": counts["UNKNOWN"]},
        by_severity={s: failed[s] for s in SEVERITIES},
        findings=shown.items,
        total_findings=shown.total,
        cursor=shown.cursor,
        unread=unread_lines(outcomes),
    )


def verdict_of(findings: Sequence[Finding]) -> Verdict:
    """The worst verdict; FAILs that are `info` only inform."""
    return worst(
        "PASS" if f.severity == "info" and f.verdict == "FAIL" else f.verdict for f in findings
    )
