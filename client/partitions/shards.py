"""McMahan's pathological shards: sorted by label, cut into shards, a few shards a hospital."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from client.partition import Partition
from client.partitions._patients import demand_labels, patients_of
from common.data.cases import Cases
from common.data.pooled_statistics import Pooled
from common.errors import StudyError
from common.study.checks import positive


@dataclass(frozen=True)
class Shards:
    """As in McMahan et al. 2017, section 3: MNIST's 60,000 images in 200 shards of 300, two a client.

    Where the data prescribes a test set, its patients are cut in the same way, and each hospital gets the
    shards of the same numbers: it is tested on the labels that it holds.

    hospitals: how many. shards_per_hospital: how many of the sorted shards each is given; fewer are more unlike.
    """

    by_labels: ClassVar[bool] = True
    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()

    hospitals: int
    shards_per_hospital: int = 2

    def __post_init__(self) -> None:
        where = "partition 'shards'"
        positive(where, hospitals=self.hospitals, shards_per_hospital=self.shards_per_hospital)

    def assign(self, cases: Cases, rng: np.random.Generator) -> NDArray[np.int64]:
        """(N,). Raises StudyError where there are fewer patients than shards."""
        demand_labels(cases, "shards")
        patients = patients_of(cases, self.hospitals)
        count = self.hospitals * self.shards_per_hospital
        owner = np.empty(count, dtype=np.int64)
        owner[rng.permutation(count)] = np.arange(count) // self.shards_per_hospital
        assigned = np.empty(len(patients), dtype=np.int64)
        for part in _parts(cases, patients.of_case, len(patients)):
            if len(part) < count:
                raise StudyError(f"{len(part)} patients cannot be cut into {count} shards.")
            ordered = part[np.argsort(patients.labels[part], kind="stable")]
            assigned[ordered] = owner[np.arange(len(part)) * count // len(part)]
        return assigned[patients.of_case]

    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        """The cases as they are."""
        return cases


def _parts(cases: Cases, of_case: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """Patients that the data set keeps for test, and the others."""
    tested = np.zeros(count, dtype=np.bool_)
    if cases.given_split is not None:
        tested[of_case[cases.given_split == "test"]] = True
    return [part for part in (np.flatnonzero(~tested), np.flatnonzero(tested)) if len(part)]


partition: type[Partition] = Shards
