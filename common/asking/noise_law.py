"""How noise in a sum is spread: what an interval around a noisy number has to allow for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, cosh, exp, log2, sinh, sqrt
from typing import Literal

import numpy as np

Kind = Literal["geometric", "gaussian"]

_LEAST_DECAY = 2.0**-10
_FARTHEST = 60.0
"""In scales of the noise: e**-60 lies beyond."""


@dataclass(frozen=True)
class NoiseLaw:
    """The noise in every entry of one part of a sum.

    step: the noise is a whole number of them. scale: of the whole noise in steps: 1 / decay, or sigma. shape: shares
    in the sum over those that it takes to make it, 1 or more where hospitals answered that nobody counted on.
    """

    kind: Kind
    step: float
    scale: float
    shape: float = 1.0

    @property
    def variance(self) -> float:
        """Of one entry."""
        if self.kind == "gaussian":
            return float(self.step**2 * self.scale**2 * self.shape)
        return self.step**2 * self.shape / (2 * sinh(0.5 / self.scale) ** 2)

    @property
    def fourth_cumulant(self) -> float:
        """Of one entry: 0 for a Gaussian; noise of heavier tails needs wider intervals than its variance says."""
        if self.kind == "gaussian":
            return 0.0
        decay = 1 / self.scale
        return self.step**4 * self.shape * (cosh(decay) + 2) / (4 * sinh(decay / 2) ** 4)

    def margin(self, level: float = 0.95) -> float:
        """The least m so that the noise of one entry is within +-m with this chance or more."""
        if self.kind == "gaussian":
            from scipy.stats import norm

            return self.step * ceil(self.scale * sqrt(self.shape) * float(norm.ppf(0.5 + level / 2)))
        coarser = max(1.0, _LEAST_DECAY * self.scale)
        return self.step * coarser * _steps_within(self.scale / coarser, self.shape, level)


@lru_cache(maxsize=256)
def _steps_within(scale: float, shape: float, level: float) -> int:
    """From the chances of every whole number, by the Fourier transform of a difference of two Pólya numbers."""
    size = 1 << max(6, ceil(log2(2 * _FARTHEST * max(scale, 1.0) * max(shape, 1.0))))
    a = exp(-1 / scale)
    turns = 2 * np.pi * np.arange(size) / size
    chances = np.fft.fft(((1 - a) ** 2 / (1 - 2 * a * np.cos(turns) + a * a)) ** shape).real / size
    within = chances[0] + 2 * np.cumsum(chances[1 : size // 2])
    if chances[0] >= level:
        return 0
    return 1 + int(np.searchsorted(within, level - 1e-12))
