"""`[report]` of a study: of which groups of persons the final model's scores are told, beside those of all."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf, isnan
from typing import Any

from common.errors import StudyError
from common.study.checks import between
from common.study.options import Entry, options_of

MOST_COLUMNS, MOST_CELLS = 6, 12
SMALLEST_CELL = 5
TAKEN = ("inputs", "targets", "patients", "given_split", "spacing_mm", "affine", "displacement", "removed", "consent")
"""Columns of cases that say nothing by which persons are grouped."""
KEEP = "keep"
"""The option by which a source hands on columns that are not learned from."""
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_BAND = re.compile(rf"({_NUMBER})?\s*-\s*({_NUMBER})?")


@dataclass(frozen=True)
class Grouping:
    """A column of the cases and its cells, all of them public: words, or bands of numbers, low <= x < high."""

    column: str
    cells: tuple[str, ...]

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """Of the cells where they are bands of numbers; else ()."""
        found = [_BAND.fullmatch(cell) for cell in self.cells]
        if not all(found):
            return ()
        ends = [(one[1], one[2]) for one in found if one is not None]
        return tuple((float(low) if low else -inf, float(high) if high else inf) for low, high in ends)

    def place(self, value: object) -> int | None:
        """Which cell a value is of; None where it is of none, or missing."""
        if self.bands:
            number = _number(value)
            inside = [k for k, (low, high) in enumerate(self.bands) if number is not None and low <= number < high]
            return inside[0] if inside else None
        words = [_word(cell) for cell in self.cells]
        return words.index(_word(value)) if _word(value) in words else None


@dataclass(frozen=True)
class Report:
    """`[report]`: what is told of the last model beside the scores of all patients together.

    subgroups: a column of the cases and its cells, "sex: f, m" or "age: 0-50, 50-70, 70-" (a band begins at its first
    number and ends before its second). The cells are part of what hospitals approve, so none is named by a patient's
    data; whoever is of none is in none. least_cell: of fewer persons of one hospital no cell leaves it, nor what
    would give such a cell away.
    """

    subgroups: tuple[str, ...] = ()
    least_cell: int = 10

    def __post_init__(self) -> None:
        between("report", SMALLEST_CELL, 1_000_000, least_cell=self.least_cell)
        if len(self.subgroups) > MOST_COLUMNS:
            raise StudyError(f"report.subgroups may name {MOST_COLUMNS} columns; it names {len(self.subgroups)}.")
        columns = [_split(text)[0] for text in self.subgroups]
        twice = [column for column in columns if columns.count(column) > 1]
        if twice:
            raise StudyError(f"report.subgroups names {twice[0]!r} twice; name each column once.")

    @property
    def groupings(self) -> tuple[Grouping, ...]:
        """The columns with their cells."""
        return tuple(map(_checked, self.subgroups))


def resolved_report(report: Report, source: Entry) -> Report:
    """With the cells of columns whose levels the source names (of tables, source.categorical)."""
    levels = source.options.get("categorical")
    known = levels if isinstance(levels, Mapping) else {}
    return replace(report, subgroups=tuple(_with_cells(text, known) for text in report.subgroups))


def keeping_columns(source: Entry, cls: type[Any], report: Report) -> Entry:
    """The source, handing on the columns that `report` asks for, where it can: `keep` is an option of its."""
    if not report.subgroups or KEEP not in options_of(cls):
        return source
    kept = [*source.options.get(KEEP, ()), *(one.column for one in report.groupings)]
    return Entry(source.name, {**source.options, KEEP: list(dict.fromkeys(kept))})


def check_subgroups(report: Report, promises_privacy: bool) -> None:
    """Raise StudyError where scores of groups would leave without the noise that the study promises."""
    if report.subgroups and promises_privacy:
        raise StudyError(
            "report.subgroups tells scores and numbers of groups of persons without noise, which the promise of "
            "[privacy] does not cover: remove report.subgroups, or privacy."
        )


def _with_cells(text: str, levels: Mapping[str, Any]) -> str:
    column = text.strip()
    named = levels.get(column)
    if ":" in text or not isinstance(named, Sequence) or isinstance(named, str):
        return text
    return f"{column}: {', '.join(str(level) for level in named if str(level).strip())}"


def _split(text: str) -> tuple[str, tuple[str, ...]]:
    column, _, rest = text.partition(":")
    return column.strip(), tuple(cell.strip() for cell in rest.split(",") if cell.strip())


def _checked(text: str) -> Grouping:
    column, cells = _split(text)
    where = f"report.subgroups, {text[:80]!r}"
    if not column or column in TAKEN:
        raise StudyError(f"{where}: name a column by which persons are told apart, such as 'sex: f, m'.")
    if not cells:
        raise StudyError(
            f"{where}: its cells must be public, so that no patient's data name one: write them, such as "
            f"'{column}: f, m' or '{column}: 0-50, 50-70, 70-'."
        )
    if len(cells) > MOST_CELLS or len({_word(cell) for cell in cells}) < len(cells):
        raise StudyError(f"{where}: name at most {MOST_CELLS} cells, each once.")
    found = Grouping(column, cells)
    if any(not low < high for low, high in found.bands):
        raise StudyError(f"{where}: a band ends above where it begins.")
    if any(ends > begins for (_, ends), (begins, _) in pairwise(sorted(found.bands))):
        raise StudyError(f"{where}: its bands overlap; each person is in one at most.")
    return found


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if not isnan(number) else None


def _word(value: object) -> str:
    """However it is written: case and spaces do not count, and 1, 1.0 and "1" are one word."""
    number = _number(value)
    return f"{number:g}" if number is not None else str(value).strip().casefold()
