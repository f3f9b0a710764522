"""Lesions one by one: which of the truth were found, which were invented, which were split or merged.

An instance is a connected component of a mask. Instances of truth and prediction are matched one to one where their
IoU reaches a threshold (0.5: beyond it no instance could be matched twice; Kirillov et al. 2019, Panoptic
segmentation, section 4.1), the best overlap first ("greedy"), or so that the sum of IoU is largest ("optimal"). They
are panoptica's NaiveThresholdMatching and MaxBipartiteMatching (Kofler et al. 2023), and its sq, rq and pq.

| truth | prediction | F1 = RQ | sensitivity | precision | SQ  | PQ  |
|-------|------------|---------|-------------|-----------|-----|-----|
| empty | empty      | NaN     | NaN         | NaN       | NaN | NaN |
| empty | not empty  | 0       | NaN         | 0         | NaN | 0   |
| not   | empty      | 0       | 0           | NaN       | NaN | 0   |

Counts and the sum of IoU add up over patients and hospitals, before a figure is taken of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.doors import as_choice, as_number
from common.metrics.maps import Labels, Mask, as_labels, as_mask, flattened
from common.sums.mean import Mean

Connectivity = Literal["corners", "faces"]
Matching = Literal["greedy", "optimal"]
InstanceMap = NDArray[np.int32]
Places = NDArray[np.int64]

THRESHOLD, SMALLEST_IOU = 0.5, 1e-12
OTHER_WORDS = {
    **dict.fromkeys(("26", "8", "full", "vertex"), "corners"),
    **dict.fromkeys(("6", "4", "cross"), "faces"),
    "hungarian": "optimal",
}


@dataclass(frozen=True)
class Detection:
    """Of instances: matched (true positives), missed (false negatives), invented (false positives), split, merged.

    matched_iou: the sum of IoU over matched pairs. split: instances of the truth that two or more of the prediction
    lie in, each by more than half of itself, together on more than half of it; merged: the same the other way round
    (over- and under-segmentation of Hoover et al. 1996, section 3.1, at a tolerance of one half). An instance may be
    split, and missed or matched, at once.
    """

    matched: int = 0
    missed: int = 0
    invented: int = 0
    matched_iou: float = 0.0
    split: int = 0
    merged: int = 0

    @classmethod
    def of(
        cls,
        truth: Mask,
        prediction: Mask,
        threshold: float = THRESHOLD,
        connectivity: Connectivity = "corners",
        matching: Matching = "greedy",
    ) -> Detection:
        """Of two masks of one shape; what is not 0 is in the mask. Raises as `instances` and `of_maps` do."""
        return cls.of_maps(
            instances(truth, connectivity, "the truth"),
            instances(prediction, connectivity, "the prediction"),
            threshold,
            matching,
        )

    @classmethod
    def of_maps(
        cls, truth: Labels, prediction: Labels, threshold: float = THRESHOLD, matching: Matching = "greedy"
    ) -> Detection:
        """Of two maps in which every instance has a number of its own, and 0 is none.

        Raises ImageError for two shapes and a threshold that is not above 0 and at most 1, UnknownNameError for
        another word of matching.
        """
        as_choice(matching, "matching", get_args(Matching), OTHER_WORDS)
        least = as_threshold(threshold)
        shared = Overlaps.of(truth, prediction)
        iou = shared.iou
        pairs = _matched(shared, np.flatnonzero(iou >= least), matching)
        return cls(
            len(pairs),
            len(shared.truth_sizes) - len(pairs),
            len(shared.prediction_sizes) - len(pairs),
            math.fsum(iou[pairs].tolist()),
            _in_pieces(shared.truth, shared.prediction, shared.voxels, shared.truth_sizes, shared.prediction_sizes),
            _in_pieces(shared.prediction, shared.truth, shared.voxels, shared.prediction_sizes, shared.truth_sizes),
        )

    def __add__(self, other: Detection) -> Detection:
        return Detection(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(self)))

    @property
    def sensitivity(self) -> float:
        """The share of the truth's instances that are matched."""
        return _ratio(self.matched, self.matched + self.missed)

    @property
    def precision(self) -> float:
        """The share of the prediction's instances that are matched."""
        return _ratio(self.matched, self.matched + self.invented)

    @property
    def f1(self) -> float:
        """2 TP / (2 TP + FP + FN): recognition quality (Kirillov et al. 2019, equation 2)."""
        return _ratio(2 * self.matched, 2 * self.matched + self.missed + self.invented)

    @property
    def segmentation_quality(self) -> float:
        """The mean IoU of matched pairs (equation 2)."""
        return _ratio(self.matched_iou, self.matched)

    @property
    def panoptic_quality(self) -> float:
        """Segmentation times recognition quality: sum of IoU / (TP + FP / 2 + FN / 2) (equation 1)."""
        return _ratio(2 * self.matched_iou, 2 * self.matched + self.missed + self.invented)

    def statistics(self) -> dict[str, Mean]:
        """The same figures as means, which merge over patients and hospitals into those of all instances."""
        parts = {
            "lesion_sensitivity": (self.matched, self.matched + self.missed),
            "lesion_precision": (self.matched, self.matched + self.invented),
            "lesion_f1": (self.matched, self.matched + (self.missed + self.invented) / 2),
            "segmentation_quality": (self.matched_iou, self.matched),
            "panoptic_quality": (self.matched_iou, self.matched + (self.missed + self.invented) / 2),
        }
        return {name: Mean.of([part / whole], [whole]) if whole else Mean() for name, (part, whole) in parts.items()}


