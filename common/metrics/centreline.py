"""clDice: how much of each mask's centre line lies within the other mask (Shit et al. 2021, CVPR, section 3).

Topology precision is the share of the prediction's skeleton within the truth, topology sensitivity the share of the
truth's within the prediction; clDice is their harmonic mean. A vessel one pixel off keeps its clDice, a broken one
does not. Skeletons are scikit-image's `skeletonize`: Zhang and Suen 1984 in 2D, Lee et al. 1994 in 3D, as in the
authors' own code, panoptica and MetricsReloaded.

| truth | prediction | clDice | topology sensitivity | topology precision |
|-------|------------|--------|----------------------|--------------------|
| empty | empty      | NaN    | NaN                  | NaN                |
| empty | not empty  | 0      | NaN                  | 0                  |
| not   | empty      | 0      | 0                    | NaN                |

Where a mask has no skeleton, as a cube of 2 x 2 x 2 voxels, its own share is NaN, and so is clDice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from common.errors import ImageError
from common.extras import needed_by
from common.metrics.maps import Mask, as_mask, flattened
from common.metrics.merged import UNITS_A_VOXEL
from common.sums.mean import Mean

DIMENSIONS = (2, 3)


@dataclass(frozen=True)
class CentreLines:
    """Voxels of both skeletons, and of each those within the other mask. They add up over patients and hospitals.

    drawn: whether the truth, and whether the prediction, has any voxel.
    """

    truth: int = 0
    truth_found: int = 0
    prediction: int = 0
    prediction_right: int = 0
    drawn: tuple[bool, bool] = (False, False)

    @classmethod
    def of(cls, truth: Mask, prediction: Mask) -> CentreLines:
        """Of two masks of one shape, with 2 or 3 axes of several voxels; what is not 0 is in the mask.

        Raises ImageError where shapes do not fit, StudyError where scikit-image is not installed.
        """
        true, predicted = flattened(as_mask(truth, "the truth")), flattened(as_mask(prediction, "the prediction"))
        if true.shape != predicted.shape or true.ndim not in DIMENSIONS:
            raise ImageError(
                f"centre lines are of masks of one shape with 2 or 3 axes of several voxels; these are {true.shape} "
                f"and {predicted.shape}."
            )
        line, predicted_line = skeleton(true), skeleton(predicted)
        return cls(
            int(np.count_nonzero(line)),
            int(np.count_nonzero(line & predicted)),
            int(np.count_nonzero(predicted_line)),
            int(np.count_nonzero(predicted_line & true)),
            (bool(true.any()), bool(predicted.any())),
        )

    def __add__(self, other: CentreLines) -> CentreLines:
        return CentreLines(
            self.truth + other.truth,
            self.truth_found + other.truth_found,
            self.prediction + other.prediction,
            self.prediction_right + other.prediction_right,
            (self.drawn[0] or other.drawn[0], self.drawn[1] or other.drawn[1]),
        )

    @property
    def sensitivity(self) -> float:
        """Topology sensitivity: the share of the truth's skeleton within the prediction."""
        return self.truth_found / self.truth if self.truth else math.nan

    @property
    def precision(self) -> float:
        """Topology precision: the share of the prediction's skeleton within the truth."""
        return self.prediction_right / self.prediction if self.prediction else math.nan

    @property
    def cl_dice(self) -> float:
        """2 precision sensitivity / (precision + sensitivity)."""
        if self.drawn[0] != self.drawn[1]:
            return 0.0
        both = self.precision + self.sensitivity
        return 2 * self.precision * self.sensitivity / both if both else both

    def statistics(self) -> dict[str, Mean]:
        """Topology sensitivity and precision as means over voxels of skeletons, which merge over hospitals."""
        parts = {
            "topology_sensitivity": (self.truth_found, self.truth),
            "topology_precision": (self.prediction_right, self.prediction),
        }
        return {name: Mean(part * UNITS_A_VOXEL, whole * UNITS_A_VOXEL) for name, (part, whole) in parts.items()}


def skeleton(mask: Mask) -> Mask:
    """The centre line of a mask of 2 or 3 axes, in its shape. Raises StudyError where scikit-image is lacking."""
    with needed_by("clDice"):
        from skimage.morphology import skeletonize
    given = as_mask(mask)
    return np.asarray(skeletonize(given), np.bool_) if given.any() else given  # type: ignore[no-untyped-call]
