"""Harrell's concordance index: of pairs of cases whose order is known, the share that a risk puts in that order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.errors import ImageError
from common.metrics.doors import as_reals
from common.metrics.maps import as_mask
from common.sums.mean import Mean

PAIRS_A_BLOCK = 1 << 22
UNITS_A_PAIR = 1 << 20
"""Of a mean's units of 2**-40: a million cases can be compared with each other before a mean is full."""


@dataclass(frozen=True)
class Concordance:
    """Pairs of cases of which one is known to have had the event before the other (Harrell et al. 1982).

    concordant: those whose earlier case was given the higher risk. tied: the same risk. discordant: the lower.
    """

    concordant: int
    tied: int
    discordant: int

    @classmethod
    def of(cls, risks: ArrayLike, times: ArrayLike, events: ArrayLike) -> Concordance:
        """Of (N,) risks, times under observation, and whether each ended in the event.

        A pair counts where the case of the shorter time had the event, or, of equal times, just one of them had it.
        Raises ImageError where lengths differ or a number is NaN.
        """
        risk, time, event = _checked(risks, times, events)
        counts = np.zeros(3, np.int64)
        with_event = np.flatnonzero(event)
        step = max(1, PAIRS_A_BLOCK // max(1, len(risk)))
        for start in range(0, len(with_event), step):
            first = with_event[start : start + step, None]
            later = (time > time[first]) | ((time == time[first]) & ~event)
            counts += [(later & sign).sum() for sign in (risk < risk[first], risk == risk[first], risk > risk[first])]
        return cls(*counts.tolist())

    def __add__(self, other: Concordance) -> Concordance:
        """Pairs within either group; none across."""
        return Concordance(
            self.concordant + other.concordant, self.tied + other.tied, self.discordant + other.discordant
        )

    @property
    def pairs(self) -> int:
        """How many pairs could be compared."""
        return self.concordant + self.tied + self.discordant

    @property
    def index(self) -> float:
        """The share of concordant pairs, tied ones counting one half; NaN where no pair can be compared."""
        return (self.concordant + self.tied / 2) / self.pairs if self.pairs else float("nan")

    def mean(self) -> Mean:
        """The index as a mean over pairs: merged, it is that of all pairs within a hospital, none across."""
        half = UNITS_A_PAIR // 2
        return Mean(self.concordant * UNITS_A_PAIR + self.tied * half, self.pairs * UNITS_A_PAIR)


def _checked(
    risks: ArrayLike, times: ArrayLike, events: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    risk, time, event = as_reals(risks, "risks"), as_reals(times, "times"), as_mask(events, "events")
    if risk.ndim != 1 or not risk.shape == time.shape == event.shape:
        raise ImageError(
            f"a risk, a time and an event for each case are needed: shapes {risk.shape}, {time.shape}, {event.shape}."
        )
    return risk, time, event
