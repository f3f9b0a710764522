"""Patients at random, hospitals of equal size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from client.partition import Partition
from client.partitions._patients import patients_of
from common.data.cases import Cases
from common.data.pooled_statistics import Pooled
from common.study.checks import positive


@dataclass(frozen=True)
class Iid:
    """Sizes differ by one patient at most.

    hospitals: how many.
    """

    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()

    hospitals: int

    def __post_init__(self) -> None:
        positive("partition 'iid'", hospitals=self.hospitals)

    def assign(self, cases: Cases, rng: np.random.Generator) -> NDArray[np.int64]:
        """(N,): a shuffle of the patients, dealt out like cards."""
        patients = patients_of(cases, self.hospitals)
        dealt = np.empty(len(patients), dtype=np.int64)
        dealt[rng.permutation(len(patients))] = np.arange(len(patients)) % self.hospitals
        return dealt[patients.of_case]

    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        """The cases as they are."""
        return cases


partition: type[Partition] = Iid
