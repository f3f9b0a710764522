"""Volumes of two masks, and how far the prediction's is off: blind to where it lies.

Signed, so that too large and too small do not cancel unseen: the absolute error stands beside it. Relative errors
divide by the truth's volume: panoptica's relative volume difference (signed) and MetricsReloaded's absolute volume
difference ratio. Where neither mask has the structure the errors are 0 mm^3 and relative ones NaN; where the truth
lacks it, relative ones are infinite.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from common.errors import ImageError
from common.metrics.doors import as_spacing_mm
from common.metrics.maps import Mask, as_mask
from common.sums.mean import Mean

MM3_A_ML = 1000.0


@dataclass(frozen=True)
class Volumes:
    """Volumes in mm^3 (areas in mm^2 of masks with two axes)."""

    truth_mm3: float
    prediction_mm3: float

    @classmethod
    def of(cls, truth: Mask, prediction: Mask, spacing_mm: float | Sequence[float] | None = None) -> Volumes:
        """Of two masks of one shape; what is not 0 is in the mask. spacing_mm: one number an axis, or one for all.

        Raises ImageError where shapes or spacing do not fit.
        """
        true, predicted = as_mask(truth, "the truth"), as_mask(prediction, "the prediction")
        if true.shape != predicted.shape:
            raise ImageError(f"truth {true.shape} and prediction {predicted.shape} must be masks of one shape.")
        voxel = math.prod(as_spacing_mm(spacing_mm, true.shape))
        return cls(int(np.count_nonzero(true)) * voxel, int(np.count_nonzero(predicted)) * voxel)

    @property
    def error_mm3(self) -> float:
        """Prediction - truth: above 0 where too much is outlined."""
        return self.prediction_mm3 - self.truth_mm3

    @property
    def error_ml(self) -> float:
        """The same in ml."""
        return self.error_mm3 / MM3_A_ML

    @property
    def relative_error(self) -> float:
        """(prediction - truth) / truth."""
        if self.truth_mm3:
            return self.error_mm3 / self.truth_mm3
        return math.inf if self.prediction_mm3 else math.nan

    def statistics(self) -> dict[str, Mean]:
        """Errors in ml, signed and absolute, as means of one patient, which merge over patients and hospitals."""
        return {
            "volume_error_ml": Mean.of([self.error_ml]),
            "absolute_volume_error_ml": Mean.of([abs(self.error_ml)]),
        }
