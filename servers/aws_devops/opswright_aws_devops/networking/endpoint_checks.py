"""Reads the VPC endpoints of a VPC back and judges them."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.tools.security_groups import inbound
from opswright_core.aws import Aws
from opswright_core.verdicts import Check, check

EndpointType = Literal["Gateway", "Interface"]
HTTPS = 443


class Endpoint(BaseModel):
    """One service that is reached inside the VPC."""

    service: str
    endpoint_id: str
    type: EndpointType


class Endpoints(BaseModel):
    """The endpoints that were asked for; `kept` are those that the VPC had from others."""

    vpc_id: str
    made: list[Endpoint]
    kept: list[Endpoint]
    security_group_id: str | None = Field(description="Of the interface endpoints")


def short_name(service_name: str) -> str:
    """`com.amazonaws.eu-west-1.ecr.api` → `ecr.api`."""
    _, found, rest = service_name.partition("amazonaws.")
    return rest.partition(".")[2] if found else service_name


def load_endpoints(a: Aws, vpc_id: str) -> list[dict[str, Any]]:
    """The endpoints of a VPC that are there or on their way."""
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    found = a.pages("ec2", "describe_vpc_endpoints", "VpcEndpoints", Filters=here)
    return [e for e in found if e["State"].lower() in {"available", "pending"}]


def cidrs_of(vpc: dict[str, Any]) -> list[str]:
    """Every address range of a VPC, IPv4 first."""
    four = [b["CidrBlock"] for b in vpc.get("CidrBlockAssociationSet", [])] or [vpc["CidrBlock"]]
    six = [
        b["Ipv6CidrBlock"]
        for b in vpc.get("Ipv6CidrBlockAssociationSet", [])
        if b["Ipv6CidrBlockState"]["State"] == "associated"
    ]
    return [*dict.fromkeys(four), *six]


def lets_in_https(groups: Sequence[dict[str, Any]], cidr: str) -> bool:
    """Whether one of the security groups lets port 443 in from a whole range."""
    from ipaddress import ip_network

    wanted = ip_network(cidr)
    for group in groups:
        for protocol, first, last, source in inbound(group):
            if "/" not in source or protocol not in {"tcp", "-1"}:
                continue
            if protocol == "tcp" and not first <= HTTPS <= last:
                continue
            allowed = ip_network(source)
            if allowed.version == wanted.version and wanted.subnet_of(allowed):  # type: ignore[arg-type]
                return True
    return False


def judge_endpoints(
    made: Endpoints,
    there: Sequence[dict[str, Any]],
    groups: Sequence[dict[str, Any]],
    vpc: dict[str, Any],
) -> list[Check]:
    """Whether each endpoint works, and its security group lets the whole VPC in."""
    found = {endpoint["VpcEndpointId"]: endpoint for endpoint in there}
    checks = []
    for wanted in [*made.made, *made.kept]:
        endpoint = found.get(wanted.endpoint_id, {})
        state = endpoint.get("State", "gone")
        checks.append(
            check(
                f"Endpoint of {wanted.service} is available",
                state.lower() == "available",
                state,
                wanted.endpoint_id,
            )
        )
        if wanted.type == "Interface":
            private = bool(endpoint.get("PrivateDnsEnabled"))
            checks.append(
                check(f"{wanted.service} resolves to it", private, "", wanted.endpoint_id)
            )
        else:
            tables = endpoint.get("RouteTableIds", [])
            checks.append(
                check(
                    f"{wanted.service} is routed to it",
                    bool(tables),
                    f"{len(tables)} route tables",
                    wanted.endpoint_id,
                )
            )
    if made.security_group_id:
        shut = [cidr for cidr in cidrs_of(vpc) if not lets_in_https(groups, cidr)]
        checks.append(
            check(
                "The endpoints let HTTPS in from the whole VPC",
                not shut,
                f"not from {', '.join(shut)}" if shut else "",
                made.security_group_id,
            )
        )
    return checks
