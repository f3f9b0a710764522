"""Figures of an answer as SVG: bars, lines, steps, and points with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from server.asking.told import cell
from server.reporting.charts.bars import bar, legend, row
from server.reporting.charts.forest import Estimate, forest, forest_of_ratios
from server.reporting.charts.lines import Band, Line, line_chart
from server.reporting.curves import Points
from server.reporting.markup import Markup, joined, tag

LOOKS = tuple(f"c{number}" for number in range(1, 9))
MOST_SERIES, MOST_ROWS = 8, 200


def drawn(figure: Mapping[str, Any]) -> Markup:
    """One figure, with its axes in words."""
    series = figure["series"][:MOST_SERIES]
    note = f"{len(figure['series']) - MOST_SERIES} more are in the table." * (len(figure["series"]) > MOST_SERIES)
    kinds = {"bars": _bars, "points": _points, "ratios": _points, "lines": _lines, "steps": _lines}
    return joined([kinds[figure["kind"]](figure, series), tag("p", note, class_="note") if note else None])


def _bars(figure: Mapping[str, Any], series: Sequence[Mapping[str, Any]]) -> Markup:
    """In rows, one below the other: names of any length have room, and a narrow page too."""
    values = [abs(value) for one in series for value in one["y"] if value is not None]
    largest = max(values, default=0.0) or 1.0
    places = list(dict.fromkeys(cell(x) for one in series for x in one["x"]))[:MOST_ROWS]
    known = [{cell(x): y for x, y in zip(one["x"], one["y"], strict=True)} for one in series]
    ends = [{cell(x): _between(*_interval(one, at)) for at, x in enumerate(one["x"])} for one in series]
    rows = [
        row(
            place,
            *(
                bar(abs(value) / largest, cell(value), look, f"{one['name']} {place}: {cell(value)}{end[place]}")
                for one, held, end, look in zip(series, known, ends, LOOKS, strict=False)
                if (value := held.get(place)) is not None
            ),
        )
        for place in places
    ]
    return joined([_named(series), _axes(figure), tag("div", *rows, class_="rows")])


def _between(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f" ({cell(low)} to {cell(high)})"


def _points(figure: Mapping[str, Any], series: Sequence[Mapping[str, Any]]) -> Markup:
    estimates = [
        Estimate(_label(one, one["x"][at], len(series)), y, *_interval(one, at), look=look)
        for at in range(max((len(one["x"]) for one in series), default=0))
        for one, look in zip(series, LOOKS, strict=False)
        if at < len(one["x"]) and (y := one["y"][at]) is not None
    ]
    if not estimates:
        return tag("p", "No value is known.", class_="quiet")
    if figure["kind"] == "ratios":
        return joined([_axes(figure), forest_of_ratios(estimates[:MOST_ROWS], cell)])
    ends = [end for one in estimates for end in (one.low, one.high, one.value) if end is not None]
    at = 0.0 if min(ends) < 0 < max(ends) else None
    return joined([_axes(figure), forest(estimates[:MOST_ROWS], cell, at)])


def _lines(figure: Mapping[str, Any], series: Sequence[Mapping[str, Any]]) -> Markup:
    steps = figure["kind"] == "steps"
    lines = [
        Line(str(one["name"]), _path(one["x"], one["y"], steps), look)
        for one, look in zip(series, LOOKS, strict=False)
    ]
    bands = [
        Band(
            f"{one['name']}, interval", _path(one["x"], one["low"], steps), _path(one["x"], one["high"], steps), look
        )
        for one, look in zip(series, ("outer", *LOOKS[1:]), strict=False)
        if one["low"] and one["high"] and len(series) == 1
    ]
    title, x_word = str(figure["title"]), str(figure["x_label"])
    chart = line_chart(lines, bands, describe=title, x_word=x_word, words=cell, whole_x=False)
    return joined([tag("p", str(figure["y_label"]), class_="note"), chart])


def _path(x: Sequence[Any], y: Sequence[float | None], steps: bool) -> Points:
    points = sorted((float(place), value) for place, value in zip(x, y, strict=True))
    if not steps:
        return tuple(points)
    found: list[tuple[float, float | None]] = []
    for place, value in points:
        if found:
            found.append((place, found[-1][1]))
        found.append((place, value))
    return tuple(found)


def _interval(one: Mapping[str, Any], at: int) -> tuple[float | None, float | None]:
    if at >= len(one["low"]) or at >= len(one["high"]):
        return None, None
    return one["low"][at], one["high"][at]


def _label(one: Mapping[str, Any], x: object, many: int) -> str:
    return f"{one['name']}, {cell(x)}" if many > 1 else cell(x)


def _named(series: Sequence[Mapping[str, Any]]) -> Markup | None:
    if len(series) < 2:
        return None
    return legend((str(one["name"]), look) for one, look in zip(series, LOOKS, strict=False))


def _axes(figure: Mapping[str, Any]) -> Markup:
    words = [str(figure[axis]) for axis in ("y_label", "x_label") if figure[axis]]
    return tag("p", " by ".join(words), class_="note")
