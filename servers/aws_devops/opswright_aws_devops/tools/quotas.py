"""Service quotas before a build: what is allowed, what is used, and whether what is wanted fits."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws, Target, is_absent
from opswright_core.errors import BadInputError
from opswright_core.parallel import each, time_limit
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_core.verdicts import Check, Unread, Verdict, attempt, worst

READ_SECONDS = 25.0
STANDARD = re.compile(r"[acdhimrtz]\d|is\d|im\d")
"""Families of "Standard" On-Demand instances: A, C, D, H, I, M, R, T, Z."""

Count = Annotated[int, Field(ge=0, le=10_000)]
Wanted = Mapping[str, int]
"""How many of each kind of `QUOTAS` a build makes."""


class Build(BaseModel):
    """What is to be built; how many of each."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    vpcs: Count = 0
    internet_gateways: Count = 0
    nat_gateways_per_zone: Count = 0
    elastic_ips: Count = 0
    load_balancers: Count = 0
    target_groups: Count = 0
    auto_scaling_groups: Count = 0
    instances: Count = 0
    databases: Count = 0


@dataclass(frozen=True)
class Quota:
    """One quota: where Service Quotas keeps it, and how its use is counted."""

    name: str
    service: str
    code: str
    used: Callable[[Aws], int]


class QuotaCheck(Check):
    """Whether one quota leaves room."""

    code: str = Field("", description="Service and code in Service Quotas")
    wanted: int
    used: int | None = Field(None, description="None: not read")
    allowed: int | None = Field(None, description="None: not read")


class QuotaReport(BaseModel):
    """Whether a build fits, quota by quota."""

    verdict: Verdict
    summary: str
    checks: list[QuotaCheck]


@read_tool(toolset="verify")
def check_quota(
    build: Annotated[
        Build,
        Field(
            description="How many VPCs, internet gateways, NAT gateways, elastic IPs, load "
            "balancers, target groups, auto-scaling groups, instances, databases are to be made"
        ),
    ],
    instance_type: Annotated[
        str, Field(description="Of `instances`", pattern=r"^[a-z0-9-]+\.[a-z0-9-]+$", max_length=40)
    ] = "t3.small",
    application: Annotated[
        str | None,
        Field(description="Once its VPC is there, its build counts as used", max_length=100),
    ] = None,
    target: Target = HERE,
) -> QuotaReport:
    """Check before a build whether the account's quotas leave room for it."""
    wanted = {kind: count for kind, count in build.model_dump().items() if count}
    if not wanted:
        raise BadInputError('build says nothing: name what is to be made, like {"vpcs": 1}.')
    a = aws(target)
    with time_limit(READ_SECONDS):
        if application and _is_begun(a, application):
            wanted = dict.fromkeys(wanted, 0)
        instances = wanted.pop("instances", None)
        if instances is not None and STANDARD.match(instance_type):
            wanted["standard_vcpus"] = instances * _vcpus_of(a, [instance_type])[instance_type]
        checks = each(wanted, lambda kind: _checked(a, kind, wanted[kind]))
    if instances is not None and "standard_vcpus" not in wanted:
        checks.append(_of_another_family(instance_type, instances))
    verdict = worst(check.verdict for check in checks)
    return QuotaReport(verdict=verdict, summary=_said(checks), checks=checks)


def judge_room(a: Aws, instances: Mapping[str, int]) -> QuotaCheck:
    """Whether so many more instances, by type, fit the quota of Standard On-Demand vCPUs.

    Raises what AWS says when their vCPUs cannot be read; the quota itself may be UNKNOWN.
    """
    vcpus = _vcpus_of(a, sorted(instances))
    wanted = sum(vcpus[kind] * count for kind, count in instances.items())
    return _checked(a, "standard_vcpus", wanted)


def judge_quota(quota: Quota, wanted: int, used: int | Unread, allowed: int | Unread) -> QuotaCheck:
    """PASS when what is used and what is wanted are within what is allowed."""
    known = {
        "name": quota.name,
        "code": f"{quota.service} {quota.code}",
        "wanted": wanted,
        "used": None if isinstance(used, Unread) else used,
        "allowed": None if isinstance(allowed, Unread) else allowed,
    }
    if isinstance(used, Unread) or isinstance(allowed, Unread):
        unread = used if isinstance(used, Unread) else allowed
        reason = unread.reason if isinstance(unread, Unread) else ""
        return QuotaCheck(verdict="UNKNOWN", evidence=reason, **known)
    if used + wanted <= allowed:
        return QuotaCheck(verdict="PASS", **known)
    return QuotaCheck(
        verdict="FAIL",
        evidence=f"{used} of {allowed} used and {wanted} more wanted. Remove what is not used, or "
        "ask for more: aws service-quotas request-service-quota-increase "
        f"--service-code {quota.service} --quota-code {quota.code} --desired-value {used + wanted}",
        **known,
    )


def _checked(a: Aws, kind: str, wanted: int) -> QuotaCheck:
    quota = QUOTAS[kind]
    used = attempt(lambda: quota.used(a))
    return judge_quota(quota, wanted, used, attempt(lambda: _allowed(a, quota)))


