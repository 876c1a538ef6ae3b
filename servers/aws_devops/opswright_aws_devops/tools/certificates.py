"""Certificates: ACM, validated by DNS records that are written where the zone is ours."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.dns.records import load_record, put_record, wait_in_sync
from opswright_aws_devops.dns.values import check_name
from opswright_aws_devops.dns.zones import Zone, load_zones, normal, zones_of
from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.ownership import REQUEST_TAG, Request, ResourceName, key, outstanding
from opswright_core.aws import HERE, Aws, AwsTarget, Target, tags_of
from opswright_core.canonical import digest
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, OpswrightError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, Unread, attempt, check

CERTIFICATE = "acm:certificate"
CLOUDFRONT_REGION = "us-east-1"
"""The one region whose certificates CloudFront uses."""

RECORD_SECONDS = 300.0
ISSUED_SECONDS = 2700.0
"""ACM looks again and again for 72 hours; with the records in place it takes some minutes."""

_LIVE = {"PENDING_VALIDATION", "ISSUED"}


class ValidationRecord(BaseModel):
    """A DNS record by which ACM sees that a name is yours; it has to stay for renewals."""

    name: str
    type: str
    value: str


class Certificate(BaseModel):
    """A certificate, and what its validation still waits for."""

    certificate_arn: str
    region: str
    status: str
    domain_names: list[str]
    records_to_create: list[ValidationRecord] = Field(
        description="Where the names' zone is not in this account: create them there"
    )


@write_tool(toolset="edge")
def create_certificate(
    name: ResourceName,
    domain_names: Annotated[
        list[str], Field(description="All it is for; `*.` allowed", min_length=1, max_length=10)
    ],
    for_cloudfront: Annotated[bool, Field(description="Make it in us-east-1")] = False,
    target: Target = HERE,
) -> Work[Certificate]:
    """Create a TLS certificate in ACM, validated by DNS; renewed by ACM while the records stay."""
    given = aws(target)
    a = given.at(CLOUDFRONT_REGION) if for_cloudfront else given
    for domain in domain_names:
        check_name(domain)
        if "." not in domain:
            raise BadInputError(f"{domain!r} is not a public domain name, like example.com.")
    domains = list(dict.fromkeys(map(normal, domain_names)))
    request = Request.of("create_certificate", name, domains=domains, region=a.region)
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, domains),
        apply=lambda rec: _apply(a, rec, request, domains, target),
        verify=lambda made: judge_certificate(
            made, attempt(lambda: load_certificate(a, made.certificate_arn)), _recorded(a, made)
        ),
        outputs=Certificate,
    )


def load_certificate(a: Aws, arn: str) -> dict[str, Any] | None:
    """ACM's description of a certificate of the region, or None when there is none."""
    acm = a.client("acm")
    return if_exists(lambda: acm.describe_certificate(CertificateArn=arn)["Certificate"])


def _same_name(a: Aws, domain: str) -> list[dict[str, Any]]:
    """The certificates of a first name that are issued or on the way, with their tags."""
    acm = a.client("acm")
    found = a.pages("acm", "list_certificates", "CertificateSummaryList")
    arns = [c["CertificateArn"] for c in found if normal(c["DomainName"]) == domain]
    described = [c for arn in arns if (c := load_certificate(a, arn)) and c["Status"] in _LIVE]
    return [
        {**c, "Tags": acm.list_tags_for_certificate(CertificateArn=c["CertificateArn"])["Tags"]}
        for c in described
    ]


def _own(certificates: Iterable[dict[str, Any]], request: Request) -> str | None:
    for found in certificates:
        if tags_of(found["Tags"]).get(REQUEST_TAG) == request.id:
            arn: str = found["CertificateArn"]
            return arn
    return None


def _zone(zones: Iterable[Zone], domain: str) -> Zone | None:
    """The one public zone of a name; None where there is none, or it is not clear which."""
    found = zones_of(zones, domain.removeprefix("*."), private=False)
    return found[0] if len(found) == 1 else None


def _plan(a: Aws, request: Request, domains: list[str]) -> ChangePlan:
    same, zones = _same_name(a, domains[0]), load_zones(a)
    own = _own(same, request)
    ours = {domain: zone for domain in domains if (zone := _zone(zones, domain))}
    wanted = [
        Action(verb="create", type=CERTIFICATE, name=request.name, detail=", ".join(domains)),
        *(
            Action(
                verb="create", type="route53:record", name=f"_….{normal(domain)}",
                detail=f"CNAME for the validation, in zone {zone.name}",
            )
            for domain, zone in ours.items()
            if own is None
        ),
    ]  # fmt: skip
    warnings = [
        "ACM renews it by itself as long as it is in use and its validation records stay; a "
        "certificate of the same names elsewhere in the account is validated by the same records."
    ]
    if left := [domain for domain in domains if domain not in ours]:
        warnings.append(
            f"No single public zone of this account is for {', '.join(left)}: the records to "
            "create are in the answer, and ACM waits 72 hours for them."
        )
    if ours:
        names = ", ".join(sorted({zone.name for zone in ours.values()}))
        warnings.append(
            f"ACM sees the records only when the registrar has the name servers of {names}; it is "
            "waited for 45 minutes."
        )
    others = [c["CertificateArn"] for c in same if c["CertificateArn"] != own]
    if others:
        warnings.append(f"There are others for {domains[0]} here already: {', '.join(others)}")
    return ChangePlan(
        summary=f"Create a certificate for {', '.join(domains)} in {a.region}",
        actions=outstanding(wanted, [key(CERTIFICATE, request.name)] if own else []),
        warnings=warnings,
        observed={"own": own, "zones": sorted(zone.id for zone in ours.values())},
    )


