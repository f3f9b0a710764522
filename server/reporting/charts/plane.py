"""Curves and points over two measured axes: calibration, ROC and decision curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.reporting.charts.scale import Scale, ticks
from server.reporting.markup import Child, Markup, joined, tag
from server.reporting.wording import plain

WIDTH, HEIGHT = 490.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 14.0, 12.0, 44.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """look: CSS class that gives its colour."""

    points: Sequence[Point]
    look: str


@dataclass(frozen=True)
class Spot:
    """One point with the interval of its y, a size of its mark, and what a tip says of it."""

    x: float
    y: float
    look: str
    tip: str
    interval: Point | None = None
    radius: float = 4.0


@dataclass(frozen=True)
class Area:
    """Between two curves of equal x: (x, low, high)."""

    rows: Sequence[tuple[float, float, float]]
    look: str


@dataclass(frozen=True)
class Plane:
    """Limits of the axes and their words."""

    x: Point
    y: Point
    x_word: str
    y_word: str


def plane(
    axes: Plane,
    *,
    describe: str,
    curves: Sequence[Curve] = (),
    spots: Sequence[Spot] = (),
    areas: Sequence[Area] = (),
) -> Markup:
    """One chart; what lies beyond the axes is cut off at them. describe: what it shows, for who cannot see it."""
    x, y = Scale(*axes.x, LEFT, WIDTH - RIGHT), Scale(*axes.y, HEIGHT - BOTTOM, TOP)
    return tag(
        "svg",
        _axes(axes, x, y),
        *(_area(one, x, y) for one in areas),
        *(_curve(one, x, y) for one in curves),
        *(_spot(one, x, y) for one in spots),
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        class_="chart",
        role="img",
        aria_label=describe,
    )


def _axes(axes: Plane, x: Scale, y: Scale) -> Markup:
    parts: list[Child] = []
    for value in ticks(y.low, y.high):
        parts.append(tag("line", x1=x.start, x2=x.end, y1=y(value), y2=y(value), class_="grid"))
        parts.append(tag("text", plain(value), x=LEFT - 7, y=y(value) + 4, text_anchor="end"))
    for value in ticks(x.low, x.high):
        parts.append(tag("text", plain(value), x=x(value), y=y.start + 17, text_anchor="middle"))
    parts.append(tag("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis"))
    middle_x, middle_y = (x.start + x.end) / 2, (y.start + y.end) / 2
    parts.append(tag("text", axes.x_word, x=middle_x, y=HEIGHT - 6, text_anchor="middle", class_="axis-word"))
    turned = {"transform": f"rotate(-90 14 {middle_y:g})", "text_anchor": "middle", "class_": "axis-word"}
    parts.append(tag("text", axes.y_word, x=14, y=middle_y, **turned))
    return joined(parts)


def _curve(one: Curve, x: Scale, y: Scale) -> Markup:
    places = [f"{_inside(x, px):.1f} {_inside(y, py):.1f}" for px, py in one.points]
    return tag("path", d="M" + "L".join(places), class_=f"line {one.look}") if places else joined([])


def _area(one: Area, x: Scale, y: Scale) -> Markup:
    there = [f"{_inside(x, px):.1f} {_inside(y, high):.1f}" for px, _, high in one.rows]
    back = [f"{_inside(x, px):.1f} {_inside(y, low):.1f}" for px, low, _ in reversed(one.rows)]
    return tag("path", d=f"M{' L'.join(there + back)}Z", class_=f"band {one.look}") if there else joined([])


def _spot(one: Spot, x: Scale, y: Scale) -> Markup:
    place = _inside(x, one.x)
    bar: Child = None
    if one.interval is not None:
        ends = {"y1": _inside(y, one.interval[0]), "y2": _inside(y, one.interval[1])}
        bar = tag("line", x1=place, x2=place, class_=f"line {one.look}", **ends)
    mark = tag(
        "circle", tag("title", one.tip), cx=place, cy=_inside(y, one.y), r=one.radius, class_=f"dot {one.look} hit"
    )
    return joined([bar, mark])


def _inside(scale: Scale, value: float) -> float:
    return scale(min(max(value, scale.low), scale.high))
