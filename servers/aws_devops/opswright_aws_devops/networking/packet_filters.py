"""Judges security groups and network ACLs: whether they let a TCP connection through. Pure."""

from collections.abc import Sequence
from ipaddress import IPv4Network
from typing import Any

EPHEMERAL_PORTS = (1024, 32768, 49152, 65535)
"""Ends and starts of the ranges that operating systems answer from (VPC user guide)."""


def group_allows(
    groups: Sequence[dict[str, Any]],
    *,
    egress: bool,
    port: int,
    peer_cidr: str,
    peer_group_ids: Sequence[str],
) -> bool:
    """Whether any rule of the security groups lets a TCP port through to or from a peer.

    A peer of several addresses (a subnet, the internet) is let through only when all of it is.
    """
    key = "IpPermissionsEgress" if egress else "IpPermissions"
    return any(
        _covers(rule, port) and _names(rule, peer_cidr, peer_group_ids)
        for group in groups
        for rule in group.get(key, [])
    )


def _covers(rule: dict[str, Any], port: int) -> bool:
    if rule["IpProtocol"] == "-1":
        return True
    first, last = rule.get("FromPort", -1), rule.get("ToPort", -1)
    return rule["IpProtocol"] in {"tcp", "6"} and first <= port <= last


def _names(rule: dict[str, Any], cidr: str, group_ids: Sequence[str]) -> bool:
    peer = IPv4Network(cidr)
    return any(peer.subnet_of(IPv4Network(r["CidrIp"])) for r in rule.get("IpRanges", [])) or any(
        pair["GroupId"] in group_ids for pair in rule.get("UserIdGroupPairs", [])
    )


def acl_allows(
    entries: Sequence[dict[str, Any]], *, egress: bool, ports: Sequence[int], peer_cidr: str
) -> bool:
    """Whether a network ACL lets all the ports through: its first matching rule by number decides.

    A rule that denies part of the peer's addresses counts as denying it.
    """
    rules = sorted(
        (entry for entry in entries if entry["Egress"] == egress and entry.get("CidrBlock")),
        key=lambda entry: int(entry["RuleNumber"]),
    )
    return all(_decides(rules, port, IPv4Network(peer_cidr)) for port in ports)


def _decides(rules: Sequence[dict[str, Any]], port: int, peer: IPv4Network) -> bool:
    for rule in rules:
        ports = rule.get("PortRange")
        if rule["Protocol"] not in {"-1", "6"} or (
            rule["Protocol"] == "6" and ports and not ports["From"] <= port <= ports["To"]
        ):
            continue
        block = IPv4Network(rule["CidrBlock"])
        if rule["RuleAction"] == "deny" and block.overlaps(peer):
            return False
        if rule["RuleAction"] == "allow" and peer.subnet_of(block):
            return True
    return False
