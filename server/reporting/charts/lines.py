"""Lines over rounds with their names at their ends, and bands for what spreads around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import MappingProxyType

from server.reporting.charts.bars import legend
from server.reporting.charts.scale import Scale, extent, spread, ticks
from server.reporting.curves import Points
from server.reporting.markup import Markup, joined, tag
from server.reporting.wording import NOTHING, plain

WIDTH, HEIGHT = 490.0, 290.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 146.0, 14.0, 40.0
LABEL_GAP = 14.5
NO_NAMES: Mapping[float, str] = MappingProxyType({})
LABEL_CHARACTERS, LABEL_CHARACTER_WIDTH, ROOM_BESIDE_LABEL = 23, 6.9, 27.0
"""Where a name is longer, all stand above the chart, whole, and none at a line's end."""
MOST_HOVER_COLUMNS = 250
MOST_LINES_NAMED_ON_HOVER = 12


@dataclass(frozen=True)
class Line:
    """look: CSS class that gives its colour. An empty label is drawn at no end and named in no tip."""

    label: str
    points: Points
    look: str


@dataclass(frozen=True)
class Band:
    """The area between two lines of equal rounds."""

    label: str
    low: Points
    high: Points
    look: str


@dataclass(frozen=True)
class _Frame:
    x: Scale
    y: Scale


def line_chart(
    lines: Sequence[Line],
    bands: Sequence[Band] = (),
    *,
    describe: str,
    x_word: str,
    words: Callable[[float], str],
    whole_x: bool = True,
    x_names: Mapping[float, str] = NO_NAMES,
) -> Markup:
    """One chart. describe: what it shows, for who cannot see it. words: writes a value. whole_x: x counts from 0.
    x_names: places on the x axis that are called so; the axis then has no others.
    """
    every = [point for line in lines for point in line.points]
    every += [point for band in bands for side in (band.low, band.high) for point in side]
    values, rounds = [y for _, y in every if y is not None], sorted({x for x, _ in every})
    if not values:
        return tag("p", "No value was recorded.", class_="quiet")
    low, high = rounds[0] - (len(rounds) == 1), rounds[-1]
    longest = max((len(line.label) for line in lines), default=0)
    at_ends = longest <= LABEL_CHARACTERS
    right = max(RIGHT, ROOM_BESIDE_LABEL + LABEL_CHARACTER_WIDTH * longest) if at_ends else ROOM_BESIDE_LABEL
    frame = _Frame(Scale(low, high, LEFT, WIDTH - right), Scale(*extent(values), HEIGHT - BOTTOM, TOP))
    drawn = tag(
        "svg",
        _axes(frame, x_word, x_names or _numbers(frame.x, whole_x)),
        *(_area(band, frame) for band in bands),
        *(_path(line, frame) for line in lines),
        _end_labels(lines, frame) if at_ends else None,
        _hover(lines, bands, frame, {x: f"{x_word} {x_names.get(x, f'{x:g}')}" for x in rounds}, words),
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        class_="chart",
        role="img",
        aria_label=describe,
    )
    return drawn if at_ends else joined([legend((line.label, line.look) for line in lines if line.label), drawn])


def _numbers(x: Scale, whole: bool) -> dict[float, str]:
    return {value: plain(value) for value in ticks(max(x.low, 0) if whole else x.low, x.high, most=6, whole=whole)}


