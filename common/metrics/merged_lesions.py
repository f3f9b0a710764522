"""Scores of lesions as statistics that merge: hospitals' means add up to the figure of all patients' lesions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from common.metrics.instances import Detection
from common.metrics.maps import Labels, Mask, as_labels
from common.metrics.merged import MOST_NAMES
from common.sums.mean import Mean, Statistics

SCORES = ("lesion_f1", "lesion_sensitivity", "lesion_precision", "segmentation_quality", "panoptic_quality")


def lesion_statistics(
    truths: Labels, predictions: Labels, labels: Sequence[int], scores: Iterable[str] = ("lesion_f1",)
) -> Statistics:
    """Of one patient's (N, *S) maps, N slices or one volume: SCORES among `scores`; other names are left alone.

    NAME_1, NAME_2, ... of each label, and NAME of all labels' lesions. A lesion is a connected component, corners
    included, of one slice where the maps are slices; two match from an IoU of one half on. The weight of a mean is
    its number of lesions, so that a patient without any weighs nothing. Raises ImageError for two shapes.
    """
    wanted = [name for name in dict.fromkeys(scores) if name in SCORES]
    if not wanted:
        return {}
    true, predicted = as_labels(truths, "the truth"), as_labels(predictions, "the prediction")
    each = {label: _found(np.asarray(true == label), np.asarray(predicted == label)) for label in labels}
    told = {"": sum(each.values(), Detection())}
    if len(wanted) * len(labels) <= MOST_NAMES:
        told |= {f"_{label}": detection for label, detection in each.items()}
    found: dict[str, Mean] = {}
    for suffix, detection in told.items():
        own = detection.statistics()
        found |= {f"{name}{suffix}": own[name] for name in wanted}
    return found


def _found(truths: Mask, predictions: Mask) -> Detection:
    drawn = np.flatnonzero((truths | predictions).reshape(len(truths), -1).any(axis=1)).tolist()
    return sum((Detection.of(np.asarray(truths[at]), np.asarray(predictions[at])) for at in drawn), Detection())
