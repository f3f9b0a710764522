"""A partition of your own: how data that name no hospital are divided."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from client.partition import Partition
from common.data import Cases, Pooled
from common.errors import StudyError
from common.study.checks import positive


@dataclass(frozen=True)
class Mine:
    """hospitals: how many."""

    pooled_statistics: ClassVar[tuple[Pooled, ...]] = ()

    hospitals: int = 4

    def __post_init__(self) -> None:
        positive("partition", hospitals=self.hospitals)

    def assign(self, cases: Cases, rng: np.random.Generator) -> NDArray[np.int64]:
        """(N,) index of every case's hospital: patients are dealt out like cards, shuffled by `rng`."""
        patients, patient_of_case = np.unique(cases.patients, return_inverse=True)
        if len(patients) < self.hospitals:
            raise StudyError(f"{len(patients)} patients cannot be divided between {self.hospitals} hospitals.")
        hospital_of_patient = rng.permutation(len(patients)) % self.hospitals
        return np.asarray(hospital_of_patient[patient_of_case], dtype=np.int64)

    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        """The hospital's cases as its own scanner would show them: here as they are."""
        return cases


partition: type[Partition] = Mine
