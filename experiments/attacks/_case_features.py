"""What cases look like, in few numbers: where they lie in their inputs' main directions, and their truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.data.cases import Cases

VALUES = 1024
"""Of an input."""
Floats = NDArray[np.float64]


def features_of(cases: Cases, directions: int) -> Floats:
    """(N, F): inputs' main directions, in deviations; of the truth, each class' share or its mean; their products."""
    inputs = np.stack([_sampled(case.reshape(-1)) for case in cases.pieces("inputs")])
    centred = inputs - inputs.mean(0)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    kept = min(directions, int((lengths > 1e-9 * max(lengths[0], 1e-30)).sum()))
    main = left[:, :kept] * np.sqrt(len(cases))
    truth = _truth(cases)
    products = (main[:, :, None] * truth[:, None, :]).reshape(len(cases), -1)
    return np.asarray(np.hstack([main, truth, products]))


def _sampled(values: NDArray[np.floating]) -> Floats:
    """So many at most, evenly spread; cases may differ in size."""
    return np.asarray(values[np.linspace(0, len(values) - 1, VALUES).round().astype(int)], np.float64)


def _truth(cases: Cases) -> Floats:
    """(N, C) share of each class in a case's truth, or (N, 1) its mean where it is real numbers."""
    found = []
    for index in range(len(cases)):
        values = np.asarray(cases.columns["targets"].gather(slice(index, index + 1))[0]).reshape(-1)
        if cases.classes:
            found.append(np.bincount(values.astype(np.int64), minlength=len(cases.classes)) / max(1, len(values)))
        else:
            found.append(np.array([values.astype(np.float64).mean() if len(values) else 0.0]))
    return np.asarray(np.array(found) - np.mean(found, axis=0))
