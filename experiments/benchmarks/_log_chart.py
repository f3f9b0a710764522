"""A small chart as an SVG file: values against a quantity on a log axis, a dotted line for the bar."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from server.reporting.charts.scale import Scale, extent, ticks
from server.reporting.markup import Markup, tag
from server.reporting.wording import plain

WIDTH, HEIGHT = 560.0, 360.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 150.0, 34.0, 46.0
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
STYLE = "svg { background: #fff; font: 12.5px system-ui, sans-serif; } text { fill: #47515c; }"

Points = Sequence[tuple[float, float]]


def log_chart(
    lines: Mapping[str, Points], bar: float | None, x_words: str, title: str, bar_words: str = "no noise"
) -> Markup:
    """lines: (x, y) by name, x above 0. bar: a value to compare with, such as that without any noise, if any."""
    exponents = [math.log10(x) for points in lines.values() for x, _ in points]
    values = [y for points in lines.values() for _, y in points] + ([] if bar is None else [bar])
    x = Scale(min(exponents) - 0.1, max(exponents) + 0.1, LEFT, WIDTH - RIGHT)
    y = Scale(*extent(values), HEIGHT - BOTTOM, TOP)
    parts = [tag("style", STYLE), tag("text", title, x=LEFT, y=18), *_axes(lines, x, y, x_words)]
    if bar is not None:
        parts.append(_line([(x.low, bar), (x.high, bar)], x, y, "#7d8590", dashes="2 4"))
        parts.append(tag("text", bar_words, x=x(x.high) + 6, y=y(bar) + 4))
    for (name, points), colour in zip(lines.items(), COLOURS, strict=False):
        parts += _named_line(name, sorted(points), x, y, colour)
    return tag(
        "svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}", width=2 * WIDTH
    )


def _axes(lines: Mapping[str, Points], x: Scale, y: Scale, x_words: str) -> list[Markup]:
    parts = []
    for value in ticks(y.low, y.high):
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(value), y2=y(value), stroke="#e3e1dc"))
        parts.append(tag("text", plain(value), x=LEFT - 8, y=y(value) + 4, text_anchor="end"))
    for value in sorted({point for points in lines.values() for point, _ in points}):
        parts.append(tag("text", plain(value), x=x(math.log10(value)), y=HEIGHT - BOTTOM + 18, text_anchor="middle"))
    parts.append(tag("text", x_words, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 8, text_anchor="middle"))
    return parts


def _named_line(name: str, points: Points, x: Scale, y: Scale, colour: str) -> list[Markup]:
    logs = [(math.log10(at), value) for at, value in points]
    dots = [tag("circle", cx=x(at), cy=y(value), r=3.5, fill=colour) for at, value in logs]
    label = tag("text", name, x=x(logs[-1][0]) + 8, y=y(logs[-1][1]) + 4, fill=colour)
    return [_line(logs, x, y, colour), *dots, label]


def _line(points: Points, x: Scale, y: Scale, colour: str, dashes: str | None = None) -> Markup:
    path = "M" + "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in points)
    return tag("path", d=path, stroke=colour, fill="none", stroke_width=1.8, stroke_dasharray=dashes)
