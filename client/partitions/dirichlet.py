"""Label skew: each label is shared out between hospitals by a Dirichlet draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from client.partition import Partition
from client.partitions._patients import demand_labels, patients_of, spread
from common.data.cases import Cases
from common.data.pooled_statistics import Pooled
from common.study.checks import positive


@dataclass(frozen=True)
class Dirichlet:
    """alpha: 100 is close to IID, 0.1 gives most hospitals one or two labels (Hsu, Qi and Brown 2019, section 3;
    here, as in Li et al. 2022, a draw for each label over the hospitals, so sizes differ too).
    """

    by_labels: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()

    hospitals: int
    alpha: float = 0.5

    def __post_init__(self) -> None:
        positive("partition 'dirichlet'", hospitals=self.hospitals, alpha=self.alpha)

    def assign(self, cases: Cases, rng: np.random.Generator) -> NDArray[np.int64]:
        """(N,): the patients of each label, shuffled and cut at the cumulated shares."""
        demand_labels(cases, "dirichlet")
        patients = patients_of(cases, self.hospitals)
        assigned = np.empty(len(patients), dtype=np.int64)
        for label in np.unique(patients.labels):
            own = rng.permutation(np.flatnonzero(patients.labels == label))
            shares = rng.dirichlet(np.full(self.hospitals, self.alpha))
            ends = np.minimum((np.cumsum(shares) * len(own)).round().astype(int), len(own))
            ends[-1] = len(own)
            assigned[own] = np.searchsorted(ends, np.arange(len(own)), side="right")
        return spread(assigned, self.hospitals, rng)[patients.of_case]

    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        """The cases as they are."""
        return cases


partition: type[Partition] = Dirichlet
