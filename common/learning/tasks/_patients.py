"""A batch patient by patient, and means of one number."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np

from common.data.cases import Batch
from common.sums.mean import Mean


def patients(batch: Batch) -> Iterator[Batch]:
    """The cases of each patient, in the order of the patients' names.

    Scans of one patient that differ in spacing or shape come one after the other: no distance in mm, and no map of
    labels, is of both.
    """
    names = np.array(batch.patients)
    spacings_mm = batch.spacings_mm or ((),) * len(batch)
    lattices = [(one, image.shape) for one, image in zip(spacings_mm, batch.each("inputs"), strict=True)]
    for name in np.unique(names):
        for own in _alike(lattices, np.flatnonzero(names == name).tolist()):
            yield batch.take(own)


def _alike(lattices: Sequence[Hashable], indices: list[int]) -> Iterator[list[int]]:
    for lattice in dict.fromkeys(lattices[index] for index in indices):
        yield [index for index in indices if lattices[index] == lattice]


def mean_of_one(value: float) -> Mean:
    """A mean of one value; of none where it is NaN."""
    return Mean() if np.isnan(value) else Mean.of([value])
