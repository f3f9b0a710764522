"""What one hospital lets out with noise, as values that can be added up by any accountant and kept in a ledger."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from common.errors import StudyError

Unit = Literal["patient", "sample", "hospital"]
"""Neighbouring data sets differ by adding or removing all of one patient, one case, or one hospital."""

Noise = Literal["gaussian", "discrete gaussian", "geometric"]


@dataclass(frozen=True)
class Release:
    """`steps` times the same noisy sum, each over an own Poisson sample of the units.

    noise_multiplier: standard deviation of the noise over the sensitivity (the most that adding or removing one unit
    changes the sum, in L2); for discrete noise, of the discrete Gaussian's parameter sigma; for geometric noise, one
    over its epsilon, its scale over the sensitivity in L1, and nothing else is counted on. sampling_rate: chance of
    each unit to be in the sum; 1: all are. variation: at most this, in total variation, is what leaves in one step
    from what the other fields describe, as where noise has a limited room; accountants charge it to delta.
    """

    noise_multiplier: float
    sampling_rate: float
    steps: int
    noise: Noise = "gaussian"
    variation: float = 0.0

    def __post_init__(self) -> None:
        if not (isfinite(self.noise_multiplier) and self.noise_multiplier > 0):
            raise StudyError(f"a release's noise_multiplier must be above 0; it is {self.noise_multiplier}.")
        if not 0 < self.sampling_rate <= 1:
            raise StudyError(f"a release's sampling_rate must be above 0 and at most 1; it is {self.sampling_rate}.")
        if self.steps < 1:
            raise StudyError(f"a release's steps must be 1 or more; they are {self.steps}.")
        if not 0 <= self.variation < 1:
            raise StudyError(f"a release's variation must be at least 0 and below 1; it is {self.variation}.")
