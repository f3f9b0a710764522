"""How a number is spread over many hospitals: a column stands for all whose value lies within its ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from server.reporting.charts.scale import Scale
from server.reporting.markup import Markup, joined, tag
from server.reporting.wording import count

BINS = 40


def histogram(
    values: Sequence[float], scale: Scale, look: str, tell: Callable[[float, float], str], bins: int = BINS
) -> Markup:
    """Columns side by side, the tallest of which fills the height. scale: to percent of the width. tell: of two ends.

    Empty columns are not drawn; a line stands at the mean.
    """
    edges = np.linspace(scale.low, scale.high, bins + 1)
    held, _ = np.histogram(values, edges)
    most = max(int(held.max()), 1)
    drawn = [
        _column(scale(low), scale(high), number / most, look, f"{tell(low, high)}: {count(int(number), 'hospital')}")
        for (low, high), number in zip(pairwise(edges.tolist()), held.tolist(), strict=True)
        if number
    ]
    mean = f"{scale(float(np.mean(values))):.2f}%" if len(values) else None
    line = tag("line", x1=mean, x2=mean, y1="0%", y2="100%", class_="mean") if mean else None
    return tag("svg", *drawn, line, class_="columns histogram", role="img", aria_label=count(len(values), "hospital"))


def tallest(values: Sequence[float], scale: Scale, bins: int = BINS) -> int:
    """How many values the tallest column stands for."""
    held, _ = np.histogram(values, np.linspace(scale.low, scale.high, bins + 1))
    return int(held.max())


def _column(left: float, right: float, height: float, look: str, tip: str) -> Markup:
    place = {"x": f"{left:.2f}%", "width": f"{right - left:.2f}%"}
    bar = tag("rect", y=f"{100 - 100 * height:.2f}%", height=f"{100 * height:.2f}%", class_=f"fill {look}", **place)
    return joined([bar, tag("rect", tag("title", tip), height="100%", class_="hit column", **place)])
