"""What a registration was driven by, so that it is not judged by the same: it would look better than it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from common.data.image import Image
from common.errors import ImageError
from common.registration.landmarks import Landmarks

SAME_PLACE = 1e-6
"""Share of the landmarks' extent below which two are one."""


@dataclass(frozen=True, eq=False)
class Used:
    """similarity: its name, as in `register`. landmarks: in the cost. images: registered, and masks."""

    similarity: str
    landmarks: Landmarks | None = None
    images: tuple[Image, ...] = ()

    def check_landmarks(self, fixed: ArrayLike) -> None:
        """Raise ImageError if one of the fixed landmarks (N, D) was in the cost."""
        if self.landmarks is None or self.landmarks.weight == 0:
            return
        known, asked = self.landmarks.points[0], np.asarray(fixed, np.float64)
        apart = np.linalg.norm(known[:, None] - asked[None], axis=-1)
        same = int((apart <= SAME_PLACE * max(1e-12, float(np.ptp(known, axis=0).max()))).any(axis=0).sum())
        if same:
            raise ImageError(
                f"{same} of {len(asked)} landmarks were a term of the registration's cost: "
                "an error at them says nothing; use others."
            )

    def check_labels(self, labels: Image) -> None:
        """Raise ImageError if a label map is an image or a mask that was registered."""
        for image in self.images:
            same = image.geometry.same_place(labels.geometry)
            if same and (np.array_equal(image.values, labels.values) or _same_mask(image, labels)):
                raise ImageError("these labels were what was registered, or its mask: overlap says nothing.")

    def check_similarity(self, name: str) -> None:
        """Raise ImageError if the images were made alike by this very similarity."""
        if name == self.similarity:
            raise ImageError(f"'{name}' is what the registration made better: it says nothing; use another measure.")


def _same_mask(image: Image, labels: Image) -> bool:
    return image.values.dtype == bool and np.array_equal(image.values, labels.values != 0)
