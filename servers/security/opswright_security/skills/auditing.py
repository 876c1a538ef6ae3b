"""Audits, reviews and one remedy, without a model."""

from typing import Annotated, Any

from pydantic import Field

from opswright_core.agent.place import InRegion, InRegions
from opswright_core.agent.report import AgentMessage, Memory, Outcome
from opswright_core.agent.skills import FromText, NoInputs, skill
from opswright_core.agent.worker import Worker
from opswright_core.errors import OpswrightError
from opswright_security.tools.ingress import Protocol

_SHOWN = 10


class ReviewInputs(InRegion):
    """Which application to review; one of the two is enough."""

    vpc_id: Annotated[
        str | None, Field(description="The application's VPC"), FromText(r"\b(vpc-[0-9a-f]+)")
    ] = None
    name: Annotated[
        str | None,
        Field(description="The name it was deployed under"),
        FromText(r"\b(?:named|called|application)\s+[\"']?(?!in\b|vpc-)([\w.-]+)"),
    ] = None


class ExposureInputs(InRegions):
    """Where to look."""

    vpc_id: Annotated[
        str | None, Field(description="Only this VPC"), FromText(r"\b(vpc-[0-9a-f]+)")
    ] = None


class ComplianceInputs(InRegions):
    """Which benchmark."""

    framework: Annotated[str, Field(description="cis-3.0 or fsbp", pattern="^(cis-3.0|fsbp)$")] = (
        "cis-3.0"
    )


class CloseInputs(InRegion):
    """Which rule to close."""

    group_id: Annotated[
        str, Field(description="The security group's id, sg-…"), FromText(r"\b(sg-[0-9a-f]+)")
    ]
    port: Annotated[
        str,
        Field(description="The port, like 22 or 8000-8100"),
        FromText(r"\bport\s+(\d+(?:-\d+)?|all)\b"),
    ]
    protocol: Protocol = "tcp"
    cidr: Annotated[
        str, Field(description="The source to close"), FromText(r"\bfrom\s+([0-9a-fA-F.:]+/\d+)")
    ] = "0.0.0.0/0"


@skill(
    "audit the security of this account",
    "run a security audit",
    "audit everything in all regions, everywhere, across the whole account",
    "check the account for security problems and misconfigurations",
    "find vulnerabilities in our AWS setup",
    risk="read",
)
async def audit_security(worker: Worker, inputs: InRegions) -> Outcome:
    """Audit the account's security: IAM, network, storage, databases, logging."""
    audit = await worker.call("audit_account", **inputs.where)
    return Outcome(
        summary=f"{audit['summary']} {_worst(audit['findings'])}".strip(),
        outputs={
            k: audit[k] for k in ("verdict", "counts", "by_severity", "total_findings", "unread")
        }
        | {"findings": audit["findings"][:_SHOWN]},
        messages=_warning(audit["findings"], f"account {audit['account_id']}"),
        memories=[Memory(kind="episodic", text=f"Security audit: {audit['summary']}")],
        next="explain_finding says how to mend a finding." if audit["findings"] else "",
    )


@skill(
    "is anything open to the internet",
    "which security groups are exposed to the world",
    "show open ports and unused security groups",
    "what is exposed in all regions, everywhere",
    risk="read",
)
async def find_exposure(worker: Worker, inputs: ExposureInputs) -> Outcome:
    """Show what security groups leave open to the internet."""
    arguments = {"vpc_id": inputs.vpc_id} if inputs.vpc_id else {}
    found = await worker.call("audit_security_groups", **arguments, **inputs.where)
    lines = [
        f"{e['region']} {e['group_id']} {e['protocol']} {e['ports']} from {e['source']} "
        f"({e['severity']})"
        for e in found["exposures"][:5]
    ]
    return Outcome(
        summary=" ".join([found["summary"], "; ".join(lines)]).strip(),
        outputs={k: found[k] for k in ("verdict", "by_severity", "total_exposures", "unused")}
        | {"exposures": found["exposures"][:_SHOWN]},
        next="close_security_group_rule closes a rule." if lines else "",
    )


