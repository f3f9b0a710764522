"""Quantity skew: hospitals' sizes follow a power law, labels are mixed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from client.partition import Partition
from client.partitions._patients import patients_of, spread
from common.data.cases import Cases
from common.data.pooled_statistics import Pooled
from common.study.checks import non_negative, positive


@dataclass(frozen=True)
class Quantity:
    """The k-th hospital, counted from 1, holds a share in proportion to k ** -exponent; 0 gives equal sizes.

    hospitals: how many.
    """

    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()

    hospitals: int
    exponent: float = 1.0

    def __post_init__(self) -> None:
        positive("partition 'quantity'", hospitals=self.hospitals)
        non_negative("partition 'quantity'", exponent=self.exponent)

    def assign(self, cases: Cases, rng: np.random.Generator) -> NDArray[np.int64]:
        """(N,): a shuffle of the patients, cut at the cumulated shares."""
        patients = patients_of(cases, self.hospitals)
        weights = np.arange(1, self.hospitals + 1, dtype=np.float64) ** -self.exponent
        ends = (np.cumsum(weights) / weights.sum() * len(patients)).round().astype(int)
        assigned = np.empty(len(patients), dtype=np.int64)
        places = np.searchsorted(ends, np.arange(len(patients)), side="right")
        assigned[rng.permutation(len(patients))] = np.minimum(places, self.hospitals - 1)
        return spread(assigned, self.hospitals, rng)[patients.of_case]

    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        """The cases as they are."""
        return cases


partition: type[Partition] = Quantity
