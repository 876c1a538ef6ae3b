"""Whether security group rules let a load balancer's traffic through. Pure."""

from collections.abc import Iterable, Sequence
from ipaddress import ip_network

from opswright_metrics.tools.tier_facts import Rule

Admission = bool | None
"""Yes, no, or None: only a prefix list could admit it, and its entries are not read."""


def admits(
    rules: Iterable[Rule], port: int, *, groups: Sequence[str], networks: Sequence[str]
) -> Admission:
    """Whether TCP on `port` passes to or from members of `groups`, or all of `networks` (CIDRs)."""
    fitting = [
        r for r in rules if r.protocol in {"-1", "tcp", "6"} and r.from_port <= port <= r.to_port
    ]
    if any(set(groups) & set(rule.groups) for rule in fitting):
        return True
    open_cidrs = [cidr for rule in fitting for cidr in rule.cidrs]
    if networks and all(_covered(network, open_cidrs) for network in networks):
        return True
    return None if any(rule.prefix_lists for rule in fitting) else False


def _covered(network: str, by: Iterable[str]) -> bool:
    inner = ip_network(network, strict=False)
    outers = (ip_network(cidr, strict=False) for cidr in by)
    return any(inner.version == outer.version and inner.subnet_of(outer) for outer in outers)  # type: ignore[arg-type]
