"""Maps the checks to a public benchmark's controls, and says what is not covered."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE
from opswright_core.regions import WideTarget
from opswright_core.tools import read_tool
from opswright_core.verdicts import Verdict, worst
from opswright_security.checks.registry import RULES
from opswright_security.everywhere import Survey, survey
from opswright_security.rules import Rule

Framework = Literal["cis-3.0", "fsbp"]

# Every control of CIS AWS Foundations Benchmark v3.0.0 (62 in all): section → number of controls.
_CIS_SECTIONS = {"1": 22, "2.1": 4, "2.2": 1, "2.3": 3, "2.4": 1, "3": 9, "4": 16, "5": 6}
# Of FSBP, a core for the services audited here; the standard has many more and grows.
_FSBP: Mapping[str, tuple[int, ...]] = {
    "IAM": (1, 2, 3, 4, 5, 6, 7, 8, 21),
    "EC2": (1, 2, 3, 4, 6, 7, 8, 9, 10, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 170),
    "S3": (1, 2, 3, 5, 6, 8, 9, 12, 13, 19),
    "RDS": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16),
    "CloudTrail": (1, 2, 4, 5),
    "Config": (1,),
    "GuardDuty": (1,),
    "KMS": (1, 2, 3),
    "SecretsManager": (1, 2, 3, 4),
    "ELB": (1, 2, 3, 4, 5, 6),
    "Lambda": (1, 2),
    "EFS": (1, 2, 3, 4),
}
CONTROLS: Mapping[Framework, tuple[str, ...]] = {
    "cis-3.0": tuple(
        f"{section}.{n}" for section, count in _CIS_SECTIONS.items() for n in range(1, count + 1)
    ),
    "fsbp": tuple(f"{service}.{n}" for service, numbers in _FSBP.items() for n in numbers),
}
_NOTES: Mapping[Framework, str] = {
    "cis-3.0": "Of the 62 controls of v3.0.0, those not covered need a person, another view or log "
    "metric filters. Regional controls are judged in these regions only.",
    "fsbp": "The list is a core of the standard for the services audited here; the standard is "
    "larger, and Security Hub evaluates all of it. Judged in these regions only; a check may be "
    "stricter.",
}


class ControlStatus(BaseModel):
    """How one control stands."""

    model_config = ConfigDict(frozen=True)
    id: str
    verdict: Verdict
    checks: list[str]
    failing: int = Field(description="Resources that fail")


class Compliance(BaseModel):
    """How an account and its regions stand against a benchmark."""

    model_config = ConfigDict(frozen=True)
    framework: Framework
    account_id: str
    region: str
    verdict: Verdict = Field(description="Of the covered controls only")
    summary: str
    counts: dict[Literal["PASS", "FAIL", "UNKNOWN", "not_covered"], int]
    controls: list[ControlStatus]
    not_covered: list[str]
    note: str
    unread: list[str]


@read_tool
def check_compliance(
    framework: Annotated[Framework, Field(description="CIS AWS v3.0.0 or AWS FSBP")],
    target: WideTarget = HERE,
) -> Compliance:
    """Judge the account against a benchmark, control by control, and say what is not covered."""
    rules = [r for r in RULES if any(c.startswith(f"{framework}:") for c in r.controls)]
    return compliance_of(framework, survey(target, rules))


def compliance_of(framework: Framework, found: Survey) -> Compliance:
    """Sum a survey up by control. A control is as bad as the worst of its checks.

    None passes while a region in which its checks belong could not be read.
    """
    statuses = []
    for control in CONTROLS[framework]:
        mapped = [o for o in found.outcomes if f"{framework}:{control}" in o.rule.controls]
        findings = [f for o in mapped for f in o.findings]
        dark: list[Verdict] = ["UNKNOWN"] if any(_missed(found, o.rule) for o in mapped) else []
        if mapped:
            status = ControlStatus(
                id=control,
                verdict=worst([*dark, *(f.verdict for f in findings)]),
                checks=[o.rule.id for o in mapped],
                failing=sum(f.verdict == "FAIL" for f in findings),
            )
            statuses.append(status)
    covered = {status.id for status in statuses}
    missing = [control for control in CONTROLS[framework] if control not in covered]
    seen = Counter(status.verdict for status in statuses)
    return Compliance(
        framework=framework,
        account_id=found.account_id,
        region=found.region,
        verdict=worst(status.verdict for status in statuses),
        summary=f"{len(statuses)} of {len(CONTROLS[framework])} listed controls are covered: "
        f"{seen['PASS']} pass, {seen['FAIL']} fail, {seen['UNKNOWN']} unknown.",
        counts={
            "PASS": seen["PASS"],
            "FAIL": seen["FAIL"],
            "UNKNOWN": seen["UNKNOWN"],
            "not_covered": len(missing),
        },
        controls=statuses,
        not_covered=missing,
        note=_NOTES[framework],
        unread=list(found.unread),
    )


def _missed(found: Survey, rule: Rule) -> bool:
    return bool(found.dark) and not rule.account_wide
