"""A topology as SVG: a column for each zone, a row for each tier, and bars for what spans zones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from opswright_aws_devops.drawing.shapes import PAD, Rect, document, halo, label, path, rect, short
from opswright_aws_devops.graph.topology import Edge, Kind, Node, Subnet, Topology

COLUMN, BOX_HEIGHT, BAR_HEIGHT, GAP, HEAD = 310, 44, 46, 12, 40
"""Sizes in pixels."""

_FILLS: dict[Kind, str] = {
    "internet": "#e8eef7",
    "gateway": "#d9ead3",
    "nat": "#d9ead3",
    "balancer": "#e4d7f2",
    "group": "#fde3c8",
    "instance": "#fff2e2",
    "database": "#d3e3f5",
}
_TIER_FILLS = {"internet gateway": "#f1f8ee", "NAT gateway": "#eef4fb", "none": "#f5f5f5"}
_TIER_WORDS = {
    "internet gateway": "to the internet",
    "NAT gateway": "out by NAT",
    "none": "no way out",
    "unknown": "routes unknown",
}


@dataclass
class _Sheet:
    """Where everything is; rows are filled from the top down."""

    parts: list[str] = field(default_factory=list)
    boxes: dict[str, Rect] = field(default_factory=dict)


def as_svg(topology: Topology) -> str:
    """Draw a topology. Text of other people's making is escaped."""
    columns = {zone: number for number, zone in enumerate(topology.zones)}
    width = max(2, len(columns)) * (COLUMN + GAP) + 2 * PAD + GAP
    sheet = _Sheet()
    top = float(PAD)
    for node in (n for n in topology.nodes if n.kind in {"internet", "gateway"}):
        box = Rect(width / 2 - 110, top, 220, BOX_HEIGHT)
        _place(sheet, node, box)
        top += BOX_HEIGHT + 26
    vpc_top = top - 26 - BOX_HEIGHT / 2 if topology.nodes and sheet.boxes else top
    title_y = top + (4 if sheet.boxes else 20)
    top = title_y + HEAD - 14
    frames: list[str] = []
    for zone, column in columns.items():
        x = PAD + GAP + column * (COLUMN + GAP)
        frames.append(label(x + COLUMN / 2, top, zone, size=13, anchor="middle", weight="bold"))
    top += GAP
    for row in _rows(topology.subnets):
        top = _draw_row(sheet, frames, topology, row, columns, top) + GAP
    outline = rect(
        Rect(PAD / 2, vpc_top, width - PAD, top - vpc_top + PAD), "#ffffff", "#5b6b7b", dash=False
    )
    title = label(
        PAD + 4, title_y, f"{topology.name} · {topology.cidr} · {topology.region}", weight="bold"
    )
    height = top + 2 * PAD + (18 if topology.unread else 0)
    arrows = list(_arrows(topology.edges, sheet.boxes))
    unread = (
        [label(PAD, height - 8, f"Not read: {'; '.join(topology.unread)}"[:160], colour="#b00020")]
        if topology.unread else []
    )  # fmt: skip
    body = "\n".join([outline, title, *frames, *sheet.parts, *arrows, *unread])
    return document(width, height, body)


def _rows(subnets: Sequence[Subnet]) -> list[list[Subnet]]:
    """Subnets of one tier side by side: the first of each zone, then the second, and so on."""
    rows: dict[tuple[str, int], list[Subnet]] = {}
    seen: dict[tuple[str, str], int] = {}
    for subnet in subnets:
        nth = seen[subnet.exit, subnet.zone] = seen.get((subnet.exit, subnet.zone), -1) + 1
        rows.setdefault((subnet.exit, nth), []).append(subnet)
    return [row for _, row in sorted(rows.items(), key=lambda r: (_order(r[0][0]), r[0][1]))]


def _order(exit_: str) -> int:
    return list(_TIER_WORDS).index(exit_)


def _draw_row(
    sheet: _Sheet,
    frames: list[str],
    topology: Topology,
    row: Sequence[Subnet],
    columns: dict[str, int],
    top: float,
) -> float:
    """Draw one row of subnets with the bars that span them; returns where it ends."""
    ids = {subnet.id for subnet in row}
    bars = [
        n for n in topology.nodes
        if n.id not in sheet.boxes and not ids.isdisjoint(n.subnet_ids)
        and (len(n.subnet_ids) > 1 or n.kind in {"balancer", "group", "database"})
    ]  # fmt: skip
    inside = {
        s.id: [n for n in topology.nodes if n.subnet_ids == (s.id,) and n not in bars] for s in row
    }
    bars_top = top + HEAD
    boxes_top = bars_top + len(bars) * (BAR_HEIGHT + GAP)
    most = max((len(nodes) for nodes in inside.values()), default=0)
    bottom = boxes_top + most * (BOX_HEIGHT + GAP) + (0 if most or bars else GAP)
    left = {s.id: PAD + GAP + columns[s.zone] * (COLUMN + GAP) for s in row}
    for subnet in row:
        frame = Rect(left[subnet.id], top, COLUMN, bottom - top)
        frames.append(rect(frame, _TIER_FILLS.get(subnet.exit, "#ffffff"), "#9aa7b4", dash=True))
        frames.append(label(frame.x + 8, top + 15, short(subnet.name, 34), weight="bold"))
        words = f"{subnet.cidr} · {_TIER_WORDS[subnet.exit]}"
        frames.append(label(frame.x + 8, top + 30, words, size=10, colour="#5b6b7b"))
        y = boxes_top
        for node in inside[subnet.id]:
            _place(sheet, node, Rect(frame.x + GAP, y, COLUMN - 2 * GAP, BOX_HEIGHT))
            y += BOX_HEIGHT + GAP
    for number, node in enumerate(bars):
        spans = sorted(left[subnet_id] for subnet_id in node.subnet_ids if subnet_id in left)
        y = bars_top + number * (BAR_HEIGHT + GAP)
        width = spans[-1] + COLUMN - spans[0] - 2 * GAP
        _place(sheet, node, Rect(spans[0] + GAP, y, width, BAR_HEIGHT))
    return bottom


def _place(sheet: _Sheet, node: Node, box: Rect) -> None:
    sheet.boxes[node.id] = box
    room = int(box.width / 7)
    sheet.parts.append(rect(box, _FILLS[node.kind], "#44546a", dash=False))
    lift = 4 if node.detail else -4
    name_y = box.y + box.height / 2 - lift
    sheet.parts.append(label(box.middle, name_y, short(node.title, room), anchor="middle"))
    if node.detail:
        sheet.parts.append(
            label(box.middle, name_y + 15, short(node.detail, room), size=10, anchor="middle",
                   colour="#44546a")
        )  # fmt: skip


def _arrows(edges: Sequence[Edge], boxes: dict[str, Rect]) -> Iterator[str]:
    """Curves from the lower edge of one box to the upper edge of the next."""
    for edge in edges:
        source, target = boxes.get(edge.source), boxes.get(edge.target)
        if source is None or target is None:
            continue
        x, y, x2, y2 = source.middle, source.y + source.height, target.middle, target.y
        bend = max(18.0, (y2 - y) / 2)
        yield path(
            f"M{x:.0f} {y:.0f} C{x:.0f} {y + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}"
        )
        if edge.label:
            yield halo(x2 - 8, y2 - 8, short(edge.label, 36))
