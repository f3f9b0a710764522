"""The coordinate-wise median of the hospitals' updates (Yin et al. 2018); Flower's FedMedian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.sums.update import Sum
from server.strategies._robust import Robust
from server.strategy import Strategy


@dataclass(frozen=True)
class Median(Robust):
    """Yin et al. 2018, Definition 1 and Algorithm 1, option I, on deltas in place of gradients.

    Withstands fewer than half of the hospitals.
    """

    def centre(self, deltas: NDArray[np.float64]) -> Sum:
        """By coordinate; the mean of the middle two for an even number of hospitals."""
        return np.asarray(np.median(deltas, axis=0))


strategy: type[Strategy] = Median
