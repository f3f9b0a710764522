"""The area under the ROC curve as a statistic that merges: two histograms in bins that everybody shares.

The area (AUC) is the chance that a positive case scores above a negative one (Hanley and McNeil 1982). It is no mean
over cases: hospitals' areas cannot be averaged into that of all, but counts of cases by bins of score can be added.
Pairs in different bins are ranked for sure, those in one bin count one half: the true area lies within `error`, half
the share of such pairs. Histograms say more of single cases than a mean does, the more so the fewer cases there are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.calibration import curve_of, expected_error, is_of_calibration
from common.metrics.doors import as_reals
from common.metrics.maps import as_array, as_mask
from common.sums.mean import UNITS_PER_ONE, Mean, Statistics

BINS = 64
FARTHEST = 8.0
"""Bins are of equal width in log-odds from -8 to 8; the first and last hold all that lie beyond."""

PARTS = ("confusion_", "spread_", "patients_", "subgroup_")
"""First words of statistics of `common.metrics.intervals`, `common.metrics.subgroups` and confusion matrices."""
_NAME = re.compile(r"roc_(positives|negatives)_(\d\d)")

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class ScoreHistogram:
    """(BINS,) int64 each: cases by the bin of their score, those that are truly positive and those that are not."""

    positives: Numbers
    negatives: Numbers

    @classmethod
    def of(cls, log_odds: NDArray[np.floating], truth: NDArray[np.bool_]) -> ScoreHistogram:
        """The scores of one hospital in bins, which add up over hospitals.

        Args:
            log_odds: (N,) of being positive, log p / (1 - p).
            truth: (N,) whether each case truly is: bool, or not 0.

        Raises:
            ImageError: where they do not fit, and for a truth of -1 and 1, of which all would be positive.
        """
        positive, odds = as_mask(truth, "the truth"), as_reals(log_odds, "log-odds")
        if odds.shape != positive.shape:
            raise ImageError(f"log-odds {odds.shape} must be a number for each of {positive.shape} cases.")
        if positive.size and positive.all() and np.min(given := as_array(truth, "the truth")) < 0 < np.max(given):
            raise ImageError("the truth must be 0 where a case is negative; it holds numbers below and above 0.")
        bins = np.clip(np.floor((odds + FARTHEST) * BINS / (2 * FARTHEST)), 0, BINS - 1).astype(np.int64)
        return cls(np.bincount(bins[positive], minlength=BINS), np.bincount(bins[~positive], minlength=BINS))

    @classmethod
    def from_statistics(cls, statistics: Statistics) -> ScoreHistogram:
        """From what `statistics` made, merged or not. Names of other statistics are left alone."""
        counts = {"positives": np.zeros(BINS, np.int64), "negatives": np.zeros(BINS, np.int64)}
        for name, mean in statistics.items():
            found = _NAME.fullmatch(name)
            if found and int(found[2]) < BINS:
                counts[found[1]][int(found[2])] = mean.total_units // UNITS_PER_ONE
        return cls(**counts)

    def __add__(self, other: ScoreHistogram) -> ScoreHistogram:
        return ScoreHistogram(self.positives + other.positives, self.negatives + other.negatives)

    def statistics(self) -> dict[str, Mean]:
        """roc_positives_00, ..., roc_negatives_63: of the positive (negative) cases, the share in each bin."""
        return {
            f"roc_{kind}_{place:02}": Mean(count * UNITS_PER_ONE, sum(counts) * UNITS_PER_ONE)
            for kind, counts in (("positives", self.positives.tolist()), ("negatives", self.negatives.tolist()))
            for place, count in enumerate(counts)
        }

    @property
    def auc(self) -> float:
        """The area; NaN where there is no positive or no negative case."""
        below = np.cumsum(self.negatives) - self.negatives
        return self._share(float((self.positives * (below + self.negatives / 2)).sum()))

    @property
    def error(self) -> float:
        """The true area of the unbinned scores is not farther from `auc` than this."""
        return self._share(float((self.positives * self.negatives).sum()) / 2)

    def _share(self, pairs: float) -> float:
        every = int(self.positives.sum()) * int(self.negatives.sum())
        return pairs / every if every else float("nan")


def is_structure(name: str) -> bool:
    """Whether a statistic is a part of a curve, a matrix or an interval, and no score by itself."""
    return bool(_NAME.fullmatch(name)) or name.startswith(PARTS) or is_of_calibration(name)


def with_auc(statistics: Statistics) -> Mapping[str, float | None]:
    """Means as numbers, and what follows from those that are no score by themselves.

    Args:
        statistics: sums and weights by name, of one hospital or merged.

    Returns:
        A number by score, None where nothing was counted: with auc and auc_error of histograms, and calibration_error
        of a calibration curve.
    """
    plain = {name: mean for name, mean in statistics.items() if not is_structure(name)}
    found: dict[str, float | None] = {name: mean.value if mean.weight_units else None for name, mean in plain.items()}
    if any(map(is_of_calibration, statistics)):
        bins = curve_of(statistics)
        found["calibration_error"] = expected_error(bins) if bins else None
    if any(map(_NAME.fullmatch, statistics)):
        histogram = ScoreHistogram.from_statistics(statistics)
        values = {"auc": histogram.auc, "auc_error": histogram.error}
        found |= {name: None if np.isnan(value) else value for name, value in values.items()}
    return found