def instances(mask: Mask, connectivity: Connectivity = "corners", name: str = "the mask") -> InstanceMap:
    """The mask's shape, int32: 1, 2, ... of each connected component, in C order of their first voxels, and 0.

    connectivity: "corners", voxels that share a corner are of one instance (8 neighbours in 2D, 26 in 3D), or
    "faces" (4, 6). An axis of one voxel is no axis. Raises UnknownNameError for another word, ImageError as
    `as_mask` does.
    """
    from scipy.ndimage import label

    given = as_mask(mask, name)
    plane = flattened(given)
    found, _ = label(plane, structure(plane.ndim, connectivity))
    return np.asarray(found, np.int32).reshape(given.shape)


def as_threshold(given: object) -> float:
    """An IoU above 0 and at most 1. Raises ImageError."""
    return as_number(given, "the IoU from which on instances match", least=SMALLEST_IOU, most=1.0)


def structure(dimensions: int, connectivity: Connectivity) -> Mask:
    """The neighbours of a voxel, itself included, (3, 3, ...). Raises UnknownNameError for another word."""
    from scipy.ndimage import generate_binary_structure

    as_choice(connectivity, "connectivity", get_args(Connectivity), OTHER_WORDS)
    return np.asarray(generate_binary_structure(dimensions, dimensions if connectivity == "corners" else 1), np.bool_)


@dataclass(frozen=True)
class Overlaps:
    """Pairs of instances that share a voxel: (K,) places of truth and prediction among all, and shared voxels.

    truth_sizes: (T,), prediction_sizes: (P,) voxels of all instances, in the order of their numbers.
    """

    truth: Places
    prediction: Places
    voxels: Places
    truth_sizes: Places
    prediction_sizes: Places

    @classmethod
    def of(cls, truth: Labels, prediction: Labels) -> Overlaps:
        """Of two maps of one shape, in which 0 is no instance. Raises ImageError for two shapes."""
        true, predicted = as_labels(truth, "the truth"), as_labels(prediction, "the prediction")
        if true.shape != predicted.shape:
            raise ImageError(f"truth {true.shape} and prediction {predicted.shape} must be maps of one shape.")
        in_truth, in_prediction = np.asarray(true != 0), np.asarray(predicted != 0)
        both = np.asarray(in_truth & in_prediction)
        rows, of_truth = np.unique(true[in_truth], return_counts=True)
        columns, of_prediction = np.unique(predicted[in_prediction], return_counts=True)
        codes = np.searchsorted(rows, true[both]) * len(columns) + np.searchsorted(columns, predicted[both])
        found, voxels = np.unique(codes, return_counts=True)
        place = divmod(found, max(len(columns), 1))
        return cls(place[0], place[1], voxels, of_truth, of_prediction)

    @property
    def iou(self) -> NDArray[np.float64]:
        """(K,) of each pair."""
        union = self.truth_sizes[self.truth] + self.prediction_sizes[self.prediction] - self.voxels
        return np.asarray(self.voxels / union)


def _matched(shared: Overlaps, candidates: Places, matching: Matching) -> Places:
    """Those of the candidate pairs that are kept, so that no instance is in two."""
    iou = shared.iou
    if matching == "optimal":
        return _best_sum(shared.truth[candidates], shared.prediction[candidates], iou[candidates], candidates)
    kept: list[int] = []
    taken: set[tuple[str, int]] = set()
    for pair in candidates[np.argsort(-iou[candidates], kind="stable")].tolist():
        ends = {("truth", int(shared.truth[pair])), ("prediction", int(shared.prediction[pair]))}
        if not ends & taken:
            kept.append(pair)
            taken |= ends
    return np.array(kept, np.int64)


def _best_sum(truth: Places, prediction: Places, iou: NDArray[np.float64], candidates: Places) -> Places:
    from scipy.optimize import linear_sum_assignment

    rows, row = np.unique(truth, return_inverse=True)
    columns, column = np.unique(prediction, return_inverse=True)
    scores, numbers = np.zeros((len(rows), len(columns))), np.zeros((len(rows), len(columns)), np.int64)
    scores[row, column], numbers[row, column] = iou, candidates
    chosen = linear_sum_assignment(scores, maximize=True)
    return np.asarray(numbers[chosen][scores[chosen] > 0])


def _in_pieces(whole: Places, piece: Places, shared: Places, wholes: Places, pieces: Places) -> int:
    """How many of the wholes two or more pieces lie in, by more than half of each, on more than half of the whole."""
    inside = 2 * shared > pieces[piece]
    parts = np.bincount(whole[inside], minlength=len(wholes))
    covered = np.bincount(whole[inside], shared[inside], minlength=len(wholes))
    return int(((parts >= 2) & (2 * covered > wholes)).sum())


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
