"""The role of an augmentation. Entries live in `common/selfsupervision/augmentations/`.

What is drawn of a case, a row of numbers on the CPU, travels as a column of the batch (`views`); it is applied to all
cases at once, on whatever device they are. So the draws are the same on every device, and a case that trains alone,
as under privacy, is seen as it would be among others.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Augmentation(Protocol):
    """A frozen dataclass of options."""

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """(P,) what makes one view of one case of `shape`, channels first. P depends on `shape` alone."""
        ...

    def apply(self, images: Tensor, drawn: Tensor, size: tuple[int, ...]) -> Tensor:
        """(N, C, *size) views of (N, C, *S) images. drawn: (N, P) float32. Differentiable by the images, in their
        precision and on their device.
        """
        ...
