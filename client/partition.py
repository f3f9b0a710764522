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
        """(N,) index of the hospital of every case, in 0..hospitals-1. All cases of a patient go together.

        Raises StudyError where the data cannot be divided so (fewer patients than hospitals, say). Every
        hospital gets at least one patient. The result follows the patients, not the order of the cases.
        """
        ...

    def adapt(self, cases: Cases, hospital: int, rng: np.random.Generator) -> Cases:
        """The hospital's cases as its own scanner would show them; the same cases but for feature shift."""
        ...
