"""A mark that is planted into images, so that it is known beforehand what a network may have learned to look at.

Radiographs carry burnt-in letters, and scanners have tints of their own: where one hospital's ill patients alone have
them, a network may learn the mark in place of the illness (Zech et al. 2018, Variable generalization performance of a
deep learning model to detect pneumonia, PLOS Medicine 15(11)).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.errors import ImageError
from common.study.checks import between, each

IN_PLANE = 2
LETTER = np.array(
    [
        [1, 1, 1, 1, 0],
        [1, 0, 0, 0, 1],
        [1, 1, 1, 1, 0],
        [1, 0, 0, 1, 0],
        [1, 0, 0, 0, 1],
    ],
    dtype=bool,
)
"""An R, as radiographers lay on the patient's right side."""


@dataclass(frozen=True)
class Marker:
    """kind: a letter burnt into one place, or a tint over the whole image. strength: how far a value goes on its way
    to white, from 0 (as it was) to 1 (white). side_px: of the letter. place: row and column of its upper left corner.
    white: the value of white.
    """

    kind: Literal["letter", "tint"] = "letter"
    strength: float = 1.0
    side_px: int = 5
    place: tuple[int, ...] = (2, 2)
    white: float = 1.0

    def __post_init__(self) -> None:
        between("marker", 0, 1, strength=self.strength)
        between("marker", 1, 1 << 12, side_px=self.side_px)
        each("marker", 0, 1 << 12, IN_PLANE, IN_PLANE, place=self.place)

    def planted(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """A copy of images (N, C, [D,] H, W) that carry the mark, in every channel and slice."""
        marked = np.where(self._strokes(images), images + self.strength * (self.white - images), images)
        return np.asarray(marked, np.float32)

    def mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """(*S) where an image (C, *S) was changed: the letter's square, the whole of a tinted image."""
        drawn = np.zeros(shape[1:], bool)
        drawn[self._square(shape)] = True
        return drawn

    def _strokes(self, images: NDArray[np.float32]) -> NDArray[np.bool_]:
        """(*S) of the values that change."""
        drawn = self.mask(images.shape[1:])
        if self.kind == "letter":
            at = np.arange(self.side_px) * len(LETTER) // self.side_px
            drawn[self._square(images.shape[1:])] = LETTER[np.ix_(at, at)]
        return drawn

    def _square(self, shape: tuple[int, ...]) -> tuple[EllipsisType, slice, slice]:
        if len(shape) <= IN_PLANE:
            raise ImageError(f"a mark is planted into images (C, H, W) or (C, D, H, W); these are {shape}.")
        if self.kind == "tint":
            return (..., slice(None), slice(None))
        (row, column), side = self.place, self.side_px
        if row + side > shape[-2] or column + side > shape[-1]:
            raise ImageError(
                f"a letter of {side} pixels at row {row}, column {column} does not fit into an image of "
                f"{shape[-2]} x {shape[-1]}: choose another place, or a smaller side_px."
            )
        return (..., slice(row, row + side), slice(column, column + side))