def _said(checks: Iterable[QuotaCheck]) -> str:
    counts = Counter(check.verdict for check in checks)
    failed = [c.name for c in checks if c.verdict == "FAIL"]
    said = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    return f"{said}; no room: {', '.join(failed)}" if failed else said


def _allowed(a: Aws, quota: Quota) -> int:
    """The account's own value; AWS's default where it has none."""
    client = a.client("service-quotas")
    which = {"ServiceCode": quota.service, "QuotaCode": quota.code}
    try:
        return int(client.get_service_quota(**which)["Quota"]["Value"])
    except Exception as exc:
        if not is_absent(exc):
            raise
    return int(client.get_aws_default_service_quota(**which)["Quota"]["Value"])


def _is_begun(a: Aws, application: str) -> bool:
    """Whether the VPC of an application is there, which a build of it makes first."""
    named = [{"Name": "tag:Name", "Values": [application]}]
    return bool(a.pages("ec2", "describe_vpcs", "Vpcs", Filters=named))


def _of_another_family(instance_type: str, instances: int) -> QuotaCheck:
    return QuotaCheck(
        name=f"vCPUs of On-Demand {instance_type}",
        verdict="UNKNOWN",
        evidence="It is not of the Standard families (A, C, D, H, I, M, R, T, Z), whose quota is "
        "the one known here.",
        wanted=instances,
    )


def _vcpus_of(a: Aws, types: list[str]) -> dict[str, int]:
    found = a.pages("ec2", "describe_instance_types", "InstanceTypes", InstanceTypes=types)
    return {kind["InstanceType"]: kind["VCpuInfo"]["DefaultVCpus"] for kind in found}


def _counted(service: str, operation: str, key: str, **parameters: Any) -> Callable[[Aws], int]:
    return lambda a: len(a.pages(service, operation, key, **parameters))


def _application_balancers(a: Aws) -> int:
    found = a.pages("elbv2", "describe_load_balancers", "LoadBalancers")
    return sum(balancer["Type"] == "application" for balancer in found)


def _nat_gateways_of_fullest_zone(a: Aws) -> int:
    """The quota is per zone, and the zones of a build are not known here: the fullest counts."""
    there = [{"Name": "state", "Values": ["pending", "available", "deleting"]}]
    gateways = a.pages("ec2", "describe_nat_gateways", "NatGateways", Filter=there)
    zones = {
        subnet["SubnetId"]: subnet["AvailabilityZone"]
        for subnet in (a.pages("ec2", "describe_subnets", "Subnets") if gateways else [])
    }
    by_zone = Counter(zones.get(gateway.get("SubnetId", ""), "") for gateway in gateways)
    return max(by_zone.values(), default=0)


def _standard_vcpus(a: Aws) -> int:
    """The vCPUs of the On-Demand instances that run: Spot and other families have other quotas."""
    running = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
    instances = [
        instance
        for reservation in a.pages("ec2", "describe_instances", "Reservations", Filters=running)
        for instance in reservation["Instances"]
        if STANDARD.match(instance["InstanceType"]) and not instance.get("InstanceLifecycle")
    ]
    plain = sorted({i["InstanceType"] for i in instances if not i.get("CpuOptions")})
    by_default = _vcpus_of(a, plain) if plain else {}
    return sum(
        options["CoreCount"] * options["ThreadsPerCore"]
        if (options := instance.get("CpuOptions"))
        else by_default[instance["InstanceType"]]
        for instance in instances
    )


QUOTAS: dict[str, Quota] = {
    "vpcs": Quota("VPCs", "vpc", "L-F678F1CE", _counted("ec2", "describe_vpcs", "Vpcs")),
    "internet_gateways": Quota(
        "Internet gateways", "vpc", "L-A4707A72",
        _counted("ec2", "describe_internet_gateways", "InternetGateways"),
    ),
    "nat_gateways_per_zone": Quota(
        "NAT gateways per zone", "vpc", "L-FE5A380F", _nat_gateways_of_fullest_zone
    ),
    "elastic_ips": Quota(
        "Elastic IPs", "ec2", "L-0263D0A3", _counted("ec2", "describe_addresses", "Addresses")
    ),
    "standard_vcpus": Quota(
        "vCPUs of On-Demand Standard instances", "ec2", "L-1216C47A", _standard_vcpus
    ),
    "load_balancers": Quota(
        "Application Load Balancers", "elasticloadbalancing", "L-53DA6B97", _application_balancers
    ),
    "target_groups": Quota(
        "Target groups", "elasticloadbalancing", "L-B22855CB",
        _counted("elbv2", "describe_target_groups", "TargetGroups"),
    ),
    "auto_scaling_groups": Quota(
        "Auto Scaling groups", "autoscaling", "L-CDE20ADC",
        _counted("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups"),
    ),
    "databases": Quota(
        "RDS DB instances", "rds", "L-7B6409FD",
        _counted("rds", "describe_db_instances", "DBInstances"),
    ),
}  # fmt: skip
"""Codes as `service-quotas list-service-quotas` names them; they are the same in all regions."""
