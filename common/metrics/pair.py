"""One structure in a truth and a prediction, and what figures of it are made of: each part once, and if asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.metrics.borders import box_of_both
from common.metrics.centreline import CentreLines
from common.metrics.chances import MOST_BINS
from common.metrics.confusion import of_two
from common.metrics.counts import Counts
from common.metrics.doors import as_choice, as_reals, as_spacing_mm, as_tolerance_mm, as_whole
from common.metrics.instances import (
    OTHER_WORDS,
    THRESHOLD,
    Connectivity,
    Detection,
    InstanceMap,
    Matching,
    as_threshold,
    instances,
)
from common.metrics.maps import Mask, as_mask
from common.metrics.nearest import Outline, as_outline
from common.metrics.partition_information import segmentation_entropies
from common.metrics.surface import SurfaceDistances
from common.metrics.topology import Betti, betti_errors
from common.metrics.volume import Volumes

Chances = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Settings:
    """tolerance_mm: of surface Dice, and the width of boundary IoU. outline: what surfaces are made of.

    connectivity: what joins voxels into an instance. iou: from which on two instances match. matching: how.
    bins: of the expected calibration error. Raises ImageError and UnknownNameError for what cannot be.
    """

    tolerance_mm: float = 1.0
    outline: Outline = "border"
    connectivity: Connectivity = "corners"
    iou: float = THRESHOLD
    matching: Matching = "greedy"
    bins: int = 10

    def __post_init__(self) -> None:
        as_tolerance_mm(self.tolerance_mm)
        as_outline(self.outline)
        as_choice(self.connectivity, "connectivity", get_args(Connectivity), OTHER_WORDS)
        as_choice(self.matching, "matching", get_args(Matching), OTHER_WORDS)
        as_threshold(self.iou)
        as_whole(self.bins, "bins", 1, MOST_BINS)


@dataclass(frozen=True, eq=False)
class Pair:
    """truth, prediction: cut to the box that holds both. voxels: of the whole image. whole_truth, chances: (N,) each,
    of all voxels, where chances are measured; the prediction is then what has a chance of one half or more.
    """

    truth: Mask
    prediction: Mask
    spacing_mm: tuple[float, ...]
    voxels: int
    settings: Settings = Settings()
    whole_truth: Mask | None = None
    chances: Chances | None = None

    @classmethod
    def of(
        cls,
        truth: Mask,
        prediction: Mask,
        spacing_mm: float | Sequence[float] | None = None,
        settings: Settings | None = None,
    ) -> Pair:
        """Of two masks of one shape; what is not 0 is in the mask. Raises ImageError where they do not fit."""
        true, predicted = as_mask(truth, "the truth"), as_mask(prediction, "the prediction")
        if true.shape != predicted.shape or not true.ndim:
            raise ImageError(f"truth {true.shape} and prediction {predicted.shape} must be masks of one shape.")
        spacing = as_spacing_mm(spacing_mm, true.shape)
        cut = _kept_dimensions(box_of_both(true, predicted), true.shape)
        return cls(true[cut], predicted[cut], spacing, true.size, settings or Settings())

    @classmethod
    def of_chances(
        cls,
        truth: Mask,
        chances: Chances,
        spacing_mm: float | Sequence[float] | None = None,
        settings: Settings | None = None,
    ) -> Pair:
        """Of a mask and the chance of every voxel to be in it. Raises ImageError where they do not fit."""
        given = as_reals(chances, "chances")
        if given.size and not (given.min() >= 0 and given.max() <= 1):
            raise ImageError("chances must be numbers within 0 and 1; some are not.")
        cut = cls.of(truth, given >= 0.5, spacing_mm, settings)
        whole = as_mask(truth, "the truth").reshape(-1)
        return cls(cut.truth, cut.prediction, cut.spacing_mm, cut.voxels, cut.settings, whole, given.reshape(-1))

    @property
    def state(self) -> str:
        """Which of the two has the structure: both, missed (the truth alone), invented, or neither."""
        found = bool(self.truth.any()), bool(self.prediction.any())
        return {(True, True): "both", (True, False): "missed", (False, True): "invented"}.get(found, "neither")

    @cached_property
    def counts(self) -> Counts:
        """Voxels, of the whole image."""
        found = Counts.of(self.truth, self.prediction, [1])
        beyond = self.voxels - self.truth.size
        return Counts(
            found.true_positives, found.false_positives, found.false_negatives, found.true_negatives + beyond
        )

    @cached_property
    def table(self) -> NDArray[np.float64]:
        """(2, 2) the same as a confusion matrix."""
        return of_two(self.counts)

    @cached_property
    def surface(self) -> SurfaceDistances:
        """Distances between outlines."""
        return SurfaceDistances.of(self.truth, self.prediction, self.spacing_mm, self.settings.outline)

    @cached_property
    def volumes(self) -> Volumes:
        """In mm^3."""
        return Volumes.of(self.truth, self.prediction, self.spacing_mm)

    @cached_property
    def instances(self) -> tuple[InstanceMap, InstanceMap]:
        """Of the truth and of the prediction."""
        connectivity = self.settings.connectivity
        return instances(self.truth, connectivity), instances(self.prediction, connectivity)

    @cached_property
    def detection(self) -> Detection:
        """Instances matched, missed, invented."""
        return Detection.of_maps(*self.instances, self.settings.iou, self.settings.matching)

    @cached_property
    def entropies(self) -> tuple[float, float]:
        """Over- and under-segmentation in bits; NaN where neither has the structure."""
        if self.state == "neither":
            return math.nan, math.nan
        return segmentation_entropies(*self.instances, self.voxels - self.truth.size)

    @cached_property
    def centre_lines(self) -> CentreLines:
        """Voxels of both skeletons."""
        return CentreLines.of(self.truth, self.prediction)

    @cached_property
    def betti_errors(self) -> Betti:
        """Of pieces, tunnels and cavities."""
        return betti_errors(self.truth, self.prediction, self.settings.connectivity)

    def measured_chances(self) -> tuple[Chances, Mask]:
        """Chances and truths of all voxels. Raises ImageError where there are none."""
        if self.chances is None or self.whole_truth is None:
            raise ImageError("figures of chances need a prediction of chances within 0 and 1, and a label map came.")
        return self.chances, self.whole_truth


def _kept_dimensions(box: tuple[slice, ...] | None, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """A box that does not make an axis of one voxel, which would be no axis, of one that has several."""
    if box is None:
        return tuple(slice(0, min(size, 2)) for size in shape)
    return tuple(
        slice(cut.start - (cut.start + 1 == size), max(cut.stop, cut.start + 2))
        if size > 1 and cut.stop - cut.start == 1
        else cut
        for cut, size in zip(box, shape, strict=True)
    )
