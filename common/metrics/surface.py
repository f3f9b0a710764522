"""Distances between the outlines of two masks, in mm: all figures from one search.

Conventions, where libraries differ, are options of one name each:

- what an outline is: its border voxels ("border": MONAI, medpy; the default), the whole mask ("mask": SimpleITK's
  HausdorffDistanceImageFilter), or elements that count by their length in 2D and area in 3D ("elements":
  surface-distance, Nikolov et al. 2021; see common/metrics/elements.py);
- HD95: the larger of the two directed percentiles ("larger": MONAI, surface-distance; the default) or the percentile
  of both pooled ("pooled": medpy). Percentiles are interpolated linearly, as numpy.percentile does; of elements, they
  are the least distance within which that share of the outline's size lies, as surface-distance has it;
- empty masks: where neither mask has the structure every figure is NaN, "not defined"; where only one has it, it was
  missed, or invented: distances are infinite and surface Dice is 0. It is never left out: where means are taken,
  "missed" is the share of such structures, kept beside the mean:

| truth | prediction | HD, HD95, ASSD, MASD, both directed means | surface Dice | overlap of truth, of prediction |
|-------|------------|-------------------------------------------|--------------|---------------------------------|
| empty | empty      | NaN                                       | NaN          | NaN, NaN                        |
| empty | not empty  | infinite                                  | 0            | NaN, 0                          |
| not   | empty      | infinite                                  | 0            | 0, NaN                          |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from common.errors import ImageError
from common.metrics._weighted import mean, percentile, share_within
from common.metrics.borders import box_of_both_checked
from common.metrics.doors import as_choice, as_percent, as_spacing_mm, as_tolerance_mm, as_wanted
from common.metrics.elements import DIMENSIONS, Sizes, sizes
from common.metrics.maps import Labels, Mask, as_labels, as_mask, true_axes
from common.metrics.nearest import Distances, Outline, Points, as_outline, nearest_mm

Spacing = float | Sequence[float]


@dataclass(frozen=True)
class SurfaceDistances:
    """Of each voxel or element of one outline, the distance in mm to the other. (M,) and (K,) float64, C order.

    to_truth_mm: from the prediction's M; to_prediction_mm: from the truth's K. prediction_sizes, truth_sizes: lengths
    in mm or areas in mm^2 of elements, in the same order; None where all count one.
    """

    to_truth_mm: Distances
    to_prediction_mm: Distances
    prediction_sizes: Sizes | None = None
    truth_sizes: Sizes | None = None

    @classmethod
    def of(
        cls, truth: Mask, prediction: Mask, spacing_mm: Spacing | None = None, outline: Outline = "border"
    ) -> SurfaceDistances:
        """Distances between the outlines of two masks.

        An axis of one voxel is no axis: a slice stored as (X, Y, 1) has the figures of (X, Y), and a line those along
        it.

        Args:
            truth: 2D or 3D (any number of axes works); what is not 0 is in the mask.
            prediction: of the same shape.
            spacing_mm: one number an axis, or one for all; by default 1.
            outline: border voxels, or elements of the surface between voxels.

        Raises:
            ImageError: where shapes or spacing do not fit, for NaN and for what is no numbers, and for elements in
                anything but 2D and 3D.
            UnknownNameError: for another outline.
        """
        true, predicted = as_mask(truth, "the truth"), as_mask(prediction, "the prediction")
        true, predicted, spacing = _prepared(true[None], predicted[None], spacing_mm)
        cut = (slice(None), *(box_of_both_checked(true[0], predicted[0]) or ()))
        return cls._of_prepared(true[cut], predicted[cut], spacing, outline)[0]

    @classmethod
    def of_many(
        cls, truths: Mask, predictions: Mask, spacing_mm: Spacing | None = None, outline: Outline = "border"
    ) -> list[SurfaceDistances]:
        """As `of`, for N pairs at once: (N, *S) each. For many small masks this is far faster than one by one."""
        true, predicted = as_mask(truths, "the truth"), as_mask(predictions, "the prediction")
        return cls._of_prepared(*_prepared(true, predicted, spacing_mm), outline)

    @classmethod
    def _of_prepared(
        cls, truths: Mask, predictions: Mask, spacing: tuple[float, ...], outline: Outline
    ) -> list[SurfaceDistances]:
        if as_outline(outline) == "elements" and len(spacing) not in DIMENSIONS:
            raise ImageError(
                f"elements are of masks with 2 or 3 axes of several voxels; these are {truths.shape[1:]}."
            )
        truth, prediction = Points.of(truths, outline), Points.of(predictions, outline)
        to_truth = prediction.parted(nearest_mm(prediction, truth, spacing))
        to_prediction = truth.parted(nearest_mm(truth, prediction, spacing))
        of_prediction, of_truth = _sizes_parted(prediction, spacing), _sizes_parted(truth, spacing)
        return [cls(*each) for each in zip(to_truth, to_prediction, of_prediction, of_truth, strict=True)]

    @classmethod
    def pooled(cls, parts: Sequence[SurfaceDistances]) -> SurfaceDistances:
        """Several pairs as if all their outlines were one: slices, patients.

        Args:
            parts: pairs that were measured with one kind of outline.

        Raises:
            ImageError: for no pair, and where only some have sizes.
        """
        if not parts or len({part.truth_sizes is None for part in parts}) != 1:
            raise ImageError(f"one pair or more of one kind of outline can be pooled; {len(parts)} came.")
        return cls(
            np.concatenate([part.to_truth_mm for part in parts]),
            np.concatenate([part.to_prediction_mm for part in parts]),
            _joined([part.prediction_sizes for part in parts]),
            _joined([part.truth_sizes for part in parts]),
        )

    @property
    def hausdorff_mm(self) -> float:
        """max over both directions of the largest distance (Huttenlocher et al. 1993)."""
        return self._or_empty(lambda: max(self.to_truth_mm.max(), self.to_prediction_mm.max()))

    def hausdorff_percentile_mm(self, percent: float = 95.0, of: Literal["larger", "pooled"] = "larger") -> float:
        """HD95: a percentile of the distances instead of the largest, which one stray voxel decides.

        Args:
            percent: 0, or from 1 to 100.
            of: "larger", the percentile of each direction and the larger of both, or "pooled", of all distances.

        Returns:
            Millimetres.

        Raises:
            ImageError: for another percentage.
            UnknownNameError: for another word.
        """
        share = as_percent(percent)
        if as_choice(of, "percentile of both directions", ("larger", "pooled")) == "pooled":
            return self._or_empty(lambda: percentile(*self._all(), share))
        return self._or_empty(lambda: max(percentile(*way, share) for way in self._ways()))

    @property
    def average_symmetric_mm(self) -> float:
        """ASSD: both sums over both counts, or sizes."""
        return self._or_empty(lambda: mean(*self._all()))

    @property
    def mean_average_mm(self) -> float:
        """MASD: the mean of the two directed means."""
        return self._or_empty(lambda: sum(mean(*way) for way in self._ways()) / 2)

    @property
    def directed_averages_mm(self) -> tuple[float, float]:
        """Mean distance from the truth's outline to the prediction's, and from the prediction's to the truth's."""
        from_truth, from_prediction = self._ways()
        return self._or_empty(lambda: mean(*from_truth)), self._or_empty(lambda: mean(*from_prediction))

    def surface_dice(self, tolerance_mm: float) -> float:
        """The share of both outlines within the tolerance of the other (Nikolov et al. 2021).

        Args:
            tolerance_mm: 0 or more.

        Returns:
            From 0 to 1.

        Raises:
            ImageError: for a tolerance below 0.
        """
        near_mm = as_tolerance_mm(tolerance_mm)
        if self._lacking():
            return float("nan") if self._lacking() == 2 else 0.0
        return share_within(*self._all(), near_mm)

    def surface_overlap(self, tolerance_mm: float) -> tuple[float, float]:
        """The share of the truth's outline within the tolerance of the prediction's, and of the prediction's."""
        near_mm = as_tolerance_mm(tolerance_mm)
        of_truth, of_prediction = (share_within(*way, near_mm) if len(way[0]) else math.nan for way in self._ways())
        return of_truth, of_prediction

    def _ways(self) -> tuple[tuple[Distances, Sizes | None], ...]:
        """From the truth to the prediction and back, each with sizes."""
        return (self.to_prediction_mm, self.truth_sizes), (self.to_truth_mm, self.prediction_sizes)

    def _all(self) -> tuple[Distances, Sizes | None]:
        return (
            np.concatenate([self.to_truth_mm, self.to_prediction_mm]),
            _joined([self.prediction_sizes, self.truth_sizes]),
        )

    def _lacking(self) -> int:
        """How many of the two outlines are empty."""
        return (len(self.to_truth_mm) == 0) + (len(self.to_prediction_mm) == 0)

    def _or_empty(self, figure: Callable[[], float]) -> float:
        lacking = self._lacking()
        return float(figure()) if lacking == 0 else float("nan" if lacking == 2 else "inf")


