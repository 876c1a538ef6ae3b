"""Reviews one application: what was built in a VPC, judged by the checks that matter to it."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Target
from opswright_core.parallel import time_limit
from opswright_core.runtime import aws, runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Check, Unread, Verdict, worst
from opswright_security.checks import compute, network, reachability, storage
from opswright_security.facts.application import Application, Selector, find_application
from opswright_security.reading import Reader
from opswright_security.rules import (
    NOTHING,
    Finding,
    Outcome,
    Rule,
    at_least,
    by_weight,
    judge,
    most,
    run,
    unread_lines,
)

IN_VPC: tuple[Rule, ...] = (
    reachability.rds_reachable,
    reachability.rds_public_subnet,
    reachability.rds_ingress_outside,
    reachability.rds_ingress_groups,
    reachability.rds_password_secret,
    reachability.instance_public,
    network.sg_open_all,
    network.sg_admin_ipv4,
    network.sg_admin_ipv6,
    network.sg_database,
    network.sg_risky,
    network.sg_default,
    network.vpc_flow_logs,
    network.elb_tls,
    compute.imdsv2,
    compute.user_data_credentials,
)
OF_DATABASES: tuple[Rule, ...] = (
    storage.rds_public,
    storage.rds_encrypted,
    storage.rds_backups,
    storage.rds_deletion_protection,
)
OF_TEMPLATES: tuple[Rule, ...] = (
    compute.launch_template_imdsv2,
    compute.launch_template_credentials,
)
OF_VOLUMES: tuple[Rule, ...] = (compute.ebs_encrypted,)
OF_BUCKETS: tuple[Rule, ...] = (
    storage.bucket_public,
    storage.bucket_public_access_block,
    storage.bucket_encryption,
    storage.bucket_tls_only,
)
GRAVE = at_least("high")
"""What makes a review fail; the rest are advisories."""


class Review(BaseModel):
    """What a review of one application found."""

    model_config = ConfigDict(frozen=True)
    verdict: Verdict = Field(
        description="FAIL by a critical or high finding; UNKNOWN if anything was unread; else PASS"
    )
    summary: str
    vpc_id: str
    name: str | None
    checks: list[Check]
    findings: list[Finding] = Field(description="Critical and high FAILs, and UNKNOWNs; 25 at most")
    advisories: list[Finding] = Field(description="FAILs that are medium or less; 15 at most")
    total_findings: int
    total_advisories: int
    unread: list[str]


@read_tool
def review_application(
    vpc_id: Annotated[
        str | None, Field(description="The application's VPC", pattern=r"^vpc-[0-9a-f]+$")
    ] = None,
    name: Annotated[
        str | None, Field(description="Or its opswright:name or Name tag", max_length=100)
    ] = None,
    target: Target = HERE,
) -> Review:
    """Review what was just deployed in one VPC: exposure, encryption, IMDSv2, TLS, passwords."""
    a = aws(target)
    with time_limit(runtime().settings.wait_seconds):
        application = find_application(Reader(a), vpc_id, name)
        buckets = application.buckets
        reader = Reader(
            a,
            vpc_id=application.vpc_id,
            buckets=None if isinstance(buckets, Unread) else buckets,
        )
        return review_of(application, _run(reader, application))


def _run(reader: Reader, application: Application) -> list[Outcome]:
    vpc_id = application.vpc_id
    outcomes = run(reader, IN_VPC, lambda fact: fact.get("VpcId") == vpc_id)
    outcomes += run(
        reader, OF_DATABASES, lambda fact: (fact.get("DBSubnetGroup") or {}).get("VpcId") == vpc_id
    )
    instances, templates, buckets = (
        application.instances,
        application.templates,
        application.buckets,
    )
    selections: list[tuple[tuple[Rule, ...], Selector | Unread]] = [
        (
            OF_VOLUMES,
            instances
            if isinstance(instances, Unread)
            else lambda fact: any(
                a["InstanceId"] in instances for a in fact.get("Attachments") or []
            ),
        ),
        (
            OF_TEMPLATES,
            templates
            if isinstance(templates, Unread)
            else lambda fact: fact["LaunchTemplateId"] in templates,
        ),
        (
            OF_BUCKETS,
            buckets if isinstance(buckets, Unread) else lambda fact: fact.id in buckets,
        ),
    ]
    for rules, only in selections:
        if isinstance(only, Unread):
            outcomes += [judge(rule, only) for rule in rules]
        else:
            outcomes += run(reader, rules, only)
    return outcomes


def review_of(application: Application, outcomes: Sequence[Outcome]) -> Review:
    """Sum a review up: what fails it, what could not be read, and what is only advised.

    A check that found nothing of its kind in the application says nothing of it, and is left out.
    """
    outcomes = [o for o in outcomes if o.findings[0].resource != NOTHING]
    findings = by_weight(f for outcome in outcomes for f in outcome.findings)
    grave = [
        f
        for f in findings
        if f.verdict == "UNKNOWN" or (f.verdict == "FAIL" and f.severity in GRAVE)
    ]
    advisories = [f for f in findings if f.verdict == "FAIL" and f.severity not in GRAVE]
    verdict = worst(["PASS", *(f.verdict for f in grave)])
    seen = Counter(f.verdict for f in grave)
    about = clean(application.name or application.vpc_id, 100)
    return Review(
        verdict=verdict,
        summary=f"{about}: {verdict}. {len(outcomes)} checks, {seen['FAIL']} grave findings, "
        f"{len(advisories)} advisories, {seen['UNKNOWN']} not judged.",
        vpc_id=application.vpc_id,
        name=application.name and about,
        checks=[_check(outcome) for outcome in outcomes],
        findings=grave[:25],
        advisories=advisories[:15],
        total_findings=len(grave),
        total_advisories=len(advisories),
        unread=most(unread_lines(outcomes), 15),
    )


def _check(outcome: Outcome) -> Check:
    findings = by_weight(outcome.findings)
    first = findings[0]
    verdict = worst(f.verdict for f in findings)
    bad = sum(f.verdict == verdict for f in findings)
    evidence = first.evidence or f"{len(findings)} checked"
    if verdict != "PASS" and bad > 1:
        evidence = f"{bad} of {len(findings)}; {evidence}"
    return Check(
        name=outcome.rule.title,
        verdict=verdict,
        evidence=clean(evidence, 120),
        resource="" if verdict == "PASS" else clean(first.resource, 80),
    )
