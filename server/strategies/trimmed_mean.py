"""The coordinate-wise mean without the largest and smallest updates (Yin et al. 2018); Flower's FedTrimmedAvg."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np
from numpy.typing import NDArray

from common.errors import RoundError, StudyError
from common.sums.update import Sum
from server.strategies._robust import Robust
from server.strategy import Strategy


@dataclass(frozen=True)
class TrimmedMean(Robust):
    """Yin et al. 2018, Definition 2 and Algorithm 1, option II, on deltas in place of gradients.

    beta: share of hospitals left out at either end, in (0, 1/2); floor(beta K) of K, and at least that many
    may lie. A round in which that is nobody is refused: it would be a mean without any protection.
    """

    beta: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.beta < 0.5:
            raise StudyError(f"strategy.beta must lie above 0 and below 0.5; it is {self.beta!r}.")

    def centre(self, deltas: NDArray[np.float64]) -> Sum:
        """The mean of what is left. Raises RoundError where nothing would be trimmed."""
        hospitals = len(deltas)
        trimmed = self._trimmed(hospitals)
        return np.asarray(np.sort(deltas, axis=0)[trimmed : hospitals - trimmed].mean(axis=0))

    def _trimmed(self, hospitals: int) -> int:
        # A share such as 0.29 of 100 is 28.999999999999996 in binary.
        trimmed = floor(self.beta * hospitals + 1e-9)
        if trimmed:
            return trimmed
        raise RoundError(
            f"strategy.beta = {self.beta} of {hospitals} updates trims none: at least "
            f"{_least_hospitals(self.beta)} hospitals must reply at this beta."
        )


def _least_hospitals(beta: float) -> int:
    return next(count for count in range(3, 10**9) if floor(beta * count + 1e-9))


strategy: type[Strategy] = TrimmedMean
