"""What the backend implements: one harmless read of each service, told apart by how it answers.

An emulator lacks services, and so do AWS's smaller regions and partitions. What is not there is
found out once per endpoint and region, before a build meets it half-way.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws, AwsSessions, Target, error_code, is_absent, translate
from opswright_core.cloud_errors import InUse, in_use
from opswright_core.doctor import Line
from opswright_core.errors import (
    AccessDeniedError,
    CloudError,
    CredentialsError,
    EmulatorGapError,
    EndpointError,
    OpswrightError,
)
from opswright_core.parallel import each
from opswright_core.runtime import aws
from opswright_core.settings import Settings
from opswright_core.tools import read_tool

KEPT_SECONDS = 600.0
_NO_SUCH = {
    "404", "501", "InvalidAction", "NotImplemented", "OptInRequired", "UnknownOperationException",
}  # fmt: skip
"""Codes of services or operations that are not in a region, a partition or an emulator."""

Implemented = Literal["yes", "no", "unknown"]


class Probe(BaseModel):
    """Whether one thing is there; `unknown` when the read was refused or failed otherwise."""

    model_config = ConfigDict(frozen=True)
    name: str
    implemented: Implemented
    reason: str = ""


class Backend(BaseModel):
    """What the backend behind the credentials implements of what this server uses."""

    summary: str
    endpoint: str
    emulator: bool
    missing: list[str]
    probes: list[Probe] = Field(description="Of what is not there or not known")


def _call(service: str, operation: str, **parameters: Any) -> Callable[[Aws], Any]:
    return lambda a: getattr(a.client(service), operation)(**parameters)


READS: dict[str, Callable[[Aws], Any]] = {
    "acm": _call("acm", "list_certificates"),
    "autoscaling": _call("autoscaling", "describe_auto_scaling_groups", MaxRecords=1),
    "cloudformation": _call("cloudformation", "list_stacks"),
    "cloudfront": _call("cloudfront", "list_distributions", MaxItems="1"),
    "cloudwatch": _call("cloudwatch", "describe_alarms", MaxRecords=1),
    "ec2": _call("ec2", "describe_vpcs", MaxResults=5),
    "ecr": _call("ecr", "describe_repositories", maxResults=1),
    "ecs": _call("ecs", "list_clusters", maxResults=1),
    "elasticache": _call("elasticache", "describe_cache_clusters", MaxRecords=20),
    "elbv2": _call("elbv2", "describe_load_balancers", PageSize=1),
    "iam": _call("iam", "list_roles", MaxItems=1),
    "lambda": _call("lambda", "list_functions", MaxItems=1),
    "rds": _call("rds", "describe_db_instances", MaxRecords=20),
    "route53": _call("route53", "list_hosted_zones", MaxItems="1"),
    "s3": _call("s3", "list_buckets"),
    "secretsmanager": _call("secretsmanager", "list_secrets", MaxResults=1),
    "service-quotas": _call(
        "service-quotas", "get_service_quota", ServiceCode="ec2", QuotaCode="L-1216C47A"
    ),
    "sns": _call("sns", "list_topics"),
    "sqs": _call("sqs", "list_queues", MaxResults=1),
    "stack drift": _call(
        "cloudformation", "describe_stack_drift_detection_status",
        StackDriftDetectionId="00000000-0000-0000-0000-000000000000",
    ),
}  # fmt: skip
"""One harmless read each; «there is no such thing» is an answer as well."""

_known: dict[tuple[str, str], tuple[float, list[Probe]]] = {}
_lock = threading.Lock()


@read_tool(toolset="verify")
def check_backend(
    fresh: Annotated[bool, Field(description="Ask again, not from ten minutes' memory")] = False,
    target: Target = HERE,
) -> Backend:
    """Find out which services are not there: in an emulator, a small region, a partition."""
    a = aws(target)
    endpoint = _endpoint(a)
    return _told(endpoint, a.is_emulator, probed(a, fresh=fresh))


def probed(a: Aws, *, fresh: bool = False) -> list[Probe]:
    """Every probe, from memory where its endpoint and region were asked a short while ago."""
    key = (_endpoint(a), a.region)
    with _lock:
        when, kept = _known.get(key, (0.0, []))
    if kept and not fresh and time.monotonic() - when < KEPT_SECONDS:
        return kept
    current = in_use.get()
    before = in_use.set(InUse(profile=current.profile if current else None))
    try:  # what is missing is the answer itself, not a gap of it
        found = each(READS, lambda name: judge(name, lambda: READS[name](a)))
    finally:
        in_use.reset(before)
    if all(probe.implemented != "unknown" for probe in found):
        with _lock:
            _known[key] = (time.monotonic(), found)
    return found


def judge(name: str, read: Callable[[], Any]) -> Probe:
    """Whether what is read is implemented, by how the read ends.

    Raises CredentialsError: without credentials nothing can be told of anything.
    """
    try:
        read()
    except Exception as exc:
        code, error = error_code(exc), translate(exc)
        if isinstance(error, CredentialsError):
            raise error from exc
        if isinstance(error, EmulatorGapError) or code in _NO_SUCH:
            return Probe(name=name, implemented="no", reason=str(error)[:200])
        if is_absent(exc) or code in {"ValidationError", "ValidationException"}:
            return Probe(name=name, implemented="yes")
        if isinstance(error, AccessDeniedError | EndpointError | CloudError):
            return Probe(name=name, implemented="unknown", reason=str(error)[:200])
        raise
    return Probe(name=name, implemented="yes")


def examine_backend(_: Settings) -> Line:
    """For `doctor`: what this server uses and the backend does not implement."""
    sessions = AwsSessions()
    try:
        a = sessions.open()
        a.caller_arn  # noqa: B018 (raises when nobody answers, before twenty services are asked)
        told = _told(_endpoint(a), a.is_emulator, probed(a))
    except Exception as exc:
        error = translate(exc)
        if not isinstance(error, OpswrightError):
            raise
        return Line(what="backend", state="unknown", found=f"not asked: {error}")
    finally:
        sessions.forget()
    if told.missing and not told.emulator:
        mend = "what needs them says so as a gap; choose another region or endpoint for them"
        return Line(what="backend", state="problem", found=told.summary, mend=mend)
    return Line(what="backend", state="unknown" if told.probes else "ok", found=told.summary)


def _told(endpoint: str, emulator: bool, probes: list[Probe]) -> Backend:
    counts = Counter(probe.implemented for probe in probes)
    missing = [probe.name for probe in probes if probe.implemented == "no"]
    unsure = [probe.name for probe in probes if probe.implemented == "unknown"]
    parts = [f"{counts['yes']} of {len(probes)} are there"]
    parts += [f"not implemented: {', '.join(missing)}"] if missing else []
    parts += [f"unknown: {', '.join(unsure)}"] if unsure else []
    return Backend(
        summary="; ".join(parts),
        endpoint=endpoint,
        emulator=emulator,
        missing=missing,
        probes=[probe for probe in probes if probe.implemented != "yes"],
    )


def _endpoint(a: Aws) -> str:
    url: str = a.client("ec2").meta.endpoint_url
    return url
