"""Pictures that only an audit has: ROC curves on log axes, and promised beside measured epsilon."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from experiments.audit.records import Interval
from server.reporting.charts.scale import Scale, extent, ticks
from server.reporting.markup import Markup, tag
from server.reporting.wording import plain

WIDTH, HEIGHT = 460.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 16.0, 12.0, 46.0
LOWEST_RATE = 1e-3
LOOKS = tuple(f"c{index}" for index in range(1, 9))


def roc_chart(curves: Mapping[str, Sequence[tuple[float, float]]]) -> Markup:
    """True against false positive rate, both logarithmic from 0.1 % to 1; the diagonal is guessing."""
    x = Scale(math.log10(LOWEST_RATE), 0.0, LEFT, WIDTH - RIGHT)
    y = Scale(math.log10(LOWEST_RATE), 0.0, HEIGHT - BOTTOM, TOP)
    lines = [
        _line([(x(_log(false)), y(_log(true))) for false, true in points], LOOKS[index % len(LOOKS)], name)
        for index, (name, points) in enumerate(curves.items())
    ]
    guess = tag("line", x1=x(x.low), y1=y(y.low), x2=x(0.0), y2=y(0.0), class_="axis", stroke_dasharray="4 4")
    label = f"True against false positive rate of {', '.join(curves)}; logarithmic axes."
    return _svg(HEIGHT, label, *_log_axes(x, y), guess, *lines)


def epsilon_chart(rows: Sequence[tuple[str, float | None, Interval | None]]) -> Markup:
    """A line a hospital: a bar from the measured lower bound to the promised epsilon, which it must not pass."""
    height = 34.0 * len(rows) + TOP + BOTTOM
    found = [promised for _, promised, _ in rows if promised is not None]
    found += [edge for _, _, measured in rows if measured is not None for edge in (measured.low, measured.value)]
    x = Scale(0.0, max(extent([0.0, *found])[1], 1e-6), 170.0, WIDTH - RIGHT)
    parts: list[Markup] = []
    for value in ticks(0.0, x.high):
        parts.append(tag("line", x1=x(value), x2=x(value), y1=TOP, y2=height - BOTTOM, class_="grid"))
        parts.append(tag("text", plain(value), x=x(value), y=height - BOTTOM + 18, text_anchor="middle"))
    for index, (name, promised, measured) in enumerate(rows):
        parts += _epsilon_row(TOP + 34.0 * index + 17, name, promised, measured, x)
    parts.append(tag("text", "epsilon", x=WIDTH - RIGHT, y=height - 6, text_anchor="end"))
    return _svg(height, "Measured lower bounds of epsilon beside the promised ones", *parts)


def _epsilon_row(y: float, name: str, promised: float | None, measured: Interval | None, x: Scale) -> list[Markup]:
    parts = [tag("text", name[:24], x=160.0, y=y + 4, text_anchor="end")]
    if measured is not None:
        over = promised is not None and measured.low > promised
        look = "c6" if over else "c1"
        width = max(x(measured.low) - x(0.0), 1.5)
        parts.append(tag("rect", x=x(0.0), y=y - 6, width=width, height=12, class_=f"fill {look}"))
        parts.append(tag("circle", cx=x(measured.value), cy=y, r=4, class_=f"fill {look}"))
    if promised is not None:
        parts.append(tag("line", x1=x(promised), x2=x(promised), y1=y - 12, y2=y + 12, class_="mean"))
    return parts


def _log(rate: float) -> float:
    return math.log10(max(rate, LOWEST_RATE))


def _log_axes(x: Scale, y: Scale) -> list[Markup]:
    parts: list[Markup] = []
    for power, words in ((-3, "0.1 %"), (-2, "1 %"), (-1, "10 %"), (0, "100 %")):
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(power), y2=y(power), class_="grid"))
        parts.append(tag("line", x1=x(power), x2=x(power), y1=TOP, y2=HEIGHT - BOTTOM, class_="grid"))
        parts.append(tag("text", words, x=LEFT - 6, y=y(power) + 4, text_anchor="end"))
        anchor = "end" if power == 0 else "middle"
        parts.append(tag("text", words, x=x(power), y=HEIGHT - BOTTOM + 18, text_anchor=anchor))
    where = (LEFT + WIDTH - RIGHT) / 2
    parts.append(tag("text", "wrongly called members", x=where, y=HEIGHT - 8, text_anchor="middle"))
    return parts


def _line(points: Sequence[tuple[float, float]], look: str, name: str) -> Markup:
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return tag("path", tag("title", name), d=path, class_=f"line {look}")


def _svg(height: float, label: str, *parts: Markup) -> Markup:
    box = f"0 0 {WIDTH:g} {height:g}"
    return tag("svg", *parts, viewBox=box, class_="chart", role="img", aria_label=label)
