"""Divides a network's address range into subnets: pure arithmetic."""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Network, IPv6Network, NetmaskValueError, ip_network
from typing import Literal

from opswright_core.errors import BadInputError

Tier = Literal["public", "private", "database"]

TIERS: tuple[Tier, ...] = ("public", "private", "database")
SMALLEST_SUBNET = 27
"""A load balancer needs subnets of /27 or larger (Elastic Load Balancing user guide, "Subnets")."""

_UNUSABLE = [
    IPv4Network(block) for block in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")
]


@dataclass(frozen=True)
class SubnetLayout:
    """One subnet to be: its tier, availability zone and address range."""

    tier: Tier
    az: str
    cidr: str


def parse_cidr(cidr: str) -> IPv4Network:
    """The range of a VPC. Raises BadInputError for what AWS would refuse, saying what would do."""
    try:
        loose = IPv4Network(cidr, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as exc:
        raise BadInputError(f"cidr {cidr!r} is not an IPv4 range like 10.0.0.0/16.") from exc
    if "/" not in cidr:
        raise BadInputError(f"cidr {cidr!r} has no prefix length; write it like {cidr}/16.")
    if str(loose) != cidr:
        raise BadInputError(f"cidr {cidr!r} has host bits set; the range it is in is {loose}.")
    if not 16 <= loose.prefixlen <= 28:
        raise BadInputError(
            f"cidr {cidr!r}: a VPC's range is between /16 and /28, this is a /{loose.prefixlen}."
        )
    if any(loose.overlaps(block) for block in _UNUSABLE):
        raise BadInputError(
            f"cidr {cidr!r} is reserved (loopback, link-local, multicast); "
            "use a private range like 10.0.0.0/16."
        )
    return loose


def lay_out(cidr: str, azs: list[str]) -> list[SubnetLayout]:
    """Subnets of three tiers over the zones, public first.

    Half of the range is for private subnets, a quarter each for public and database ones. A tier
    has room for four zones where the range allows, so that one can be added without renumbering.
    Raises BadInputError when a subnet would be smaller than /27.
    """
    network = parse_cidr(cidr)
    zone_bits = 2 if len(azs) > 2 or network.prefixlen + 4 <= SMALLEST_SUBNET else 1
    largest = SMALLEST_SUBNET - 2 - zone_bits
    if network.prefixlen > largest:
        raise BadInputError(
            f"cidr {cidr!r} is too small: three tiers over {len(azs)} zones need a "
            f"/{largest} or larger."
        )
    private, rest = network.subnets(prefixlen_diff=1)
    public, database = rest.subnets(prefixlen_diff=1)
    blocks: dict[Tier, IPv4Network] = {"public": public, "private": private, "database": database}
    return [
        SubnetLayout(tier, az, str(block))
        for tier in TIERS
        for az, block in zip(azs, blocks[tier].subnets(prefixlen_diff=zone_bits), strict=False)
    ]


def overlapping(cidr: str, others: dict[str, str]) -> list[str]:
    """Of `{vpc_id: cidr}`, the ids whose ranges overlap this one."""
    network = parse_cidr(cidr)
    return [vpc_id for vpc_id, other in others.items() if network.overlaps(ip_network(other))]


def lay_out_ipv6(block: str, subnets: Mapping[str, str | None]) -> dict[str, str]:
    """A /64 of the block for each subnet: the one it has (`{id: its /64 or None}`), or a free one.

    Raises BadInputError when the block has none left.
    """
    taken = {IPv6Network(cidr) for cidr in subnets.values() if cidr}
    free = (cidr for cidr in IPv6Network(block).subnets(new_prefix=64) if cidr not in taken)
    laid: dict[str, str] = {}
    for subnet_id, cidr in subnets.items():
        if cidr is None and (found := next(free, None)) is None:
            raise BadInputError(f"{block} has no /64 left for {subnet_id}.")
        laid[subnet_id] = cidr or str(found)
    return laid


def divide(block: str, parts: int) -> list[str]:
    """Equal ranges of a block for so many VPCs, from its beginning, none overlapping another.

    Each is as large as the block allows, a /16 at most. Raises BadInputError when a network of
    three tiers would not fit into one.
    """
    try:
        whole = IPv4Network(block)
    except (AddressValueError, NetmaskValueError, ValueError) as exc:
        raise BadInputError(f"block {block!r} is not an IPv4 range like 10.0.0.0/12.") from exc
    prefix = max(16, whole.prefixlen + (parts - 1).bit_length())
    if prefix > SMALLEST_SUBNET - 3:
        raise BadInputError(
            f"block {block!r} is too small for {parts} networks; give a "
            f"/{SMALLEST_SUBNET - 3 - (parts - 1).bit_length()} or larger."
        )
    return [
        str(part) for part, _ in zip(whole.subnets(new_prefix=prefix), range(parts), strict=False)
    ]
