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
    return sum(len(series.x) for figure in figures for series in figure.series)


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
    return replace(figure, series=tuple(_series(one, least) for one in figure.series))


def _series(series: Series, least: int) -> Series:
    if not series.persons:
        return series
    kept = shown_of(series.persons, least)

    def of(values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(value for value, keep in zip(values, kept, strict=True) if keep) if values else ()

    return replace(
        series,
        **{name: of(getattr(series, name)) for name in ("x", "y", "low", "high", "persons")},
    )


def _numbers(numbers: Mapping[str, Any], least: int) -> dict[str, Any]:
    """Every curve in them, however deep."""
    found = {name: _numbers(own, least) if isinstance(own, Mapping) else own for name, own in numbers.items()}
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
