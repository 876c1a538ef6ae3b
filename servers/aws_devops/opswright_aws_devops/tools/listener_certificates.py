"""Gives a listener another certificate: the one that its visitors are shown."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.differences import Planned, literal
from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.networking.listeners import issued_certificate, load_listener
from opswright_aws_devops.steps import send
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, check

LISTENER = "elb:listener"
ENCRYPTED = {"HTTPS", "TLS"}


class ListenerCertificate(BaseModel):
    """A listener and its default certificate; further ones, chosen by name, stay as they are."""

    listener_arn: str
    certificate_arn: str
    was: str
    domains: list[str]


@dataclass(frozen=True)
class Served:
    """What was read of a listener."""

    protocol: str
    certificate_arn: str
    url: str


@write_tool(toolset="edge")
def set_listener_certificate(
    listener_arn: Annotated[str, Field(description="HTTPS or TLS listener", max_length=300)],
    certificate_arn: Annotated[str, Field(description="ACM certificate, issued", max_length=300)],
    target: Target = HERE,
) -> Work[ListenerCertificate]:
    """Set the default certificate of a load balancer's listener, without an interruption."""
    a = aws(target)
    planned = Planned(f"Listener {listener_arn}", lambda: _load(a, listener_arn))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, listener_arn, planned.read(), certificate_arn),
        apply=lambda rec: _apply(a, rec, listener_arn, planned.confirm(), certificate_arn, target),
        verify=lambda made: judge_certificate(made, _load(a, listener_arn), certificate_arn),
        outputs=ListenerCertificate,
        existing=lambda: _outputs(a, listener_arn, certificate_arn, was=certificate_arn),
    )


def domains_of(certificate: dict[str, Any]) -> list[str]:
    """The names that a certificate is for, the main one first."""
    names = [certificate["DomainName"], *certificate.get("SubjectAlternativeNames", [])]
    return list(dict.fromkeys(names))


def lost_domains(old: list[str], new: list[str]) -> list[str]:
    """The names of one certificate that another does not cover (RFC 6125: `*` is one label)."""

    def covered(name: str) -> bool:
        return name in new or f"*.{name.partition('.')[2]}" in new

    return [name for name in old if not covered(name)]


def _load(a: Aws, arn: str) -> Served:
    found = load_listener(a, arn)
    certificates = found.listener.get("Certificates") or [{}]
    return Served(
        protocol=found.listener["Protocol"],
        certificate_arn=certificates[0].get("CertificateArn", ""),
        url=found.url,
    )


def _plan(a: Aws, listener_arn: str, now: Served, wanted: str) -> ChangePlan:
    if now.protocol not in ENCRYPTED:
        raise BadInputError(
            f"Listener {listener_arn} is {now.protocol}, which has no certificate; give an HTTPS "
            "or TLS listener (create_load_balancer makes one with certificate_arn)."
        )
    new = domains_of(issued_certificate(a, wanted))
    actions, warnings = [], []
    if now.certificate_arn != wanted:
        detail = f"certificate {now.certificate_arn} → {wanted} ({', '.join(new)})"
        actions.append(Action(verb="modify", type=LISTENER, name=listener_arn, detail=detail))
        warnings = _about_names(a, now.certificate_arn, new)
    return ChangePlan(
        summary=f"Show visitors of {now.url} the certificate of {', '.join(new)}",
        actions=actions,
        warnings=warnings,
        observed={"certificate": now.certificate_arn},
    )


def _about_names(a: Aws, old_arn: str, new: list[str]) -> list[str]:
    if ":acm:" not in old_arn:
        return ["The old certificate is not in ACM: which names it served is not known."]
    acm = a.client("acm")
    old = must_exist(
        f"Certificate {old_arn}",
        lambda: acm.describe_certificate(CertificateArn=old_arn)["Certificate"],
    )
    if lost := lost_domains(domains_of(old), new):
        return [
            f"It does not cover {', '.join(lost)}: browsers refuse these names, unless a further "
            "certificate of the listener has them."
        ]
    return []


def _apply(
    a: Aws, rec: Recorder, arn: str, now: Served, wanted: str, target: AwsTarget
) -> ListenerCertificate:
    elb, old = a.client("elbv2"), now.certificate_arn
    if old != wanted:
        rec.step(
            f"certificate {wanted} of {arn}",
            lambda: send(
                elb.modify_listener, ListenerArn=arn, Certificates=[{"CertificateArn": wanted}]
            ),
            undo=[
                aws_undo(
                    f"show the certificate {old} again", "elbv2", "modify_listener",
                    {"ListenerArn": arn, "Certificates": [{"CertificateArn": old}]},
                    target=target, region=a.region,
                    gone=(
                        "describe_listeners", {"ListenerArns": [arn]},
                        f"Listeners[].Certificates[] | [?CertificateArn!={literal(old)}]",
                    ),
                )
            ],
            resource=ResourceRef(type=LISTENER, id=arn, name=now.url, action="modified"),
        )  # fmt: skip
    return _outputs(a, arn, wanted, was=old)


def _outputs(a: Aws, arn: str, certificate_arn: str, *, was: str) -> ListenerCertificate:
    domains = domains_of(issued_certificate(a, certificate_arn))
    return ListenerCertificate(
        listener_arn=arn, certificate_arn=certificate_arn, was=was, domains=domains
    )


def judge_certificate(made: ListenerCertificate, now: Served, wanted: str) -> list[Check]:
    """Whether visitors are shown the certificate."""
    so = now.certificate_arn == wanted
    return [check("Visitors are shown it", so, now.certificate_arn, made.listener_arn)]
