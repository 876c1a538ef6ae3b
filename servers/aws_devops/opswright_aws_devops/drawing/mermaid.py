"""A topology as Mermaid text, which many hosts and code forges show as a picture."""

from collections.abc import Iterator

from opswright_aws_devops.graph.topology import Kind, Node, Subnet, Topology

_SHAPES: dict[Kind, tuple[str, str]] = {
    "internet": ("((", "))"),
    "gateway": ("{{", "}}"),
    "nat": ("{{", "}}"),
    "balancer": ("[/", "\\]"),
    "group": ("[[", "]]"),
    "instance": ("[", "]"),
    "database": ("[(", ")]"),
}


def as_mermaid(topology: Topology) -> str:
    """Draw a topology: zones hold subnets, subnets what runs in them; arrows tell who reaches whom.

    What spans several subnets stands beside the zones.
    """
    return "\n".join(["flowchart TB", *_lines(topology)]) + "\n"


def _lines(topology: Topology) -> Iterator[str]:
    keys = {node.id: f"n{number}" for number, node in enumerate(topology.nodes)}
    where = {subnet.id: f"s{number}" for number, subnet in enumerate(topology.subnets)}
    inside: dict[str, list[Node]] = {subnet.id: [] for subnet in topology.subnets}
    spanning: list[Node] = []
    for node in topology.nodes:
        if node.kind == "internet":
            yield f"  {_box(keys[node.id], node)}"
        elif len(node.subnet_ids) == 1 and node.subnet_ids[0] in inside:
            inside[node.subnet_ids[0]].append(node)
        else:
            spanning.append(node)
    yield f'  subgraph vpc["{quoted(f"{topology.name} {topology.cidr} ({topology.region})")}"]'
    yield from (f"    {_box(keys[node.id], node)}" for node in spanning)
    for number, zone in enumerate(topology.zones):
        yield f'    subgraph z{number}["{quoted(zone)}"]'
        for subnet in (s for s in topology.subnets if s.zone == zone):
            yield f'      subgraph {where[subnet.id]}["{quoted(_title(subnet))}"]'
            yield from (f"        {_box(keys[n.id], n)}" for n in inside[subnet.id])
            yield "      end"
        yield "    end"
    yield "  end"
    for edge in topology.edges:
        label = f'|"{quoted(edge.label)}"|' if edge.label else ""
        yield f"  {keys[edge.source]} -->{label} {keys[edge.target]}"
    for subnet in topology.subnets:
        if subnet.exit == "NAT gateway" and subnet.via in keys:
            yield f"  {where[subnet.id]} -.-> {keys[subnet.via]}"


def _title(subnet: Subnet) -> str:
    return f"{subnet.name} {subnet.cidr}"


def _box(key: str, node: Node) -> str:
    begin, end = _SHAPES[node.kind]
    detail = f"<br/>{quoted(node.detail)}" if node.detail else ""
    return f'{key}{begin}"{quoted(node.title)}{detail}"{end}'


def quoted(text: str) -> str:
    """One line inside quotes; what Mermaid or HTML would read as its own is written as codes."""
    line = " ".join(text.split())
    return "".join(f"#{ord(c)};" if c in '"#<>&`\\;{}' else c for c in line)
