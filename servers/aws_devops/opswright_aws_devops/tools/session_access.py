"""Access to servers through Session Manager: no bastion, no key, no open port."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from opswright_aws_devops.instances.setup import SESSION_MANAGER_POLICY
from opswright_aws_devops.lookup import if_exists
from opswright_aws_devops.networking.endpoint_checks import (
    lets_in_https,
    load_endpoints,
    short_name,
)
from opswright_aws_devops.networking.placement import VpcId, must_find_vpc
from opswright_aws_devops.networking.routing import next_hop, table_of
from opswright_core.aws import HERE, Aws, Target
from opswright_core.runtime import aws
from opswright_core.tools import read_tool
from opswright_core.verdicts import Check, Unread, Verdict, attempt, check, worst

SERVICES = ("ssm", "ssmmessages", "ec2messages")
"""What the agent talks to ("Improve the security of EC2 instances by using VPC endpoints for
Systems Manager"); agents since 3.3.40 do without ec2messages where it has no endpoint."""

MOST = 50
Path = Literal["internet", "endpoints", "none"]


class ServerAccess(BaseModel):
    """Whether one running server can be reached with `aws ssm start-session`."""

    instance_id: str
    name: str
    verdict: Verdict
    checks: list[Check]


class SessionAccess(BaseModel):
    """Whether the servers of a VPC can be reached without a bastion."""

    vpc_id: str
    verdict: Verdict
    missing_endpoints: list[str] = Field(
        description="Services without one, where a server has no other way to them"
    )
    servers: list[ServerAccess]
    left_out: int = Field(description="Running servers beyond those listed")


@read_tool(toolset="network")
def check_session_access(vpc_id: VpcId, target: Target = HERE) -> SessionAccess:
    """Check if a VPC's running servers can be reached by Session Manager, and what is missing.

    Looks at the role, the way to Systems Manager and the agent's last word.
    """
    a = aws(target)
    vpc = must_find_vpc(a, vpc_id)
    here = [{"Name": "vpc-id", "Values": [vpc_id]}]
    running = [*here, {"Name": "instance-state-name", "Values": ["running"]}]
    reservations = a.pages("ec2", "describe_instances", "Reservations", Filters=running)
    instances = [i for reservation in reservations for i in reservation["Instances"]]
    tables = a.pages("ec2", "describe_route_tables", "RouteTables", Filters=here)
    endpoints = {short_name(e["ServiceName"]): e for e in load_endpoints(a, vpc_id)}
    groups = a.pages("ec2", "describe_security_groups", "SecurityGroups", Filters=here)
    roles: dict[str, bool | Unread | None] = {}
    online = attempt(lambda: _online(a, [i["InstanceId"] for i in instances[:MOST]]))
    servers, missing = [], set[str]()
    for instance in instances[:MOST]:
        profile = (instance.get("IamInstanceProfile") or {}).get("Arn", "")
        if profile and profile not in roles:
            roles[profile] = attempt(lambda p=profile: _may_register(a, p))  # type: ignore[misc]
        lacking = lacking_services(instance, tables, endpoints, groups, vpc["CidrBlock"])
        missing |= set(lacking) - set(endpoints)
        checks = judge_server(instance["InstanceId"], roles.get(profile), lacking, online)
        tags = {t["Key"]: t["Value"] for t in instance.get("Tags", [])}
        servers.append(
            ServerAccess(
                instance_id=instance["InstanceId"],
                name=tags.get("Name", ""),
                verdict=worst(c.verdict for c in checks),
                checks=[c for c in checks if c.verdict != "PASS"],
            )
        )
    return SessionAccess(
        vpc_id=vpc_id,
        verdict=worst(server.verdict for server in servers),
        missing_endpoints=sorted(missing),
        servers=servers,
        left_out=max(0, len(instances) - MOST),
    )


def _online(a: Aws, instance_ids: list[str]) -> set[str]:
    """The instances whose agent answers Systems Manager now."""
    if not instance_ids:
        return set()
    wanted = [{"Key": "InstanceIds", "Values": instance_ids}]
    found = a.pages(
        "ssm", "describe_instance_information", "InstanceInformationList", Filters=wanted
    )
    return {i["InstanceId"] for i in found if i["PingStatus"] == "Online"}


def _may_register(a: Aws, profile_arn: str) -> bool:
    """Whether a profile's role has AWS's policy for it, or an inline one that names its action."""
    iam, name = a.client("iam"), profile_arn.rpartition("/")[2]
    profile = if_exists(lambda: iam.get_instance_profile(InstanceProfileName=name))
    for role in (profile or {}).get("InstanceProfile", {}).get("Roles", []):
        which = {"RoleName": role["RoleName"]}
        attached = a.pages("iam", "list_attached_role_policies", "AttachedPolicies", **which)
        if SESSION_MANAGER_POLICY.format(a.partition) in {p["PolicyArn"] for p in attached}:
            return True
        for policy in a.pages("iam", "list_role_policies", "PolicyNames", **which):
            document = iam.get_role_policy(**which, PolicyName=policy)["PolicyDocument"]
            if "ssmmessages:" in str(document):
                return True
    return False


def lacking_services(
    instance: Mapping[str, Any],
    tables: Sequence[dict[str, Any]],
    endpoints: Mapping[str, Mapping[str, Any]],
    groups: Sequence[Mapping[str, Any]],
    cidr: str,
) -> list[str]:
    """The services of Systems Manager that a server has no way to.

    A way is an endpoint whose security group lets HTTPS in from the VPC, a NAT gateway, or an
    internet gateway for a server with a public address.
    """
    hop = next_hop(table_of(instance["SubnetId"], tables)) or ""
    outside = bool(instance.get("PublicIpAddress") if hop.startswith("igw-") else hop)
    lacking = []
    for service in SERVICES:
        if (endpoint := endpoints.get(service)) is None:
            if not outside:
                lacking.append(service)
            continue
        ids = {group["GroupId"] for group in endpoint.get("Groups", [])}
        own = [dict(group) for group in groups if group["GroupId"] in ids]
        mine = {group["GroupId"] for group in instance.get("SecurityGroups", [])}
        named = any(_names(group, mine) for group in own)
        if not named and not lets_in_https(own, cidr):
            lacking.append(service)
    return lacking


def _names(group: Mapping[str, Any], group_ids: set[str]) -> bool:
    """Whether a security group lets HTTPS in from one of the groups."""
    return any(
        pair["GroupId"] in group_ids
        and (rule["IpProtocol"] == "-1" or rule.get("FromPort", 0) <= 443 <= rule.get("ToPort", 0))
        for rule in group.get("IpPermissions", [])
        for pair in rule.get("UserIdGroupPairs", [])
    )


def judge_server(
    instance_id: str,
    role: bool | Unread | None,
    lacking: Sequence[str],
    online: set[str] | Unread,
) -> list[Check]:
    """Whether a server can be reached; `role` is None where it has no instance profile."""
    reach = f"no way to {', '.join(lacking)}: create_vpc_endpoints makes one" if lacking else ""
    said = {
        None: "it has no instance profile: associate one whose role has "
        "AmazonSSMManagedInstanceCore",
        False: "its role lacks it: attach AmazonSSMManagedInstanceCore",
    }
    answering = online if isinstance(online, Unread) else instance_id in online
    silent = "the agent has not answered; it takes some minutes after the rest is mended"
    return [
        check(
            "Its role may register with Systems Manager",
            role if isinstance(role, Unread) else bool(role),
            "" if isinstance(role, Unread) else said.get(role, ""),
            instance_id,
        ),
        check("It has a way to Systems Manager", not lacking, reach, instance_id),
        check("Its agent answers", answering, "" if answering is True else silent, instance_id),
    ]
