"""What a review finds: by rule, with severity, where the rule is from, and how to mend it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_aws_devops.review.resources import UNKNOWN, Resource, plain
from opswright_core.verdicts import Verdict

Severity = Literal["critical", "high", "medium", "low"]
Area = Literal["security", "availability", "data"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")


class ReviewFinding(BaseModel):
    """Something that is wrong, or that only the deployment will tell."""

    model_config = ConfigDict(frozen=True)
    rule: str
    area: Area
    severity: Severity
    verdict: Verdict = Field(description="FAIL; UNKNOWN: decided by a value not known yet")
    resource: str
    problem: str
    mend: str
    source: str = Field(description="Where the rule is from; FSBP: AWS Security Hub's controls")


@dataclass(frozen=True)
class Rule:
    """One rule: the property it looks at by type of resource, and what has to hold of it.

    Where one property does not tell, a function of the resource stands in its place.

    `holds` is given each value at the property's path (None: not given), and answers None where the
    value does not decide.
    """

    id: str
    area: Area
    severity: Severity
    problem: str
    mend: str
    source: str
    paths: dict[str, str | Callable[[Resource], Any]]
    holds: Callable[[Any], bool | None]
    unless: tuple[str, ...] = ()
    """Properties with which the rule does not apply: it follows another resource, say."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Where it is from for some types of resource, in place of `source`."""

    def judge(self, resource: Resource) -> Verdict | None:
        """What it says of a resource; None where it does not apply."""
        path = self.paths.get(resource.type)
        if path is None or any(resource.one(name) not in (None, "", []) for name in self.unless):
            return None
        values = [path(resource)] if callable(path) else resource.at(path)
        said = [None if v is UNKNOWN else self.holds(plain(v)) for v in values]
        if any(verdict is False for verdict in said):
            return "FAIL"
        return "UNKNOWN" if None in said else "PASS"

    def finding(self, resource: Resource, verdict: Verdict, detail: str = "") -> ReviewFinding:
        """The finding of this rule on a resource."""
        return ReviewFinding(
            rule=self.id,
            area=self.area,
            severity=self.severity,
            verdict=verdict,
            resource=resource.address,
            problem=f"{self.problem}{f': {detail}' if detail else ''}",
            mend=self.mend,
            source=self.sources.get(resource.type, self.source),
        )


def ordered(findings: list[ReviewFinding]) -> list[ReviewFinding]:
    """The worst first; at the same severity what fails before what is unknown."""
    return sorted(
        findings,
        key=lambda f: (SEVERITIES.index(f.severity), f.verdict != "FAIL", f.rule, f.resource),
    )
