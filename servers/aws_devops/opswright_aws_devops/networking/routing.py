"""Reads route tables: which one a subnet uses, and where it sends a destination."""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, ip_network
from typing import Any

ANYWHERE = "0.0.0.0/0"


def tables_of(
    subnet_ids: Iterable[str], tables: Sequence[dict[str, Any]]
) -> dict[str, dict[str, Any] | None]:
    """The route table of each subnet, of those of its VPC: the associated one, else the main one.

    The tables are gone through once, however many subnets there are.
    """
    main = None
    own: dict[str, dict[str, Any]] = {}
    for table in tables:
        for association in table.get("Associations", []):
            if "SubnetId" in association:
                own[association["SubnetId"]] = table
            if association.get("Main"):
                main = table
    return {subnet_id: own.get(subnet_id, main) for subnet_id in subnet_ids}


def table_of(subnet_id: str, tables: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The route table of one subnet; of many, `tables_of` is quicker."""
    return tables_of([subnet_id], tables)[subnet_id]


def next_hop(table: dict[str, Any] | None, destination: str = ANYWHERE) -> str | None:
    """Where the longest matching active route goes (`local` inside the VPC), or None."""
    wanted = IPv4Network(destination)
    best: tuple[int, str] | None = None
    for route in (table or {}).get("Routes", []):
        block = route.get("DestinationCidrBlock")
        if block is None or route.get("State") == "blackhole":
            continue
        network = ip_network(block)
        if isinstance(network, IPv4Network) and wanted.subnet_of(network):
            hop = _hop(route)
            if hop and (best is None or network.prefixlen > best[0]):
                best = (network.prefixlen, hop)
    return best[1] if best else None


def _hop(route: dict[str, Any]) -> str | None:
    names = (
        "NatGatewayId",
        "GatewayId",
        "TransitGatewayId",
        "VpcPeeringConnectionId",
        "NetworkInterfaceId",
        "InstanceId",
    )
    return next((str(route[name]) for name in names if route.get(name)), None)


def is_public(subnet_id: str, tables: Sequence[dict[str, Any]]) -> bool:
    """Whether a subnet's default route goes to an internet gateway."""
    return (next_hop(table_of(subnet_id, tables)) or "").startswith("igw-")
