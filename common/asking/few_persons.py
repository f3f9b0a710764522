"""Cells and points that say of how many persons they are: held back where these are few.

A curve over time tells at every step who left: of it only points are shown between which so many left that nobody
stands alone, and none after which fewer are followed (O'Keefe et al. 2012, "Confidentialising survival analysis
output in a remote data access system").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from common.asking.answer import Answer, Figure, Series, Table

SIZE, AT_RISK, EVENTS, CENSORED = "n", "at_risk", "events", "censored"
"""In an answer's numbers: of one curve, beside lists of the same length."""
CURVES, CHANCES = ("lines", "steps"), {"chance_untreated", "chance_treated"}
"""Figures over time; and, in numbers, how many of an arm have a chance of treatment in each bin."""


def few_held_back(answer: Answer, least: int) -> tuple[Answer, int]:
    """The answer without what is of 1 to `least` - 1 persons by its tables and figures, and how many cells went."""
    tables = tuple(_table(one, least) for one in answer.tables)
    figures = tuple(_figure(one, least) for one in answer.figures)
    gone = [place for one in answer.tables for place in _few(one, least)]
    points = _points(answer.figures) - _points(figures)
    if not gone and not points:
        return answer, 0
    words = tuple(word for word in answer.words if not any(_tells(word, name, count) for name, count in gone))
    return Answer(_numbers(answer.numbers, least), tables, figures, words), len(gone) + points


def _points(figures: Iterable[Figure]) -> int:
    return sum(one is not None for figure in figures for series in figure.series for one in series.y)


def shown_of(followed: Sequence[int], least: int) -> list[bool]:
    """Which points of a curve are shown. followed: persons without the event just after each, falling."""
    shown: list[bool] = []
    last: int | None = None
    for count in followed:
        far = last is None or count == last or last - count >= least
        shown.append(count >= least and far)
        last = count if shown[-1] else last
    return shown


def _few(table: Table, least: int) -> list[tuple[str, int]]:
    """Names of the rows of hidden cells, and of how many persons these are."""
    rows = zip(table.rows, table.persons, strict=True) if table.persons else ()
    return [(str(row[0]), count) for row, counts in rows for count in counts if 0 < count < least]


def _tells(word: str, name: str, count: int) -> bool:
    return name in word and re.search(rf"\b{count}\b", word) is not None


def _table(table: Table, least: int) -> Table:
    if not _few(table, least):
        return table
    rows = tuple(
        tuple(None if 0 < count < least else cell for cell, count in zip(row, counts, strict=True))
        for row, counts in zip(table.rows, table.persons, strict=True)
    )
    return replace(table, rows=rows, note=f"{table.note} What is of fewer than {least} persons is not shown.".strip())


def _figure(figure: Figure, least: int) -> Figure:
    kind = _curve if figure.kind in CURVES else _cells
    return replace(figure, series=tuple(kind(one, least) if one.persons else one for one in figure.series))


def _cells(series: Series, least: int) -> Series:
    gone = [0 < count < least for count in series.persons]

    def of(values: tuple[float | None, ...]) -> tuple[float | None, ...]:
        return tuple(None if few else one for one, few in zip(values, gone, strict=True)) if values else ()

    return replace(series, y=of(series.y), low=of(series.low), high=of(series.high))


def _curve(series: Series, least: int) -> Series:
    kept = shown_of(series.persons, least)

    def of(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(value for value, keep in zip(values, kept, strict=True) if keep) if values else ()

    x, y, low, high, persons = map(of, (series.x, series.y, series.low, series.high, series.persons))
    return replace(series, x=x, y=y, low=low, high=high, persons=persons)


def _numbers(numbers: Mapping[str, Any], least: int) -> dict[str, Any]:
    """Every curve in them, however deep."""
    found: dict[str, Any] = {
        name: _numbers(own, least) if isinstance(own, Mapping) else own for name, own in numbers.items()
    }
    for name in CHANCES & found.keys():
        found[name] = [None if 0 < one < least else one for one in found[name]]
    if not (isinstance(at_risk := found.get(AT_RISK), list) and isinstance(events := found.get(EVENTS), list)):
        return found
    left = [count - came for count, came in zip(at_risk, events, strict=True)]
    kept = shown_of([int(found[SIZE]), *left], least)[1:]
    for name, values in found.items():
        if name in (EVENTS, CENSORED):
            found[name] = [None if 0 < value < least else value for value in values]
        elif isinstance(values, list) and len(values) == len(kept):
            found[name] = [value if keep else None for value, keep in zip(values, kept, strict=True)]
    return found
