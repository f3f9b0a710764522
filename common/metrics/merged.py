"""Scores of outlines as statistics that merge: hospitals' means add up to that of all patients, exactly.

Three kinds, by name:

- OVERLAPS (dice, jaccard, ...): one figure a patient, all slices counted together, and the mean over patients;
- POOLED (pooled_dice, ...): one figure of all voxels of all patients, so that large structures count for more. Volume
  similarity is not among them: the absolute value in it does not add up;
- SURFACES (hd, hd95, assd, masd, surface_dice): one figure a patient, of the distances of all slices together.

A figure that is not defined is never dropped unseen. Where neither map has the label there is nothing to measure, and
the weight of the mean, its number of patients, says so. Where only one has it:

| kind                           | figure           | where it shows                                               |
|--------------------------------|------------------|--------------------------------------------------------------|
| dice, jaccard, volume sim., f  | 0                | in the mean                                                  |
| surface_dice                   | 0                | in the mean                                                  |
| hd, hd95, assd, masd           | infinite         | "missed": share of slices with the label in one map only     |
| precision, sensitivity, spec.  | 0 or not defined | "precision_undefined", ...: share of patients and labels     |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics import counts as figures
from common.metrics.counts import Counts, Figures, Parts
from common.metrics.doors import as_spacing_mm, as_tolerance_mm, as_wanted
from common.metrics.maps import Labels, as_labels
from common.metrics.nearest import Outline, as_outline
from common.metrics.surface import SurfaceDistances
from common.sums.mean import Mean, Statistics

OVERLAPS: Mapping[str, Callable[[Counts], Figures]] = {
    "dice": figures.f_beta,
    "jaccard": figures.jaccard,
    "precision": figures.precision,
    "sensitivity": figures.sensitivity,
    "specificity": figures.specificity,
    "accuracy": figures.accuracy,
    "f05": lambda counts: figures.f_beta(counts, 0.5),
    "f2": lambda counts: figures.f_beta(counts, 2.0),
    "volume_similarity": figures.volume_similarity,
}
CAN_BE_UNDEFINED = ("precision", "sensitivity", "specificity")
POOLED: Mapping[str, Callable[[Counts], Parts]] = {
    "pooled_dice": lambda counts: figures.f_beta_parts(counts, 1.0),
    "pooled_jaccard": figures.jaccard_parts,
    "pooled_precision": figures.precision_parts,
    "pooled_sensitivity": figures.sensitivity_parts,
    "pooled_specificity": figures.specificity_parts,
    "pooled_accuracy": figures.accuracy_parts,
    "pooled_f05": lambda counts: figures.f_beta_parts(counts, 0.5),
    "pooled_f2": lambda counts: figures.f_beta_parts(counts, 2.0),
}
DISTANCES: Mapping[str, Callable[[SurfaceDistances], float]] = {
    "hd": lambda surface: surface.hausdorff_mm,
    "hd95": lambda surface: surface.hausdorff_percentile_mm(),
    "assd": lambda surface: surface.average_symmetric_mm,
    "masd": lambda surface: surface.mean_average_mm,
}
SURFACES = (*DISTANCES, "surface_dice")
SCORES = (*OVERLAPS, *POOLED, *SURFACES)

Removed = NDArray[np.int64]

MOST_NAMES = 128
"""Above this number of labels times scores only means over labels are given, so that a reply stays small."""
UNITS_A_VOXEL = 1 << 20
"""Of a pooled mean, so that 4 million million voxels fit: a weight of 1 is 1,048,576 voxels."""


def overlap_statistics(
    truths: Labels,
    predictions: Labels,
    labels: Sequence[int],
    scores: Iterable[str] = ("dice",),
    removed: Removed | None = None,
) -> Statistics:
    """Of one patient's maps of one shape: OVERLAPS and POOLED among `scores`; other names are left alone.

    NAME_1, NAME_2, ... of each label, and NAME: of OVERLAPS the mean over those labels for which it is defined, of
    POOLED the figure of all labels' counts added. removed: (N, labels) voxels of the truth that the maps no longer
    have, for they were cut away before: not found, whatever the prediction. Raises ImageError for two shapes.
    """
    wanted = [name for name in dict.fromkeys(scores) if name in OVERLAPS or name in POOLED]
    labels = as_wanted(labels)
    counts = Counts.of(truths, predictions, labels)
    if removed is not None:
        counts = replace(counts, false_negatives=counts.false_negatives + removed.sum(axis=0))
    singly = len(wanted) * len(labels) <= MOST_NAMES
    found: dict[str, Mean] = {}
    for name in wanted:
        each, together = _overlap(name, counts) if name in OVERLAPS else _pooled(name, counts)
        if singly:
            found |= {f"{name}_{label}": mean for label, mean in zip(labels, each, strict=True)}
        found[name] = together
        if name in CAN_BE_UNDEFINED:
            found[f"{name}_undefined"] = _undefined(OVERLAPS[name](counts), counts)
    return found


def surface_statistics(
    truths: Labels,
    predictions: Labels,
    labels: Sequence[int],
    spacing_mm: tuple[float, ...],
    scores: Iterable[str] = ("hd95",),
    tolerance_mm: float = 1.0,
    outline: Outline = "border",
    removed: Removed | None = None,
) -> Statistics:
    """Of one patient's (N, *S) maps, N slices or one volume: SURFACES among `scores`, as means of one value or none.

    Each is the mean over labels; NAME_voxels where the spacing is not known, empty, and the tolerance is in voxels.
    Distances: of those slices where both maps have the label. missed: of the slices in which a label is in the truth
    or the prediction, the share where the other lacks it, mean over labels. Such slices have no finite distance and
    count here instead: a figure without the other one flatters. surface_dice counts them as 0. removed: as in
    overlap_statistics; a label of which nothing else is left in a slice is in the truth alone.
    """
    wanted = [name for name in dict.fromkeys(scores) if name in SURFACES]
    if not wanted:
        return {}
    true, predicted = as_labels(truths, "the truth"), as_labels(predictions, "the prediction")
    if true.shape != predicted.shape or true.ndim < 2:
        raise ImageError(
            f"truth {true.shape} and prediction {predicted.shape} must be maps of one shape, (N, *S): slices, or "
            "one volume."
        )
    labels, tolerance_mm, outline = as_wanted(labels), as_tolerance_mm(tolerance_mm), as_outline(outline)
    is_known = not (spacing_mm is None or (isinstance(spacing_mm, (tuple, list)) and not spacing_mm))
    spacing = as_spacing_mm(spacing_mm if is_known else None, true.shape[1:])
    of_labels = [
        _of_label(true == label, predicted == label, cut, spacing, wanted, tolerance_mm, outline)
        for label, cut in zip(labels, _cut(removed, len(true), len(labels)), strict=True)
    ]
    names = {name: name if is_known else f"{name}_voxels" for name in wanted}
    found = {names[name]: _mean([one[name] for one in of_labels]) for name in wanted}
    if set(wanted) & set(DISTANCES):
        found["missed"] = _mean([one["missed"] for one in of_labels])
    return found


def _overlap(name: str, counts: Counts) -> tuple[list[Mean], Mean]:
    values = OVERLAPS[name](counts).tolist()
    return [_mean([value]) for value in values], _mean(values)


def _pooled(name: str, counts: Counts) -> tuple[list[Mean], Mean]:
    parts, wholes = (values.astype(np.float64) * UNITS_A_VOXEL for values in POOLED[name](counts))
    each = [Mean(int(part), int(whole)) for part, whole in zip(parts.tolist(), wholes.tolist(), strict=True)]
    return each, sum(each, Mean())


def _undefined(values: Figures, counts: Counts) -> Mean:
    """Of the labels that either map has, the share for which there is no figure."""
    drawn = counts.true_positives + counts.false_positives + counts.false_negatives
    return _mean(np.isnan(values[np.flatnonzero(drawn)]).astype(np.float64).tolist())


def _of_label(
    truths: NDArray[np.bool_],
    predictions: NDArray[np.bool_],
    cut: NDArray[np.bool_],
    spacing_mm: tuple[float, ...],
    scores: Sequence[str],
    tolerance_mm: float,
    outline: Outline,
) -> dict[str, float]:
    """Figures over slices, and "missed"; NaN where there are none. cut: (N,) slices that lost some of the truth."""
    axes = tuple(range(1, truths.ndim))
    in_truth, in_prediction = truths.any(axis=axes), predictions.any(axis=axes)
    both, either = np.asarray(in_truth & in_prediction), np.asarray(in_truth | in_prediction)
    there = either | cut
    found = dict.fromkeys(scores, float("nan"))
    found["missed"] = float(1 - both.sum() / there.sum()) if there.any() else float("nan")
    counted = either if "surface_dice" in scores else both
    if not counted.any():
        return found | ({"surface_dice": 0.0} if "surface_dice" in scores and cut.any() else {})
    parts = SurfaceDistances.of_many(truths[counted], predictions[counted], spacing_mm, outline)
    if "surface_dice" in scores:
        found["surface_dice"] = SurfaceDistances.pooled(parts).surface_dice(tolerance_mm)
    measured = [part for part, is_in_both in zip(parts, both[counted], strict=True) if is_in_both]
    if measured:
        pooled = SurfaceDistances.pooled(measured)
        found |= {name: DISTANCES[name](pooled) for name in scores if name in DISTANCES}
    return found


def _cut(removed: Removed | None, slices: int, labels: int) -> NDArray[np.bool_]:
    """(labels, N)."""
    return np.zeros((labels, slices), np.bool_) if removed is None else np.asarray(removed.T > 0)


def _mean(values: Sequence[float]) -> Mean:
    """A mean of one value, the mean of those that are defined; of none where none is."""
    defined = [value for value in values if not np.isnan(value)]
    return Mean.of([float(np.mean(defined))]) if defined else Mean()
