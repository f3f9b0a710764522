"""HD95 as a statistic that merges from hospitals to all patients, with what was missed counted beside it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from common.mean import Mean, Statistics
from common.metrics.classification import Labels
from common.metrics.surface import SurfaceDistances


def surface_statistics(
    truths: Labels, predictions: Labels, labels: Iterable[int], spacing_mm: tuple[float, ...]
) -> Statistics:
    """Of one patient's (N, *S) maps, N slices or one volume, as means of one value or of none.

    hd95: 95th percentile of distances between outlines, the larger of both directions, distances of all slices
    taken together, mean over labels; "hd95_voxels" where the spacing is not known, empty. missed: of the slices in
    which a label is in the truth or the prediction, the share where the other lacks it, mean over labels. Such
    slices have no finite distance and count here instead: a figure without the other one flatters.
    """
    figures = [_of_label(truths == label, predictions == label, spacing_mm or None) for label in labels]
    distances = [distance for distance, _ in figures if not np.isnan(distance)]
    missed = [share for _, share in figures if not np.isnan(share)]
    name = "hd95" if spacing_mm else "hd95_voxels"
    return {name: _mean(distances), "missed": _mean(missed)}


def _of_label(
    truths: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    predictions: np.ndarray[tuple[int, ...], np.dtype[np.bool_]],
    spacing_mm: tuple[float, ...] | None,
) -> tuple[float, float]:
    """HD95 over the slices where both have the label, and the share of the others; NaN where there are none."""
    axes = tuple(range(1, truths.ndim))
    in_truth, in_prediction = truths.any(axis=axes), predictions.any(axis=axes)
    both, either = in_truth & in_prediction, in_truth | in_prediction
    share = 1 - both.sum() / either.sum() if either.any() else np.nan
    if not both.any():
        return float("nan"), float(share)
    parts = SurfaceDistances.of_many(truths[both], predictions[both], spacing_mm)
    pooled = SurfaceDistances(
        np.concatenate([part.to_truth_mm for part in parts]),
        np.concatenate([part.to_prediction_mm for part in parts]),
    )
    return pooled.hausdorff_percentile_mm(), float(share)


def _mean(values: list[float]) -> Mean:
    return Mean.of([float(np.mean(values))]) if values else Mean()
