"""The lineage graph as inline SVG: boxes in columns, lines between neighbours. Colours come from the page's classes."""

from __future__ import annotations

from html import escape

from mace_gov.report.graph import Graph, Node

WIDTH, HEIGHT, GAP_X, GAP_Y = 146, 72, 22, 12
"""A box's size and the room between boxes, in pixels."""
LONGEST = {"name": 18, "detail": 21}
"""Letters that fit into a box; what is longer is cut, and stands in full in the box's title."""


def lineage_svg(graph: Graph) -> str:
    """The graph as one SVG element; all text is escaped."""
    tallest = max(len(column) for column in graph.columns)
    height = tallest * (HEIGHT + GAP_Y) - GAP_Y
    width = len(graph.columns) * (WIDTH + GAP_X) - GAP_X
    places = [[(x * (WIDTH + GAP_X), _top(y, len(column), height)) for y in range(len(column))]
              for x, column in enumerate(graph.columns)]
    body = [_line(start, end) for left, right in zip(places, places[1:], strict=False) for start in left
            for end in right]
    body += [_box(node, *place) for column, spots in zip(graph.columns, places, strict=True)
             for node, place in zip(column, spots, strict=True)]
    words = ", then ".join(" and ".join(f"{node.kind} {node.name}" for node in column) for column in graph.columns)
    return (
        f'<svg class="lineage" role="img" aria-label="{escape(words)}" viewBox="-1 -1 {width + 2} {height + 2:g}" '
        f'width="{width + 2}" height="{height + 2:g}">{"".join(body)}</svg>'
    )


def _top(place: int, of: int, height: float) -> float:
    """Upper edge of a box in a column whose boxes stand centred."""
    return (height - (of * (HEIGHT + GAP_Y) - GAP_Y)) / 2 + place * (HEIGHT + GAP_Y)


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + WIDTH, start[1] + HEIGHT / 2, end[0], end[1] + HEIGHT / 2
    middle = (x1 + x2) / 2
    return f'<path class="link" d="M{x1:g} {y1:g}C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"/>'


def _box(node: Node, x: float, y: float) -> str:
    mood = f" {node.outcome.value.lower()}" if node.outcome else ""
    full = " ".join(part for part in (node.kind, node.name, node.detail, node.digest) if part)
    rows = [("kind", node.kind, 16), ("name", _cut(node.name, LONGEST["name"]), 33),
            ("detail", _cut(node.detail, LONGEST["detail"]), 48),
            ("digest", node.digest[:12] if node.digest else "", 63)]
    text = "".join(
        f'<text class="{name}" x="{x + 9:g}" y="{y + down:g}">{escape(said)}</text>'
        for name, said, down in rows if said
    )
    return (
        f'<g class="node{mood}"><title>{escape(full)}</title>'
        f'<rect x="{x:g}" y="{y:g}" width="{WIDTH}" height="{HEIGHT}" rx="4"/>{text}</g>'
    )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest - 1].rstrip()}…"
