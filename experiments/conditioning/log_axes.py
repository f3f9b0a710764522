"""A chart of lines over two axes of powers of ten, as an SVG file that stands alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from server.reporting.charts.scale import Scale, spread
from server.reporting.markup import Markup, tag

WIDTH, HEIGHT = 640.0, 380.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 190.0, 34.0, 46.0
LABEL_GAP = 15.0
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#8a6d00", "#5b3fa0")
STYLE = "svg { background: #fff; font: 12.5px system-ui, sans-serif; } text { fill: #47515c; }"
MOST_TICKS = 9

Points = Sequence[tuple[float, float]]


def log_axes(lines: Mapping[str, Points], x_words: str, title: str) -> Markup:
    """lines: (x, y) by name; points that are not above zero or not finite are left out."""
    logs = {name: _logs(points) for name, points in lines.items()}
    every = [point for points in logs.values() for point in points]
    x = Scale(*_whole([at for at, _ in every]), LEFT, WIDTH - RIGHT)
    y = Scale(*_whole([value for _, value in every]), HEIGHT - BOTTOM, TOP)
    parts = [tag("style", STYLE), tag("text", title, x=LEFT, y=18), *_grid(x, y, x_words)]
    ends = spread([y(points[-1][1]) for points in logs.values()], LABEL_GAP, TOP, HEIGHT - BOTTOM)
    for index, (name, points) in enumerate(logs.items()):
        parts += _line(name, points, x, y, ends[index], COLOURS[index % len(COLOURS)])
    return tag(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        width=WIDTH,
        height=HEIGHT,
        role="img",
        aria_label=title,
    )


def _logs(points: Points) -> list[tuple[float, float]]:
    kept = [(at, value) for at, value in points if at > 0 and value > 0 and math.isfinite(value)]
    return [(math.log10(at), math.log10(value)) for at, value in kept] or [(0.0, 0.0)]


def _whole(values: Sequence[float]) -> tuple[float, float]:
    """Powers of ten about values, at least one decade."""
    low, high = math.floor(min(values) + 1e-9), math.ceil(max(values) - 1e-9)
    return float(low), float(max(high, low + 1))


def _grid(x: Scale, y: Scale, x_words: str) -> list[Markup]:
    parts = []
    for power in _powers(y):
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(power), y2=y(power), stroke="#e3e1dc"))
        parts.append(tag("text", _ten(power), x=LEFT - 8, y=y(power) + 4, text_anchor="end"))
    for power in _powers(x):
        parts.append(tag("text", _ten(power), x=x(power), y=HEIGHT - BOTTOM + 18, text_anchor="middle"))
    parts.append(tag("text", x_words, x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 8, text_anchor="middle"))
    return parts


def _powers(scale: Scale) -> range:
    low, high = int(scale.low), int(scale.high)
    return range(low, high + 1, max(1, math.ceil((high - low) / MOST_TICKS)))


def _ten(power: int) -> str:
    digits = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return "1" if power == 0 else f"10{digits}"


def _line(name: str, points: Points, x: Scale, y: Scale, label_y: float, colour: str) -> list[Markup]:
    path = "M" + "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in points)
    line = tag("path", d=path, stroke=colour, fill="none", stroke_width=1.8)
    return [line, tag("text", name, x=x(points[-1][0]) + 8, y=label_y + 4, fill=colour, style=f"fill: {colour}")]
