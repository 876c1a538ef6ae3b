"""Joins routes, groups and addresses: what the internet could reach, and through what."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from opswright_core.verdicts import Unread, attempt
from opswright_security.exposure import Opening, is_world, openings
from opswright_security.facts.compute import load_instances
from opswright_security.facts.network import (
    load_balancers,
    load_default_groups,
    load_interfaces,
    load_route_tables,
    load_security_groups,
    load_subnets,
)
from opswright_security.facts.storage import load_db_instances, load_secrets
from opswright_security.reading import Fact, Reader

# Ports where a database that is still being made says none. Source: the engines' own defaults.
_ENGINE_PORTS = {
    "postgres": 5432,
    "aurora-postgresql": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "aurora-mysql": 3306,
}


def public_subnets(subnets: Sequence[Fact], tables: Sequence[Fact]) -> frozenset[str]:
    """Ids of the subnets whose route table (or the VPC's main one) leads to an internet gateway."""
    own: dict[str, Fact] = {}
    main: dict[str, Fact] = {}
    for table in tables:
        for association in table.get("Associations") or []:
            if association.get("Main"):
                main[table["VpcId"]] = table
            if subnet_id := association.get("SubnetId"):
                own[subnet_id] = table
    return frozenset(
        subnet.id
        for subnet in subnets
        if (table_of := own.get(subnet.id) or main.get(subnet["VpcId"]))
        and any(_to_internet(route) for route in table_of.get("Routes") or [])
    )


def _to_internet(route: Mapping[str, Any]) -> bool:
    destination = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock") or ""
    gateway = str(route.get("GatewayId") or "")
    return (
        is_world(destination) and gateway.startswith("igw-") and route.get("State") != "blackhole"
    )


def load_public_subnets(reader: Reader) -> frozenset[str]:
    """Ids of the region's public subnets."""
    return public_subnets(reader.load(load_subnets), reader.load(load_route_tables))


def load_databases(reader: Reader) -> list[Fact]:
    """RDS instances with what lies between them and the internet.

    Adds `VpcId`, `port`, `public_subnets` (ids, of its subnet group), `openings` (of its groups,
    on its port), `vpc_cidrs`, `default_groups` and `secrets`; each may be Unread.
    """
    public = attempt(lambda: reader.load(load_public_subnets))
    groups = attempt(lambda: _groups_by_id(reader))
    default_groups = attempt(lambda: {g.id for g in reader.load(load_default_groups)})
    vpcs = attempt(lambda: reader.pages("ec2", "describe_vpcs", "Vpcs"))
    secrets = attempt(lambda: reader.load(load_secrets))
    facts = []
    for database in reader.load(load_db_instances):
        port = (database.get("Endpoint") or {}).get("Port") or _ENGINE_PORTS.get(database["Engine"])
        subnet_group = database.get("DBSubnetGroup") or {}
        subnets = {s["SubnetIdentifier"] for s in subnet_group.get("Subnets") or []}
        vpc_id = subnet_group.get("VpcId")
        ids = [g["VpcSecurityGroupId"] for g in database.get("VpcSecurityGroups") or []]
        facts.append(
            Fact(
                database.id,
                {
                    **database.fields,
                    "VpcId": vpc_id,
                    "port": port,
                    "public_subnets": public
                    if isinstance(public, Unread)
                    else sorted(subnets & public),
                    "openings": _openings(groups, ids, port),
                    "vpc_cidrs": vpcs if isinstance(vpcs, Unread) else _cidrs(vpcs, vpc_id),
                    "default_groups": default_groups,
                    "secrets": secrets,
                },
            )
        )
    return facts


def load_public_instances(reader: Reader) -> list[Fact]:
    """Instances with a public address in a public subnet, with the `openings` of their groups.

    `openings` is Unread where groups could not be read, or the backend names none for the instance.
    """
    public = reader.load(load_public_subnets)
    instances = [
        i
        for i in reader.load(load_instances)
        if i.get("PublicIpAddress") and i.get("SubnetId") in public
    ]
    groups = attempt(lambda: _groups_by_id(reader))
    return [
        Fact(i.id, {**i.fields, "openings": _openings(groups, _groups_of(i), None)})
        for i in instances
    ]


def load_group_uses(reader: Reader) -> list[Fact]:
    """What carries security groups: interfaces, and what shows no interface here.

    Each has `groups`, the ids.
    """
    interfaces = reader.load(load_interfaces)
    uses = [
        Fact(i.id, {"groups": [g["GroupId"] for g in i.get("Groups") or []]}) for i in interfaces
    ]
    seen = {group for use in uses for group in use["groups"]}
    others = [Fact(i.id, {"groups": _groups_of(i)}) for i in reader.load(load_instances)]
    others += [
        Fact(b["LoadBalancerName"], {"groups": b.get("SecurityGroups") or []})
        for b in reader.load(load_balancers)
    ]
    others += [
        Fact(d.id, {"groups": [g["VpcSecurityGroupId"] for g in d.get("VpcSecurityGroups") or []]})
        for d in reader.load(load_db_instances)
    ]
    return [*uses, *(use for use in others if not seen & set(use["groups"]))]


def _groups_of(instance: Fact) -> list[str]:
    """Ids of an instance's groups: its own, or those of its interfaces."""
    own = [group["GroupId"] for group in instance.get("SecurityGroups") or []]
    interfaces = instance.get("NetworkInterfaces") or []
    return own or [g["GroupId"] for i in interfaces for g in i.get("Groups") or []]


def _groups_by_id(reader: Reader) -> dict[str, Fact]:
    return {group.id: group for group in reader.load(load_security_groups)}


def _openings(
    groups: Mapping[str, Fact] | Unread, ids: Sequence[str], port: int | None
) -> list[Opening] | Unread:
    if isinstance(groups, Unread):
        return groups
    missing = [group_id for group_id in ids if group_id not in groups]
    if missing or not ids:
        named = ", ".join(missing) or "none named"
        return Unread(
            operation="ec2:DescribeSecurityGroups", reason=f"its security groups: {named}"
        )
    found: Iterable[Opening] = (o for i in ids for o in openings(groups[i].fields))
    return [o for o in found if port is None or o.allows(port)]


def _cidrs(vpcs: Sequence[Mapping[str, Any]], vpc_id: str | None) -> list[str]:
    found = next((vpc for vpc in vpcs if vpc["VpcId"] == vpc_id), {})
    blocks = [b["CidrBlock"] for b in found.get("CidrBlockAssociationSet") or []]
    blocks += [b["Ipv6CidrBlock"] for b in found.get("Ipv6CidrBlockAssociationSet") or []]
    return blocks or [found["CidrBlock"]] if found else []
