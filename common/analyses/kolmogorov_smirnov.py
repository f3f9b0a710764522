"""Kolmogorov-Smirnov test: whether a column is distributed alike in two groups, with both distributions drawn."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._rank_tests import EXACT, NO_NOISE, group_counts, group_part
from common.analyses._words import chance, left_out, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Total
from common.asking.groups import two_of
from common.asking.records import Records


@dataclass(frozen=True)
class KolmogorovSmirnov:
    """column: of numbers. group: a column of two levels. edges: of bins, in which values count as tied.

    levels: as `ward=surgery|medicine`, where the study does not name them.
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
        tested = stats.ks_2samp(first, second)
        statistic, p_value = float(tested.statistic), float(tested.pvalue)
        numbers = {
            "n": dict(zip(levels, (len(first), len(second)), strict=True)),
            "left_out": missing,
            "statistic": statistic,
            "p_value": p_value,
        }
        header = ("largest difference", "p", f"n, {levels[0]}", f"n, {levels[1]}", "left out")
        row = (statistic, p_value, len(first), len(second), missing)
        shares = np.cumsum(found.counts, axis=0) / found.counts.sum(axis=0)
        x = tuple(found.upper.tolist())
        series = tuple(Series(level, x, tuple(shares[:, place].tolist())) for place, level in enumerate(levels))
        figure = Figure("steps", f"{self.column} by {self.group}", self.column, "share at most", series)
        words = (
            f"The distributions of {self.column} differ by {short(statistic)} at most between {self.group} = "
            f"{levels[0]} and {levels[1]}; {chance(p_value)}.",
            *left_out(missing),
        )
        return Answer(numbers, (Table("Kolmogorov-Smirnov test", header, (row,)),), (figure,), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by group, or by group and value."""
        return group_part(records, self.column, self.group, query)


analysis: type[Analysis] = KolmogorovSmirnov
