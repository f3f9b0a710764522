"""Many hospitals on one line: a mark for each, so that their spread is seen at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.reporting.charts.bars import Part
from server.reporting.charts.scale import Scale, ticks
from server.reporting.markup import Markup, joined, tag
from server.reporting.wording import plain


def strip(marks: Mapping[str, float], scale: Scale, look: str, mean: float | None, tips: Mapping[str, str]) -> Markup:
    """A thin mark a hospital and a bold one at the mean. scale: to percent of the width."""
    drawn = [_mark(tips.get(site, site), scale(value), look) for site, value in sorted(marks.items())]
    if mean is not None:
        drawn.append(tag("line", x1=_percent(scale(mean)), x2=_percent(scale(mean)), y1=0, y2=26, class_="mean"))
    base = tag("line", x1="0%", x2="100%", y1=13, y2=13, class_="grid")
    zero = _percent(scale(0.0)) if scale.low < 0 < scale.high else None
    zero_line = tag("line", x1=zero, x2=zero, y1=0, y2=26, class_="axis") if zero else None
    return tag("svg", base, zero_line, *drawn, class_="strip", role="img", aria_label=f"{len(marks)} hospitals")


def _mark(tip: str, place: float, look: str) -> Markup:
    return tag("rect", tag("title", tip), x=_percent(place), y=5, width=3, height=16, class_=f"mark {look} hit")


def strip_axis(scale: Scale, whole: bool = False) -> Markup:
    """The numbers under strips. whole: of what is counted."""
    marks = ticks(scale.low, scale.high, whole=whole)
    texts = (tag("text", plain(value), x=_percent(scale(value)), y=12, text_anchor="middle") for value in marks)
    return tag("svg", *texts, class_="strip-axis", aria_hidden="true")


def columns(stacks: Mapping[str, Sequence[Part]], tallest: float) -> Markup:
    """One thin stacked column a hospital, side by side; `tallest` fills the height."""
    width = 100 / max(len(stacks), 1)
    drawn = [_column(name, parts, k * width, width, tallest) for k, (name, parts) in enumerate(stacks.items())]
    return tag("svg", *drawn, class_="columns", role="img", aria_label=f"{len(stacks)} hospitals")


def _column(name: str, parts: Sequence[Part], x: float, width: float, tallest: float) -> Markup:
    rects, top = [], 100.0
    for part in parts:
        height = 100 * part.value / tallest if tallest > 0 else 0.0
        top -= height
        place = {"x": f"{x:.3f}%", "width": f"{0.86 * width:.3f}%", "y": f"{top:.3f}%", "height": f"{height:.3f}%"}
        rects.append(tag("rect", class_=f"fill {part.look}", **place))
    tip = "\n".join([name, *(f"{part.label}: {part.words}" for part in parts)])
    hit = tag("rect", tag("title", tip), x=f"{x:.3f}%", width=f"{width:.3f}%", height="100%", class_="hit column")
    return joined([*rects, hit])


def _percent(place: float) -> str:
    return f"{place:.2f}%"