def surface_distances(
    truth: Labels,
    prediction: Labels,
    labels: Iterable[int] | int,
    spacing_mm: Spacing | None = None,
    outline: Outline = "border",
) -> Mapping[int, SurfaceDistances]:
    """Of each of `labels` in two maps of class indices of one shape. Raises what SurfaceDistances.of raises."""
    true, predicted = as_labels(truth, "the truth"), as_labels(prediction, "the prediction")
    _check_alike(true, predicted)
    return {
        label: SurfaceDistances.of(true == label, predicted == label, spacing_mm, outline)
        for label in as_wanted(labels)
    }


def _check_alike(truth: Labels, prediction: Labels) -> None:
    if truth.shape != prediction.shape:
        raise ImageError(f"truth {truth.shape} and prediction {prediction.shape} must be masks of one shape.")


def _sizes_parted(points: Points, spacing_mm: tuple[float, ...]) -> list[Sizes] | list[None]:
    """Of each image, the sizes of its elements, or None."""
    if points.codes is None:
        return [None] * points.shape[0]
    return points.parted(sizes(spacing_mm)[points.codes])


def _joined(parts: Sequence[Sizes | None]) -> Sizes | None:
    held = [part for part in parts if part is not None]
    return np.concatenate(held) if held else None


def _prepared(truth: Mask, prediction: Mask, spacing_mm: Spacing | None) -> tuple[Mask, Mask, tuple[float, ...]]:
    """(N, *S) as bool and the spacing, both without axes of one voxel. Raises ImageError where they do not fit."""
    shape = truth.shape[1:]
    if truth.shape != prediction.shape or truth.ndim < 2:
        raise ImageError(
            f"truth {shape} and prediction {prediction.shape[1:]} must be masks of one shape, of one axis at least."
        )
    given, axes = as_spacing_mm(spacing_mm, shape), true_axes(shape)
    kept = (len(truth), *(shape[axis] for axis in axes))
    return truth.reshape(kept), prediction.reshape(kept), tuple(given[axis] for axis in axes)
