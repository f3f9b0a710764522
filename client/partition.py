"""The role of a partition: how data without a site column is divided. Entries live in `client/partitions/`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases
from common.data.pooled_statistics import Pooled


class Partition(Protocol):
    """A frozen dataclass of options in `client/partitions/`; `hospitals`, how many there are, is always one.

    Who is in which hospital is taken to be public and fixed: it stands for hospitals that exist beforehand.
    """

    @property
    def hospitals(self) -> int:
        """Number of hospitals."""
        ...

    @property
    def pooled_statistics(self) -> tuple[Pooled, ...]:
        """As a source's, of what `adapt` computes."""
        ...

    def assign(self, cases: Cases, rng: np.random.Generator) -> NDArray[np.int64]:
        """To which hospital every case goes; all cases of a patient go together, and every hospital gets a patient.

        Args:
            cases: N of them.
            rng: of all draws.

        Returns:
            (N,) int64, from 0 to hospitals - 1. It follows the patients, not the order of the cases.

        Raises:
            StudyError: the data cannot be divided so: fewer patients than hospitals, say.
        """
        ...

    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        """The hospital's cases as its own scanner would show them; the same cases but for feature shift.

        Args:
            cases: of the hospital.
            hospital: its index, as of `assign`.
            rng: of all draws.

        Returns:
            As many cases, of the same patients.
        """
        ...
