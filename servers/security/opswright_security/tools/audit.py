"""Audits one account, in one region, several or all."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE
from opswright_core.pages import page
from opswright_core.regions import WideTarget
from opswright_core.runtime import runtime
from opswright_core.tools import read_tool
from opswright_core.verdicts import Verdict, worst
from opswright_security.checks.registry import rules_of
from opswright_security.everywhere import Survey, survey
from opswright_security.rules import (
    SEVERITIES,
    Finding,
    Severity,
    at_least,
    by_weight,
)

Cursor = Annotated[str | None, Field(description="From the page before", max_length=40)]


class Audit(BaseModel):
    """What the checks found in an account and its regions."""

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
    target: WideTarget = HERE,
) -> Audit:
    """Audit the account's security: IAM, network, S3, RDS, EC2, logging, secrets."""
    rules = [r for r in rules_of(services) if r.severity in at_least(severity)]
    key = ("audit_account", severity, services, target)
    found = runtime().snapshots.get(cursor, key, lambda: survey(target, rules))
    return audit_of(found, cursor)


def audit_of(found: Survey, cursor: str | None) -> Audit:
    """Sum a survey up and cut one page of findings. Raises BadInputError for a bad cursor."""
    findings = [finding for outcome in found.outcomes for finding in outcome.findings]
    counts = Counter(f.verdict for f in findings)
    failed = Counter(f.severity for f in findings if f.verdict == "FAIL")
    shown = page(by_weight(f for f in findings if f.verdict != "PASS"), cursor=cursor, limit=100)
    grave = [f"{failed[s]} {s}" for s in SEVERITIES if failed[s]]
    said = [f"{len(found.outcomes)} checks in {found.account_id}, {found.where}"]
    said.append(f"{counts['FAIL']} findings ({', '.join(grave)})" if grave else "no findings")
    if counts["UNKNOWN"]:
        said.append(f"{counts['UNKNOWN']} could not be judged")
    if found.dark:
        said.append(f"nothing could be read in {len(found.dark)} regions")
    return Audit(
        account_id=found.account_id,
        region=found.region,
        verdict=verdict_of(findings, found.dark),
        summary="; ".join(said) + ".",
        counts={"PASS": counts["PASS"], "FAIL": counts["FAIL"], "UNKNOWN": counts["UNKNOWN"]},
        by_severity={s: failed[s] for s in SEVERITIES},
        findings=shown.items,
        total_findings=shown.total,
        cursor=shown.cursor,
        unread=list(found.unread),
    )


def verdict_of(findings: Sequence[Finding], dark: Sequence[str] = ()) -> Verdict:
    """The worst verdict; FAILs that are `info` only inform, `dark` regions are UNKNOWN."""
    verdicts: list[Verdict] = ["UNKNOWN" for _ in dark]
    verdicts += [
        "PASS" if f.severity == "info" and f.verdict == "FAIL" else f.verdict for f in findings
    ]
    return worst(verdicts)
