"""A batch patient by patient, and means of one number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from common.cases import Batch
from common.mean import Mean


def patients(batch: Batch) -> Iterator[Batch]:
    """The cases of each patient, in the order of the patients' names."""
    names = np.array(batch.patients)
    for name in np.unique(names):
        indices = torch.from_numpy(np.flatnonzero(names == name))
        yield Batch(
            batch.inputs[indices],
            batch.targets[indices],
            (str(name),) * len(indices),
            batch.spacing_mm,
            None if batch.displacement is None else batch.displacement[indices],
        )


def mean_of_one(value: float) -> Mean:
    """A mean of one value; of none where it is NaN."""
    return Mean() if np.isnan(value) else Mean.of([value])
