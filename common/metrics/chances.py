"""How good predicted chances are: Brier score, expected calibration error, and the curve behind it.

Of single cases on one machine. Between hospitals the curve goes as counts of ten shared bins
(`common.metrics.calibration.calibration_statistics`), and the Brier score as a mean.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ImageError
from common.metrics.calibration import BINS, CalibrationBin, expected_error
from common.metrics.doors import as_reals, as_whole
from common.metrics.maps import as_labels
from common.metrics.merged import UNITS_A_VOXEL
from common.metrics.ranked import as_positive
from common.sums.mean import Mean

Chances = NDArray[np.float64]
MOST_BINS = 10_000
MOST_OFF = 1e-4
"""By how much the chances of all classes of a case may miss 1."""


def brier_score(chances: ArrayLike, truth: ArrayLike) -> float:
    """mean (chance - what happened)^2, 0 is perfect (Brier 1950, of two classes halved); `brier_score_loss`.

    chances: of being positive, within 0 and 1, of any shape; truth: the same shape, not 0 where positive. NaN of no
    case. Raises ImageError for two shapes, and for a chance beyond 0 and 1.
    """
    given, true = _checked(chances, truth)
    return float(((given - true) ** 2).mean()) if len(given) else float("nan")


def reliability_curve(chances: ArrayLike, truth: ArrayLike, bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """Of each of so many bins of equal width from 0 to 1 that hold a case: cases, mean chance, share that happened.

    A chance at the edge of two bins is in the upper one. scikit-learn's `calibration_curve`, strategy "uniform".
    Arguments and errors as of `brier_score`; ImageError for fewer than one bin.
    """
    given, true = _checked(chances, truth)
    bins = as_whole(bins, "bins", 1, MOST_BINS)
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    place = np.searchsorted(edges, given, side="right")
    cases, sums, hits = (np.bincount(place, weights, bins) for weights in (None, given, true))
    return tuple(
        CalibrationBin(float(count), float(total / count), float(hit / count))
        for count, total, hit in zip(cases, sums, hits, strict=True)
        if count
    )


def expected_calibration_error(chances: ArrayLike, truth: ArrayLike, bins: int = BINS) -> float:
    """ECE: the mean distance of chance from what happened over bins of equal width, weighted by cases.

    Naeini et al. 2015, equation 3. MetricsReloaded's `expectation_calibration_error` of chances at no edge of a bin;
    it leaves chances of exactly 0 out. NaN of no case.
    """
    return expected_error(reliability_curve(chances, truth, bins))


def brier_statistics(chances: ArrayLike, truth: ArrayLike) -> dict[str, Mean]:
    """brier as a mean over cases, which merges over hospitals."""
    given, true = _checked(chances, truth)
    total = float(((given - true) ** 2).sum())
    return {"brier": Mean(round(total * UNITS_A_VOXEL), len(given) * UNITS_A_VOXEL)}


def brier_of_classes(chances: ArrayLike, truth: ArrayLike) -> float:
    """mean over cases of the sum over classes of (chance - indicator)^2, from 0 to 2 (Brier 1950, equation 2).

    chances: (N, K), each row adding up to 1; truth: (N,) class indices. `brier_score_loss` of several classes.
    Raises ImageError where they do not fit.
    """
    given, true = as_reals(chances, "chances"), as_labels(truth, "the truth")
    if given.ndim != 2 or true.shape != given.shape[:1] or not np.isfinite(given).all():
        raise ImageError(f"chances must be (cases, classes), a row for each of {true.shape} truths, none NaN.")
    if given.size and (given.min() < 0 or np.abs(given.sum(axis=1) - 1).max() > MOST_OFF):
        raise ImageError("the chances of a case must be at least 0 and add up to 1.")
    if true.size and not 0 <= true.min() <= true.max() < given.shape[1]:
        raise ImageError(f"the truth holds {true.min()} to {true.max()}; classes end at {given.shape[1] - 1}.")
    return float(((given - np.eye(given.shape[1])[true]) ** 2).sum(axis=1).mean()) if len(true) else float("nan")


def _checked(chances: ArrayLike, truth: ArrayLike) -> tuple[Chances, Chances]:
    """(N,) float64 each."""
    given, true = as_reals(chances, "chances"), as_positive(truth)
    if given.shape != true.shape:
        raise ImageError(f"chances {given.shape} must be a number for each of {true.shape} cases.")
    flat = given.reshape(-1)
    if flat.size and not (flat.min() >= 0 and flat.max() <= 1):
        raise ImageError("chances must lie within 0 and 1; some do not, or are NaN.")
    return flat, true.reshape(-1).astype(np.float64)
