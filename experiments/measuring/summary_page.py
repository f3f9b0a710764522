"""What all cases come to, for a page: a table with intervals, every case as a dot, and the curve of chances."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from common.metrics.calibration import CalibrationBin, expected_error
from common.metrics.definitions import METRICS
from common.metrics.pair import Settings
from experiments.measuring.metrics_table import Row
from experiments.measuring.summaries import Line

STYLE = """
table.all { border-collapse: collapse; font-size: 14px; }
table.all td, table.all th { padding: 3px 12px 3px 0; text-align: right; white-space: nowrap; }
table.all td, table.all th { border-bottom: 1px solid #d0d7de; }
table.all th { color: #57606a; font-weight: normal; }
table.all td.word, table.all th.word { text-align: left; white-space: normal; min-width: 4rem; }
.told { color: #57606a; margin: 0 0 .4rem; }
svg text { font: 12px system-ui, sans-serif; fill: #57606a; }
"""
EXPLAINED = (
    "95 %: the interval of the mean (bootstrap over patients): where other patients of the same kind "
    "would put it. The median and the quartiles (a quarter of the cases lies below, a quarter above) are not moved "
    "by a few bad cases. A figure is <i>not defined</i> where there is nothing to measure, as where neither outline "
    "has the structure; it is <i>infinite</i> where one of them lacks it: missed or invented. Such cases are counted "
    "here, and never left out unsaid."
)
DOT, INFINITE, MIDDLE = "#4682b4", "#e66100", "#1b1f24"
OF_ONE: tuple[str, ...] = ("figure", "what it is", "label", "value")
OF_MANY: tuple[str, ...] = (
    *("figure", "what it is", "label", "mean", "95 %", "median", "quartiles", "sd", "cases"),
    *("not defined", "infinite", "worst cases"),
)
WIDTH, LEFT, RIGHT = 620.0, 150.0, 60.0
MOST_LINES = 60


def section(
    rows: Sequence[Row],
    lines: Sequence[Line],
    settings: Settings,
    curves: Sequence[tuple[str, tuple[CalibrationBin, ...]]],
) -> str:
    """HTML; of a single case its figures alone."""
    several = len({row.case for row in rows}) > 1
    parts = [f"<h2>{'All cases' if several else 'Figures'}</h2>", _table(lines, several)]
    if several:
        parts.append(f"<p>{EXPLAINED}</p>{_dots(rows, lines)}")
    if curves:
        parts.append("<h2>Whether chances are what happens</h2>")
        parts.append(curve([one for _, bins in curves for one in bins], settings.bins, "voxels"))
    return "".join(parts)


def spelled(value: float) -> str:
    """Three places; a dash where not defined, a sign where infinite."""
    return "-" if math.isnan(value) else "∞" if math.isinf(value) else f"{value:.3f}"


def _table(lines: Sequence[Line], several: bool) -> str:
    heads = OF_MANY if several else OF_ONE
    head = "".join(f"<th{_words(name)}>{name}</th>" for name in heads)
    body = "".join(f"<tr>{_cells(line, several)}</tr>" for line in lines[: MOST_LINES * 5])
    return f'<table class="all"><tr>{head}</tr>{body}</table>'


def _words(name: str) -> str:
    return ' class="word"' if name in {"figure", "what it is", "worst cases"} else ""


def _cells(line: Line, several: bool) -> str:
    one, metric = line.summary, METRICS[line.metric]
    first = [
        f"<td{_words('figure')}>{escape(metric.heading)}</td><td{_words('figure')}>{escape(metric.meaning)}</td>"
    ]
    values = [str(line.label), spelled(one.mean)]
    if several:
        values += [
            _interval(one.mean_interval),
            spelled(one.median),
            _interval(one.quartiles),
            spelled(one.deviation),
        ]
        values += [str(one.cases), str(one.undefined), str(one.infinite)]
    first += [f"<td>{value}</td>" for value in values]
    if several:
        worst = ", ".join(f"{escape(case)} ({spelled(value)})" for case, value in line.worst[:3])
        first.append(f"<td{_words('worst cases')}>{worst or '-'}</td>")
    return "".join(first)


def _interval(ends: tuple[float, float]) -> str:
    return "-" if math.isnan(ends[0]) else f"{spelled(ends[0])} to {spelled(ends[1])}"


def _dots(rows: Sequence[Row], lines: Sequence[Line]) -> str:
    """A line of dots for each figure and label, each on a scale of its own."""
    shown = lines[:MOST_LINES]
    drawn = "".join(_strip(rows, line, 26.0 * place) for place, line in enumerate(shown))
    height = 26.0 * len(shown) + 6
    return (
        "<h2>Every case</h2><p>A dot is a case (point at it for its name), from the least to the largest value of "
        f'its line; the bar is the median. <span style="color: {INFINITE}">Orange</span>, at the end: infinite.</p>'
        f'<svg viewBox="0 0 {WIDTH + 60:g} {height:g}" width="{WIDTH + 60:g}" height="{height:g}" role="img" '
        f'aria-label="Every case of every figure">{drawn}</svg>'
    )


def _strip(rows: Sequence[Row], line: Line, top: float) -> str:
    values = [(row.case, row.figures[line.metric]) for row in rows if row.label == line.label]
    finite = [value for _, value in values if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    middle = top + 14

    def across(value: float) -> float:
        if math.isinf(value):
            return WIDTH
        return LEFT + 60 + (WIDTH - RIGHT - LEFT - 90) * ((value - low) / (high - low) if high > low else 0.5)

    dots = "".join(
        f'<circle cx="{across(value):.1f}" cy="{middle:g}" r="4" fill="{INFINITE if math.isinf(value) else DOT}" '
        f'fill-opacity=".55"><title>{escape(case)}: {spelled(value)}</title></circle>'
        for case, value in values
        if not math.isnan(value)
    )
    median = line.summary.median
    bar = (
        ""
        if math.isnan(median)
        else f'<path stroke="{MIDDLE}" stroke-width="2" d="M{across(median):.1f} {top + 5:g}v18"/>'
    )
    ends = (
        f'<text x="{LEFT + 48:g}" y="{top + 18:g}" text-anchor="end">{spelled(low)}</text>'
        f'<text x="{WIDTH - 78:g}" y="{top + 18:g}">{spelled(high)}</text>'
        if finite
        else ""
    )
    name = f"{METRICS[line.metric].heading}, {line.label}"
    return f'<text x="0" y="{top + 18:g}">{escape(name)}</text>{ends}{dots}{bar}'


def curve(bins: Sequence[CalibrationBin], count: int, unit: str) -> str:
    """Reliability of all that is counted, in so many bins: predicted chance to the right, share that is so upwards.

    bins: of one case or of many. unit: what is counted, in the plural.
    """
    joined = _joined(bins, count)
    dots = "".join(
        f'<circle cx="{_x(one.predicted):.1f}" cy="{_y(one.observed):.1f}" r="5" fill="{DOT}"><title>'
        f"{one.cases:.0f} {unit}: predicted {one.predicted:.3f}, observed {one.observed:.3f}</title></circle>"
        for one in joined
    )
    way = "L".join(f"{_x(one.predicted):.1f} {_y(one.observed):.1f}" for one in joined)
    ticks = "".join(
        f'<text x="{_x(at):g}" y="{_y(0) + 18:g}" text-anchor="middle">{at:g}</text>'
        f'<text x="{_x(0) - 8:g}" y="{_y(at) + 4:g}" text-anchor="end">{at:g}</text>'
        for at in (0.0, 0.5, 1.0)
    )
    return (
        f"<p>All {unit} by predicted chance, in {count} bins: on the dashed line a chance of 0.7 is right seven "
        "times in ten; below it the prediction is too sure. Expected calibration error "
        f"{expected_error(joined):.3f}.</p>"
        '<svg viewBox="0 0 380 340" width="380" height="340" role="img" aria-label="Reliability curve">'
        f'<rect x="{_x(0):g}" y="{_y(1):g}" width="280" height="280" fill="none" stroke="#d0d7de"/>'
        f'<path stroke="#57606a" stroke-dasharray="4 4" d="M{_x(0):g} {_y(0):g}L{_x(1):g} {_y(1):g}"/>'
        f'<path fill="none" stroke="{DOT}" stroke-width="2" d="M{way}"/>{dots}{ticks}'
        f'<text x="{_x(0.5):g}" y="{_y(0) + 34:g}" text-anchor="middle">predicted chance</text>'
        f'<text x="{_x(0):g}" y="12">share of {unit} that are so</text></svg>'
    )


def _joined(bins: Sequence[CalibrationBin], count: int) -> list[CalibrationBin]:
    """Bins of cases as bins of all their voxels."""
    found: dict[int, list[CalibrationBin]] = {}
    for one in bins:
        found.setdefault(min(int(one.predicted * count + 1e-9), count - 1), []).append(one)
    joined = []
    for _, parts in sorted(found.items()):
        cases = sum(one.cases for one in parts)
        predicted, observed = (
            sum(one.cases * getattr(one, name) for one in parts) / cases for name in ("predicted", "observed")
        )
        joined.append(CalibrationBin(cases, predicted, observed))
    return joined


def _x(share: float) -> float:
    return 50 + 280 * share


def _y(share: float) -> float:
    return 300 - 280 * share
