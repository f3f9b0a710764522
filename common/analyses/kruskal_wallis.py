"""Kruskal-Wallis test of a column in several groups, ties included (Kruskal and Wallis 1952)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._rank_tests import EXACT, NO_NOISE, group_counts, group_part
from common.analyses._words import chance, left_out
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Table
from common.asking.exact_sums import Total
from common.asking.groups import levels_of
from common.asking.records import Records
from common.errors import AnalysisError, StudyError


@dataclass(frozen=True)
class KruskalWallis:
    """column: of numbers. group: a column of two levels or more. edges: of bins, in which values count as tied.

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
        levels = levels_of(self.group, self.levels, public)
        if len(levels) < 2:
            raise StudyError(f"column {self.group!r} has one level, {levels[0]!r}; two or more are compared.")
        found, missing = yield from group_counts(self.column, self.group, levels, self.edges)
        if len(found.upper) == 1:
            raise AnalysisError(f"all values of {self.column!r} are alike: there is nothing to rank.")
        samples = [found.sample(group) for group in range(len(levels))]
        tested = stats.kruskal(*samples)
        statistic, p_value = float(tested.statistic), float(tested.pvalue)
        ranks = [float(np.mean(found.midranks[sample.astype(int)])) for sample in samples]
        numbers = {
            "n": dict(zip(levels, map(len, samples), strict=True)),
            "left_out": missing,
            "statistic": statistic,
            "degrees_of_freedom": len(levels) - 1,
            "p_value": p_value,
            "mean_ranks": dict(zip(levels, ranks, strict=True)),
        }
        rows = tuple((level, len(sample), rank) for level, sample, rank in zip(levels, samples, ranks, strict=True))
        test = ("H", "degrees of freedom", "p", "left out"), ((statistic, len(levels) - 1, p_value, missing),)
        tables = (
            Table(f"Ranks of {self.column} by {self.group}", (self.group, "n", "mean rank"), rows),
            Table("Kruskal-Wallis test", *test),
        )
        words = (f"Ranks of {self.column} by {self.group}: {chance(p_value)}.", *left_out(missing))
        return Answer(numbers, tables, (), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by group, or by group and value."""
        return group_part(records, self.column, self.group, query)


analysis: type[Analysis] = KruskalWallis
