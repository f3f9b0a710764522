"""A patient moves during an MR scan: parts of k-space are of the body at other places, and edges come again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from common.corruptions.corruption import Corruption
from common.study.checks import between

MIDDLE = 0.08
"""Of k-space around its centre: measured before the patient moved, as where the scan is triggered."""


@dataclass(frozen=True)
class Motion:
    """shift_pixels: how far the body moves along each axis at severity 1, at most. moves: how often it moves.

    Slice by slice, and the same in all of a volume: a stack is measured together.
    """

    source: ClassVar[str] = "Shaw et al. 2019, MRI k-space motion artefact augmentation (MIDL), section 2"
    modalities: ClassVar[tuple[str, ...]] = ("mr",)

    shift_pixels: float = 4.0
    moves: int = 4

    def __post_init__(self) -> None:
        between("corruption", 0.0, 64.0, shift_pixels=self.shift_pixels)
        between("corruption", 1, 64, moves=self.moves)

    def corrupt(
        self, image: NDArray[np.float32], severity: float, span: tuple[float, float], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Rows of k-space, each of the image shifted to where the body was when the row was measured."""
        rows, columns = image.shape[-2:]
        begins = np.sort(rng.random(self.moves))
        places = rng.uniform(-1, 1, (self.moves + 1, 2)) * self.shift_pixels
        places[0] = 0.0
        if severity == 0:
            return image
        along = np.fft.fftfreq(rows)
        when = np.searchsorted(begins, np.argsort(np.argsort(along)) / max(rows - 1, 1), side="right")
        when[np.abs(along) <= MIDDLE / 2] = 0
        moved = severity * places[when]
        phase = along[:, None] * moved[:, :1] + np.fft.fftfreq(columns)[None, :] * moved[:, 1:]
        space = np.fft.fft2(image.astype(np.float64) - span[0]) * np.exp(-2j * np.pi * phase)
        seen = np.abs(np.fft.ifft2(space)) if image.min() >= span[0] else np.fft.ifft2(space).real
        return (span[0] + seen).astype(np.float32)


corruption: type[Corruption] = Motion
