"""Guesses whose coins fell which way, from scores: the surest are made, the others are left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Guessed:
    """correct of `guesses` guesses on `canaries` fair coins; both_ways: half of them "it was there", half "it was
    not", else all "it was there"."""

    canaries: int
    guesses: int
    correct: int
    both_ways: bool


@dataclass(frozen=True)
class Guessing:
    """Which guesses are made, said before anything is seen. each_way: how many "it was there"; as many "not", if
    both_ways."""

    each_way: int
    both_ways: bool

    def made(self, scores: Floats, included: NDArray[np.bool_]) -> Guessed:
        """scores: (m,), the higher the surer that the canary was there. included: (m,) how the coins fell."""
        order = np.argsort(scores, kind="stable")
        correct = int(included[order[-self.each_way :]].sum())
        if self.both_ways:
            correct += int((~included[order[: self.each_way]]).sum())
        return Guessed(len(scores), self.each_way * (2 if self.both_ways else 1), correct, self.both_ways)
