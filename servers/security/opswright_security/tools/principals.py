"""Who can do what in IAM: administrators, ways to become one, policies in words."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Target
from opswright_core.errors import BadInputError
from opswright_core.pages import page
from opswright_core.policies import Statement, parse, statements
from opswright_core.runtime import aws, runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, Verdict
from opswright_security.escalation import escalations
from opswright_security.facts.principals import load_principals, read_policy
from opswright_security.policies import is_admin, public_actions, wildcard_services
from opswright_security.reading import Fact, Reader
from opswright_security.rules import said
from opswright_security.tools.audit import Cursor

RiskKind = Literal["admin", "escalation", "unused_role"]
_ORDER: tuple[RiskKind, ...] = ("admin", "escalation", "unused_role")


class PrincipalRisk(BaseModel):
    """One reason to look at a user or role."""

    model_config = ConfigDict(frozen=True)
    kind: RiskKind
    principal: str
    evidence: str


class IamAudit(BaseModel):
    """Who has, or can get, all rights; and roles nobody uses."""

    model_config = ConfigDict(frozen=True)
    verdict: Verdict = Field(description="FAIL by an escalation path; admins alone only inform")
    summary: str
    counts: dict[RiskKind, int]
    risks: list[PrincipalRisk]
    total_risks: int
    cursor: str | None = None
    unread: list[str]
    note: str = (
        "Permission boundaries, organisation policies and conditions are not weighed; grants on "
        "single named resources do not count as escalation."
    )


class PolicyExplanation(BaseModel):
    """What a policy grants, in words."""

    model_config = ConfigDict(frozen=True)
    summary: str
    admin: bool
    grants: list[str] = Field(description="One line per statement; 40 at most")
    risks: list[str]
    escalations: list[str] = Field(description="Ways to more rights that it opens by itself")


@read_tool(toolset="iam")
def audit_iam(
    kind: Annotated[RiskKind | None, Field(description="Only this kind")] = None,
    unused_days: Annotated[int, Field(description="A role is unused after", ge=1, le=400)] = 90,
    cursor: Cursor = None,
    target: Target = HERE,
) -> IamAudit:
    """List who has administrator rights, who can escalate to them and how, and unused roles."""
    reader = Reader(aws(target))
    principals = runtime().snapshots.get(
        cursor, ("audit_iam", target), lambda: reader.load(load_principals)
    )
    return iam_audit_of(principals, reader.read_at, kind, unused_days, cursor)


def iam_audit_of(
    principals: Sequence[Fact],
    now: datetime,
    kind: RiskKind | None,
    unused_days: int,
    cursor: str | None,
) -> IamAudit:
    """Judge principals. A principal some of whose policies are unread makes a PASS an UNKNOWN."""
    risks: list[PrincipalRisk] = []
    unread: set[str] = set()
    for principal in principals:
        policies = principal["policies"]
        unread |= {said(p) for p in policies.values() if isinstance(p, Unread)}
        risks += _risks(principal, now, unused_days)
    counts = Counter(risk.kind for risk in risks)
    chosen = [risk for risk in risks if kind in {None, risk.kind}]
    chosen.sort(key=lambda risk: (_ORDER.index(risk.kind), risk.principal))
    shown = page(chosen, cursor=cursor, limit=100)
    return IamAudit(
        verdict="FAIL" if counts["escalation"] else "UNKNOWN" if unread else "PASS",
        summary=f"{len(principals)} users and roles: {counts['admin']} administrators, "
        f"{counts['escalation']} that can become one, {counts['unused_role']} unused roles.",
        counts={k: counts[k] for k in _ORDER},
        risks=shown.items,
        total_risks=shown.total,
        cursor=shown.cursor,
        unread=sorted(unread)[:20],
    )


def _risks(principal: Fact, now: datetime, unused_days: int) -> list[PrincipalRisk]:
    policies = {k: v for k, v in principal["policies"].items() if not isinstance(v, Unread)}
    who = clean(principal.id, 140)
    bounded = "; has a permissions boundary" if principal["boundary"] else ""
    found = []
    if admin := sorted(name for name, document in policies.items() if is_admin(document)):
        evidence = clean(f"by {', '.join(admin)}{bounded}", 300)
        found.append(PrincipalRisk(kind="admin", principal=who, evidence=evidence))
    elif paths := escalations(policies.values()):
        ways = "; ".join(f"{' + '.join(path.actions)}: {path.how}" for path in paths[:3])
        more = f"; and {len(paths) - 3} more" if len(paths) > 3 else ""
        evidence = clean(f"{ways}{more}{bounded}", 400)
        found.append(PrincipalRisk(kind="escalation", principal=who, evidence=evidence))
    if principal["kind"] == "role":
        since = principal["last_used"] or principal["created"]
        days = (now - since).days if since else 0
        if days > unused_days:
            never = "" if principal["last_used"] else "never used; made "
            evidence = f"{never}{days} days ago" if never else f"last used {days} days ago"
            found.append(PrincipalRisk(kind="unused_role", principal=who, evidence=evidence))
    return found


@read_tool(toolset="iam")
def explain_policy(
    policy: Annotated[
        str, Field(description="Policy JSON, or the ARN of a managed policy", max_length=20_000)
    ],
    target: Target = HERE,
) -> PolicyExplanation:
    """Say in words what an IAM policy grants, and what is risky in it."""
    if policy.startswith("arn:"):
        if ":policy/" not in policy:
            raise BadInputError(f"{policy} is no managed policy's ARN; they hold `:policy/`.")
        return explain(read_policy(Reader(aws(target)), policy))
    return explain(parse(policy))


def explain(document: dict[str, Any]) -> PolicyExplanation:
    """Put a policy in words. Raises BadInputError for what is no policy."""
    found = statements(document)
    if not found:
        raise BadInputError("The policy has no statements, so it grants nothing.")
    admin = is_admin(document)
    paths = [] if admin else escalations([document])
    risks = [f"grants all of {service}" for service in wildcard_services(document)]
    risks += [f"anybody may {action}" for action in public_actions(document)]
    for statement in found:
        if statement.allows and statement.not_actions:
            risks.append(
                "Allow with NotAction grants all that is not named, also what AWS adds later"
            )
        if statement.allows and statement.every_resource and statement.condition == {}:
            writes = [a for a in statement.actions if not _reads(a) and not a.endswith("*")]
            if writes:
                risks.append(f"on every resource: {', '.join(writes[:6])}")
    if admin:
        risks.insert(0, "administrator: every action on every resource")
    allowed, denied = sum(s.allows for s in found), sum(not s.allows for s in found)
    return PolicyExplanation(
        summary=f"{allowed} statements allow, {denied} deny; {len(risks)} risks, "
        f"{len(paths)} escalation paths.",
        admin=admin,
        grants=[_in_words(statement) for statement in found[:40]],
        risks=[clean(risk, 200) for risk in dict.fromkeys(risks)][:20],
        escalations=[f"{' + '.join(path.actions)}: {path.how}" for path in paths],
    )


def _reads(action: str) -> bool:
    verb = action.partition(":")[2]
    return verb.startswith(("Get", "List", "Describe", "BatchGet", "Head", "Lookup", "View"))


def _in_words(statement: Statement) -> str:
    what = ", ".join(statement.actions) or f"everything but {', '.join(statement.not_actions)}"
    where = ", ".join(statement.resources)
    if statement.not_resources:
        where = f"everything but {', '.join(statement.not_resources)}"
    who = sorted({value for values in statement.principals.values() for value in values})
    words = [
        "Allows" if statement.allows else "Denies",
        f"{'everybody but ' if statement.not_principal else ''}{', '.join(who)} to" if who else "",
        "everything" if what in {"*", "*:*"} else what,
        f"on {'every resource' if where == '*' else where}" if where else "",
        f"if {', '.join(_conditions(statement))}" if statement.condition else "",
    ]
    return clean(" ".join(word for word in words if word), 300)


def _conditions(statement: Statement) -> list[str]:
    return [
        f"{key} {operator} {value}"
        for operator, keys in statement.condition.items()
        for key, value in keys.items()
    ]
