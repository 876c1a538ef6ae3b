"""What SVG pictures are made of: boxes, texts, arrows. Text of other people's making is escaped."""

from dataclasses import dataclass
from html import escape

PAD = 16
"""Pixels around a picture."""


@dataclass(frozen=True)
class Rect:
    """A place on the sheet, in pixels from its upper left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The x of its middle."""
        return self.x + self.width / 2


def document(width: float, height: float, body: str) -> str:
    """A whole picture of that size in pixels."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="DejaVu Sans, Helvetica, sans-serif" '
        f'font-size="12">\n<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" '
        f'markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" '
        f'fill="#44546a"/></marker></defs>\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f"{body}\n</svg>\n"
    )


def path(way: str) -> str:
    """An arrow along an SVG path."""
    return (
        f'<path d="{way}" fill="none" stroke="#44546a" stroke-width="1.4" marker-end="url(#tip)"/>'
    )


def halo(x: float, y: float, text: str, anchor: str = "end") -> str:
    """A label beside an arrow, readable on what it crosses."""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="10" text-anchor="{anchor}" fill="#1f2d3d" '
        f'stroke="#ffffff" stroke-width="3" paint-order="stroke">{escape(text)}</text>'
    )


def rect(box: Rect, fill: str, line: str, *, dash: bool) -> str:
    """A box with round corners."""
    dashes = ' stroke-dasharray="5 4"' if dash else ""
    return (
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" '
        f'rx="6" fill="{fill}" stroke="{line}"{dashes}/>'
    )


def label(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    anchor: str = "start",
    weight: str = "normal",
    colour: str = "#1f2d3d",
) -> str:
    """A text; `anchor` is the end of it that is at x."""
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" '
        f'font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
    )


def short(text: str, room: int) -> str:
    """A text cut to so many characters."""
    return text if len(text) <= room else text[: room - 1] + "…"
