"""t test of a column in two groups: Welch's, or Student's where variances are equal, with a 95 % interval."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import Moments, moment_parts, moment_sums, moments_of, t_quantile
from common.analyses._rank_tests import LEVELS, demand_rows
from common.analyses._words import between, chance, left_out, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Integers, Total
from common.asking.groups import codes, two_of
from common.asking.records import Records
from common.errors import AnalysisError


@dataclass(frozen=True)
class TTest:
    """column: of numbers. group: a column of two levels; levels: `ward=surgery|medicine` chooses two of several.

    equal_variances: Student's test instead of Welch's (1947), which needs no such thing.
    """

    discloses: ClassVar[str] = "Of each group, how many rows there are, the sum of their values and of those squared."
    column: str
    group: str
    levels: tuple[str, ...] = ()
    equal_variances: bool = False

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        levels = two_of(self.group, self.levels, public)
        total = yield Query(moment_parts(2), {LEVELS: levels})
        first, second = moments_of(total)
        demand_rows(self.column, self.group, levels, (first.n, second.n), 2)
        variance, freedom = self._variance(first, second)
        if variance == 0:
            raise AnalysisError(f"{self.column!r} is the same in all rows of each group: there is nothing to test.")
        difference, error = float(first.mean - second.mean), sqrt(variance)
        statistic, half = difference / error, t_quantile(freedom) * error
        pooled = sqrt((first.squares + second.squares) / (first.n + second.n - 2))
        numbers = {
            "n": dict(zip(levels, (first.n, second.n), strict=True)),
            "left_out": int(total.count("left_out")),
            "means": dict(zip(levels, (float(first.mean), float(second.mean)), strict=True)),
            "difference": difference,
            "low": difference - half,
            "high": difference + half,
            "standard_error": error,
            "statistic": statistic,
            "degrees_of_freedom": freedom,
            "p_value": float(2 * stats.t.sf(abs(statistic), freedom)),
            "cohens_d": difference / pooled,
        }
        return self._answer(levels, (first, second), numbers)

    def _variance(self, first: Moments, second: Moments) -> tuple[float, float]:
        """Of the difference of the means, and its degrees of freedom (Welch and Satterthwaite)."""
        if self.equal_variances:
            freedom = first.n + second.n - 2
            pooled = (first.squares + second.squares) / freedom
            return float(pooled / first.n + pooled / second.n), float(freedom)
        parts = [one.variance / one.n for one in (first, second)]
        both = sum(parts)
        if both == 0:
            return 0.0, 0.0
        spread = sum(part**2 / (one.n - 1) for part, one in zip(parts, (first, second), strict=True))
        return float(both), float(both**2 / spread)

    def _answer(
        self, levels: tuple[str, str], groups: tuple[Moments, Moments], numbers: Mapping[str, object]
    ) -> Answer:
        name = "Student's t test" if self.equal_variances else "Welch's t test"
        header = (
            f"{levels[0]} less {levels[1]}",
            "95 % from",
            "to",
            "t",
            "degrees of freedom",
            "p",
            "Cohen's d",
            "left out",
        )
        keys = ("difference", "low", "high", "statistic", "degrees_of_freedom", "p_value", "cohens_d", "left_out")
        row = tuple(_cell(numbers[key]) for key in keys)
        low, high, p_value = (float(str(numbers[key])) for key in ("low", "high", "p_value"))
        higher = "higher" if groups[0].mean >= groups[1].mean else "lower"
        difference = abs(float(groups[0].mean - groups[1].mean))
        edges = (low, high) if higher == "higher" else (-high, -low)
        words = (
            f"Mean {self.column} is {short(difference)} {higher} where {self.group} is {levels[0]} than where it is "
            f"{levels[1]}{between(*edges)}; {chance(p_value)}.",
            *left_out(int(str(numbers["left_out"]))),
        )
        tables = (means_table(self.column, self.group, levels, groups), Table(name, header, (row,)))
        return Answer(numbers, tables, (means_figure(self.column, self.group, levels, groups),), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Of each group, how many, and the first two powers of their values."""
        levels = tuple(str(one) for one in query.tells[LEVELS])
        return moment_sums(records.numbers(self.column), codes(records, self.group, levels), len(levels))


def means_table(column: str, by: str, levels: tuple[str, ...], groups: tuple[Moments, ...]) -> Table:
    """Means of groups with their intervals."""
    rows = tuple(
        (level, one.n, float(one.mean), *one.interval, one.deviation)
        for level, one in zip(levels, groups, strict=True)
    )
    return Table(f"{column} by {by}", (by, "n", "mean", "95 % from", "to", "standard deviation"), rows)


def means_figure(column: str, by: str, levels: tuple[str, ...], groups: tuple[Moments, ...]) -> Figure:
    """The same, drawn."""
    low, high = zip(*(one.interval for one in groups), strict=True)
    series = Series(f"mean {column}", levels, tuple(float(one.mean) for one in groups), low, high)
    return Figure("points", f"Mean {column} by {by}", by, column, (series,))


def _cell(value: object) -> float | int:
    assert isinstance(value, (int, float))
    return value


analysis: type[Analysis] = TTest
