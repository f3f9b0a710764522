"""Over- and under-segmentation in bits: what the instances of one map leave unsaid of those of the other.

Variation of information (Meila 2007, Journal of Multivariate Analysis 98, 873-895), in its two parts: H(prediction |
truth) is above 0 where instances of the truth are split, and H(truth | prediction) where they are merged. Background
is an instance as any other. Both are scikit-image's `variation_of_information`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.maps import Labels, as_labels


def segmentation_entropies(truth: Labels, prediction: Labels, outside: int = 0) -> tuple[float, float]:
    """(over, under)-segmentation: H(prediction | truth) and H(truth | prediction), in bits, 0 where both are alike.

    truth, prediction: maps of one shape in which every instance has a number of its own, such as `instances` makes.
    outside: how many voxels more both images have, background in both, where the maps are cut to what is drawn.
    Raises ImageError for two shapes and for no voxel.
    """
    true, predicted = as_labels(truth, "the truth"), as_labels(prediction, "the prediction")
    if true.shape != predicted.shape or not true.size + outside:
        raise ImageError(f"truth {true.shape} and prediction {predicted.shape} must be maps of one shape, of voxels.")
    _, row = np.unique(np.append(true, 0), return_inverse=True)
    columns, column = np.unique(np.append(predicted, 0), return_inverse=True)
    joint, of_truth, of_prediction = (
        _entropy(codes, outside) for codes in (row * len(columns) + column, row, column)
    )
    return max(joint - of_truth, 0.0), max(joint - of_prediction, 0.0)


def _entropy(codes: NDArray[np.int64], outside: int) -> float:
    """Of how often each code occurs; the last one is background, counted `outside` times."""
    counts = np.bincount(codes[:-1], minlength=int(codes.max()) + 1)
    counts[codes[-1]] += outside
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum())
