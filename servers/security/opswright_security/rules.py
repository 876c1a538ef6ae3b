"""What a check is, and how checks are run over what was read."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.text import clean
from opswright_core.verdicts import Unread, Verdict, attempt
from opswright_security.reading import Fact, Reader, UnreadError

Severity = Literal["critical", "high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low", "info")
Loader = Callable[[Reader], Sequence[Fact]]
Problem = str | None
"""What is wrong with one thing, in words; None when nothing is."""

EVIDENCE_CHARACTERS = 220
MOST_UNREAD = 30

GLOBAL = "global"
"""Region of what the account has once."""

NOTHING = "none exist"
"""Resource and evidence of a check that found nothing of its kind to judge."""


class Finding(BaseModel):
    """One check's verdict on one resource."""

    model_config = ConfigDict(frozen=True)
    check_id: str
    title: str
    severity: Severity
    verdict: Verdict
    resource: str = Field(description="Id of the resource, or what could not be read")
    region: str = Field("", description="`global` for what the account has once")
    evidence: str = ""


@dataclass(frozen=True)
class Rule:
    """One check: what it reads, how it judges one thing, why it matters and how to mend it.

    `judge` is pure and returns the problem or None; `controls` are ids of public benchmarks,
    written `framework:control`, given only where the check answers the control's question.
    """

    id: str
    title: str
    severity: Severity
    load: Loader
    judge: Callable[[Fact], Problem]
    rationale: str
    fix: str
    command: str = ""
    controls: tuple[str, ...] = ()

    @property
    def service(self) -> str:
        """The AWS service a check is about: the first word of its id."""
        return self.id.partition("-")[0]

    @property
    def account_wide(self) -> bool:
        """Whether what it reads is the same from every region."""
        return getattr(self.load, "account_wide", False)

    def finding(self, verdict: Verdict, resource: str, evidence: str, region: str) -> Finding:
        """A finding of this check."""
        return Finding(
            check_id=self.id,
            title=self.title,
            severity=self.severity,
            verdict=verdict,
            resource=clean(resource, 200),
            evidence=clean(evidence, EVIDENCE_CHARACTERS),
            region=region,
        )


@dataclass(frozen=True)
class Outcome:
    """What one check found: a finding per resource, and what it could not read."""

    rule: Rule
    findings: tuple[Finding, ...]
    unread: tuple[str, ...] = ()


def rule(
    check_id: str,
    title: str,
    severity: Severity,
    load: Loader,
    *controls: str,
    fix: str,
    command: str = "",
) -> Callable[[Callable[[Fact], Problem]], Rule]:
    """Make a judging function a check; its docstring is the rationale."""

    def declare(judge: Callable[[Fact], Problem]) -> Rule:
        rationale = " ".join((judge.__doc__ or "").split())
        return Rule(check_id, title, severity, load, judge, rationale, fix, command, controls)

    return declare


def judge(rule: Rule, facts: Sequence[Fact] | Unread, region: str = "") -> Outcome:
    """Judge what was read: UNKNOWN if reading failed, PASS «none exist» if there is nothing."""
    region = GLOBAL if rule.account_wide else region
    if isinstance(facts, Unread):
        unknown = rule.finding("UNKNOWN", facts.operation, facts.reason, region)
        return Outcome(rule, (unknown,), (said(facts),))
    if not facts:
        return Outcome(rule, (rule.finding("PASS", NOTHING, NOTHING, region),))
    findings, unread = [], []
    for fact in facts:
        where = fact.region or region
        try:
            problem = rule.judge(fact)
        except UnreadError as error:
            findings.append(rule.finding("UNKNOWN", fact.id, error.unread.reason, where))
            unread.append(said(error.unread))
        else:
            verdict: Verdict = "FAIL" if problem else "PASS"
            findings.append(rule.finding(verdict, fact.id, problem or "", where))
    return Outcome(rule, tuple(findings), tuple(dict.fromkeys(unread)))


def run(
    reader: Reader, rules: Sequence[Rule], only: Callable[[Fact], bool] = lambda _: True
) -> list[Outcome]:
    """Run checks, each over the facts that `only` lets through; facts are read in parallel."""

    def one(rule: Rule) -> Outcome:
        facts = attempt(lambda: reader.load(rule.load))
        chosen = facts if isinstance(facts, Unread) else [f for f in facts if only(f)]
        return judge(rule, chosen, reader.aws.region)

    return reader.each(rules, one)


def said(unread: Unread) -> str:
    """One short line on what could not be read, and the permission to grant."""
    grant = f": grant {unread.permission}" if unread.permission else f": {unread.reason[:100]}"
    return f"{unread.operation}{grant}"


def unread_lines(outcomes: Iterable[Outcome]) -> list[str]:
    """What could not be read over all checks, once each."""
    return most(sorted({line for outcome in outcomes for line in outcome.unread}))


def most(lines: list[str], count: int = MOST_UNREAD) -> list[str]:
    """At most `count` lines, and how many more there are."""
    return lines if len(lines) <= count else [*lines[:count], f"and {len(lines) - count} more"]


def at_least(severity: Severity | None) -> frozenset[Severity]:
    """The severities from `severity` up; all of them for None."""
    return frozenset(
        SEVERITIES if severity is None else SEVERITIES[: SEVERITIES.index(severity) + 1]
    )


def by_weight(findings: Iterable[Finding]) -> list[Finding]:
    """FAIL before UNKNOWN before PASS, the gravest first, then by check and resource."""
    order = {"FAIL": 0, "UNKNOWN": 1, "PASS": 2}
    return sorted(
        findings,
        key=lambda f: (
            order[f.verdict],
            SEVERITIES.index(f.severity),
            f.check_id,
            f.region,
            f.resource,
        ),
    )
