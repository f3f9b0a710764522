"""A batch patient by patient, and means of one number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from common.cases import Batch
from common.mean import Mean


def patients(batch: Batch) -> Iterator[Batch]:
    """The cases of each patient, in the order of the patients' names.

    Scans of one patient that differ in spacing come one after the other, for no distance in mm is of both.
    """
    names = np.array(batch.patients)
    for name in np.unique(names):
        for own in _by_spacing(batch.spacings_mm, np.flatnonzero(names == name).tolist()):
            yield batch.take(own)


def _by_spacing(spacings_mm: Sequence[tuple[float, ...]], indices: list[int]) -> Iterator[list[int]]:
    if not spacings_mm:
        yield indices
        return
    for spacing_mm in dict.fromkeys(spacings_mm[index] for index in indices):
        yield [index for index in indices if spacings_mm[index] == spacing_mm]


def mean_of_one(value: float) -> Mean:
    """A mean of one value; of none where it is NaN."""
    return Mean() if np.isnan(value) else Mean.of([value])
