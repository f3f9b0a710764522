"""A causal graph as a picture: arrows from left to right, dashed bows for common causes that nobody measured."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

from common.causality.graph import Arrow, Graph, Names
from server.reporting.charts.layered import Item, Layers, layers_of
from server.reporting.markup import Markup, tag

LETTER, PADDING, BOX = 8.2, 26, 34
COLUMN_GAP, ROW_GAP, MARGIN = 74, 64, 12
BOW, BOW_SHARE, BOW_REACH = 30, 0.16, 0.75
"""How far a bow rises, and more by its width; the curve reaches this share of its handles."""


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def right(self) -> float:
        return self.x + self.width / 2


def causal_graph(
    graph: Graph, looks: Mapping[str, str], said: str, cut: Collection[Arrow] = (), strong: Collection[Names] = ()
) -> Markup:
    """looks: CSS classes of nodes. cut: arrows drawn as taken away. strong: double arrows that stand out.

    said: what the picture shows, for those who do not see it.
    """
    boxes = _placed(layers_of(graph))
    layers = layers_of(graph)
    parts = [_arrow(arrow, boxes, layers, arrow in cut) for arrow in sorted(graph.arrows)]
    bows = [_bow(sorted_pair, boxes, frozenset(sorted_pair) in strong) for sorted_pair in _pairs(graph)]
    nodes = [_node(name, boxes[name], looks.get(name, "")) for name in graph.nodes]
    heights = [edge for _, low, high in bows for edge in (low, high)]
    ends = [edge for box in boxes.values() for edge in (box.y - BOX / 2, box.y + BOX / 2)] + heights
    top, bottom = min(ends, default=0.0) - MARGIN, max(ends, default=0.0) + MARGIN
    width = max((box.right for box in boxes.values()), default=0.0) + MARGIN
    return tag(
        "svg",
        _markers(),
        *parts,
        *(drawn for drawn, _, _ in bows),
        *nodes,
        viewBox=f"0 {top:.1f} {width:.1f} {bottom - top:.1f}",
        width=round(width),
        height=round(bottom - top),
        class_="causal",
        role="img",
        aria_label=said,
    )


def said_of(graph: Graph) -> str:
    """A graph in words."""
    arrows = [f"{one} causes {other}" for one, other in sorted(graph.arrows)]
    pairs = [f"{' and '.join(graph.sorted(pair))} have an unmeasured common cause" for pair in graph.pairs]
    return "; ".join(arrows + sorted(pairs))


def _pairs(graph: Graph) -> list[tuple[str, ...]]:
    return sorted((graph.sorted(pair) for pair in graph.pairs), key=lambda pair: [graph.nodes.index(n) for n in pair])


def _placed(layers: Layers) -> dict[Item, _Box]:
    found: dict[Item, _Box] = {}
    left = float(MARGIN)
    for column in layers.columns:
        width = max((_width(item) for item in column), default=0.0)
        for index, item in enumerate(column):
            y = (index - (len(column) - 1) / 2) * ROW_GAP
            found[item] = _Box(left + width / 2, y, _width(item))
        left += width + COLUMN_GAP
    return found


def _width(item: Item) -> float:
    return PADDING + LETTER * len(item) if isinstance(item, str) else 0.0


def _node(name: str, box: _Box, look: str) -> Markup:
    frame = tag("rect", x=box.left, y=box.y - BOX / 2, width=box.width, height=BOX, rx=BOX / 2, class_=f"node {look}")
    return tag("g", frame, tag("text", name, x=box.x, y=box.y, text_anchor="middle", class_=f"named {look}"))


def _arrow(arrow: Arrow, boxes: Mapping[Item, _Box], layers: Layers, cut: bool) -> Markup:
    start, end = boxes[arrow[0]], boxes[arrow[1]]
    bends = [(boxes[bend].x, boxes[bend].y) for bend in layers.bends(arrow)]
    points = [(start.right, start.y), *bends, (end.left - 5, end.y)]
    path = f"M {points[0][0]:.1f} {points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        path += f" C {middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    title = tag("title", f"{arrow[0]} → {arrow[1]}{', cut' if cut else ''}")
    return tag(
        "path", title, d=path, class_="cause cut" if cut else "cause", marker_end="url(#cut)" if cut else "url(#head)"
    )


def _bow(pair: tuple[str, ...], boxes: Mapping[Item, _Box], strong: bool) -> tuple[Markup, float, float]:
    """The bow, and how high and low it reaches; on the side where fewer nodes are in its way."""
    one, other = sorted((boxes[name] for name in pair), key=lambda box: (box.x, box.y))
    if one.x == other.x:
        path, ends = _side_bow(one, other), (one.y, other.y)
    else:
        side = -1 if _in_the_way(one, other, boxes, -1) <= _in_the_way(one, other, boxes, 1) else 1
        reach = BOW + BOW_SHARE * (other.x - one.x)
        y0, y1 = one.y + side * BOX / 2, other.y + side * (BOX / 2 + 5)
        handle = (min(y0, y1) if side < 0 else max(y0, y1)) + side * reach
        x0, x1 = one.x, other.x
        path = f"M {x0:.1f} {y0 + side * 5:.1f} C {x0:.1f} {handle:.1f} {x1:.1f} {handle:.1f} {x1:.1f} {y1:.1f}"
        far = min(y0, y1) + side * reach * BOW_REACH if side < 0 else max(y0, y1) + reach * BOW_REACH
        ends = (min(far, one.y), max(far, one.y))
    title = tag("title", f"{pair[0]} ↔ {pair[1]}: a common cause that nobody measured")
    look = "bow strong" if strong else "bow"
    end = "url(#bow-strong)" if strong else "url(#bow)"
    return tag("path", title, d=path, class_=look, marker_start=end, marker_end=end), *ends


def _in_the_way(one: _Box, other: _Box, boxes: Mapping[Item, _Box], side: int) -> int:
    """How many nodes a bow on this side would pass, above (-1) or below: between its ends, and beyond either."""
    found = 0
    for box in (box for name, box in boxes.items() if isinstance(name, str) and one.x <= box.x <= other.x):
        ends = [end.y for end in (one, other) if box.x == end.x] or [one.y, other.y]
        found += any(side * (box.y - end) > 0 for end in ends) or (one.x < box.x < other.x and box.y in ends)
    return found


def _side_bow(one: _Box, other: _Box) -> str:
    """Between two of a column."""
    handle = max(one.right, other.right) + BOW
    return (
        f"M {one.right + 5:.1f} {one.y:.1f} C {handle:.1f} {one.y:.1f} {handle:.1f} {other.y:.1f} "
        f"{other.right + 5:.1f} {other.y:.1f}"
    )


def _markers() -> Markup:
    looks = {"head": "of-cause", "cut": "of-cut", "bow": "of-bow", "bow-strong": "of-strong"}
    return tag("defs", *(_marker(name, look) for name, look in looks.items()))


def _marker(name: str, look: str) -> Markup:
    head = tag("path", d="M 0 0 L 8 4 L 0 8 z", class_=look)
    return tag(
        "marker",
        head,
        id=name,
        viewBox="0 0 8 8",
        refX=4,
        refY=4,
        markerWidth=8,
        markerHeight=8,
        orient="auto-start-reverse",
        markerUnits="userSpaceOnUse",
    )