def _apply(
    a: Aws, rec: Recorder, request: Request, domains: list[str], target: AwsTarget
) -> Certificate:
    acm = a.client("acm")

    def find() -> dict[str, str] | None:
        arn = _own(_same_name(a, domains[0]), request)
        return {"arn": arn} if arn else None

    def make() -> dict[str, str]:
        if found := find():
            return found
        more = {"SubjectAlternativeNames": domains} if len(domains) > 1 else {}
        made = acm.request_certificate(
            DomainName=domains[0],
            ValidationMethod="DNS",
            # Not the request's: ACM remembers a token for an hour, also of what was deleted.
            IdempotencyToken=digest([request.id, rec.change_id])[:32],
            Tags=request.tag_list(request.name),
            **more,
        )
        return {"arn": made["CertificateArn"]}

    arn: str = rec.step(
        key(CERTIFICATE, request.name),
        make,
        undo=lambda made: [
            aws_undo(
                f"delete the certificate of {', '.join(domains)}", "acm", "delete_certificate",
                {"CertificateArn": made["arn"]}, target=target, region=a.region,
                gone=("describe_certificate", {"CertificateArn": made["arn"]}, "Certificate"),
            )
        ],
        resource=lambda made: ResourceRef(type=CERTIFICATE, id=made["arn"], name=request.name),
        find=find,
    )["arn"]  # fmt: skip
    rec.wait(
        "ACM says which records validate it",
        lambda: len(validation_records(load_certificate(a, arn) or {})) >= len(domains),
        timeout_seconds=RECORD_SECONDS,
    )
    to_create = _write_records(a, rec, arn, target)
    if not to_create:
        rec.wait(
            f"the certificate of {domains[0]} is issued",
            lambda: _issued(a, arn),
            timeout_seconds=ISSUED_SECONDS,
            every_seconds=15,
        )
    if a.is_emulator:
        rec.gap("The emulator issues certificates at once, unseen by DNS, and no browser's trust.")
    return Certificate(
        certificate_arn=arn,
        region=a.region,
        status=(load_certificate(a, arn) or {})["Status"],
        domain_names=domains,
        records_to_create=to_create,
    )


def validation_records(certificate: dict[str, Any]) -> dict[str, dict[str, str]]:
    """By domain name the record that validates it, as far as ACM has told it yet."""
    return {
        option["DomainName"]: option["ResourceRecord"]
        for option in certificate.get("DomainValidationOptions", [])
        if "ResourceRecord" in option
    }


def _write_records(a: Aws, rec: Recorder, arn: str, target: AwsTarget) -> list[ValidationRecord]:
    """Write the validation records whose zone is ours; returns the others."""
    zones, left, changes = load_zones(a), [], []
    wanted = validation_records(load_certificate(a, arn) or {})
    # A name and its wildcard are validated by the same record.
    unique = {record["Name"]: (domain, record) for domain, record in wanted.items()}
    for domain, record in unique.values():
        if zone := _zone(zones, domain):
            changes.append(put_record(a, rec, zone, _record_set(record), target))
        else:
            left.append(
                ValidationRecord(name=record["Name"], type=record["Type"], value=record["Value"])
            )
    wait_in_sync(a, rec, changes)
    return left


def _record_set(record: dict[str, str]) -> dict[str, Any]:
    values = [{"Value": record["Value"]}]
    return {"Name": record["Name"], "Type": record["Type"], "TTL": 300, "ResourceRecords": values}


def _issued(a: Aws, arn: str) -> bool:
    certificate = load_certificate(a, arn) or {}
    status = certificate.get("Status")
    if status not in _LIVE:
        raise OpswrightError(
            f"The certificate became {status} ({certificate.get('FailureReason', 'no reason')}); "
            "undo_change removes it. CAA_ERROR: a CAA record of the domain does not let "
            "amazon.com issue."
        )
    return bool(status == "ISSUED")


def _recorded(a: Aws, made: Certificate) -> bool | Unread:
    """Whether the validation records whose zone is ours are in it, so that ACM can renew."""

    def read() -> bool:
        zones = load_zones(a)
        wanted = validation_records(load_certificate(a, made.certificate_arn) or {})
        found = [
            load_record(a, zone.id, _record_set(record))
            for domain, record in wanted.items()
            if (zone := _zone(zones, domain))
        ]
        return None not in found

    return attempt(read)


def judge_certificate(
    made: Certificate, certificate: dict[str, Any] | Unread | None, recorded: bool | Unread
) -> list[Check]:
    """Whether it is issued (UNKNOWN while it waits for records elsewhere) and can be renewed."""
    arn = made.certificate_arn
    renewed = check("Its validation records are in our zones, for renewals", recorded, "", arn)
    if certificate is None or isinstance(certificate, Unread):
        there = check("Certificate exists", certificate or False, "ACM knows no such one", arn)
        return [there, renewed] if isinstance(recorded, Unread) else [there]
    status, names = certificate["Status"], certificate.get("SubjectAlternativeNames", [])
    covered = set(made.domain_names) <= {certificate["DomainName"], *names}
    waits = Check(
        name="It is issued", verdict="UNKNOWN", resource=arn,
        evidence="it waits for records_to_create, which are in a zone of somebody else",
    )  # fmt: skip
    waiting = status == "PENDING_VALIDATION" and made.records_to_create
    return [
        waits if waiting else check("It is issued", status == "ISSUED", status, arn),
        check("It is for every name", covered, ", ".join(names), arn),
        renewed,
    ]
