"""Values with their intervals in rows, on one scale, beside a line for what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from server.reporting.charts.bars import row
from server.reporting.charts.scale import Scale, extent
from server.reporting.charts.strip import strip_axis
from server.reporting.markup import Markup, tag

HEIGHT, MIDDLE = 26, 13
LARGEST_RATIO, MOST_MARKS = 1e4, 6


@dataclass(frozen=True)
class Estimate:
    """One row. low, high: its interval; None where none is known. look: CSS class that gives its colour."""

    name: str
    value: float
    low: float | None
    high: float | None
    look: str = "federated"
    note: str = ""


def forest(estimates: Sequence[Estimate], words: Callable[[float], str], at: float | None = None) -> Markup:
    """All rows and the axis under them. at: where the line stands that all are compared with, such as 0."""
    ends = [end for one in estimates for end in (one.value, one.low, one.high) if end is not None]
    scale = Scale(*extent([*ends, *([] if at is None else [at])]), 0, 100)
    rows = [row(one.name, _drawn(one, scale, words, at), note=one.note) for one in estimates]
    return tag("div", *rows, row("", strip_axis(scale)), class_="rows strips")


def forest_of_ratios(estimates: Sequence[Estimate], words: Callable[[float], str]) -> Markup:
    """The same on a logarithmic axis, where half and twice are as far from the line at 1."""
    ends = [_power(end) for one in estimates for end in (one.value, one.low, one.high) if end is not None]
    low, high = min(*ends, -0.1), max(*ends, 0.1)
    linear = Scale(low - 0.03 * (high - low), high + 0.03 * (high - low), 0, 100)

    def scale(value: float) -> float:
        return linear(_power(value))

    rows = [row(one.name, _drawn(one, scale, words, 1.0), note=one.note) for one in estimates]
    texts = [
        tag("text", f"{mark:g}", x=_percent(scale(mark)), y=12, text_anchor="middle")
        for mark in _ratio_marks(linear.low, linear.high)
    ]
    return tag(
        "div", *rows, row("", tag("svg", *texts, class_="strip-axis", aria_hidden="true")), class_="rows strips"
    )


def _power(ratio: float) -> float:
    """Of ten, within what is drawn."""
    return log10(min(max(ratio, 1 / LARGEST_RATIO), LARGEST_RATIO))


def _ratio_marks(low: float, high: float) -> list[float]:
    """Round ratios between two powers of ten, about six at most: 1, 2 and 5, or powers alone."""
    powers = range(floor(low), ceil(high) + 1)
    for factors in ((1, 1.2, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        marks = [factor * 10.0**power for power in powers for factor in factors]
        inside = [mark for mark in marks if low <= log10(mark) <= high]
        if len(inside) <= MOST_MARKS:
            return inside
    return inside[:: -(-len(inside) // MOST_MARKS)]


def _drawn(one: Estimate, scale: Callable[[float], float], words: Callable[[float], str], at: float | None) -> Markup:
    tip = f"{one.name}: {words(one.value)}" + (
        f" ({words(one.low)} to {words(one.high)})" if one.low is not None and one.high is not None else ""
    )
    parts = [tag("line", x1="0%", x2="100%", y1=MIDDLE, y2=MIDDLE, class_="grid")]
    if at is not None:
        parts.append(tag("line", x1=_percent(scale(at)), x2=_percent(scale(at)), y1=0, y2=HEIGHT, class_="axis"))
    if one.low is not None and one.high is not None:
        parts.append(_whisker(scale(one.low), scale(one.high), one.look))
    parts.append(tag("circle", tag("title", tip), cx=_percent(scale(one.value)), cy=MIDDLE, r=5, class_=_look(one)))
    return tag("svg", *parts, class_="strip", role="img", aria_label=tip)


def _whisker(left: float, right: float, look: str) -> Markup:
    return tag(
        "rect", x=_percent(left), width=_percent(max(right - left, 0.2)), y=11, height=4, class_=f"mark {look}"
    )


def _look(one: Estimate) -> str:
    return f"dot {one.look} hit"


def _percent(place: float) -> str:
    return f"{place:.2f}%"
