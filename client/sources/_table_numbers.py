"""Numbers as hospitals write them: 1.5 and 1,5, 1,234.5 and 1.234,5 and 1 234,5; and what is no number, in words."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from common.errors import SourceError

SPACES = " \u00a0\u202f\u2009"
THOUSANDS = (",", ".", "'", "\u2019", *SPACES)
"""Spaces of four widths: French and Nordic tables have them, some that no line is broken at."""
MARK_OF = {",": ".", ".": ","}
_PLAIN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_MARKED = re.compile(r"([+-]?\d*(?:[.,' \u2019\u00a0\u202f\u2009]\d*)+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([ T].*)?", re.ASCII)
_DATE_OF_WORDS = re.compile(r"\d{1,2}[. -]{1,2}[^\W\d_]{3,9}[. -]{0,2}(\d{2,4})?")
_DATE_OF_DIGITS = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(\.0*)?", re.ASCII)
_TIME = re.compile(r"\d{1,2}:\d{2}(:\d{2})?", re.ASCII)
_UNIT = re.compile(r"([+-]?\d[\d.,]*)\s*([A-Za-z\u00b5\u03bc\u00b0%/].*)")
_BOUND = re.compile(r"[<>\u2264\u2265~]=?\s*\d")
WORDS_OF_TRUTH = frozenset({"true", "false", "yes", "no", "ja", "nein", "oui", "non", "sim", "não", "sí"})


@dataclass(frozen=True)
class Convention:
    """decimal: "." or ",". thousands: what may stand between groups of three digits, "" for nothing."""

    decimal: str = "."
    thousands: str = ""

    def number(self, text: str) -> float | None:
        """The number a cell holds; None where it holds none, or one that could be read in two ways."""
        plain = _one_mark(text.strip().replace("\u2212", "-"))
        if self.thousands and _one_mark(self.thousands) in plain:
            plain = self._ungrouped(plain)
        if self.decimal == ",":
            plain = "" if "." in plain else plain.replace(",", ".")
        if not _PLAIN.fullmatch(plain):
            return None
        value = float(plain)
        return value if math.isfinite(value) else None

    def _ungrouped(self, text: str) -> str:
        whole, mark, rest = text.partition(self.decimal)
        first, *groups = whole.split(_one_mark(self.thousands))
        fits = re.fullmatch(r"[+-]?\d{1,3}", first, re.ASCII) and all(
            re.fullmatch(r"\d{3}", group, re.ASCII) for group in groups
        )
        return first + "".join(groups) + mark + rest if fits else ""


def _one_mark(text: str) -> str:
    """With one kind of space and of apostrophe for all: a table may hold several, and they look alike."""
    return re.sub("[\u00a0\u202f\u2009]", " ", text).replace("\u2019", "'")


def is_date(text: str) -> bool:
    """Whether a cell is a day, as 31.1.2020, 2020-01-31, 31. Jan 2020 or 20200131, or a time of day."""
    kinds = (_DATE, _DATE_OF_WORDS, _DATE_OF_DIGITS, _TIME)
    return any(kind.fullmatch(text) for kind in kinds)


def doubtful(text: str) -> bool:
    """Whether a cell is a number by one convention and another number by the other: 1,234 or 1.234."""
    return re.fullmatch(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", text.strip(), re.ASCII) is not None


def found_convention(cells: Iterable[tuple[int, str, str]], delimiter: str, name: str) -> Convention:
    """The one way all numbers of a file are written, from (line, column, text) of its cells.

    A cell such as 0,5 or 1,25 shows a decimal comma; 1.234,5 and 1 234,5 show both marks. A file whose only marks
    stand before three digits shows nothing: with a comma between columns the point is taken for the decimal mark,
    else the file is refused, as is one that is written in both ways. Raises SourceError that names the cells.
    """
    shown: dict[str, tuple[int, str, str]] = {}
    grouped: dict[str, tuple[int, str, str]] = {}
    doubts: dict[str, tuple[int, str, str]] = {}
    for line, column, text in cells:
        marked = _MARKED.fullmatch(text)
        if not marked or is_date(text):
            continue
        decimal, groups = _read_off(_one_mark(marked[1]))
        if decimal:
            shown.setdefault(decimal, (line, column, text))
        if groups:
            grouped.setdefault(groups, (line, column, text))
        if not decimal and doubtful(text):
            doubts.setdefault("," if "," in text else ".", (line, column, text))
    if len(shown) > 1:
        point, comma = shown["."], shown[","]
        raise SourceError(
            f"{name} writes numbers in two ways: {_cell(point)} has a decimal point and {_cell(comma)} a decimal "
            "comma. Write them in one way, or set source.decimal to the one that is meant."
        )
    if shown:
        (decimal,) = shown
        return Convention(decimal, next((mark for mark in grouped if mark != decimal), ""))
    if "," in doubts or ("." in doubts and delimiter != ","):
        raise SourceError(
            f"{_cell(doubts.get(',') or doubts['.'])} of {name} can be read in two ways, and no other number shows "
            "which: set source.decimal to '.' or ','."
        )
    return Convention(thousands=next(iter(grouped), ""))


def _read_off(text: str) -> tuple[str, str]:
    """(decimal mark, mark between thousands) that one cell shows; "" for what it does not show."""
    digits = text.lstrip("+-")
    marks = [one for one in digits if one in ".,"]
    spaced = next((one for one in digits if one in "' "), "")
    if spaced:  # two numbers in one cell, as 120 080, have no mark
        fits = (len(marks) == 1 or (spaced == "'" and not marks)) and Convention(
            marks[0] if marks else ".", spaced
        ).number(text) is not None
        return (marks[0] if marks else "", spaced) if fits else ("", "")
    if len(set(marks)) == 2:
        decimal, groups = marks[-1], marks[0]
        fits = marks.count(decimal) == 1 and Convention(decimal, groups).number(text) is not None
        return (decimal, groups) if fits else ("", "")
    if len(marks) > 1:
        groups = marks[0]
        fits = Convention(MARK_OF[groups], groups).number(text) is not None
        return (MARK_OF[groups], groups) if fits else ("", "")
    return ("", "") if doubtful(text) else (marks[0], "")


def _cell(place: tuple[int, str, str]) -> str:
    line, column, text = place
    return f"{text!r} in line {line}, column {column!r},"


def why_no_number(text: str, column: str, convention: Convention) -> str:
    """What a cell of a column of numbers holds instead, and what to do."""
    held = f"column {column!r} holds {text[:40]!r}, "
    if is_date(text):
        return held + "a date or a time of day: write a number of days, say, or leave the column out (source.ignore)"
    if text.casefold() in WORDS_OF_TRUTH:
        return held + f"a word of two: name both as levels, source.categorical.{column}"
    if _BOUND.match(text):
        return held + "a bound and no value: write the value, or name it in source.missing"
    if any(Convention(decimal, mark).number(text) is not None for decimal in MARK_OF for mark in THOUSANDS):
        return held + (
            f"and the table's decimal mark is {convention.decimal!r}, its mark between thousands "
            f"{convention.thousands or 'none'!r}: set source.decimal and source.thousands if that is wrong"
        )
    if found := _UNIT.fullmatch(text):
        return held + f"a number with a unit: leave {found[2][:20]!r} out, or name it in source.units"
    return held + (
        "which is no number: name it in source.missing if it says that there is no value, name the column's levels "
        "in source.categorical if it holds words, or leave it out (source.ignore)"
    )
