"""Multi-Krum, then what lies nearest to the median of the chosen (El Mhamdi et al. 2018); Flower's Bulyan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import RoundError
from common.study.checks import non_negative
from common.sums.update import Sum
from server.strategies._robust import Robust
from server.strategies.krum import scores
from server.strategy import Strategy


@dataclass(frozen=True)
class Bulyan(Robust):
    """El Mhamdi et al. 2018, "The hidden vulnerability of distributed learning in Byzantium", section 4.

    Of n updates the n - 2f with the best Krum scores are chosen; then, coordinate by coordinate, the mean of the
    n - 4f of them that are nearest to their median, which leaves a liar among the chosen little room in any one
    coordinate. They are chosen at once, as multi-Krum does and Flower; the paper computes scores anew after each,
    for which neighbours run out where n is near 4f + 3.
    byzantine: f, how many of the n hospitals may lie; n >= 4f + 3 must reply.
    """

    byzantine: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        non_negative("strategy", byzantine=self.byzantine)

    def centre(self, deltas: NDArray[np.float64]) -> Sum:
        """As above. Raises RoundError for fewer than 4f + 3 updates."""
        hospitals, liars = len(deltas), self.byzantine
        if hospitals < 4 * liars + 3:
            raise RoundError(
                f"Bulyan with strategy.byzantine = {liars} needs {4 * liars + 3} updates; {hospitals} came."
            )
        best = np.argsort(scores(deltas, hospitals - liars - 2), kind="stable")[: hospitals - 2 * liars]
        chosen = deltas[np.sort(best)]
        distances = np.abs(chosen - np.median(chosen, axis=0))
        nearest = np.argsort(distances, axis=0, kind="stable")[: hospitals - 4 * liars]
        return np.asarray(np.take_along_axis(chosen, nearest, axis=0).mean(axis=0))


strategy: type[Strategy] = Bulyan
