"""An application as Mermaid text, its VPCs as frames, and as SVG, a column for each layer."""

from collections import Counter
from collections.abc import Iterator

from opswright_aws_devops.drawing.mermaid import quoted
from opswright_aws_devops.drawing.shapes import PAD, Rect, document, halo, label, path, rect, short
from opswright_aws_devops.graph.application_topology import LAYERS, ApplicationTopology, Box, Layer

WIDTH, HEIGHT, ACROSS, DOWN = 230, 44, 130, 22
"""Sizes of boxes and the gaps between them, in pixels."""

_FILLS: dict[Layer, str] = {
    "entry": "#e4d7f2",
    "network": "#d9ead3",
    "compute": "#fde3c8",
    "data": "#d3e3f5",
    "rights": "#f5f5f5",
}


def application_as_mermaid(drawn: ApplicationTopology) -> str:
    """Draw an application; what carries no tag of it has a dashed frame."""
    return "\n".join(["flowchart LR", *_lines(drawn)]) + "\n"


def _lines(drawn: ApplicationTopology) -> Iterator[str]:
    keys = {box.id: f"n{number}" for number, box in enumerate(drawn.boxes)}

    def node(box: Box) -> str:
        mark = "" if box.is_own else ":::other"
        return f'{keys[box.id]}["{quoted(box.name)}<br/>{quoted(box.type)}"]{mark}'

    yield "  classDef other stroke-dasharray: 4 3"
    for number, (vpc_id, name) in enumerate(drawn.vpcs.items()):
        yield f'  subgraph v{number}["{quoted(f"VPC {name} ({drawn.region})")}"]'
        yield from (f"    {node(box)}" for box in drawn.boxes if box.vpc_id == vpc_id)
        yield "  end"
    yield from (f"  {node(box)}" for box in drawn.boxes if box.vpc_id not in drawn.vpcs)
    for one in drawn.arrows:
        yield f'  {keys[one.source]} -->|"{quoted(one.relation)}"| {keys[one.target]}'


def application_as_svg(drawn: ApplicationTopology) -> str:
    """Draw an application: a column for each layer. Text of other people's making is escaped."""
    columns = [(layer, [b for b in drawn.boxes if b.layer == layer]) for layer in LAYERS]
    columns = [(layer, boxes) for layer, boxes in columns if boxes]
    most = max((len(boxes) for _, boxes in columns), default=0)
    notes = _notes(drawn)
    top = PAD + 50
    width = 2 * PAD + max(1, len(columns)) * (WIDTH + ACROSS)
    height = top + most * (HEIGHT + DOWN) + 18 * len(notes) + PAD
    parts = [label(PAD, PAD + 14, f"{drawn.name} · {drawn.region}", weight="bold", size=14)]
    places: dict[str, Rect] = {}
    for column, (layer, boxes) in enumerate(columns):
        x = PAD + column * (WIDTH + ACROSS)
        parts.append(label(x, PAD + 38, layer, size=11, colour="#5b6b7b"))
        for row, box in enumerate(boxes):
            places[box.id] = place = Rect(x, top + row * (HEIGHT + DOWN), WIDTH, HEIGHT)
            parts.append(rect(place, _FILLS[layer], "#44546a", dash=not box.is_own))
            where = f" · {drawn.vpcs.get(box.vpc_id, box.vpc_id)}" if box.vpc_id else ""
            parts.append(label(place.middle, place.y + 18, short(box.name, 30), anchor="middle"))
            parts.append(
                label(place.middle, place.y + 34, short(f"{box.type}{where}", 36), size=10,
                      anchor="middle", colour="#44546a")
            )  # fmt: skip
    ways: list[str] = []
    texts: list[str] = []
    of_source: Counter[tuple[str, bool]] = Counter()
    for one in drawn.arrows:
        source, target = places[one.source], places[one.target]
        ways.append(_way(source, target))
        side = (one.source, source.x > target.x)
        texts.append(_text(source, one.relation, of_source[side], is_left=side[1]))
        of_source[side] += 1
    for number, note in enumerate(notes):
        y = height - PAD - 18 * (len(notes) - 1 - number)
        parts.append(label(PAD, y, short(note, 160), colour="#b00020"))
    return document(width, height, "\n".join([*ways, *parts, *texts]))


def _way(source: Rect, target: Rect) -> str:
    """From the side of the source that faces the target to the side of the target."""
    y, y2 = source.y + source.height / 2, target.y + target.height / 2
    if source.x < target.x:
        x, x2, bend, bend2 = source.x + source.width, target.x, 70, -70
    elif source.x > target.x:
        x, x2, bend, bend2 = source.x, target.x + target.width, -70, 70
    else:
        x = x2 = source.x + source.width
        bend = bend2 = 40
    return path(f"M{x:.0f} {y:.0f} C{x + bend:.0f} {y:.0f} {x2 + bend2:.0f} {y2:.0f} "
                f"{x2:.0f} {y2:.0f}")  # fmt: skip


def _text(source: Rect, relation: str, number: int, *, is_left: bool) -> str:
    """What an arrow says, where it leaves its source; those of one side below each other."""
    y = source.y + source.height / 2 - 5 + 12 * number
    x = source.x - 6 if is_left else source.x + source.width + 6
    return halo(x, y, short(relation, 24), "end" if is_left else "start")


def _notes(drawn: ApplicationTopology) -> list[str]:
    left = ", ".join(f"{count} {kind}" for kind, count in drawn.left_out.items())
    said = [f"Left out: {left}"] if left else []
    return [*said, *([f"Not read: {'; '.join(drawn.unread)}"] if drawn.unread else [])]
