"""Area under the ROC curve from how often every value occurs in two groups, with its variance by sums.

DeLong, DeLong and Clarke-Pearson 1988, equations 2 to 5: structural components V10 and V01.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from common.analyses._moments import LEVEL


@dataclass(frozen=True)
class Auc:
    """area: the chance that a value of the first group is above one of the second, ties counted half.

    error: its standard error; low, high: the interval. None where a group has fewer than two rows.
    """

    area: float
    error: float | None
    low: float | None
    high: float | None


def auc_of(above: NDArray[np.int64], below: NDArray[np.int64]) -> Auc:
    """above, below: (K,) rows of both groups by value, ascending."""
    upper, lower = int(above.sum()), int(below.sum())
    wins_above = (np.cumsum(below) - below / 2) / lower
    wins_below = 1 - (np.cumsum(above) - above / 2) / upper
    area = float(above @ wins_above) / upper
    if min(upper, lower) < 2:
        return Auc(area, None, None, None)
    error = sqrt(_variance(above, wins_above, area) / upper + _variance(below, wins_below, area) / lower)
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * error
    return Auc(area, error, max(0.0, area - half), min(1.0, area + half))


def _variance(rows: NDArray[np.int64], values: NDArray[np.float64], mean: float) -> float:
    return float(rows @ (values - mean) ** 2) / (int(rows.sum()) - 1)
