"""Update: the only value that leaves a hospital's training. Updates add up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from common.sums.mean import Statistics, merge

Vector = NDArray[np.float32]
Sum = NDArray[np.float64]


@dataclass(frozen=True)
class Update:
    """Sums, never means: sum of n_k * u_k, with n_k beside it.

    vectors: one or more flat arrays of the model's length P; float32 as sent, float64 once added, so that the
    order of hospitals matters only in the last bits of a double. weight: n_k. statistics: of training.
    """

    vectors: tuple[NDArray[np.floating], ...]
    weight: float
    statistics: Statistics = field(default_factory=dict)

    def __add__(self, other: Update) -> Update:
        if [v.shape for v in self.vectors] != [v.shape for v in other.vectors]:
            raise ValueError("updates of different models cannot be added.")
        vectors = tuple(np.add(a, b, dtype=np.float64) for a, b in zip(self.vectors, other.vectors, strict=True))
        return Update(vectors, self.weight + other.weight, merge([self.statistics, other.statistics]))

    def mean(self, part: slice = slice(None)) -> tuple[Sum, ...]:
        """The weighted means, (P,) float64 each, or a part of each. Raises ValueError where the weight is zero."""
        if not self.weight > 0:
            raise ValueError(f"the mean of an update of weight {self.weight} is not defined.")
        return tuple(np.divide(vector[part], self.weight, dtype=np.float64) for vector in self.vectors)
