"""The updates closest to their neighbours, Krum and multi-Krum (Blanchard et al. 2017); Flower's Krum, MultiKrum."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.errors import RoundError
from common.study.checks import non_negative, positive
from common.sums.update import Sum
from server.strategies._robust import Robust
from server.strategy import Strategy


@dataclass(frozen=True)
class Krum(Robust):
    """Blanchard et al. 2017, the Krum function and its variant multi-Krum.

    An update's score is the sum of its squared distances to its n - f - 2 nearest others; the lowest wins, and
    of equal ones the hospital whose name comes first. byzantine: f, how many of the n hospitals may lie;
    n >= 2f + 3 must reply. multi: m, the mean of the m best is taken; at most n - f, since of more than that
    one must lie.
    """

    byzantine: int = 1
    multi: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        non_negative("strategy", byzantine=self.byzantine)
        positive("strategy", multi=self.multi)

    def centre(self, deltas: NDArray[np.float64]) -> Sum:
        """The mean of the `multi` best. Raises RoundError for fewer than 2f + 3 updates, or than multi + f."""
        self._check(len(deltas))
        best = np.argsort(scores(deltas, len(deltas) - self.byzantine - 2), kind="stable")[: self.multi]
        return np.asarray(deltas[np.sort(best)].mean(axis=0))

    def _check(self, hospitals: int) -> None:
        least = max(2 * self.byzantine + 3, self.multi + self.byzantine)
        if hospitals < least:
            raise RoundError(
                f"Krum with strategy.byzantine = {self.byzantine} and strategy.multi = {self.multi} needs "
                f"{least} updates; {hospitals} came."
            )


def scores(deltas: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """(K,) float64: each update's sum of squared distances to its nearest `neighbours`; deltas: (K, P)."""
    distances = np.array([np.sum((deltas - one) ** 2, axis=1) for one in deltas])
    np.fill_diagonal(distances, np.inf)
    return np.asarray(np.sort(distances, axis=1)[:, :neighbours].sum(axis=1))


strategy: type[Strategy] = Krum
