"""Mann-Whitney U test of a column in two groups, ties included (Mann and Whitney 1947; SciPy's methods)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._auc import auc_of
from common.analyses._rank_tests import EXACT, NO_NOISE, group_counts, group_part
from common.analyses._words import between, chance, left_out, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total
from common.asking.groups import two_of
from common.asking.records import Records


@dataclass(frozen=True)
class MannWhitney:
    """column: of numbers. group: a column of two levels; levels: `ward=surgery|medicine` chooses two of several.

    edges: of bins, in which values count as tied; none: exact ranks, which tell the column's whole distribution.
    """

    discloses: ClassVar[str] = EXACT
    without_noise: ClassVar[str] = NO_NOISE
    column: str
    group: str
    levels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round for how many there are, one for bins, or as many as part all values."""
        levels = two_of(self.group, self.levels, public)
        found, missing = yield from group_counts(self.column, self.group, levels, self.edges)
        first, second = found.sample(0), found.sample(1)
        statistic, p_value = tested(first, second)
        area = auc_of(found.counts[:, 0], found.counts[:, 1])
        numbers = {
            "n": dict(zip(levels, (len(first), len(second)), strict=True)),
            "left_out": missing,
            "statistic": statistic,
            "p_value": p_value,
            "superiority": area.area,
            "low": area.low,
            "high": area.high,
        }
        header = (self.group, "n", "median rank", "mean rank")
        rows = tuple(
            (level, len(sample), _median(found.midranks, sample), float(np.mean(found.midranks[sample.astype(int)])))
            for level, sample in zip(levels, (first, second), strict=True)
        )
        tables = (
            Table(f"Ranks of {self.column} by {self.group}", header, rows),
            Table("Mann-Whitney U test", ("U", "p", "left out"), ((statistic, p_value, missing),)),
        )
        words = (
            f"{self.column} of a patient with {self.group} = {levels[0]} is above that of one with {levels[1]} with "
            f"a chance of {short(area.area)}{between(area.low, area.high)}, ties counted half; {chance(p_value)}.",
            *left_out(missing),
        )
        return Answer(numbers, tables, (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by group, or by group and value."""
        return group_part(records, self.column, self.group, query)


def tested(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[float, float]:
    """U of the first, and p of both sides: exact of few rows without ties, else normal, as SciPy chooses."""
    if first.min() == first.max() == second.min() == second.max():
        return len(first) * len(second) / 2, 1.0
    found = stats.mannwhitneyu(first, second)
    return float(found.statistic), float(found.pvalue)


def _median(midranks: NDArray[np.float64], sample: NDArray[np.float64]) -> float:
    return float(np.median(midranks[sample.astype(int)]))


analysis: type[Analysis] = MannWhitney
