"""A batch patient by patient, and means of one number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from common.cases import Batch
from common.mean import Mean


def patients(batch: Batch) -> Iterator[Batch]:
    """The cases of each patient, in the order of the patients' names.

    Scans of one patient that differ in spacing come one after the other, for no distance in mm is of both.
    """
    names = np.array(batch.patients)
    for name in np.unique(names):
        for own, spacing_mm in _by_spacing(batch, np.flatnonzero(names == name).tolist()):
            indices = torch.tensor(own)
            yield Batch(
                batch.inputs[indices],
                batch.targets[indices],
                (str(name),) * len(own),
                spacing_mm,
                None if batch.displacement is None else batch.displacement[indices],
            )


def _by_spacing(batch: Batch, indices: list[int]) -> Iterator[tuple[list[int], tuple[float, ...]]]:
    if not batch.spacings_mm:
        yield indices, batch.spacing_mm
        return
    for spacing_mm in dict.fromkeys(batch.spacings_mm[index] for index in indices):
        yield [index for index in indices if batch.spacings_mm[index] == spacing_mm], spacing_mm


def mean_of_one(value: float) -> Mean:
    """A mean of one value; of none where it is NaN."""
    return Mean() if np.isnan(value) else Mean.of([value])
