"""Area under the ROC curve of a score, with DeLong's 95 % interval (DeLong, DeLong and Clarke-Pearson 1988)."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.analyses._auc import auc_of
from common.analyses._distinct_values import Ranked
from common.analyses._rank_tests import EXACT, NO_NOISE, group_counts, group_part
from common.analyses._words import between, left_out, short
from common.asking.analysis import Analysis, Public, Query
from common.asking.answer import Answer, Figure, Series, Table
from common.asking.exact_sums import Total
from common.asking.groups import two_of
from common.asking.records import Records
from common.errors import StudyError


@dataclass(frozen=True)
class Auc:
    """score: of numbers. truth: a column of two levels; positive: that of high scores.

    levels: as `died=no|yes`, where the study does not name them.

    Without `positive` it is the second level, such as 1 of 0 and 1. edges: of bins, in which scores count as tied;
    none: exact, which tells all scores of both groups.
    """

    discloses: ClassVar[str] = EXACT
    without_noise: ClassVar[str] = NO_NOISE
    score: str
    truth: str
    positive: str = ""
    levels: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    def ask(self, public: Public) -> Generator[Query, Total, Answer]:
        """One round for how many there are, one for bins, or as many as part all scores."""
        levels = self._ordered(two_of(self.truth, self.levels, public))
        found, missing = yield from group_counts(self.score, self.truth, levels, self.edges)
        area = auc_of(found.counts[:, 1], found.counts[:, 0])
        negatives, positives = (int(one) for one in found.counts.sum(axis=0))
        false_rates, true_rates = curve_of(found)
        numbers = {
            "positives": positives,
            "negatives": negatives,
            "left_out": missing,
            "auc": area.area,
            "standard_error": area.error,
            "low": area.low,
            "high": area.high,
            "curve": {"false_positive_rate": list(false_rates), "true_positive_rate": list(true_rates)},
        }
        header = ("score", "positives", "negatives", "left out", "AUC", "95 % from", "to")
        row = (self.score, positives, negatives, missing, area.area, area.low, area.high)
        title = f"ROC curve of {self.score} for {self.truth} = {levels[1]}"
        series = Series(f"AUC {short(area.area)}", false_rates, true_rates)
        figure = Figure("lines", title, "1 - specificity", "sensitivity", (series,))
        words = (
            f"{self.score} is higher in a patient with {self.truth} = {levels[1]} than in one with {levels[0]} with "
            f"a chance of {short(area.area)}{between(area.low, area.high)}.",
            *left_out(missing),
        )
        return Answer(numbers, (Table(title, header, (row,)),), (figure,), words)

    def summarise(self, records: Records, query: Query) -> Mapping[str, NDArray[np.integer]]:
        """Rows by truth, or by truth and score."""
        return group_part(records, self.score, self.truth, query)

    def _ordered(self, levels: tuple[str, str]) -> tuple[str, str]:
        if self.positive and self.positive not in levels:
            either = " or ".join(levels)
            raise StudyError(f"auc.positive must be {either}, of {self.truth!r}; not {self.positive!r}.")
        return levels[::-1] if self.positive == levels[0] else levels


def curve_of(found: Ranked) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """False and true positive rates as the cut goes down from above every score."""
    down = np.cumsum(found.counts[::-1], axis=0)
    rates = np.concatenate([np.zeros((1, 2)), down / down[-1]])
    return tuple(rates[:, 0].tolist()), tuple(rates[:, 1].tolist())


analysis: type[Analysis] = Auc
