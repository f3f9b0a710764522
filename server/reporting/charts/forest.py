"""Values with their intervals in rows, on one scale, beside a line for what they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from server.reporting.charts.bars import row
from server.reporting.charts.scale import Scale, extent
from server.reporting.charts.strip import strip_axis
from server.reporting.markup import Markup, tag

HEIGHT, MIDDLE = 26, 13


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


def _drawn(one: Estimate, scale: Scale, words: Callable[[float], str], at: float | None) -> Markup:
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
