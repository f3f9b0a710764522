"""Whether predicted chances are what happens: bins that everybody shares, so that counts of hospitals add up.

Ten bins of equal width from 0 to 1. Each has two means over its cases: of what was predicted, and of what happened.
Both merge exactly, so that the curve of all hospitals is that of their pooled cases (scikit-learn's
`calibration_curve` with strategy "uniform", but that it leaves empty bins out).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.doors import as_number, as_reals
from common.sums.mean import Mean, Statistics

BINS = 10
LARGEST = 1e30
"""Of a prediction: float32 holds it."""
_NAME = re.compile(r"calibration_(predicted|observed)_(\d)")

Numbers = NDArray[np.floating]


@dataclass(frozen=True)
class CalibrationBin:
    """Cases whose prediction is in one bin: how many, and the means of what was predicted and of what happened."""

    cases: float
    predicted: float
    observed: float


def calibration_statistics(predicted: Numbers, observed: Numbers, low: float = 0.0, high: float = 1.0) -> Statistics:
    """What was predicted and what happened, in bins of equal width: means that add up over hospitals.

    Both are rounded to float32 before they are added, since how a product rounds depends on the processor.

    Args:
        predicted: (N,) chances, or numbers.
        observed: (N,) what happened.
        low: where the first bin begins; it also holds all that lies below.
        high: where the last bin ends; it also holds all that lies beyond.

    Returns:
        calibration_predicted_0, calibration_observed_0, and so on for each bin.

    Raises:
        ImageError: where the two do not fit each other.
    """
    given, true = _checked(predicted, "predictions"), _checked(observed, "what happened")
    low, high = as_number(low, "low", -LARGEST, LARGEST), as_number(high, "high", -LARGEST, LARGEST)
    if given.shape != true.shape or not high - low > 1 / LARGEST:
        raise ImageError(
            f"each prediction needs what happened, and low must be below high; shapes are {given.shape} and "
            f"{true.shape}, low {low:g} and high {high:g}."
        )
    places = np.clip(np.floor((given - low) * BINS / (high - low)), 0, BINS - 1).astype(np.int64)
    found: dict[str, Mean] = {}
    for place in range(BINS):
        here = places == place
        found[f"calibration_predicted_{place}"] = Mean.of(given[here].tolist())
        found[f"calibration_observed_{place}"] = Mean.of(true[here].tolist())
    return found


def _checked(given: Numbers, name: str) -> NDArray[np.float32]:
    values = as_reals(given, name)
    if values.ndim != 1 or not (np.abs(values) <= LARGEST).all():
        raise ImageError(f"{name} must be (N,) finite numbers; their shape is {values.shape}.")
    return values.astype(np.float32)


def is_of_calibration(name: str) -> bool:
    """Whether a statistic is one of a curve's."""
    return _NAME.fullmatch(name) is not None


def curve_of(statistics: Statistics) -> tuple[CalibrationBin, ...]:
    """The bins that hold a case, from what `calibration_statistics` made, merged or not."""
    bins = []
    for place in range(BINS):
        predicted = statistics.get(f"calibration_predicted_{place}", Mean())
        observed = statistics.get(f"calibration_observed_{place}", Mean())
        if predicted.weight_units and observed.weight_units:
            bins.append(CalibrationBin(predicted.weight, predicted.value, observed.value))
    return tuple(bins)


def expected_error(bins: Sequence[CalibrationBin]) -> float:
    """Expected calibration error: the mean distance of predicted from observed over bins, weighted by their cases.

    Naeini et al. 2015, Obtaining well calibrated probabilities using Bayesian binning, equation 3; of several
    classes, where what is predicted is the chance of the answer and what happened whether it was right, Guo et al.
    2017, On calibration of modern neural networks, equation 3.

    Args:
        bins: of one hospital, or of all together.

    Returns:
        The error; NaN of no bins.
    """
    cases = sum(one.cases for one in bins)
    return sum(one.cases * abs(one.predicted - one.observed) for one in bins) / cases if cases else float("nan")
