"""The role of a source of noise. In deployment it is the operating system's generator, in simulation the seed."""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class NoiseSource(Protocol):
    """Independent draws of mean 0."""

    def gaussian(self, size: int, standard_deviation: float) -> NDArray[np.float64]:
        """(size,) draws of a normal distribution."""
        ...

    def discrete_gaussian(self, size: int, sigma: float) -> NDArray[np.int64]:
        """(size,) whole numbers k, the caller's to change, with chance proportional to exp(-k^2 / (2 sigma^2))."""
        ...


class IntegerNoise(Protocol):
    """Independent draws of whole numbers, for sums of whole numbers."""

    def discrete_gaussian(self, size: int, sigma: float) -> NDArray[np.int64]:
        """(size,) whole numbers k drawn with chance proportional to exp(-k^2 / (2 sigma^2))."""
        ...

    def geometric_share(self, size: int, decay: Fraction, shares: int) -> NDArray[np.int64]:
        """(size,) whole numbers; the sum of so many shares is k with chance proportional to exp(-decay |k|)."""
        ...
