"""Which addresses a security group or network ACL lets in: pure functions."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opswright_core.addresses import is_cidr as is_cidr
from opswright_core.addresses import is_world as is_world

ADMIN_PORTS: Mapping[int, str] = {22: "SSH", 3389: "RDP"}
DATABASE_PORTS: Mapping[int, str] = {
    1433: "SQL Server",
    1434: "SQL Server",
    1521: "Oracle",
    2379: "etcd",
    3306: "MySQL",
    5432: "PostgreSQL",
    5439: "Redshift",
    5984: "CouchDB",
    6379: "Redis",
    7000: "Cassandra",
    8086: "InfluxDB",
    9042: "Cassandra",
    9200: "Elasticsearch",
    9300: "Elasticsearch",
    11211: "Memcached",
    27017: "MongoDB",
}
RISKY_PORTS: Mapping[int, str] = {
    20: "FTP",
    21: "FTP",
    23: "Telnet",
    25: "SMTP",
    110: "POP3",
    135: "RPC",
    143: "IMAP",
    445: "SMB",
    2375: "Docker",
    3000: "development server",
    4333: "ahsp",
    5000: "development server",
    5500: "fcp-addr-srvr1",
    5601: "Kibana",
    8080: "proxy",
    8088: "legacy HTTP",
    8888: "alternative HTTP",
    10250: "kubelet",
}
"""Ports that no stranger should reach: those of Security Hub's EC2.19, Docker and kubelet."""

_LAST_PORT = 65535


@dataclass(frozen=True)
class Opening:
    """One source let in on some ports; `source` is a CIDR, a group or a prefix list."""

    protocol: str
    first: int
    last: int
    source: str

    @property
    def every_port(self) -> bool:
        """All traffic, or every port of TCP or UDP."""
        return self.protocol == "-1" or (
            self.protocol in {"tcp", "udp"} and self.first <= 1 and self.last == _LAST_PORT
        )

    def allows(self, port: int) -> bool:
        """Whether TCP or UDP traffic to the port gets in."""
        return self.protocol == "-1" or (
            self.protocol in {"tcp", "udp"} and self.first <= port <= self.last
        )

    @property
    def ports(self) -> str:
        """The ports in words: `all`, `22`, `8000-8100`; the type for ICMP."""
        if self.protocol == "-1" or (self.first == 0 and self.last == _LAST_PORT):
            return "all"
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"

    def __str__(self) -> str:
        protocol = "all protocols" if self.protocol == "-1" else self.protocol
        return f"{protocol} {self.ports} from {self.source}"


def openings(group: Mapping[str, Any]) -> list[Opening]:
    """A security group's inbound rules, one per source."""
    return [
        Opening(
            str(rule["IpProtocol"]),
            rule.get("FromPort", 0),
            rule.get("ToPort", _LAST_PORT),
            source,
        )
        for rule in group.get("IpPermissions") or []
        for source in _sources(rule)
    ]


def _sources(rule: Mapping[str, Any]) -> Iterable[str]:
    yield from (entry["CidrIp"] for entry in rule.get("IpRanges") or [])
    yield from (entry["CidrIpv6"] for entry in rule.get("Ipv6Ranges") or [])
    yield from (entry["GroupId"] for entry in rule.get("UserIdGroupPairs") or [])
    yield from (entry["PrefixListId"] for entry in rule.get("PrefixListIds") or [])


def is_inside(source: str, cidrs: Iterable[str]) -> bool:
    """Whether a CIDR lies within one of the given ones."""
    network = ipaddress.ip_network(source, strict=False)
    outers = [ipaddress.ip_network(cidr, strict=False) for cidr in cidrs]
    return any(
        network.version == outer.version and network.subnet_of(outer)  # type: ignore[arg-type]
        for outer in outers
    )


def world_ports(
    group: Mapping[str, Any], ports: Mapping[int, str], version: int | None = None
) -> list[str]:
    """Which of the ports the internet may reach through a group: `["SSH 22 from 0.0.0.0/0"]`."""
    return sorted(
        {
            f"{name} {port} from {opening.source}"
            for opening in openings(group)
            if is_world(opening.source, version)
            for port, name in ports.items()
            if opening.allows(port)
        }
    )


def acl_allows(entries: Iterable[Mapping[str, Any]], port: int) -> str | None:
    """The internet range that a network ACL lets in on a TCP port; lowest rule number first."""
    for cidr_key in ("CidrBlock", "Ipv6CidrBlock"):
        for entry in sorted(entries, key=lambda e: int(e["RuleNumber"])):
            source = entry.get(cidr_key)
            if entry["Egress"] or not source or not is_world(source) or not _covers(entry, port):
                continue
            if entry["RuleAction"] == "allow":
                return str(source)
            break
    return None


def _covers(entry: Mapping[str, Any], port: int) -> bool:
    if str(entry["Protocol"]) == "-1":
        return True
    ports = entry.get("PortRange") or {"From": 0, "To": _LAST_PORT}
    return str(entry["Protocol"]) in {"6", "tcp"} and ports["From"] <= port <= ports["To"]
