"""Values of a sum as whole numbers of few bits, in one step that all hospitals share.

Sums of what each hospital scaled by itself would be no sums. So updates are turned until all their values are about
as large (`common.compression.rotation`), and the step is common: largest_value of the study's
aggregation, times the largest weight of any hospital and the range factor of the round, over L = 2**(bits - 1) - 1.
Values are rounded up or down at random, with no bias, and the aggregation adds the whole numbers up exactly; n
hospitals' sum needs bits + log2(n) bits, which is what the words on the wire have room for.

The coordinator names the step in its order, as follows from the study and the range of the round; a hospital takes no
other. One more of whose values would be cut than `MOST_CLIPPED` sends nothing, as of any sum (`server.value_range`),
and the round is asked for with a wider range.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def largest_of(bits: int) -> int:
    """L: whole numbers of so many bits go from -L to L."""
    return (1 << (bits - 1)) - 1


@dataclass(frozen=True)
class WholeSteps:
    """step: above 0. bits: of one value."""

    step: float
    bits: int

    @property
    def largest(self) -> int:
        """L."""
        return largest_of(self.bits)

    def rounded(self, values: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float64]:
        """(P,) whole multiples of the step; those beyond L steps are cut to it."""
        steps = np.clip(values.astype(np.float64) / self.step, -self.largest, self.largest)
        return np.minimum(np.floor(steps + rng.random(steps.size)), self.largest) * self.step

    def cut(self, values: NDArray[np.floating]) -> float:
        """The share of values that are beyond the range."""
        beyond = np.abs(values) > self.largest * self.step * (1 + 1e-12)
        return float(beyond.mean()) if values.size else 0.0


def step_of(largest_value: float, reach: float, bits: int) -> float:
    """The step of a sum. reach: what a largest_value of 1 allows n_k u_k to be."""
    return largest_value * reach / largest_of(bits)
