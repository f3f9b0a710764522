"""Columns of a table as features: numbers with public constants, levels that a study names, and what is not there.

What becomes of one row's cell depends on that cell and on a study's own words alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from client.sources._table_numbers import Convention, is_date, why_no_number
from client.sources._table_parquet import Cell
from common.data.names import in_one_form
from common.errors import StudyError
from common.study.checks import positive

SENTINELS = frozenset({-9.0, -99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0})
"""What tables of hospitals write for "not measured" where a column must hold a number."""
NEVER_ZERO = re.compile(
    r"(?<![a-z])(s?bp|dbp|trestbps|pressure|blutdruck|systol\w*|diastol\w*|chol\w*|glucose|glu[ck]ose|pulse|puls|"
    r"heart.?rate|hr|bmi|height|weight|gewicht|gr(ö|oe)(ß|ss)e|peso|altura|taille|poids)(?![a-z])"
)
"""Names of what nobody alive has none of."""
FIRST_DAY, LAST_DAY = 19000101, 20991231
"""Days as tables write them in eight digits: numbers that float32 does not hold, and that measure nothing."""
LARGEST = 3e38
"""float32 holds no more."""


class UnusableError(Exception):
    """A cell that its row cannot be used with; the text says why, and what to do."""


@dataclass(frozen=True)
class Scale:
    """Public constants of a column: center and spread, x -> (x - center) / spread; or low and high, to [0, 1]."""

    center: float | None = None
    spread: float | None = None
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        positive("source.scaling", spread=self.spread)
        by_center, by_range = (self.center, self.spread), (self.low, self.high)
        if (None in by_center) == (None in by_range) or by_center.count(None) == 1 or by_range.count(None) == 1:
            raise StudyError("source.scaling: of each column name center and spread, or low and high.")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise StudyError(f"source.scaling: low must be below high; they are {self.low} and {self.high}.")

    def __call__(self, value: float) -> float:
        """The value by these constants."""
        if self.center is not None and self.spread is not None:
            return (value - self.center) / self.spread
        assert self.low is not None and self.high is not None
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Reading:
    """How cells are read. missing: codes of every column, missing_in: of one. units: the one unit a column's numbers
    may carry. measured: numbers of a column that look like codes and are none.
    """

    convention: Convention
    missing: Sequence[str] = ()
    missing_in: Mapping[str, Sequence[str]] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    measured: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def is_missing(self, cell: Cell, column: str) -> bool:
        """Whether there is nothing in a cell, or a code that says so."""
        return cell == "" or matching(cell, (*self.missing, *self.missing_in.get(column, ()))) is not None

    def number(self, cell: Cell, column: str) -> float:
        """The number in a cell that is not missing. Raises UnusableError."""
        if isinstance(cell, str):
            plain = cell.removesuffix(self.units[column]).strip() if column in self.units else cell
            found = self.convention.number(plain)
            if found is None:
                raise UnusableError(why_no_number(cell, column, self.convention))
        else:
            found = float(cell)
        if not abs(found) < LARGEST:
            raise UnusableError(f"column {column!r} holds {cell}, which is not finite")
        self._refuse_code(found, column)
        return found

    def _refuse_code(self, value: float, column: str) -> None:
        if value in self.measured.get(column, ()):
            return
        if value in SENTINELS or (value == 0 and NEVER_ZERO.search(column.casefold())):
            raise UnusableError(
                f"column {column!r} holds {value:g}, which often stands for 'not measured': name it in "
                f"source.missing_in.{column}, or in source.measured.{column} if it was measured"
            )
        if FIRST_DAY <= value <= LAST_DAY and is_date(f"{value:.0f}"):
            raise UnusableError(why_no_number(f"{value:.0f}", column, self.convention))


def text_of(cell: Cell) -> str:
    """A cell as a word: a whole number of a typed column without its point."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)
    return in_one_form(str(cell))


def matching(cell: Cell, words: Sequence[str]) -> int | None:
    """Which of the words a cell is: as written, or the same number, or but for capitals where that is one word."""
    text = text_of(cell)
    plain = [in_one_form(word) for word in words]
    if text in plain:
        return plain.index(text)
    value = Convention().number(text) if isinstance(cell, str) else float(cell)
    if value is not None and value in (numbers := [Convention().number(word) for word in plain]):
        return numbers.index(value)
    folded = [word.casefold() for word in plain]
    return folded.index(text.casefold()) if folded.count(text.casefold()) == 1 else None


class Feature(Protocol):
    """One column of a table as one or several columns of inputs."""

    @property
    def column(self) -> str:
        """Its name in the table."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns it becomes."""
        ...

    def values(self, cell: Cell, reading: Reading) -> tuple[float, ...]:
        """One for each of `names`. Raises UnusableError."""
        ...


@dataclass(frozen=True)
class Number:
    """imputed: stands in for a missing value, which a further column then tells; None: such a row is unusable."""

    column: str
    scale: Scale | None = None
    imputed: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The column's, and one more where missing values are imputed."""
        return (self.column,) if self.imputed is None else (self.column, f"{self.column} is missing")

    def values(self, cell: Cell, reading: Reading) -> tuple[float, ...]:
        """The number, scaled."""
        if not reading.is_missing(cell, self.column):
            value = self._scaled(reading.number(cell, self.column))
            return (value,) if self.imputed is None else (value, 0.0)
        if self.imputed is None:
            raise UnusableError(
                f"column {self.column!r} has no value: source.impute.{self.column} can name a constant for it"
            )
        return self._scaled(self.imputed), 1.0

    def _scaled(self, value: float) -> float:
        return value if self.scale is None else self.scale(value)


@dataclass(frozen=True)
class Levels:
    """Indicators of all levels but the first."""

    column: str
    levels: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """One a level, but for the first."""
        return tuple(f"{self.column} is {level}" for level in self.levels[1:])

    def values(self, cell: Cell, reading: Reading) -> tuple[float, ...]:
        """1 for the level of the cell, 0 for the others."""
        found = matching(cell, self.levels)
        if found is None and reading.is_missing(cell, self.column):
            raise UnusableError(f"column {self.column!r} has no value")
        if found is None:
            raise UnusableError(
                f"column {self.column!r} holds {text_of(cell)[:40]!r}, a level that source.categorical.{self.column} "
                f"does not name; it names {', '.join(map(repr, self.levels))}"
            )
        return tuple(float(found == index) for index in range(1, len(self.levels)))