def _axes(frame: _Frame, x_word: str, x_names: Mapping[float, str]) -> Markup:
    x_end, y_end = frame.x.end, HEIGHT - BOTTOM
    parts: list[Markup] = []
    for value in ticks(frame.y.low, frame.y.high):
        y = frame.y(value)
        parts.append(tag("line", x1=LEFT, x2=x_end, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", plain(value), x=LEFT - 7, y=y + 4, text_anchor="end"))
    for value, name in x_names.items():
        parts.append(tag("text", name, x=frame.x(value), y=y_end + 17, text_anchor="middle"))
    parts.append(tag("line", x1=LEFT, x2=x_end, y1=y_end, y2=y_end, class_="axis"))
    parts.append(tag("text", x_word, x=(LEFT + x_end) / 2, y=HEIGHT - 6, text_anchor="middle", class_="axis-word"))
    return joined(parts)


def _path(line: Line, frame: _Frame) -> Markup:
    """A line is broken where no value is; a value between two gaps is a dot."""
    commands, pen, dots = [], False, []
    for k, (x, y) in enumerate(line.points):
        if y is None:
            pen = False
            continue
        commands.append(f"{'L' if pen else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}")
        alone = k + 1 == len(line.points) or line.points[k + 1][1] is None
        if alone and (not pen or k + 1 == len(line.points)):
            dots.append(tag("circle", cx=frame.x(x), cy=frame.y(y), r=3, class_=f"dot {line.look}"))
        pen = True
    return joined([tag("path", d="".join(commands), class_=f"line {line.look}"), *dots])


def _area(band: Band, frame: _Frame) -> Markup:
    sides = zip(band.low, band.high, strict=True)
    both = [(x, low, high) for (x, low), (_, high) in sides if low is not None and high is not None]
    there = [f"{frame.x(x):.1f} {frame.y(high):.1f}" for x, _, high in both]
    back = [f"{frame.x(x):.1f} {frame.y(low):.1f}" for x, low, _ in reversed(both)]
    return tag("path", d=f"M{' L'.join(there + back)}Z", class_=f"band {band.look}") if both else joined([])


def _end_labels(lines: Sequence[Line], frame: _Frame) -> Markup:
    ends = [(line, last) for line in lines if line.label and (last := _last(line.points)) is not None]
    wanted = [frame.y(y) for _, (_, y) in ends]
    places = spread(wanted, LABEL_GAP, TOP + 4, HEIGHT - BOTTOM - 2)
    return joined(
        _end_label(line, frame, (frame.x(x), own), y)
        for (line, (x, _)), own, y in zip(ends, wanted, places, strict=True)
    )


def _end_label(line: Line, frame: _Frame, end: tuple[float, float], y: float) -> Markup:
    x_key, x_label, (x_end, y_end) = frame.x.end + 13, frame.x.end + ROOM_BESIDE_LABEL, end
    way = f"M{x_end + 4:.1f} {y_end:.1f}L{x_key - 2:.1f} {y:.1f}"
    leader = tag("path", d=way, class_="leader")
    key = tag("path", d=f"M{x_key:.1f} {y:.1f}h10", class_=f"line {line.look}")
    text = tag("text", line.label, x=x_label, y=y + 4, class_=f"end {line.look}")
    return joined([leader, key, text])


def _last(points: Points) -> tuple[float, float] | None:
    return next(((x, y) for x, y in reversed(points) if y is not None), None)


def _hover(
    lines: Sequence[Line],
    bands: Sequence[Band],
    frame: _Frame,
    said: Mapping[float, str],
    words: Callable[[float], str],
) -> Markup:
    """One transparent column a round whose title names every value there. said: how each x is spoken of."""
    rounds = list(said)
    kept = rounds[:: len(rounds) // MOST_HOVER_COLUMNS + 1]
    values = [(line.label, dict(line.points)) for line in lines if line.label][:MOST_LINES_NAMED_ON_HOVER]
    ranges = [(band.label, dict(band.low), dict(band.high)) for band in bands]
    edges = [frame.x.start, *((frame.x(a) + frame.x(b)) / 2 for a, b in pairwise(kept)), frame.x.end]
    columns = []
    for k, x in enumerate(kept):
        tip = [said[x]]
        tip += [f"{label}: {words(y)}" for label, at in values if (y := at.get(x)) is not None]
        tip += [f"{label}: {_range(low.get(x), high.get(x), words)}" for label, low, high in ranges]
        place = {"x": edges[k], "width": max(edges[k + 1] - edges[k], 1.0), "y": TOP, "height": HEIGHT - TOP - BOTTOM}
        columns.append(tag("rect", tag("title", "\n".join(tip)), class_="hit column", **place))
    return joined(columns)


def _range(low: float | None, high: float | None, words: Callable[[float], str]) -> str:
    return NOTHING if low is None or high is None else f"{words(low)} to {words(high)}"