@skill(
    "review the application in vpc-0123",
    "review the security of what was just deployed",
    "security review of the deployment named web",
    "is the deployed application secure",
    risk="read",
)
async def review_deployment(worker: Worker, inputs: ReviewInputs) -> Outcome:
    """Review a deployed application: reachability, encryption, metadata, TLS, passwords."""
    arguments = {k: v for k, v in inputs.model_dump(exclude={"region"}).items() if v}
    review = await worker.call("review_application", **arguments, **inputs.where)
    return Outcome(
        summary=f"{review['summary']} {_worst(review['findings'])}".strip(),
        outputs={k: review[k] for k in ("verdict", "vpc_id", "name", "total_advisories", "unread")}
        | {k: review[k][:_SHOWN] for k in ("findings", "advisories")},
        messages=_warning(review["findings"], f"the application in {review['vpc_id']}"),
        memories=[Memory(kind="episodic", text=f"Security review: {review['summary']}")],
    )


@skill(
    "who has admin",
    "list administrators and privilege escalation paths",
    "who can become administrator, and which roles are unused",
    risk="read",
)
async def find_administrators(worker: Worker, inputs: NoInputs) -> Outcome:
    """List who has administrator rights, or could get them. Needs the `iam` toolset."""
    if "audit_iam" not in {tool.name for tool in await worker.client.list_tools()}:
        raise OpswrightError(
            "audit_iam is not offered here: start the server with --toolsets default,iam (or all)."
        )
    found = await worker.call("audit_iam")
    return Outcome(
        summary=found["summary"],
        outputs={k: found[k] for k in ("verdict", "counts", "unread")}
        | {"risks": found["risks"][: 2 * _SHOWN]},
        next=found["note"],
    )


@skill(
    "check compliance with cis",
    "are we compliant with fsbp, the aws foundational security best practices",
    "benchmark the account against the cis foundations in all regions",
    risk="read",
)
async def judge_compliance(worker: Worker, inputs: ComplianceInputs) -> Outcome:
    """Judge the account against a benchmark, and say what is not covered."""
    found = await worker.call("check_compliance", framework=inputs.framework, **inputs.where)
    failing = [c["id"] for c in found["controls"] if c["verdict"] == "FAIL"]
    return Outcome(
        summary=f"{found['summary']} Not covered: {len(found['not_covered'])}.",
        outputs={k: found[k] for k in ("verdict", "counts", "not_covered", "unread")}
        | {"failing": failing},
        next=found["note"],
    )


@skill(
    "close port 22 on sg-0123",
    "close port 3306 of security group sg-0123 to the internet",
    "revoke the open rule on sg-0123",
    risk="write",
)
async def close_port(worker: Worker, inputs: CloseInputs) -> Outcome:
    """Close one inbound rule of a security group."""
    rule = inputs.model_dump(exclude={"region"})
    done = await worker.call("close_security_group_rule", **rule, **inputs.where)
    return Outcome(
        summary=done["summary"],
        outputs={"change_id": done["change_id"], **(done.get("outputs") or {})},
        next=done.get("next", ""),
    )


def _worst(findings: list[dict[str, Any]]) -> str:
    grave = [f for f in findings if f["verdict"] == "FAIL"][:3]
    said = "; ".join(f"{f['title']}: {f['resource']} ({f['severity']})" for f in grave)
    return f"Not so: {said}." if said else ""


def _warning(findings: list[dict[str, Any]], where: str) -> list[AgentMessage]:
    critical = [f for f in findings if f["verdict"] == "FAIL" and f["severity"] == "critical"]
    if not critical:
        return []
    named = sorted({f["check_id"] for f in critical})
    return [
        AgentMessage(
            recipient="*",
            intent="warn",
            content=f"{len(critical)} critical security findings in {where}: {', '.join(named)}",
            data={"findings": critical[:_SHOWN]},
        )
    ]
