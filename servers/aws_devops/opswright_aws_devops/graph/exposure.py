"""Whether the internet can reach a resource, judged from its description and its guards. Pure."""

from collections.abc import Sequence
from typing import Any

from opswright_aws_devops.access.entrances import judge_distribution
from opswright_aws_devops.access.resource_access import Exposure
from opswright_aws_devops.graph.graph import Graph
from opswright_aws_devops.graph.own_parts import OWN_PARTS
from opswright_aws_devops.graph.relations import DISTRIBUTION, SG, TABLES
from opswright_aws_devops.networking.routing import next_hop
from opswright_core.addresses import is_world


def exposure_of(graph: Graph, node: int) -> tuple[Exposure, str]:
    """Whether it is public, and what says so: address, scheme, routes, rules, its own policy.

    What a public distribution fetches from says so; whether it can be had directly is the answer.
    """
    public, because = _directly(graph, node)
    served = [
        item["Id"]
        for edge in graph.needed_by.get(node, [])
        for kind, item in [graph.read[edge.source]]
        if kind.type == DISTRIBUTION and judge_distribution(item)[0] == "yes"
    ]
    if served:
        because += f"; but distribution {', '.join(served)} gives everyone what it fetches here"
    return public, because


def _directly(graph: Graph, node: int) -> tuple[Exposure, str]:
    kind, item = graph.read[node]
    match kind.type:
        case "ec2:security-group":
            ports = open_ports([item])
            return (
                ("yes", f"admits everyone on {ports}") if ports else ("no", "admits no one at all")
            )
        case "ec2:subnet":
            return _routed(graph, node)
        case "elb:loadbalancer":
            has_way = item.get("Scheme") == "internet-facing"
            return _behind_groups(graph, node, has_way, "internet-facing", "internal")
        case "ec2:instance":
            address = item.get("PublicIpAddress")
            said = f"has the public address {address}"
            return _behind_groups(graph, node, bool(address), said, "has no public address")
        case "rds:db":
            said = "publicly accessible"
            return _behind_groups(
                graph, node, bool(item.get("PubliclyAccessible")), said, "private"
            )
        case "eks:cluster":
            config = item.get("resourcesVpcConfig", {})
            if not config.get("endpointPublicAccess"):
                return "no", "its API endpoint is private"
            return (
                "yes",
                f"its API endpoint admits {', '.join(config.get('publicAccessCidrs', []))}",
            )
        case "route53:hosted-zone":
            private = item.get("Config", {}).get("PrivateZone")
            return ("no", "a private zone") if private else ("yes", "names in it are public")
        case "cloudfront:distribution":
            return judge_distribution(item)
        case type_ if type_ in OWN_PARTS:
            access: tuple[Exposure, str] = item.get("Access") or (
                "unknown", "its own policy decides, which was not read",
            )  # fmt: skip
            return access
    return "does not apply", "nothing connects to it"


def open_ports(groups: Sequence[dict[str, Any]]) -> str:
    """The ports that rules open to every address, like `tcp 80, tcp 443`; empty for none."""
    ports = [
        _ports(rule)
        for group in groups
        for rule in group.get("IpPermissions", [])
        if any(
            is_world(source)
            for source in (
                *(r.get("CidrIp", "") for r in rule.get("IpRanges", [])),
                *(r.get("CidrIpv6", "") for r in rule.get("Ipv6Ranges", [])),
            )
        )
    ]
    return ", ".join(dict.fromkeys(ports))


def _ports(rule: dict[str, Any]) -> str:
    if rule.get("IpProtocol") == "-1":
        return "every port"
    first, last = rule.get("FromPort"), rule.get("ToPort")
    return f"{rule.get('IpProtocol')} {first}" + (f"-{last}" if last != first else "")


def _behind_groups(
    graph: Graph, node: int, has_way: bool, said: str, otherwise: str
) -> tuple[Exposure, str]:
    """Whether there is a way in, and a group that lets everyone through."""
    if not has_way:
        return "no", otherwise
    if any(SG in missing.types for missing in graph.missing.get(node, [])):
        return "unknown", f"{said}; its security groups were not read"
    guards = [
        graph.read[edge.target][1]
        for edge in graph.depends_on.get(node, [])
        if graph.read[edge.target][0].type == SG
    ]
    if not guards:
        return "unknown", f"{said}; no security group of it is known"
    ports = open_ports(guards)
    if not ports:
        return "no", f"{said}, but its security groups admit not everyone"
    return "yes", f"{said}, and its security groups admit everyone on {ports}"


def _routed(graph: Graph, node: int) -> tuple[Exposure, str]:
    tables = [
        graph.read[edge.target][1]
        for edge in graph.depends_on.get(node, [])
        if graph.read[edge.target][0].type == TABLES
    ]
    if not tables:
        return "unknown", "its route table was not read"
    hop = next_hop(tables[0]) or ""
    if hop.startswith("igw-"):
        return "yes", f"its default route goes to the internet gateway {hop}"
    return "no", f"its default route goes to {hop}" if hop else "it has no route to the internet"
