"""One-way analysis of variance of a column in several groups (Fisher), or Welch's (1951) of unequal variances."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import Moments, moment_parts, moment_sums, moments_of
from common.analyses._rank_tests import LEVELS, demand_rows
from common.analyses._words import chance, left_out
from common.analyses.ttest import means_figure, means_table
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Integers, Total
from common.asking.groups import codes, levels_of
from common.asking.records import Records
from common.errors import AnalysisError, StudyError


@dataclass(frozen=True)
class Anova:
    """column: of numbers. group: a column of two levels or more, or site. equal_variances: Fisher's, else Welch's.

    levels: as `ward=surgery|medicine`, where the study does not name them.
    """

    discloses: ClassVar[str] = "Of each group, how many rows there are, the sum of their values and of those squared."
    column: str
    group: str
    levels: tuple[str, ...] = ()
    equal_variances: bool = True

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round."""
        levels = levels_of(self.group, self.levels, public)
        if len(levels) < 2:
            raise StudyError(f"column {self.group!r} has one level, {levels[0]!r}; two or more are compared.")
        total = yield Query(moment_parts(len(levels)), {LEVELS: levels})
        groups, missing = moments_of(total), int(total.count("left_out"))
        demand_rows(self.column, self.group, levels, tuple(one.n for one in groups), 1 if self.equal_variances else 2)
        statistic, between, within = (fisher if self.equal_variances else welch)(self.column, groups)
        p_value = float(stats.f.sf(statistic, between, within))
        eta = float(1 - sum((one.squares for one in groups), Fraction(0)) / _all(groups).squares)
        numbers = {
            "n": {level: one.n for level, one in zip(levels, groups, strict=True)},
            "left_out": missing,
            "means": {level: float(one.mean) for level, one in zip(levels, groups, strict=True)},
            "statistic": statistic,
            "degrees_of_freedom": [float(between), within],
            "p_value": p_value,
            "eta_squared": eta,
        }
        name = "One-way analysis of variance" if self.equal_variances else "Welch's analysis of variance"
        header = ("F", "between groups", "within groups", "p", "eta squared", "left out")
        row = (statistic, between, within, p_value, eta, missing)
        note = "Degrees of freedom between and within groups; eta squared: share of the variance between groups."
        tables = (means_table(self.column, self.group, levels, groups), Table(name, header, (row,), note))
        words = (f"Means of {self.column} by {self.group}: {chance(p_value)}.", *left_out(missing))
        return Answer(numbers, tables, (means_figure(self.column, self.group, levels, groups),), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer] | Integers]:
        """Of each group, how many, and the first two powers of their values."""
        levels = tuple(str(one) for one in query.tells[LEVELS])
        return moment_sums(records.numbers(self.column), codes(records, self.group, levels), len(levels))


def fisher(column: str, groups: tuple[Moments, ...]) -> tuple[float, int, float]:
    """F and its degrees of freedom."""
    inside = sum((one.squares for one in groups), Fraction(0))
    between, within = len(groups) - 1, sum(one.n for one in groups) - len(groups)
    if within < 1 or inside == 0:
        raise AnalysisError(f"{column!r} does not vary within any group: there is nothing to compare with.")
    return float((_all(groups).squares - inside) / between / (inside / within)), between, float(within)


def welch(column: str, groups: tuple[Moments, ...]) -> tuple[float, int, float]:
    """The same of unequal variances."""
    if any(one.variance == 0 for one in groups):
        raise AnalysisError(
            f"{column!r} does not vary within one of the groups: Welch's test weighs by 1 / variance."
        )
    weights = [one.n / one.variance for one in groups]
    every, between = sum(weights), len(groups) - 1
    mean = sum(weight * one.mean for weight, one in zip(weights, groups, strict=True)) / every
    spread = sum(weight * (one.mean - mean) ** 2 for weight, one in zip(weights, groups, strict=True)) / between
    uneven = sum((1 - weight / every) ** 2 / (one.n - 1) for weight, one in zip(weights, groups, strict=True))
    scale = 1 + Fraction(2 * (between - 1), (between + 1) ** 2 - 1) * uneven
    return float(spread / scale), between, float(((between + 1) ** 2 - 1) / (3 * uneven))


def _all(groups: tuple[Moments, ...]) -> Moments:
    """Of all groups together."""
    n = sum(one.n for one in groups)
    mean = sum((one.n * one.mean for one in groups), Fraction(0)) / n
    return Moments(n, mean, sum((one.squares + one.n * (one.mean - mean) ** 2 for one in groups), Fraction(0)))


analysis: type[Analysis] = Anova
